"""How small the system is: image, memory after start, the smallest machine, the nucleus's source."""
import glob
import subprocess

from measure import CannotMeasure, figure_row, need_files, progress, run_machine

SIZE_ROWS = ["size_image", "size_nucleus"]
MEMORY_ROWS = ["memory_after_start", "memory_smallest"]
IMAGE = "build/microlake.elf"
RUNS = 3

# MiB that are tried, smallest first; an inference must run there, on the GPU and on the CPU.
MACHINES = (16, 24, 32, 64)
PROGRAM = "digits"


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
