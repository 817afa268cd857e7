#!/usr/bin/python3
"""Trains the model of the scheduling policy sched_burst: what kind of burst a thread that wakes has before it.

usage: sched_burst.py OUTPUT.mlm [--record FILE]... [--judge FILE]...

The threads are drawn from families (periodic ones, request workers behind queues, trainers at barriers,
hogs, pipes, some that change), with the noise of a host that takes the processor away. Everything
follows from SEED. --record adds threads that tools/train/sched_record.py recorded; --judge only judges on them. Families in
HELD_OUT and every fourth thread are not trained on, but judged on. Features come from the policy's own C
code. It prints how often the model is right, beside "as the last burst was" and "as the mean is".

Needs Debian's python3-sklearn, python3-onnx, gcc, and build/host/malv-model.
"""
import ctypes
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the order of sums stays the same
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.tree import DecisionTreeClassifier

import onnx_sklearn
import tensorfile

SEED = 6
FRACTION = 16  # of the model's inputs
FEATURES, SURE, KINDS = 10, 4, 4  # as history.h has them
KIND_NAMES = ("long", "busy", "short", "brief")
THREADS = 120  # of each family
BURSTS = 160   # of each thread
DEPTH, LEAF = 8, 40
CALIBRATION_ROWS = 2000
US, MS = 1000, 1000000
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# ---- families: each draws (bursts, sleeps) in ns; sleeps[i] comes before bursts[i] ----------

def log_uniform(rng, low, high, size=None):
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def spread(rng, mean, jitter, size):
    """Around the mean, never below a tenth of it."""
    return np.maximum(mean * (1 + jitter * rng.standard_normal(size)), mean / 10)


def periodic(rng, n):
    """Control loops: a fixed period, fixed work."""
    period = log_uniform(rng, 1 * MS, 50 * MS)
    work = spread(rng, period * log_uniform(rng, 0.005, 0.5), rng.choice([0.01, 0.1, 0.3]), n)
    return work, np.maximum(period - work, 20 * US)


def intake(rng, n):
    """Readers of a network: little work at random times."""
    return (spread(rng, log_uniform(rng, 5 * US, 300 * US), 0.2, n),
            rng.exponential(log_uniform(rng, 0.3 * MS, 30 * MS), n))


def served(arrivals, services):
    """One worker behind a queue: what it does without sleeping is one burst."""
    bursts, sleeps = [], []
    free = 0.0
    for at, service in zip(arrivals, services):
        if at > free or not bursts:
            sleeps.append(at - free if bursts else at)
            bursts.append(service)
            free = at + service
        else:
            bursts[-1] += service
            free += service
    return np.array(bursts), np.maximum(sleeps, 1 * US)


def services(rng, n, mean):
    kind = rng.integers(3)
    if kind == 0:
        return rng.exponential(mean, n)
    if kind == 1:
        return spread(rng, mean, 0.05, n)
    return np.exp(rng.normal(np.log(mean), 0.8, n))


def requests(rng, n):
    mean = log_uniform(rng, 0.1 * MS, 5 * MS)
    gap = mean / rng.uniform(0.05, 0.7)
    return served(np.cumsum(rng.exponential(gap, 2 * n)), services(rng, 2 * n, mean))


def requests_on_off(rng, n):
    mean = log_uniform(rng, 0.1 * MS, 3 * MS)
    gap = mean / rng.uniform(0.3, 1.2)
    on = log_uniform(rng, 10 * MS, 200 * MS)
    gaps = rng.exponential(gap, 3 * n)
    phase = np.cumsum(gaps) // on
    gaps[1:] += (phase[1:] != phase[:-1]) * rng.exponential(2 * on, 3 * n - 1)
    return served(np.cumsum(gaps), services(rng, 3 * n, mean))


def frames(rng, n):
    """Held out: groups at even times."""
    group, period = int(rng.integers(1, 6)), log_uniform(rng, 8 * MS, 60 * MS)
    mean = period * rng.uniform(0.05, 0.6) / group
    return served(np.repeat(np.arange(n) * period, group), spread(rng, mean, 0.05, n * group))


