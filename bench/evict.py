"""Bytes that GPU buffers are moved when a quota of the device's memory is shared by more than fits: policy gpu_evict
beside LRU and beside what could be done by who knew the future.

evict_NAME: traces of networks and of servers that the model was not trained on, recorded (bench/gpu-traces/held) and
generated (tools/train/gpu_traces.py, group held), replayed with quotas of 0.5 to 0.8 of the working set. The baseline is
Belady's rule, the best of several forms (bench/gpu-replay/replay.h): optimal only for buffers of one size that nobody
writes to, else a heuristic. The goal holds where LRU moves twice as much as that or more; the row is the quota with the
worst ratio among these, or, where LRU is nowhere that bad, of all, without a goal. Where the order depends on chance, several
traces are drawn, and their bytes added. For those whose requests are drawn independently the row also has the bytes of who
knows the chances but not how they fall (informed), and fewer than which nobody moves in the mean who does not know that
(online_bound).

evict_onnx_NAME: requests to networks of torchvision, whose graphs (bench/gpu-traces/graphs) came through ONNX
(tools/train/gpu_walk.py), in mixes that tools/train/gpu_graphs.py draws; four draws, like those by chance.

evict_beside_lru: the worst ratio to LRU of all traces and quotas, those without any order and those made to mislead too.

evict_machine_NET_moved, _us: a machine in which the same program trains or runs a network with a quota of 0.6, once under
each policy: the second half of its steps. evict_touch, evict_victim: instructions of the algorithm for a touch, its model
included, and for a choice among 128 buffers (bench/gpu-decision; a machine with --icount, without the guard around it).
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

from measure import TEST_ARCHIVE, CannotMeasure, figure_row, make_row, need_files, progress, run_machine

sys.path.insert(0, "tools/train")
import gpu_graphs  # noqa: E402
import gpu_traces  # noqa: E402

REPLAY = "build/bench/gpu-replay"
MODEL = "modules/mlaas/gpu_evict/gpu_evict.mlm"
RECORDED = ["deep", "infer", "recurrent"]
QUOTAS = [0.5, 0.6, 0.7, 0.8]
SEED = 6
DRAWS = [SEED, 7, 8, 9]
BY_CHANCE = ["train_lstm_lengths", "infer_batches", "infer_exits", "infer_fresh", "two_servers", "serve_and_train"]
BYTES = ["lru", "gpu_evict", "belady", "bound", "informed", "online_bound"]
BAD_LRU = 2  # times the optimum
NEAR = 1.15
NETS = {"recurrent": 24, "infer": 40, "mlp": 24}  # steps
MACHINES = 2
EVICT = "modules=gpu_evict gpu_memory=gpu_evict"

GENERATED = ["train_resnet", "train_vgg_adam", "train_gpt", "train_gpt_recompute", "train_gpt_fresh", "train_wide_mlp",
             "train_lstm", "train_lstm_lengths", "train_evaluate", "infer_resnet", "infer_gpt", "infer_batches",
             "infer_exits", "infer_fresh", "two_servers", "serve_and_train"]
GRAPHS = ["onnx_pipeline", "onnx_servers", "onnx_turns"]
WITHOUT_ORDER = ["random_even", "random_zipf", "adverse_flips", "adverse_edge", "adverse_windows"]
TRACE_ROWS = ([f"evict_recorded_{name}" for name in RECORDED] + [f"evict_{name}" for name in GENERATED + GRAPHS + WITHOUT_ORDER] +
              ["evict_beside_lru"])
MACHINE_ROWS = [f"evict_machine_{net}_{what}" for net in NETS for what in ("moved", "us")]
COST_ROWS = ["evict_touch", "evict_victim"]


def replay(paths, quota):
    done = subprocess.run([REPLAY, "--model", MODEL, "--quota", str(quota), *paths], capture_output=True, text=True,
                          timeout=600, check=False)
    if done.returncode:
        raise CannotMeasure(f"{REPLAY}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def trace_row(name, results):
    """The worst quota; bytes in MiB."""
    bad = [r for r in results if r["lru"] >= BAD_LRU * r["belady"]]
    worst = max(bad or results, key=lambda r: r["gpu_evict"] / max(r["belady"], 1))
    goal = bool(bad) and name not in ["evict_" + n for n in WITHOUT_ORDER]
    row = make_row(name, [worst["gpu_evict"] / 2**20], "MiB moved",
                   f"Belady's rule; LRU {worst['lru'] / max(worst['belady'], 1):.2f} x, quota "
                   f"{worst['quota'] / worst['working_set']:.2f}",
                   [worst["belady"] / 2**20], NEAR if goal else None)
    return row | {what: round(worst[what] / 2**20, 3) for what in BYTES if what in worst and what not in ("gpu_evict", "belady")}


def added(results):
    """Several draws of one trace as one."""
    total = dict(results[0])
    for what in [*BYTES, "quota", "working_set"]:
        if what in total:
            total[what] = sum(r[what] for r in results)
    return total


def traces_write(folder):
    """Row's name: paths of its traces."""
    paths = {"evict_" + os.path.basename(p)[:-6]: [p] for p in gpu_traces.write(folder, "held", SEED)}
    for seed in DRAWS[1:]:
        gpu_traces.write(f"{folder}/{seed}", "held", seed)
        for name in BY_CHANCE:
            paths["evict_" + name].append(f"{folder}/{seed}/{name}.trace")
    for seed in DRAWS:
        for name, path in gpu_graphs.write(f"{folder}/graphs{seed}", seed).items():
            paths.setdefault("evict_" + name, []).append(path)
    for path in sorted(glob.glob("bench/gpu-traces/held/*.trace")):
        paths["evict_recorded_" + os.path.basename(path)[:-6]] = [path]
    return paths


