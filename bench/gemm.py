"""Products of f32 matrices: through gpud's built-in operation, beside oneDNN called directly
(build/bench/gemm-native prints the row); and in a machine, on its own processor and on its GPU.
"""
from gpu_guest import kernel_values
from measure import (TEST_ARCHIVE, CannotMeasure, beside_row, figure_row, goal_row, json_lines, make_row, native_row,
                     progress, round_row, run_machine)

NATIVE = "build/bench/gemm-native"
WHAT = "matrix products"
NATIVE_ROWS = ["gemm_native_1024", "gemm_native_1024_alone"]
NATIVE_AT_MOST = 1.03
TRIED = [4, 8, 16, 32]  # only to find where the device begins to win
SIZES = [64, 128, 256, 512, 1024]
GUEST_ROWS = [f"gemm_guest_{n}" for n in SIZES] + ["gemm_guest_device_wins", "gemm_guest_native",
                                                    "gemm_kernel_native"]


def measure_native():
    """In a row; and alone, where the wake-ups of sleeping processors, four more than a direct call's, weigh most."""
    yield goal_row(native_row(NATIVE, WHAT, "gemm_native_1024"), NATIVE_AT_MOST)
    yield round_row(native_row(NATIVE, WHAT, "gemm_native_1024_alone") | {"goal": None, "holds": None})


def measure_guest():
    """Of n x n: beside the machine's own processor, and the smallest n where the device is faster; then of 1024 x 1024
    from a program and from kernel code, beside the native front end."""
    progress("matrix products in a machine")
    output, _ = run_machine(["gemm_bench"], ["--gpu", "auto", "--cpus", "1", "--initrd", TEST_ARCHIVE], timeout=400,
                            first=True)
    figures = json_lines(output)
    for n in TRIED + SIZES:
        if f"gemm_{n}" not in figures:
            raise CannotMeasure(f"gemm_bench printed no gemm_{n}")
    for n in SIZES:
        figure = figures[f"gemm_{n}"]
        yield make_row(f"gemm_guest_{n}", [figure["device"]] * 5, "us", "the guest's own CPU", [figure["processor"]])
    wins = [n for n in TRIED + SIZES if figures[f"gemm_{n}"]["device"] < figures[f"gemm_{n}"]["processor"]]
    if wins:
        yield figure_row("gemm_guest_device_wins", [wins[0]], "n")
    native = native_row(NATIVE, WHAT, "gemm_native_1024")
    yield beside_row("gemm_guest_native", [figures["gemm_1024"]["device"]], native)
    yield beside_row("gemm_kernel_native", kernel_values("gpu_gemm_1024"), native)