def groups(rng, n):
    """Held out: batches of any size at random times, of heavy-tailed work."""
    least = log_uniform(rng, 0.1 * MS, 1 * MS)
    sizes = rng.integers(1, 12, n)
    at = np.repeat(np.cumsum(rng.exponential(25 * least * sizes.mean() / 6, n)), sizes)
    return served(at, np.minimum(least * (1 + rng.pareto(1.5, len(at))), 40 * least))


def trainer(rng, n):
    """A part of each step, then the barrier."""
    step = log_uniform(rng, 0.5 * MS, 60 * MS)
    return (spread(rng, step, rng.choice([0.02, 0.15]), n),
            spread(rng, step * log_uniform(rng, 0.002, 0.3), 0.5, n))


def meetings(rng, n):
    """A trainer that meets others several times a step, or takes locks: some moments between long parts."""
    step, moment = log_uniform(rng, 0.5 * MS, 60 * MS), log_uniform(rng, 3 * US, 100 * US)
    each = int(rng.integers(1, 4))
    long = np.arange(n) % (each + 1) == 0
    if rng.integers(2):  # not every time
        long = rng.random(n) < 1 / (each + 1)
    return (spread(rng, np.where(long, step, moment), 0.1, n),
            np.where(np.roll(long, 1), spread(rng, step * rng.uniform(0.02, 2.5), 0.5, n),
                     log_uniform(rng, 1 * US, 200 * US, n)))


def hog(rng, n):
    return (log_uniform(rng, 10 * MS, 900 * MS, n), log_uniform(rng, 20 * US, 20 * MS, n))


def pipe(rng, n):
    work = log_uniform(rng, 3 * US, 300 * US)
    return spread(rng, work, 0.3, n), spread(rng, work * log_uniform(rng, 0.3, 20), 0.5, n)


def just_before(rng, n):
    """Sleeps a moment before its slice ends, to look interactive."""
    return (spread(rng, log_uniform(rng, 0.8 * MS, 5.5 * MS), 0.03, n),
            spread(rng, log_uniform(rng, 5 * US, 200 * US), 0.3, n))


def turning(rng, n):
    """Short for a while, then long, and back."""
    short, long = log_uniform(rng, 50 * US, 1 * MS), log_uniform(rng, 20 * MS, 500 * MS)
    run = int(rng.integers(5, 60))
    bursts = np.where(np.arange(n) % (run + 1) == run, long, short)
    return spread(rng, bursts, 0.05, n), spread(rng, log_uniform(rng, 1 * MS, 10 * MS), 0.2, n)


def loader(rng, n):
    """Reads, and works on what it has read."""
    return (rng.exponential(log_uniform(rng, 0.05 * MS, 4 * MS), n),
            rng.exponential(log_uniform(rng, 0.05 * MS, 8 * MS), n))


FAMILIES = (periodic, intake, requests, requests_on_off, trainer, meetings, hog, pipe, just_before, turning, loader,
            frames, groups)
HELD_OUT = (frames, groups)


def host_noise(rng, bursts):
    """A host that is busy takes the processor away in the middle of some bursts."""
    rate = rng.choice([0, 0, 0.02, 0.1]) / MS
    hits = rng.poisson(np.minimum(bursts * rate, 50))
    return bursts + hits * rng.exponential(2 * MS, len(bursts))


# ---- rows ----------------------------------------------------------------------------------------------

def rows_library(folder):
    path = os.path.join(folder, "rows.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-I.", "-Ikernel/include",
                    "tools/train/sched_burst_rows.c", "modules/mlaas/sched_burst/history.c", "-o", path],
                   check=True, cwd=ROOT)
    return ctypes.CDLL(path)


