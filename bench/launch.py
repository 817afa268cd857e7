"""Launch latency: an empty kernel launched and waited for, alone and 64 at once; and exits from the machine.

Natively: a small vhost-user front end and gpud, without a machine, beside the OpenCL device called
directly (build/bench/launch-native prints the rows), and beside the same device through PoCL-R: PoCL's remote
device, whose daemon serves the host's own PoCL over loopback TCP. In a machine: a program and kernel code, beside
the native front end, and beside PoCL-R without a machine.
"""
import contextlib
import os
import socket
import statistics
import subprocess
import tempfile
import time

from gpu_guest import kernel_values, program_values
from measure import (CannotMeasure, beside_row, figure_row, go_first, goal_row, native_row, printed_rows, progress,
                     round_row)

NATIVE = "build/bench/launch-native"
WHAT = "launch latency"

# At most FACTOR times the direct call, plus MICROSECONDS for the way there.
NATIVE_GOALS = {"launch_native_empty": (1.5, 15), "launch_native_batch64": (1.15, 0)}
NATIVE_ROWS = list(NATIVE_GOALS)
REMOTE_ROWS = ["launch_native_remote", "launch_native_remote_batch64"]
GUEST_ROWS = ["launch_guest_empty", "launch_guest_batch64", "launch_guest_fence", "launch_kernel_empty",
              "launch_kernel_batch64", "launch_guest_remote"]
EXIT_ROWS = ["exits_guest_submission", "exits_kernel_submission", "exits_guest_fence", "exits_kernel_fence",
             "interrupts_guest_submission"]

REMOTE = "build/tools/pocl-remote"
REMOTE_STARTS_S = 20
# What this took on this kind of computer in November 2026, where PoCL's remote device is not built (tools/setup
# --bench builds it): an empty launch with its wait.
REMOTE_RECORDED_US = 156

remote_found = {}  # measured once in a run


def measure_native():
    for name, (factor, extra) in NATIVE_GOALS.items():
        yield goal_row(native_row(NATIVE, WHAT, name), factor, extra)


def port_free():
    """A TCP port and the one behind it, both free on the loopback a moment ago: the daemon takes two."""
    for _ in range(100):
        with contextlib.ExitStack() as sockets:
            first, second = (sockets.enter_context(socket.socket()) for _ in range(2))
            try:
                first.bind(("127.0.0.1", 0))
                second.bind(("127.0.0.1", first.getsockname()[1] + 1))
            except OSError:
                continue
            return first.getsockname()[1]
    raise CannotMeasure("no two free ports for PoCL's daemon")


@contextlib.contextmanager
def remote_daemon():
    """PoCL's daemon, serving the system's PoCL; gives its port and ends it."""
    port = port_free()
    with tempfile.TemporaryFile() as log:
        daemon = subprocess.Popen([f"{REMOTE}/pocld", "-a", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, preexec_fn=go_first,
                                  env=os.environ | {"OCL_ICD_VENDORS": os.path.abspath(f"{REMOTE}/local") + "/"})
        try:
            end = time.monotonic() + REMOTE_STARTS_S
            while time.monotonic() < end and daemon.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            else:
                log.seek(0)
                raise CannotMeasure("PoCL's daemon did not start: " + log.read().decode("utf-8", "replace").strip())
            yield port
        finally:
            daemon.kill()
            daemon.wait()


def remote_rows():
    """Launches on the host's device through PoCL-R, by name; none where it is not built."""
    if not os.path.exists(f"{REMOTE}/version"):
        return {}
    if not remote_found:
        progress(f"{WHAT}, native, through PoCL's remote device")
        with remote_daemon() as port:
            remote_found.update(printed_rows([NATIVE, "--direct"], {
                "OCL_ICD_VENDORS": os.path.abspath(f"{REMOTE}/remote") + "/", "POCL_DEVICES": "remote",
                "POCL_REMOTE0_PARAMETERS": f"127.0.0.1:{port}/0"}))
    return remote_found


def remote_row(name, value, runs, of):
    """A row beside PoCL-R's launch `of`; beside the recorded figure where it is not built and that is known."""
    remote = remote_rows().get(of)
    if not remote and of != "launch_direct_empty":
        raise CannotMeasure(f"{REMOTE} is missing; `make bench` makes it")
    beside = "PoCL-R over loopback, native" + ("" if remote else " (recorded)")
    return round_row({"row": name, "value": value, "unit": "us", "baseline_name": beside,
                      "baseline": remote["value"] if remote else REMOTE_RECORDED_US, "goal": None, "holds": None,
                      "runs": runs})


def measure_remote():
    for name, native, of in zip(REMOTE_ROWS, NATIVE_ROWS, ("launch_direct_empty", "launch_direct_batch64")):
        row = native_row(NATIVE, WHAT, native)
        yield remote_row(name, row["value"], row["runs"], of)


def measure_guest():
    """The figures are medians of many rounds; the row is the median of a few machines."""
    empty, many = (native_row(NATIVE, WHAT, name) for name in NATIVE_ROWS)
    launches = program_values("launch_empty")
    yield beside_row("launch_guest_empty", launches, empty)
    yield beside_row("launch_guest_batch64", program_values("launch_batch64"), many)
    yield figure_row("launch_guest_fence", program_values("fence_signalled"), "us")
    yield beside_row("launch_kernel_empty", kernel_values("gpu_launch_empty"), empty)
    yield beside_row("launch_kernel_batch64", kernel_values("gpu_launch_batch64"), many)
    yield remote_row("launch_guest_remote", statistics.median(launches), len(launches), "launch_direct_empty")


def measure_exits():
    """Counted by the driver: notifications of the device, one exit each, and interrupts."""
    yield figure_row("exits_guest_submission", program_values("exits_submission", "kicks"), "exits", limit=1)
    yield figure_row("exits_kernel_submission", kernel_values("gpu_exits_submission"), "exits", limit=1)
    yield figure_row("exits_guest_fence", program_values("exits_fence", "kicks"), "exits", limit=0)
    yield figure_row("exits_kernel_fence", kernel_values("gpu_exits_fence"), "exits", limit=0)
    yield figure_row("interrupts_guest_submission", program_values("exits_submission", "interrupts"),
                     "interrupts", limit=1)
