"""Readers of a file four times the machine's memory, in several patterns: mem_readahead beside fixed readahead, beside
readahead on demand as Linux does it, and beside Linux.

The disk is held to what cloud providers sell as an ordinary volume (3,000 requests and 125 MiB a second, AWS's gp3)
by QEMU's throttling, because the host's cache would serve any number of needless pages at once; rows `_fast` are
without that. All machines are new ones with an empty cache, of the same memory, CPUs and QEMU.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import threading

from measure import MALV, TEST_ARCHIVE, CannotMeasure, figure_row, go_first, need_files, progress, round_row, run_machine
from startup import LINUX_OPTIONS, find_qemu, kvm_works, tsc_khz

MEMORY_MIB = 128
FILE_MIB = 4 * MEMORY_MIB
DISK = {"DISK_BYTES": str(125 << 20), "DISK_REQUESTS": "3000"}
RUNS = 3
PROGRAM = "build/guest/bench_readahead"
LINUX = "build/tools/linux-9p/vmlinux"
LINUX_ARCHIVE = "build/bench/linux-readahead.cpio"
MIX = ["sequential", "strided:16K:256K", "random:4K", "shuffled:64K:16K"]
OTHER_MIX = ["sequential:128K", "strided:24K:192K", "random:8K", "shuffled:96K:32K"]
SINGLE = {"sequential": 256, "strided": 32, "random": 16, "shuffled": 2 * FILE_MIB}
ROWS = ["readahead_mix", "readahead_mix_ondemand", *(f"readahead_mix_{name}_reader" for name in SINGLE), "readahead_mix_linux", "readahead_other_mix", "readahead_mix_fast",
        "readahead_mix_9p", *(f"readahead_{name}" for name in SINGLE)]
COST_ROWS = [f"readahead_decision_{what}" for what in ("fixed", "ondemand", "mem_readahead", "mem_readahead_most")]


class Files:
    """The file below a folder, and an image of that folder."""

    def __init__(self, folder):
        self.folder = folder
        self.tree = os.path.join(folder, "tree")
        self.image = os.path.join(folder, "disk.img")
        os.makedirs(os.path.join(self.tree, "bin"))
        os.makedirs(os.path.join(self.tree, "data"))
        shutil.copy(PROGRAM, os.path.join(self.tree, "bin"))
        subprocess.run([PROGRAM, "--make", os.path.join(self.tree, "data/file"), str(FILE_MIB)], check=True)
        subprocess.run(["mkfs.erofs", "--quiet", self.image, self.tree], check=True)


def rate_of(text):
    """MiB a second of all readers, from the program's last line."""
    found = re.search(r"all (\d+) (\d+)", text)
    if not found:
        raise CannotMeasure(f"bench_readahead said no rate, but: {text.strip()[-200:]}")
    return int(found[1]) / (1 << 20) / (int(found[2]) / 1e9)


def rates_of_readers(text):
    """The same of each reader, by the first word of its pattern."""
    return {name: int(size) / (1 << 20) / (int(ns) / 1e9)
            for name, size, ns in re.findall(r"^reader (\w+)\S* (\d+) (\d+)", text, re.M)}


def run_malv(files, policy, mib, patterns, how="slow"):
    words = [MALV, "run", "--gpu", "off", "--memory", f"{MEMORY_MIB}M", "--cpus", "2", "--timeout", "200", "--read-only",
             "--root", files.tree if how == "9p" else files.image,
             "--append", f"modules=mem_readahead readahead={policy}", "--",
             "/bin/bench_readahead", "/data/file", str(mib), *patterns]
    environment = dict(os.environ)
    if how == "slow":
        environment |= DISK | {"DISK_QEMU": os.path.abspath(find_qemu()), "MALV_QEMU": os.path.abspath("bench/slow-disk")}
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=230, check=False, env=environment, preexec_fn=go_first)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"bench_readahead in a machine: {error}") from error
    text = done.stdout.decode("utf-8", "replace")
    return rate_of(text), rates_of_readers(text)


