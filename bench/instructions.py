"""What operations cost, in guest instructions: machines with --icount, one CPU.

A figure repeats to a few, whatever the host does. user/bench-costs measures what a program sees,
tests/kernel/costs.c what kernel code sees. Beside them stand figures recorded in a Linux 6.12 guest
under the same QEMU options. The same program also runs in Debian's cloud kernel in the same run: its
figures are the rows' "linux" (in the table "Linux 6.1") and the baseline where none is recorded. The
goal is not to be above the baseline.
"""
import statistics

from measure import (CannotMeasure, TEST_ARCHIVE, figure_row, json_lines, need_files, progress,
                     run_machine, run_suite)
from startup import LINUX, LINUX_OPTIONS

RUNS = 3
LINUX_COSTS = "build/bench/linux-costs.cpio"
RECORDED = "Linux 6.12, recorded"

# Row: what bench_costs calls it, and Linux 6.12's figure.
PROGRAM_ROWS = {
    "cost_getppid": ("getppid", 337),
    "cost_clock_gettime": ("clock_gettime", 76),
    "cost_sched_yield": ("sched_yield", 846),
    "cost_yield_switch": ("yield_switch", None),
    "cost_page_first_touch": ("page_first_touch", 4578),
    "cost_mmap_touch_munmap": ("mmap_touch_munmap", 18228),
    "cost_pthread_create_join": ("pthread_create_join", 52100),
    "cost_futex_ping_pong": ("futex_ping_pong", 8562),
    "cost_pipe_write_read": ("pipe_write_read", 2026),
    "cost_pipe_ping_pong": ("pipe_ping_pong", 11270),
    "cost_pipe_ping_pong_processes": ("pipe_ping_pong_processes", 11207),
    "cost_open_close": ("open_close", None),
    "cost_pread_page": ("pread_page", None),
    "cost_fork_exit_wait": ("fork_exit_wait", 231000),
    "cost_fork_exec_wait": ("fork_exec_wait", 405900),
    "cost_fork_exec_glibc_wait": ("fork_exec_glibc_wait", 695100),
}

# Row: what tests/kernel/costs.c calls it, and what it must be less than.
KERNEL_ROWS = {
    "cost_kernel_null_call": ("null_call", None),
    "cost_kernel_thread_switch": ("thread_switch", None),
    "cost_kernel_port_round_trip": ("port_round_trip", 1500),
    "cost_kernel_page_fault": ("page_fault", None),
    "cost_kernel_thread_create_join": ("thread_create_join", None),
    # 100 us equivalent: the longest time nobody runs when the scheduling policy changes, 64 threads ready.
    "policy_switch_pause": ("policy_switch_pause", 100000),
}

ICOUNT = ["--icount", "--cpus", "1"]


def linux_costs():
    progress("instructions in Linux")
    options = f"rdinit=/bin/bench_costs {LINUX_OPTIONS} tsc_early_khz=1000000"
    output, _ = run_machine(["--bare"], [*ICOUNT, "--kernel", LINUX, "--initrd", LINUX_COSTS,
                                         "--append", options], timeout=300)
    return json_lines(output)


def measure_program():
    need_files(TEST_ARCHIVE, LINUX, LINUX_COSTS)
    beside = linux_costs()
    figures = []
    for number in range(RUNS):
        progress(f"instructions in a program, run {number + 1} of {RUNS}")
        output, _ = run_machine(["bench_costs"], [*ICOUNT, "--initrd", TEST_ARCHIVE])
        figures.append(json_lines(output))
    for row, (name, recorded) in PROGRAM_ROWS.items():
        values = [f[name]["value"] for f in figures if name in f]
        if not values or name not in beside:
            raise CannotMeasure(f"bench_costs printed no {name}")
        linux = beside[name]["value"]
        baseline = (RECORDED, recorded) if recorded else ("Linux 6.1 cloud", linux)
        yield figure_row(row, values, "instructions", limit=baseline[1], baseline_name=baseline[0],
                         baseline=baseline[1]) | {"linux": linux}


def measure_kernel():
    figures = []
    for number in range(RUNS):
        progress(f"instructions in the kernel, run {number + 1} of {RUNS}")
        figures.append(run_suite("costs", ICOUNT, "tsc_khz=1000000"))
    for row, (name, below) in KERNEL_ROWS.items():
        values = [int(f[f"cost.{name}"]) for f in figures if f"cost.{name}" in f]
        if not values:
            raise CannotMeasure(f"the suite costs reported no {name}")
        yield figure_row(row, values, "instructions", below=below)
