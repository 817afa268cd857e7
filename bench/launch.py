"""Launch latency: an empty kernel launched and waited for, alone and 64 at once; and exits from the machine.

Natively: a small vhost-user front end and gpud, without a machine, beside the OpenCL device called
directly (build/bench/launch-native prints the rows). In a machine: a program and kernel code, beside the
native front end.
"""
import statistics

from gpu_guest import kernel_values, program_values
from measure import beside_row, figure_row, goal_row, native_row, round_row

NATIVE = "build/bench/launch-native"
WHAT = "launch latency"

# At most FACTOR times the direct call, plus MICROSECONDS for the way there.
NATIVE_GOALS = {"launch_native_empty": (1.5, 15), "launch_native_batch64": (1.15, 0)}
NATIVE_ROWS = list(NATIVE_GOALS)
GUEST_ROWS = ["launch_guest_empty", "launch_guest_batch64", "launch_guest_fence", "launch_kernel_empty",
              "launch_kernel_batch64", "launch_guest_remote"]
EXIT_ROWS = ["exits_guest_submission", "exits_kernel_submission", "exits_guest_fence", "exits_kernel_fence",
             "interrupts_guest_submission"]

# PoCL 6.0's remote device over loopback TCP on this kind of computer, November 2026: an empty launch with its
# wait. Its daemon is in no package, so it is not measured again here.
REMOTE_US = 156


def measure_native():
    for name, (factor, extra) in NATIVE_GOALS.items():
        yield goal_row(native_row(NATIVE, WHAT, name), factor, extra)


def measure_guest():
    """The figures are medians of many rounds; the row is the median of a few machines."""
    empty, many = (native_row(NATIVE, WHAT, name) for name in NATIVE_ROWS)
    launches = program_values("launch_empty")
    yield beside_row("launch_guest_empty", launches, empty)
    yield beside_row("launch_guest_batch64", program_values("launch_batch64"), many)
    yield figure_row("launch_guest_fence", program_values("fence_signalled"), "us")
    yield beside_row("launch_kernel_empty", kernel_values("gpu_launch_empty"), empty)
    yield beside_row("launch_kernel_batch64", kernel_values("gpu_launch_batch64"), many)
    yield round_row({"row": "launch_guest_remote", "value": statistics.median(launches), "unit": "us",
                     "baseline_name": "PoCL-R over loopback, native (recorded)", "baseline": REMOTE_US,
                     "goal": None, "holds": None, "runs": len(launches)})


def measure_exits():
    """Counted by the driver: notifications of the device, one exit each, and interrupts."""
    yield figure_row("exits_guest_submission", program_values("exits_submission", "kicks"), "exits", limit=1)
    yield figure_row("exits_kernel_submission", kernel_values("gpu_exits_submission"), "exits", limit=1)
    yield figure_row("exits_guest_fence", program_values("exits_fence", "kicks"), "exits", limit=0)
    yield figure_row("exits_kernel_fence", kernel_values("gpu_exits_fence"), "exits", limit=0)
    yield figure_row("interrupts_guest_submission", program_values("exits_submission", "interrupts"),
                     "interrupts", limit=1)