def run_linux(files, mib, patterns):
    """Debian's kernel with its default readahead; the board is q35, for its modules."""
    need_files(LINUX, LINUX_ARCHIVE)
    kvm = kvm_works()
    words = [find_qemu(), "-M", "q35", "-m", str(MEMORY_MIB), "-smp", "2", "-accel", "kvm" if kvm else "tcg,thread=multi",
             "-cpu", "host" if kvm else "max", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
             "-kernel", LINUX, "-initrd", LINUX_ARCHIVE, "-append",
             f"rdinit=/init {LINUX_OPTIONS} console=ttyS0 tsc_early_khz={tsc_khz()} MIB={mib} PATTERNS={','.join(patterns)}",
             "-object", f"throttle-group,id=disk,x-bps-total={DISK['DISK_BYTES']},x-iops-total={DISK['DISK_REQUESTS']}",
             "-blockdev", "driver=throttle,node-name=root,read-only=on,throttle-group=disk,file.driver=raw,"
             f"file.read-only=on,file.file.driver=file,file.file.filename={files.image}",
             "-device", "virtio-blk-pci,disable-legacy=on,drive=root", "-serial", "stdio"]
    said = []
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          preexec_fn=go_first) as machine:
        limit = threading.Timer(200, machine.kill)
        limit.start()
        try:
            for line in machine.stdout:
                said.append(line.decode("utf-8", "replace"))
                if "all " in said[-1] or said[-1].strip().endswith("done"):
                    break
        finally:
            limit.cancel()
            machine.kill()
    return rate_of("".join(said))


def row(name, values, baseline_name, baselines, at_least=None):
    value, baseline = statistics.median(values), statistics.median(baselines)
    return round_row({"row": name, "value": value, "unit": "MiB/s", "baseline_name": baseline_name, "baseline": baseline,
                      "goal": f">= {at_least} x" if at_least else None,
                      "holds": value >= at_least * baseline if at_least else None, "runs": len(values)})


def measure_mix(files):
    learned, fixed, ondemand, linux = [], [], [], []
    for number in range(RUNS):
        progress(f"a mix of readers of a file larger than memory, run {number + 1} of {RUNS}")
        learned.append(run_malv(files, "mem_readahead", 32, MIX))
        fixed.append(run_malv(files, "fixed", 32, MIX)[0])
        ondemand.append(run_malv(files, "ondemand", 32, MIX))
        if os.path.exists(LINUX_ARCHIVE):
            linux.append(run_linux(files, 32, MIX))
    all_of, all_ondemand = [r[0] for r in learned], [r[0] for r in ondemand]
    rows = [row("readahead_mix", all_of, "fixed readahead", fixed, 2.3),
            row("readahead_mix_ondemand", all_of, "ondemand", all_ondemand)]
    rows += [row(f"readahead_mix_{name}_reader", [r[1][name] for r in learned], "its rate with ondemand",
                 [r[1][name] for r in ondemand]) for name in SINGLE]
    if linux:
        rows.append(row("readahead_mix_linux", all_of, "Linux 6.1, same disk", linux))
    return rows


def pair(files, name, mib, patterns, at_least=None, how="slow"):
    learned, fixed = [], []
    for number in range(RUNS):
        progress(f"{name}, run {number + 1} of {RUNS}")
        learned.append(run_malv(files, "mem_readahead", mib, patterns, how)[0])
        fixed.append(run_malv(files, "fixed", mib, patterns, how)[0])
    return row(name, learned, "fixed readahead", fixed, at_least)


def measure_costs():
    """Instructions of a decision, the guard around it not counted (bench/readahead-decision)."""
    need_files(TEST_ARCHIVE)
    output, _ = run_machine(["readahead_decision"], ["--icount", "--cpus", "1", "--initrd", TEST_ARCHIVE, "--append",
                                                     "tsc_khz=1000000"])
    counted = json.loads(output.splitlines()[-1])
    return [figure_row(row, [counted[row]], "instructions") for row in COST_ROWS]


def measure():
    need_files(PROGRAM)
    if not shutil.which("mkfs.erofs"):
        raise CannotMeasure("there is no mkfs.erofs; tools/setup installs erofs-utils")
    with tempfile.TemporaryDirectory(prefix="malv-bench-") as folder:
        files = Files(folder)
        rows = measure_mix(files)
        rows.append(pair(files, "readahead_other_mix", 32, OTHER_MIX))
        rows.append(pair(files, "readahead_mix_fast", 32, MIX, how="fast"))
        rows.append(pair(files, "readahead_mix_9p", 32, MIX, how="9p"))
        rows += [pair(files, f"readahead_{name}", mib, [pattern], 0.95)
                 for (name, mib), pattern in zip(SINGLE.items(), MIX)]
    return rows
