"""Products of f32 matrices: through gpud's built-in operation, beside oneDNN called directly
(build/bench/gemm-native prints the row); and in a machine, on its own processor and on its GPU.
"""
import json
import os
import subprocess

from measure import TEST_ARCHIVE, CannotMeasure, json_lines, progress, round_row, run_machine

NATIVE = "build/bench/gemm-native"
NATIVE_ROWS = ["gemm_native_1024"]
NATIVE_AT_MOST = 1.03
TRIED = [4, 8, 16, 32]  # only to find where the device begins to win
SIZES = [64, 128, 256, 512, 1024]
GUEST_ROWS = [f"gemm_guest_{n}" for n in SIZES] + ["gemm_guest_device_wins"]


def measure_native():
    if not os.path.exists(NATIVE):
        raise CannotMeasure(f"{NATIVE} is missing; `make bench` makes it")
    progress("matrix products, native")
    try:
        done = subprocess.run([NATIVE], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasure(f"{NATIVE}: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise CannotMeasure(f"{NATIVE} ended with status {done.returncode}: {said}")
    row = json.loads(done.stdout)
    yield round_row(row | {"goal": f"<= {NATIVE_AT_MOST} x",
                           "holds": row["value"] <= NATIVE_AT_MOST * row["baseline"]})


def measure_guest():
    progress("matrix products in a machine")
    output, _ = run_machine(["gemm_bench"], ["--gpu", "auto", "--cpus", "1",
                                             "--initrd", TEST_ARCHIVE], timeout=400)
    figures = json_lines(output)
    wins = None
    for n in TRIED + SIZES:
        figure = figures.get(f"gemm_{n}")
        if not figure:
            raise CannotMeasure(f"gemm_bench printed no gemm_{n}")
        if wins is None and figure["device"] < figure["processor"]:
            wins = n
        if n in TRIED:
            continue
        yield round_row({"row": f"gemm_guest_{n}", "value": figure["device"], "unit": "us",
                         "baseline_name": "the guest's own CPU", "baseline": figure["processor"],
                         "goal": None, "holds": None, "runs": 5})
    if wins is not None:
        yield round_row({"row": "gemm_guest_device_wins", "value": wins, "unit": "n",
                         "baseline_name": None, "baseline": None, "goal": None, "holds": None,
                         "runs": 1})
