"""Start-up: from QEMU's start to the first instruction of a program.

Three machines in turn, so that what else runs on this computer strikes all of them alike: QEMU's own
floor (a PVH kernel of a few instructions), MaLV-OS, and Debian's cloud kernel, which gets what makes
it fast and still leaves it usable: an uncompressed image, no console output, known clock rates, no
mitigations, a one-file initramfs. All are started by malv, so QEMU's options are the same.
"""
import os

from measure import CannotMeasure, make_row, progress, run_machine

ROWS = ["start_first_user", "start_whole", "start_linux"]
RUNS = 9
FLOOR = "build/bench/floor.elf"
LINUX = "build/tools/linux/vmlinux"
LINUX_ROOT = "build/bench/linux.cpio"


def linux_options():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        mhz = next((float(line.split(":")[1]) for line in info if line.startswith("cpu MHz")), 2000)
    return ("quiet rdinit=/init panic=-1 tsc=reliable no_timer_check mitigations=off nokaslr "
            "lpj=1000000 random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=1 "
            f"tsc_early_khz={round(mhz * 1000)}")


def machine_times(options, any_status):
    """Milliseconds from QEMU's start: (first user instruction or None, end of QEMU)."""
    _, figures = run_machine(["true"], options, any_status=any_status)
    marks = figures["marks_ms"]
    return marks.get("first-user"), marks["end"]


def measure():
    for path in (FLOOR, LINUX, LINUX_ROOT):
        if not os.path.exists(path):
            raise CannotMeasure(f"{path} is missing; `make bench` makes it")
    floor, linux, first_user, whole = [], [], [], []
    for run in range(RUNS):
        progress(f"start-up, run {run + 1} of {RUNS}")
        # These two end themselves without an exit frame, so malv has no status to give.
        floor.append(machine_times(["--kernel", FLOOR, "--initrd", LINUX_ROOT], True)[1])
        linux.append(machine_times(["--kernel", LINUX, "--initrd", LINUX_ROOT, "--append",
                                    linux_options()], True)[1])
        user, end = machine_times([], False)
        if user is None:
            raise CannotMeasure("the machine set no mark first-user")
        first_user.append(user)
        whole.append(end)
    return [
        make_row("start_first_user", first_user, "ms", "QEMU's floor", floor, at_most=1.6),
        make_row("start_whole", whole, "ms", "QEMU's floor", floor),
        make_row("start_linux", whole, "ms", "Linux 6.1 cloud, tuned", linux, at_most=0.1),
    ]
