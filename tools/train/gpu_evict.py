#!/usr/bin/python3
"""Trains the model of module gpu_evict: which guess of a GPU buffer's next use to believe.

usage: gpu_evict.py OUTPUT.mlm [TRACE...]

The samples are what the module itself would have asked at each touch (bench/gpu-replay --samples), on the generated
traces of tools/train/gpu_traces.py, group `train`, and the recorded TRACEs given. A sample's class is the first guess
that turned out right: as where the order was the same, as last time, as the time before; or that was near: where the order
was the same, as on average; if none did, never again, or unknown. Prints how often the model is right on networks that it was not trained on, and a plain rule beside it. The file
follows from SEED, the traces and scikit-learn's version. Run it in the root of the tree, after `make all benches`.
"""

import os
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.ensemble import RandomForestClassifier

import gpu_traces
import onnx_sklearn
import tensorfile

SEED = 6
INPUTS = 12
ALIGNED, LAST, SECOND, MEAN, NEVER, UNKNOWN = range(6)
FREED = 0xffff
QUOTA = "0.6"
MEAN_NEAR = 2  # times longer or shorter: a mean that is good enough
ALIGNED_NEAR = 2  # the same: its order among others is right, mostly
ROWS_MAX = 6000  # of one trace: long ones must not drown the others
TREES = {"n_estimators": 10, "max_depth": 6, "min_samples_leaf": 30}
REPLAY = "build/bench/gpu-replay"
CONVERT = "build/host/malv-model"


def samples(trace):
    text = subprocess.run([REPLAY, "--samples", "--quota", QUOTA, trace], check=True, capture_output=True,
                          text=True).stdout
    rows = np.array([line.split(",") for line in text.split()], dtype=np.int64)
    if len(rows) > ROWS_MAX:
        rows = rows[np.random.RandomState(SEED).choice(len(rows), ROWS_MAX, replace=False)]
    return rows


def right(guess, gap):
    return (guess > 0) & (np.abs(guess - gap) <= guess // 16 + 1) & (gap > 0)


def near(guess, gap, factor):
    return (guess > 0) & (gap > 0) & (guess <= gap * factor) & (gap <= guess * factor)


def classes(rows):
    """Of each sample the guess that should have been believed."""
    gap = rows[:, -1]
    guesses = rows[:, INPUTS:INPUTS + 4]
    found = np.where(gap == 0, NEVER, UNKNOWN)
    found = np.where(near(guesses[:, MEAN], gap, MEAN_NEAR), MEAN, found)
    found = np.where(near(guesses[:, ALIGNED], gap, ALIGNED_NEAR), ALIGNED, found)
    for kind in (SECOND, LAST, ALIGNED):
        found = np.where(right(guesses[:, kind], gap), kind, found)
    return np.where((gap == 0) & (guesses[:, ALIGNED] == FREED), ALIGNED, found)


def plain_rule(rows):
    """guess.c's, for comparison."""
    aligned, last, second = (rows[:, INPUTS + i] for i in range(3))
    answer = np.where(rows[:, INPUTS + MEAN] > 0, MEAN, UNKNOWN)
    answer = np.where((last > 0) & (np.abs(last - second) <= last // 16 + 1), LAST, answer)
    return np.where((rows[:, 1] >= 2) & (rows[:, 11] >= 128) & (aligned > 0), ALIGNED, answer)


def useful(rows, answer):
    """Believed guesses that were right, wrong, and of how many nothing was believed."""
    gap = rows[:, -1]
    good = np.zeros(len(rows), bool)
    for kind in (ALIGNED, LAST, SECOND):
        good |= (answer == kind) & (right(rows[:, INPUTS + kind], gap) | (gap == 0) & (rows[:, INPUTS + kind] == FREED))
    good |= (answer == NEVER) & (gap == 0)
    return np.mean(good), np.mean(~good & (answer != UNKNOWN)), np.mean(answer == UNKNOWN)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        train = [samples(t) for t in gpu_traces.write(folder + "/train", "train", SEED) + sys.argv[2:]]
        held = {os.path.basename(t)[:-6]: samples(t) for t in gpu_traces.write(folder + "/held", "held", SEED)}
        rows = np.concatenate(train)
        # Whoever believes too much loses more than who believes too little.
        model = RandomForestClassifier(random_state=SEED, **TREES)
        model.fit(rows[:, :INPUTS], np.concatenate([classes(r) for r in train]))
        missing = set(range(UNKNOWN + 1)) - set(model.classes_)
        if missing:
            sys.exit(f"no sample of the classes {missing}")
        onnx_sklearn.save(model, INPUTS, folder + "/model.onnx")
        tensorfile.write(folder + "/inputs.mtf", {"inputs": rows[::50, :INPUTS].astype("<f4")})
        subprocess.run([CONVERT, "convert", folder + "/model.onnx", sys.argv[1], "--name", "gpu_evict",
                        "--int8", folder + "/inputs.mtf", "--fraction", "0"], check=True)
    print(f"{len(rows)} samples; on networks not trained on: believed and right, wrong, nothing believed")
    for name, r in held.items():
        print(f"  {name:22}", *(f"{share:.3f}" for share in useful(r, model.predict(r[:, :INPUTS]))),
              "  plain rule", *(f"{share:.3f}" for share in useful(r, plain_rule(r))))


if __name__ == "__main__":
    main()
