"""Launch latency: an empty kernel launched and waited for, alone and 64 at once.

Natively: a small vhost-user front end and gpud, without a machine, beside the OpenCL device called
directly (build/bench/launch-native prints the rows). In a machine: a program of the guest, beside the
native front end.
"""
import json
import os
import statistics
import subprocess

from measure import TEST_ARCHIVE, CannotMeasure, json_lines, progress, round_row, run_machine

NATIVE = "build/bench/launch-native"
NATIVE_ROWS = ["launch_native_empty", "launch_native_batch64"]
GUEST_ROWS = ["launch_guest_empty", "launch_guest_batch64", "launch_guest_fence"]
GUEST_RUNS = 3

# The native goals: at most FACTOR times the direct call, plus MICROSECONDS for the way there.
NATIVE_GOALS = {"launch_native_empty": (1.5, 15), "launch_native_batch64": (1.15, 0)}

native = {}  # the rows of this run, for the guest's to stand beside


def native_rows():
    if native:
        return native
    if not os.path.exists(NATIVE):
        raise CannotMeasure(f"{NATIVE} is missing; `make bench` makes it")
    progress("launch latency, native")
    try:
        done = subprocess.run([NATIVE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"{NATIVE}: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CannotMeasure(f"{NATIVE} ended with status {done.returncode}: {said}")
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        row = json.loads(line)
        native[row["row"]] = row
    return native


def measure_native():
    rows = native_rows()
    for name in NATIVE_ROWS:
        if name not in rows:
            raise CannotMeasure(f"{NATIVE} printed no {name}")
        factor, extra = NATIVE_GOALS[name]
        row = rows[name]
        limit = factor * row["baseline"] + extra
        goal = f"<= {factor} x" + (f" + {extra} us" if extra else "")
        yield round_row(row | {"goal": goal, "holds": row["value"] <= limit})


def measure_guest():
    """The program takes medians of many rounds; the row is the median of a few machines."""
    beside = {"launch_empty": native_rows().get("launch_native_empty"),
              "launch_batch64": native_rows().get("launch_native_batch64")}
    figures = []
    for run in range(GUEST_RUNS):
        progress(f"launch latency in a machine, run {run + 1} of {GUEST_RUNS}")
        output, _ = run_machine(["launch_bench"], ["--gpu", "auto", "--cpus", "2",
                                                  "--initrd", TEST_ARCHIVE])
        figures.append(json_lines(output))
    for row, name in zip(GUEST_ROWS, ("launch_empty", "launch_batch64", "fence_signalled")):
        values = [f[name]["value"] for f in figures if name in f]
        if not values:
            raise CannotMeasure(f"launch_bench printed no {name}")
        baseline = beside.get(name)
        yield round_row({
            "row": row, "value": statistics.median(values), "unit": "us",
            "baseline_name": "native front end" if baseline else None,
            "baseline": baseline["value"] if baseline else None,
            "goal": None, "holds": None, "runs": len(values),
        })
