"""Start-up: from QEMU's start to the first instruction of a program.

Machines of each kind, interleaved, each round forth and back, so that what else runs on this computer strikes
all of them alike; where permitted they also go before its other work. QEMU's own floor is a PVH kernel
of a few instructions; its time is its QEMU's whole life, and beside it stands the moment of its first
instructions. Debian's cloud kernel gets what makes it fast and still leaves it usable: an uncompressed
image, no console output, known clock rates, no mitigations, a one-file initramfs. All are started by
malv with the same options: memory, devices and CPU model are the same.

The machine that is held against the floor is one made for its program, as Linux's initramfs is: a boot
archive with the program and the modules it takes. The whole boot archive, with the GPU's modules, the
policies' files and all programs, has rows of its own.
"""
import json
import os
import subprocess
import tempfile
import time

from measure import MALV, CannotMeasure, going_first, make_row, need_files, progress, run_machine

ECHO_ROWS = ["start_echo"]
BUSYBOX_ARCHIVE = "build/boot-busybox.cpio"
ROWS = ["start_first_user", "start_first_user_floor_mark", "start_first_user_all", "start_whole",
        "start_linux"]
ONE_PROGRAM = "build/boot-one.cpio"
ROUNDS = 11
FLOOR = "build/bench/floor.elf"
LINUX = "build/tools/linux/vmlinux"
LINUX_ROOT = "build/bench/linux.cpio"
LINUX_OPTIONS = ("quiet panic=-1 tsc=reliable no_timer_check mitigations=off nokaslr lpj=1000000 "
                 "random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=1")


def tsc_khz():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        mhz = next((float(line.split(":")[1]) for line in info if line.startswith("cpu MHz")), 2000)
    return round(mhz * 1000)


class Guest:
    """A kind of machine with the moments of its runs, milliseconds after QEMU's start."""

    def __init__(self, options, any_status=False):
        self.options = options
        self.any_status = any_status  # it ends itself without an exit frame: malv has no status
        self.first_user = []
        self.end = []

    def run(self):
        _, figures = run_machine(["true"], self.options, any_status=self.any_status, first=True)
        self.first_user.append(figures["marks_ms"].get("first-user"))
        self.end.append(figures["marks_ms"]["end"])

    def forget(self):
        self.first_user.clear()
        self.end.clear()


def measure():
    need_files(FLOOR, LINUX, LINUX_ROOT, ONE_PROGRAM)
    floor = Guest(["--kernel", FLOOR, "--initrd", LINUX_ROOT], any_status=True)
    linux = Guest(["--kernel", LINUX, "--initrd", LINUX_ROOT, "--append",
                   f"rdinit=/init {LINUX_OPTIONS} tsc_early_khz={tsc_khz()}"], any_status=True)
    malv = Guest(["--initrd", ONE_PROGRAM])
    everything = Guest([])
    for guest in (floor, malv, everything):  # the first runs bring the files into memory
        guest.run()
        guest.forget()
    for number in range(ROUNDS):
        progress(f"start-up, round {number + 1} of {ROUNDS}")
        for guest in (linux, floor, malv, everything, everything, malv, floor):
            guest.run()
    if None in malv.first_user or None in floor.first_user:
        raise CannotMeasure("a machine set no mark first-user")
    return [
        make_row("start_first_user", malv.first_user, "ms", "QEMU's floor", floor.end, at_most=1.6),
        make_row("start_first_user_floor_mark", malv.first_user, "ms", "floor's first instruction",
                 floor.first_user),
        make_row("start_first_user_all", everything.first_user, "ms", "QEMU's floor", floor.end),
        make_row("start_whole", malv.end, "ms", "QEMU's floor", floor.end),
        make_row("start_linux", malv.end, "ms", "Linux 6.1 cloud, tuned", linux.end, at_most=0.1),
    ]


def first_line_ms(command, options):
    """From QEMU's start to the first line that the command prints, as it arrives here."""
    handle, path = tempfile.mkstemp(prefix="malv-bench-")
    os.close(handle)
    words = [MALV, "run", "--gpu", "off", "--timeout", "60", f"--stats={path}", *options, "--", *command]
    try:
        with going_first(), subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                             stderr=subprocess.DEVNULL) as machine:
            line = machine.stdout.readline()
            arrived = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if machine.returncode or not line:
            raise CannotMeasure(f"{' '.join(command)} printed no line")
        with open(path, encoding="utf-8") as file:
            return (arrived - json.load(file)["start_ns"]) / 1e6
    finally:
        os.unlink(path)


def measure_echo():
    """A shell's echo, in a machine made for busybox, beside the floor."""
    need_files(FLOOR, LINUX_ROOT, BUSYBOX_ARCHIVE)
    floor = Guest(["--kernel", FLOOR, "--initrd", LINUX_ROOT], any_status=True)
    options, values = ["--initrd", BUSYBOX_ARCHIVE], []
    floor.run()
    floor.forget()
    first_line_ms(["busybox", "echo", "hello"], options)
    for number in range(ROUNDS):
        progress(f"echo, round {number + 1} of {ROUNDS}")
        floor.run()
        values.append(first_line_ms(["busybox", "echo", "hello"], options))
    return [make_row("start_echo", values, "ms", "QEMU's floor", floor.end, at_most=2)]
