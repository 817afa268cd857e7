"""64 MiB to the GPU and back.

In guest memory nothing is copied: build/bench/copy-native looks where a kernel saw the data, and counts bytes that
are not the machine's own pages. In the device's memory: a copy each way, beside memcpy.
"""
from gpu_guest import kernel_values, program_values
from measure import beside_row, goal_row, native_row, round_row

NATIVE = "build/bench/copy-native"
WHAT = "64 MiB there and back"
AT_MOST = 1.053  # the time at 0.95 of the bandwidth

NATIVE_ROWS = ["copy_native_in_place", "copy_native_write_64m", "copy_native_read_64m"]
GUEST_ROWS = ["copy_guest_write_64m", "copy_guest_read_64m", "copy_kernel_write_64m", "copy_kernel_read_64m"]


def measure_native():
    in_place, write, read = (native_row(NATIVE, WHAT, name) for name in NATIVE_ROWS)
    yield round_row(in_place | {"goal": "<= 0", "holds": in_place["value"] == 0})
    yield goal_row(write, AT_MOST)
    yield goal_row(read, AT_MOST)


def measure_guest():
    _, write, read = (native_row(NATIVE, WHAT, name) for name in NATIVE_ROWS)
    yield beside_row("copy_guest_write_64m", program_values("write_64m"), write)
    yield beside_row("copy_guest_read_64m", program_values("read_64m"), read)
    yield beside_row("copy_kernel_write_64m", kernel_values("gpu_write_64m"), write)
    yield beside_row("copy_kernel_read_64m", kernel_values("gpu_read_64m"), read)
