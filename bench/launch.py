"""Launch latency: what one launch costs natively, and from a program in a machine."""
import os
import subprocess

from measure import CannotMeasure, json_lines, make_row, progress, run_machine

NATIVE = "build/bench/launch-native"
NATIVE_ROWS = ["launch_native_empty", "launch_native_batch64"]
GUEST_ROWS = ["launch_guest_empty", "launch_guest_batch64", "launch_guest_fence"]
GUEST_RUNS = 3


def native_figures():
    if not os.path.exists(NATIVE):
        raise CannotMeasure(f"{NATIVE} is missing; `make bench` makes it")
    done = subprocess.run([NATIVE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CannotMeasure(f"{NATIVE} ended with status {done.returncode}: {said}")
    return json_lines(done.stdout.decode("utf-8", "replace"))
