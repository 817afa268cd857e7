"""What the GPU costs inside a machine: figures of a program (launch_bench) and of kernel code (ktest's suite
gpu_costs), each taken in a few machines once and shared by the rows."""
from measure import TEST_ARCHIVE, CannotMeasure, json_lines, progress, run_machine, run_suite

RUNS = 3
OPTIONS = ["--gpu", "auto", "--cpus", "2"]
found = {}


def program_figures():
    """A list of {name: figure} of launch_bench, one a machine."""
    if "program" not in found:
        found["program"] = []
        for run in range(RUNS):
            progress(f"the GPU from a program, machine {run + 1} of {RUNS}")
            output, _ = run_machine(["launch_bench"], [*OPTIONS, "--initrd", TEST_ARCHIVE], timeout=120,
                                    first=True)
            found["program"].append(json_lines(output))
    return found["program"]


def kernel_figures():
    """A list of {name: text}, one a machine."""
    if "kernel" not in found:
        found["kernel"] = []
        for run in range(RUNS):
            progress(f"the GPU from kernel code, machine {run + 1} of {RUNS}")
            found["kernel"].append(run_suite("gpu_costs", OPTIONS, timeout=120, first=True))
    return found["kernel"]


def program_values(name, key="value"):
    values = [figures[name][key] for figures in program_figures() if name in figures]
    if not values:
        raise CannotMeasure(f"launch_bench printed no {name}")
    return values


def kernel_values(name, word=0, scale=1000):
    """`scale`: what the figure is divided by; nanoseconds to microseconds."""
    values = [int(figures[name].split()[word]) / scale for figures in kernel_figures() if name in figures]
    if not values:
        raise CannotMeasure(f"the suite gpu_costs reported no {name}")
    return values