def rows_of(library, bursts, sleeps):
    count = len(bursts)
    bursts, sleeps = np.maximum(bursts, 500).astype(np.uint64), np.maximum(sleeps, 500).astype(np.uint64)
    features, kinds = np.zeros((count, FEATURES), np.int32), np.zeros(count, np.int32)
    library.rows_make(*(a.ctypes.data_as(ctypes.c_void_p) for a in (bursts, sleeps)),
                      ctypes.c_uint64(count),
                      *(a.ctypes.data_as(ctypes.c_void_p) for a in (features, kinds)))
    features >>= FRACTION
    last = kinds_of(bursts[:-1], sleeps[1:])
    return features[SURE:], kinds[SURE:], last[SURE - 1:], mean_kinds(features, sleeps)[SURE:]


def kinds_of(bursts, sleeps):
    return np.where(bursts > 3 * MS, 0, np.where(bursts > sleeps, 1, np.where(bursts > MS, 2, 3)))


def mean_kinds(features, sleeps):
    """As if the next burst were the moving mean (of logarithms)."""
    return kinds_of(2.0 ** (features[:, 5] / 128 + 2) * 1024, sleeps)


class Rows:
    """Rows with the answers of the plain guesses."""

    def __init__(self):
        self.parts = []

    def add(self, part):
        self.parts.append(part)

    def arrays(self):
        return [np.concatenate(column) for column in zip(*self.parts)]


def draw(library):
    """(to train on, {family: held-out rows})."""
    train, held_out = Rows(), {}
    for number, family in enumerate(FAMILIES):
        held_out[family.__name__] = Rows()
        for index in range(THREADS):
            rng = np.random.default_rng([SEED, number, index])
            bursts, sleeps = family(rng, BURSTS)
            rows = rows_of(library, host_noise(rng, bursts[:BURSTS]), sleeps[:BURSTS])
            if family in HELD_OUT or index % 4 == 3:
                held_out[family.__name__].add(rows)
            else:
                train.add(rows)
    return train, held_out


def recorded(library, path, train, held_out):
    """Adds the threads of a file: lines of {"name", "bursts", "sleeps"}. train: None: to judge on all of them."""
    rows = held_out.setdefault("recorded " + os.path.basename(path), Rows())
    with open(path, encoding="utf-8") as file:
        for index, line in enumerate(file):
            t = json.loads(line)
            if len(t["bursts"]) > 2 * SURE:
                part = rows_of(library, *(np.array(t[k], float) for k in ("bursts", "sleeps")))
                (rows if train is None or index % 4 == 3 else train).add(part)


# ---- training and judging ------------------------------------------------------------------------------

def first(kinds):
    """Whether a thread goes ahead: short or brief."""
    return kinds >= 2


def judge(model, held_out):
    print(f"{'family':22} {'rows':>7} {'model':>7} {'last':>7} {'mean':>7}   of them put ahead rightly or not: "
          "model, last, mean")
    for name, rows in held_out.items():
        if not rows.parts:
            continue
        features, kinds, last, mean = rows.arrays()
        answers = (model.predict(features), last, mean)
        print(f"{name:22} {len(kinds):7}", *(f"{np.mean(a == kinds):7.3f}" for a in answers), "  ",
              *(f"{np.mean(first(a) == first(kinds)):7.3f}" for a in answers))


def convert(model, train, path, folder):
    features = train[0]
    onnx, calibration = os.path.join(folder, "sched_burst.onnx"), os.path.join(folder, "calibration.mtf")
    onnx_sklearn.save(model, FEATURES, onnx)
    rng = np.random.default_rng(SEED)
    some = features[rng.integers(0, len(features), CALIBRATION_ROWS)]
    tensorfile.write(calibration, {"inputs": np.vstack([some, features.max(0), features.min(0)]).astype("<f4")})
    subprocess.run([os.path.join(ROOT, "build/host/malv-model"), "convert", onnx, path, "--int8", calibration],
                   check=True)


def main():
    words = sys.argv[1:]
    if not words or words[0].startswith("-"):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        library = rows_library(folder)
        train, held_out = draw(library)
        for word, path in zip(words[1::2], words[2::2]):
            recorded(library, path, train if word == "--record" else None, held_out)
        train = train.arrays()
        model = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=SEED)
        model.fit(train[0], train[1])
        judge(model, held_out)
        convert(model, train, words[0], folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
