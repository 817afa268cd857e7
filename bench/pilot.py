"""The pilot auto beside each policy of sched set for good: what it costs to find out which is best, and what it saves.

One CPU, instructions counted (they repeat whatever the host does). Workloads of bench_sched: a thread that wakes every
10 ms for 1 ms of work beside four hogs, for 24 and for 8 seconds, and an inference server beside a training job with two
patterns of arrivals: one where the learned policy wins, and one (frames) where it is better by the class's objective,
how soon who wakes gets the CPU, but requests as a whole are done later. The figure is the 90th percentile from wake-up,
or arrival, to the end of the work, over the whole run, the pilot's trials included. It starts knowing nothing, with
sched_fair as its baseline and round_robin and sched_burst to try. Only the thread's figures were looked at while it was
made.
"""
import os
import subprocess
import tempfile

from measure import CannotMeasure, json_lines, need_files, progress, round_row, run_machine

WORKLOADS = {
    "periodic": ("latency --hogs=4 --periods=2400", "latency"),
    "periodic_short": ("latency --hogs=4 --periods=800", "latency"),
    "server": ("server tail --seconds=24", "request"),
    "frames": ("server frames --seconds=8", "request"),
}
ROWS = [f"auto_{name}_{beside}" for name in WORKLOADS for beside in ("baseline", "best")]
BUSYBOX = "build/tools/busybox/busybox"
POLICIES = {
    "auto": "mlctl load sched_burst && mlctl load auto && mlctl pilot sched=auto",
    "sched_fair": "mlctl set sched=sched_fair",
    "sched_burst": "mlctl load sched_burst && mlctl set sched=sched_burst",
}


def archive(folder):
    """The tests' boot archive with a shell and a script for each policy."""
    os.makedirs(f"{folder}/in/bin")
    with open(BUSYBOX, "rb") as source, open(f"{folder}/in/bin/sh", "wb") as shell:
        shell.write(source.read())
    os.chmod(f"{folder}/in/bin/sh", 0o755)
    for policy, commands in POLICIES.items():
        for name, (workload, _) in WORKLOADS.items():
            with open(f"{folder}/in/{policy}-{name}", "w", encoding="utf-8") as script:
                script.write(f"{{ {commands}; }} >/dev/null\nexec bench_sched {workload}\n")
    second = subprocess.run("find . -mindepth 1 -printf '%P\\n' | cpio -o -H newc --quiet", shell=True, check=True,
                            cwd=f"{folder}/in", stdout=subprocess.PIPE).stdout
    with open("build/boot-test.cpio", "rb") as first, open(f"{folder}/boot.cpio", "wb") as out:
        out.write(first.read() + second)
    return f"{folder}/boot.cpio"


def run(boot, policy, name):
    progress(f"{name} with {policy}")
    text, _ = run_machine(["sh", f"/{policy}-{name}"], ["--icount", "--initrd", boot], timeout=600)
    figure = json_lines(text).get(WORKLOADS[name][1])
    if not figure:
        raise CannotMeasure(f"{name} with {policy} printed no figure")
    return figure["p90"] / 1000


def row(name, value, baseline_name, baseline, factor):
    made = round_row({"row": name, "value": value, "unit": "ms, p90", "baseline_name": baseline_name,
                      "baseline": baseline, "goal": None, "holds": None, "runs": 1})
    return made | {"goal": f"<= {factor} x", "holds": value <= factor * baseline}


def measure():
    need_files("build/boot-test.cpio", BUSYBOX)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        boot = archive(folder)
        for name in WORKLOADS:
            figures = {policy: run(boot, policy, name) for policy in POLICIES}
            best = min(("sched_fair", "sched_burst"), key=figures.get)
            rows.append(row(f"auto_{name}_baseline", figures["auto"], "sched_fair, same run",
                            figures["sched_fair"], 1))
            rows.append(row(f"auto_{name}_best", figures["auto"], f"{best}, the best set for good",
                            figures[best], 1.25))
    return rows
