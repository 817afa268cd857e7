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
import shutil
import subprocess
import tempfile
import threading
import time

from measure import MALV, CannotMeasure, going_first, make_row, need_files, progress, run_machine

ECHO_ROWS = ["start_echo"]
BUSYBOX_ARCHIVE = "build/boot-busybox.cpio"
PYTHON_ROWS = ["start_python"]
ROWS = ["start_first_user", "start_first_user_floor_mark", "start_first_user_all", "start_whole",
        "start_linux"]
ONE_PROGRAM = "build/boot-one.cpio"
ROUNDS = 11
PYTHON_ROUNDS = 5
FLOOR = "build/bench/floor.elf"
LINUX = "build/tools/linux/vmlinux"
LINUX_ROOT = "build/bench/linux.cpio"
LINUX_9P = "build/tools/linux-9p/vmlinux"
LINUX_PYTHON = "build/bench/linux-python.cpio"
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


def kvm_works():
    """As malv finds out."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        virtual = {"vmx", "svm"} & set(info.read().split())
    return bool(virtual) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def find_qemu():
    """As malv does."""
    for path in (os.environ.get("MALV_QEMU"), "build/tools/qemu/qemu-system-x86_64",
                 shutil.which("qemu-system-x86_64")):
        if path and os.access(path, os.X_OK):
            return path
    raise CannotMeasure("there is no QEMU; run tools/setup")


def serial_line_ms(wanted, words, timeout=180):
    """From QEMU's start to a line on the machine's serial line; then it is ended."""
    last = "nothing"
    started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    with subprocess.Popen([find_qemu(), *words, "-serial", "stdio"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          preexec_fn=go_first) as machine:
        limit = threading.Timer(timeout, machine.kill)
        limit.start()
        try:
            for line in machine.stdout:
                arrived = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                last = line.decode("utf-8", "replace").strip()
                if last.endswith(wanted):
                    return (arrived - started) / 1e6
        finally:
            limit.cancel()
            machine.kill()
    raise CannotMeasure(f"Linux's machine did not say \"{wanted}\", but: {last}")


def measure_python():
    """python3 of this computer's own root, over 9p, beside Debian's kernel with the same root, board and
    QEMU. Its kernel has no virtio devices but on PCI, so both machines are q35. Linux's is started without
    malv, whose console is not made for what Linux writes."""
    kvm = kvm_works()
    need_files(LINUX_9P, LINUX_PYTHON, "/usr/bin/python3")
    board = ["--machine", "q35", "--root", "/"]
    linux = ["-M", "q35", "-m", "512", "-accel", "kvm" if kvm else "tcg,thread=multi", "-cpu",
             "host" if kvm else "max", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-kernel", LINUX_9P, "-initrd", LINUX_PYTHON, "-append",
             f"rdinit=/init {LINUX_OPTIONS} console=ttyS0 tsc_early_khz={tsc_khz()}",
             "-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap",
             "-device", "virtio-9p-pci,disable-legacy=on,fsdev=root,mount_tag=root",
             "-device", "virtio-rng-pci,disable-legacy=on"]
    command = ["/usr/bin/python3", "-c", "print('python', 1)"]
    values, baselines = [], []
    for number in range(PYTHON_ROUNDS + 1):
        progress(f"python3, round {number} of {PYTHON_ROUNDS}" if number else "python3, once for the files")
        value = first_line_ms(command, board)
        baseline = serial_line_ms("python 1", linux)
        if number:
            values.append(value)
            baselines.append(baseline)
    return [make_row("start_python", values, "ms", "Linux 6.1, q35, same root", baselines)]
