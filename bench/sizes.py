"""How small the system is: image, memory after start, the smallest machine, the nucleus's source."""
import glob
import re
import subprocess

from measure import CannotMeasure, figure_row, make_row, need_files, progress, run_console, run_machine
from startup import LINUX, LINUX_OPTIONS, tsc_khz

SIZE_ROWS = ["size_image", "size_nucleus"]
MEMORY_ROWS = ["memory_after_start", "memory_smallest"]
IDLE_ROWS = ["memory_idle_process"]
IMAGE = "build/microlake.elf"
RUNS = 3

# MiB that are tried, smallest first; an inference must run there, on the GPU and on the CPU.
MACHINES = (16, 24, 32, 64)
PROGRAM = "digits"

BUSYBOX_ARCHIVE = "build/boot-busybox.cpio"
LINUX_BUSYBOX = "build/bench/linux-busybox.cpio"
IDLE_SCRIPT = "bench/linux-busybox/idle"
IDLE_PROCESSES = 100


def measure_sizes():
    """As tests/check/sizes does: what is loaded, without symbols for gdb."""
    need_files(IMAGE)
    progress("sizes")
    try:
        said = subprocess.run(["size", IMAGE], stdout=subprocess.PIPE, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMeasure(f"size: {error}") from error
    text, data = said.splitlines()[1].split()[:2]
    lines = 0
    for path in glob.glob("kernel/**/*.c", recursive=True):
        with open(path, encoding="utf-8") as source:
            lines += source.read().count("\n")
    return [
        figure_row("size_image", [(int(text) + int(data)) / 1024], "KiB", limit=512),
        figure_row("size_nucleus", [lines], "lines", limit=12000),
    ]


def runs_in(mebibytes):
    try:
        run_machine([PROGRAM], ["--gpu", "auto", "--memory", f"{mebibytes}M"])
    except CannotMeasure:
        return False
    return True


def measure_memory():
    """Beside Linux: MemTotal less MemAvailable and what never reaches MemTotal; and the smallest
    machine with which an inference still runs there."""
    progress("memory")
    used = [int(run_machine(["true"])[1]["stats"]["memory.boot_kib"]) / 1024 for _ in range(RUNS)]
    smallest = next((size for size in MACHINES if runs_in(size)), None)
    if smallest is None:
        raise CannotMeasure(f"{PROGRAM} ran in no machine of {MACHINES[-1]} MiB or less")
    return [
        figure_row("memory_after_start", used, "MiB", limit=6,
                   baseline_name="Linux 6.1, recorded", baseline=69),
        figure_row("memory_smallest", [smallest], "MiB", limit=16,
                   baseline_name="Linux 6.1, recorded", baseline=64),
    ]


IDLE_LINE = r"idle (\d+)"


def idle_figure(found):
    if not found:
        raise CannotMeasure("the script idle gave no figure")
    return int(found.group(1)) / IDLE_PROCESSES


def measure_idle():
    """What a sleeping process of busybox takes, from what is free without and with 100 of them."""
    need_files(BUSYBOX_ARCHIVE, LINUX_BUSYBOX, LINUX)
    with open(IDLE_SCRIPT, encoding="utf-8") as file:
        script = file.read()
    linux = ["--kernel", LINUX, "--initrd", LINUX_BUSYBOX, "--append",
             f"rdinit=/init {LINUX_OPTIONS} console=ttyS0 tsc_early_khz={tsc_khz()}"]
    values, baselines = [], []
    for number in range(RUNS):
        progress(f"idle processes, run {number + 1} of {RUNS}")
        said, _ = run_machine(["busybox", "sh", "-c", script], ["--initrd", BUSYBOX_ARCHIVE])
        values.append(idle_figure(re.search(IDLE_LINE, said)))
        baselines.append(idle_figure(run_console(IDLE_LINE, linux)))
    return [make_row("memory_idle_process", values, "KiB", "Linux 6.1 cloud", baselines)]
