"""How threads get the CPU: sched_burst beside sched_fair, and beside Linux by default and under SCHED_FIFO.

user/bench-sched is the program in all of them, unchanged. Linux has its timers on the board q35 alone. Where time
is the host's, the four take turns, in another order each round, and medians of the rounds count (not with real-time
priority for all of QEMU: its timers would wait for turns of its processors' threads); what the program does for a
millisecond is found out once. A pattern of the server takes two and a half minutes. Where instructions are counted
(one CPU), a figure repeats whatever the host does: "counted" rows. Nothing is set by hand for sched_burst: no
weight, no priority.
"""
import statistics

from measure import (TEST_ARCHIVE, CannotMeasure, figure_row, json_lines, make_row, need_files, progress,
                     round_row, run_machine)
from startup import LINUX, LINUX_OPTIONS, tsc_khz

LINUX_SCHED = "build/bench/linux-sched.cpio"
COST_ROWS = ["cost_sched_decision", "cost_sched_decision_mean", "cost_sched_capture",
             "cost_sched_capture_recorded"]
LATENCY_ROWS = ["sched_latency_p99", "sched_latency_p99_fifo", "sched_latency_p50", "sched_hogs"]
COUNTED_ROWS = ["sched_counted_latency_p99", "sched_counted_latency_p99_fifo", "sched_counted_latency_p50",
                "sched_counted_hogs"]
ROUNDS = 3
PERIODS = 1000
CPUS = 2
COUNTED_PERIODS = 300
SERVER_SECONDS = 8
# The model was trained on steady and on-off arrivals of its own generator; these are others, but "steady".
PATTERNS = ("steady", "frames", "bursts", "storm")
SEEDS = (11, 12, 13)
SERVER_FIGURES = ("p50", "p99", "p99_fifo", "training")
# What is left of sched_burst without its model, on patterns that this was not trained on: the same lane (tests/sched_ablation).
ABLATION_PATTERNS = ("bursts", "storm")
ABLATION_SECONDS = 5
GUESSES = {"mean": "the same lane by the moving mean", "none": "the same lane, no prediction"}
ABLATION_ROWS = [f"sched_ablation_{p}_{line}_{guess}" for p in ABLATION_PATTERNS for line in ("request", "loop")
                 for guess in (*GUESSES, "fair")]
ADVERSARIES = ("just_before", "turning", "sleepers")
ADVERSARY_ROWS = [f"sched_least_{a}" for a in ADVERSARIES]


def malv(policy, words, counted=False, cpus=CPUS):
    options = ["--icount", "--cpus", "1"] if counted else ["--cpus", str(cpus)]
    module = "sched_ablation" if policy.startswith("lane_") else "sched_burst"
    append = f"modules={module} sched={policy}"
    output, figures = run_machine(["bench_sched", *words], ["--initrd", TEST_ARCHIVE, "--append", append, *options],
                                  timeout=300)
    if "policy_fallbacks" in figures.get("stats", {}):
        raise CannotMeasure("a policy was retired")
    return json_lines(output)


def linux(words, counted=False, cpus=CPUS):
    options = ["--icount", "--cpus", "1"] if counted else ["--cpus", str(cpus)]
    khz = 1000000 if counted else tsc_khz()
    append = f"rdinit=/bin/bench_sched {LINUX_OPTIONS} tsc_early_khz={khz}"
    output, _ = run_machine(["--bare", *words], ["--machine", "q35", "--kernel", LINUX, "--initrd", LINUX_SCHED,
                                                 "--append", append, *options], timeout=300,
                            any_status=True)
    return json_lines(output)


SYSTEMS = {
    "burst": lambda words, counted: malv("sched_burst", words, counted),
    "fair": lambda words, counted: malv("sched_fair", words, counted),
    "linux": linux,
    "fifo": lambda words, counted: linux([*words, "--fifo"], counted),
}


def run_all(words, rounds, counted=False, first=0):
    """{system: [figures of a round]}; each round, of which the first has a number, in another order."""
    need_files(TEST_ARCHIVE, LINUX, LINUX_SCHED)
    found = {name: [] for name in SYSTEMS}
    for number in range(first, first + rounds):
        names = list(SYSTEMS)[number % 2 * 2:] + list(SYSTEMS)[:number % 2 * 2]
        for name in names:
            progress(f"{' '.join(words[:2])}, {name}, round {number + 1}")
            found[name].append(SYSTEMS[name](words, counted))
    return found


def values(figures, line, key):
    try:
        return [f[line][key] for f in figures]
    except KeyError as problem:
        raise CannotMeasure(f"bench_sched printed no {line}") from problem


def rate():
    """Iterations of work a millisecond, as the fastest of a few machines finds it."""
    found = [malv("sched_fair", ["calibrate"])["rate"]["value"] for _ in range(2)]
    return f"--rate={max(found)}"


def beside(name, found, line, key, unit="us", baseline="fair", **goal):
    names = {"fair": "sched_fair", "fifo": "Linux 6.1, SCHED_FIFO", "linux": "Linux 6.1"}
    row = make_row(name, values(found["burst"], line, key), unit, names[baseline],
                   values(found[baseline], line, key), **goal)
    return row | {"linux": round(statistics.median(values(found["linux"], line, key)), 3)}


