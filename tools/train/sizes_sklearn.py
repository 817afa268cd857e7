#!/usr/bin/python3
"""Trains nets of sizes that papers on ML in kernels publish, to measure from which batch on the GPU is faster.

usage: sizes_sklearn.py OUTPUT_FOLDER

    net_31_256_2          as LinnOS (OSDI 2020) has: is this read fast or slow?
    net_31_256_256_256_2  the same with two more layers, as LAKE (ASPLOS 2023) measures too
    net_15_10_1           as MLLB (APSys 2020) has: shall this thread move to another CPU?
    net_5_15_5_4          as KML (2021) has, for 4 access patterns: which one is this?

The sizes are theirs; the weights are not: these are trained on made-up rules that follow from SEED. For each NAME
it writes NAME.onnx and NAME.ref.mtf (held-out inputs, and what scikit-learn gives for them in float64). What it
wrote is committed in tests/models. Needs Debian's python3-sklearn and python3-onnx.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the order of sums stays the same
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

import onnx_sklearn
import tensorfile

SEED = 41
TRAIN, HELD_OUT = 2048, 64


def rows(random, width, classes):
    """Points, and which of the classes each is in: by the largest of some curved sums."""
    inputs = random.normal(0, 1, (TRAIN + HELD_OUT, width)).astype("<f4")
    rule = random.normal(0, 1, (width, classes))
    scores = np.tanh(inputs) @ rule + 0.5 * (inputs[:, :1] * inputs[:, 1:2])
    return inputs, scores.argmax(1)


def models():
    """(name, widths, model); the outputs of a regressor are a number for each class, or one for the second."""
    settings = {"max_iter": 30, "random_state": SEED}
    return [
        ("net_31_256_2", (31, 2), MLPRegressor((256,), **settings)),
        ("net_31_256_256_256_2", (31, 2), MLPRegressor((256, 256, 256), **settings)),
        ("net_15_10_1", (15, 1), MLPRegressor((10,), **settings)),
        ("net_5_15_5_4", (5, 4), MLPClassifier((15, 5), "logistic", learning_rate_init=0.01, **settings)),
    ]


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: sizes_sklearn.py OUTPUT_FOLDER", file=sys.stderr)
        return 2
    import warnings
    warnings.filterwarnings("ignore")  # nets that stop before they have converged are good enough here
    random = np.random.RandomState(SEED)
    for name, (width, outputs), model in models():
        inputs, classes = rows(random, width, max(outputs, 2))
        targets = classes if isinstance(model, MLPClassifier) else np.eye(2)[classes][:, -outputs:]
        model.fit(inputs[:TRAIN], targets[:TRAIN] if outputs > 1 else targets[:TRAIN, 0])
        held_out = inputs[TRAIN:]
        predict = model.predict_proba if isinstance(model, MLPClassifier) else model.predict
        path = os.path.join(sys.argv[1], name)
        onnx_sklearn.save(model, width, path + ".onnx")
        tensorfile.write(path + ".ref.mtf", {
            "inputs": held_out,
            "outputs": predict(held_out.astype(np.float64)).reshape(HELD_OUT, -1).astype("<f4"),
            "tolerance": np.array([1e-5], "<f4")})
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
