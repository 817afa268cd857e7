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
from measure import CannotMeasure, make_row, need_files, progress, run_machine

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