def at_least(row, factor):
    return round_row(row | {"goal": f">= {factor} x", "holds": row["value"] >= factor * row["baseline"]})


def latency_rows(found, prefix):
    yield beside(f"{prefix}latency_p99", found, "latency", "p99", at_most=0.5)
    yield beside(f"{prefix}latency_p99_fifo", found, "latency", "p99", baseline="fifo", at_most=1)
    yield beside(f"{prefix}latency_p50", found, "latency", "p50")
    yield at_least(beside(f"{prefix}hogs", found, "hogs", "value", "CPUs' work"), 0.97)


def measure_latency():
    """One thread that wakes every 10 ms for 1 ms, 4 hogs, 2 CPUs."""
    found = run_all(["latency", rate(), f"--periods={PERIODS}"], ROUNDS)
    return list(latency_rows(found, "sched_"))


def measure_counted():
    """The same with 2 hogs on one CPU whose instructions are counted."""
    found = run_all(["latency", "--hogs=2", f"--periods={COUNTED_PERIODS}"], 1, counted=True)
    return list(latency_rows(found, "sched_counted_"))


def server_rows(pattern, prefix, options, counted):
    """Medians over the seeds, each of which is a round of all systems."""
    found = {name: [] for name in SYSTEMS}
    for number, seed in enumerate(SEEDS):
        words = ["server", pattern, f"--seed={seed}", f"--seconds={SERVER_SECONDS}", *options]
        for name, figures in run_all(words, 1, counted, number).items():
            found[name] += figures
    yield beside(f"{prefix}{pattern}_p50", found, "request", "p50")
    yield beside(f"{prefix}{pattern}_p99", found, "request", "p99", at_most=1)
    yield beside(f"{prefix}{pattern}_p99_fifo", found, "request", "p99", baseline="fifo")
    yield beside(f"{prefix}{pattern}_training", found, "training", "value", "steps/s")


def server_group(pattern, prefix, counted):
    """An inference server beside a training job: requests' latencies, and the steps of training."""
    return ([f"{prefix}{pattern}_{figure}" for figure in SERVER_FIGURES],
            lambda: server_rows(pattern, prefix, [] if counted else [rate()], counted))


SERVER_GROUPS = [server_group(pattern, prefix, prefix != "sched_")
                 for prefix in ("sched_", "sched_counted_") for pattern in PATTERNS]


def ablation_figures(pattern):
    """{policy: [figures of a seed]} of the server with a control loop beside it."""
    found = {policy: [] for policy in ("sched_burst", "lane_mean", "lane_none", "sched_fair")}
    for seed in SEEDS:
        words = ["server", pattern, f"--seed={seed}", f"--seconds={ABLATION_SECONDS}", "--loop"]
        for policy, figures in found.items():
            progress(f"ablation {pattern}, {policy}, seed {seed}")
            figures.append(malv(policy, words, counted=True))
    return found


def measure_ablation():
    """p99 of requests, and of a loop of 1 ms every 10 ms, beside the lane without the model, and beside sched_fair."""
    need_files(TEST_ARCHIVE)
    for pattern in ABLATION_PATTERNS:
        found = ablation_figures(pattern)
        for line in ("request", "loop"):
            for guess, name in (*GUESSES.items(), ("fair", "sched_fair")):
                baseline = found["sched_fair" if guess == "fair" else f"lane_{guess}"]
                yield make_row(f"sched_ablation_{pattern}_{line}_{guess}", values(found["sched_burst"], line, "p99"),
                               "us", name, values(baseline, line, "p99"))


def measure_adversaries():
    """The least of an equal share of all threads that a hog got in a second, beside who tries to get more."""
    need_files(TEST_ARCHIVE)
    for kind in ADVERSARIES:
        progress(f"adversary {kind}")
        words = ["adversary", kind, "--seconds=5"]
        found = {p: malv(p, words, counted=True) for p in ("sched_burst", "sched_fair")}
        row = make_row(f"sched_least_{kind}", values([found["sched_burst"]], "least", "value"), "of a share",
                       "sched_fair", values([found["sched_fair"]], "least", "value"))
        yield row | {"goal": ">= 0.9", "holds": row["value"] >= 0.9}


def measure_costs():
    """A decision at a wake-up with five threads, of 2,000 the dearest and the mean, and the capture in it; and
    the capture while somebody records what the model sees."""
    need_files(TEST_ARCHIVE)
    _, figures = run_machine(["true"], ["--icount", "--cpus", "1", "--initrd", TEST_ARCHIVE, "--append",
                                        "modules=sched_costs tsc_khz=1000000"])
    found = {name: int(value) for name, value in figures["stats"].items() if name.startswith("cost.sched")}
    for row, limit in zip(COST_ROWS, (2000, None, 60, None)):
        yield figure_row(row, [found[row.replace("cost_", "cost.", 1)]], "instructions", limit=limit)