def measure_traces():
    need_files(REPLAY, MODEL)
    progress("replays of GPU buffers' touches")
    found, everything = {}, []
    with tempfile.TemporaryDirectory() as folder:
        paths = traces_write(folder)
        every = [(name, path) for name, traces in paths.items() for path in traces]
        for quota in QUOTAS:
            by_name = {}
            for (name, _), result in zip(every, replay([path for _, path in every], quota)):
                by_name.setdefault(name, []).append(result)
                everything.append((result["gpu_evict"] / max(result["lru"], 1), name, result))
            for name, results in by_name.items():
                found.setdefault(name, []).append(added(results))
    for name in TRACE_ROWS[:-1]:
        yield trace_row(name, found[name])
    _, name, worst = max(everything, key=lambda e: e[0])
    yield make_row("evict_beside_lru", [worst["gpu_evict"] / 2**20], "MiB moved",
                   f"LRU; worst of all: {name}, quota {worst['quota'] / worst['working_set']:.2f}",
                   [worst["lru"] / 2**20], 1.05)


def net_run(net, steps, options=(), append=""):
    words = ["--gpu", "auto", "--cpus", "2", "--memory", "256M", "--initrd", TEST_ARCHIVE, *options]
    output, _ = run_machine(["gpu_memory_bench", net, str(steps), "60"], [*words, "--append", append] if append else words,
                            timeout=300)
    return json.loads(output.splitlines()[-1])


def measure_machines():
    need_files(TEST_ARCHIVE)
    for net, steps in NETS.items():
        progress(f"the network {net} with a quota of 0.6, under LRU and gpu_evict")
        lru = [net_run(net, steps) for _ in range(MACHINES)]
        own = [net_run(net, steps, append=EVICT) for _ in range(MACHINES)]
        if len({r["checksum"] for r in lru + own}) != 1:
            raise CannotMeasure(f"{net}: the results are not the same")
        yield make_row(f"evict_machine_{net}_moved", [r["second_moved"] / 2**20 for r in own], "MiB moved", "LRU",
                       [r["second_moved"] / 2**20 for r in lru], 1.05)
        yield make_row(f"evict_machine_{net}_us", [r["second_us"] for r in own], "us", "LRU",
                       [r["second_us"] for r in lru])


def measure_costs():
    need_files(TEST_ARCHIVE)
    output, _ = run_machine(["gpu_decision"], ["--icount", "--cpus", "1", "--initrd", TEST_ARCHIVE, "--append",
                                               "tsc_khz=1000000"])
    counted = json.loads(output.splitlines()[-1])
    for row in COST_ROWS:
        yield figure_row(row, [counted[row]], "instructions")
