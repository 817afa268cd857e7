"""How much more work two CPUs do than one: kernel threads with the same work each, nothing shared.

A round is the work of one thread alone, then that of two at once, in one machine of two CPUs (QEMU
translates with a thread a CPU); the round's figure is 2 * time of one / time of both. The baseline is
the same with two threads of the host, because two virtual CPUs can't do more than the cores that carry
them: it shows what the host had to give at that time. Rounds of both alternate; the row is the median.
"""
import hashlib
import os
import threading
import time

from measure import CannotMeasure, go_first, progress, round_row, run_suite

ROWS = ["parallel_2_cpus"]
CPUS = 2
MACHINES = 3
ROUNDS = 4  # in each machine
WORK_MS = 300
GOAL = 1.9


def host_work(iterations):
    go_first()
    hashlib.pbkdf2_hmac("sha256", b"malv", b"bench", iterations)  # without Python's lock


def host_time(threads, iterations):
    workers = [threading.Thread(target=host_work, args=(iterations,)) for _ in range(threads)]
    start = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - start


def host_round(iterations):
    one = host_time(1, iterations)
    gain = CPUS * one / host_time(CPUS, iterations)
    time.sleep(WORK_MS / 1000)  # as between rounds in the machine
    return gain


def machine_rounds():
    figures = run_suite("costs/parallel", ["--cpus", str(CPUS)],
                        f"parallel_ms={WORK_MS} parallel_rounds={ROUNDS}", first=True)
    for name, text in figures.items():
        if name.startswith("parallel."):
            one, both = (int(word) for word in text.split())
            yield CPUS * one / both


def measure():
    if (os.cpu_count() or 1) < CPUS:
        raise CannotMeasure(f"this computer has less than {CPUS} processors")
    probe = 100000
    iterations = int(probe * WORK_MS / 1000 / host_time(1, probe))
    values, baselines = [], []
    for number in range(MACHINES):
        progress(f"work of {CPUS} CPUs, machine {number + 1} of {MACHINES}")
        values += machine_rounds()
        baselines += [host_round(iterations) for _ in range(ROUNDS)]
    if len(values) != MACHINES * ROUNDS:
        raise CannotMeasure("the suite costs reported no parallel work")
    return [median_row(values, baselines)]


def median_row(values, baselines):
    values.sort()
    baselines.sort()
    value, baseline = (v[len(v) // 2] for v in (values, baselines))
    return round_row({
        "row": ROWS[0], "value": value, "unit": "x one CPU", "baseline_name": "two host threads",
        "baseline": baseline, "goal": f">= {GOAL}", "holds": value >= GOAL, "runs": len(values),
        "least": round(values[0], 3), "most": round(values[-1], 3),
    })
