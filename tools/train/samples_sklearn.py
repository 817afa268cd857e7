#!/usr/bin/python3
"""Trains one small scikit-learn model of every kind that lib/mlrt runs, for tests and benchmarks.

usage: samples_sklearn.py OUTPUT_FOLDER

For each NAME it writes NAME.onnx, NAME.ref.mtf (held-out inputs, and what scikit-learn gives for them in
float64) and, where an integer model is tested, NAME.cal.mtf with the inputs it was trained on. Everything
follows from SEED. Needs Debian's python3-sklearn and python3-onnx.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the order of sums stays the same
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import (ExtraTreesClassifier, GradientBoostingClassifier,
                              GradientBoostingRegressor, HistGradientBoostingClassifier,
                              HistGradientBoostingRegressor, RandomForestClassifier,
                              RandomForestRegressor)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import onnx_sklearn
import tensorfile

SEED = 20
HELD_OUT = 4  # one in so many
CALIBRATION_ROWS = 200


def models():
    """(name, data, model, tolerance of float32 outputs against scikit-learn's float64)."""
    digits, cancer, iris, diabetes = (load_digits(), load_breast_cancer(), load_iris(), load_diabetes())

    def scaled(model):
        return make_pipeline(StandardScaler(), model)
    return [
        ("tree_iris", iris, DecisionTreeClassifier(max_depth=4, random_state=SEED), 1e-6),
        ("forest_digits", digits, RandomForestClassifier(30, max_depth=8, random_state=SEED), 1e-6),
        ("extra_digits", digits, ExtraTreesClassifier(20, max_depth=8, random_state=SEED), 1e-6),
        ("forest_diabetes", diabetes, RandomForestRegressor(30, max_depth=6, random_state=SEED), 1e-3),
        ("boost_cancer", cancer, GradientBoostingClassifier(n_estimators=40, random_state=SEED), 1e-6),
        ("boost_iris", iris, GradientBoostingClassifier(n_estimators=20, random_state=SEED), 1e-6),
        ("boost_diabetes", diabetes, GradientBoostingRegressor(n_estimators=50, random_state=SEED), 1e-3),
        ("hist_cancer", cancer, HistGradientBoostingClassifier(max_iter=40, random_state=SEED), 1e-6),
        ("hist_digits", digits, HistGradientBoostingClassifier(max_iter=10, random_state=SEED), 1e-6),
        ("hist_diabetes", diabetes, HistGradientBoostingRegressor(max_iter=40, random_state=SEED), 1e-3),
        ("logistic_cancer", cancer, scaled(LogisticRegression(random_state=SEED)), 1e-5),
        ("logistic_digits", digits, scaled(LogisticRegression(max_iter=500, random_state=SEED)), 1e-5),
        ("ovr_iris", iris, scaled(LogisticRegression(multi_class="ovr", random_state=SEED)), 1e-5),
        ("linear_diabetes", diabetes, scaled(LinearRegression()), 1e-3),
        ("ridge_diabetes", diabetes, scaled(Ridge(random_state=SEED)), 1e-3),
        ("net_digits", digits, scaled(MLPClassifier((48, 24), max_iter=60, random_state=SEED)), 1e-5),
        ("net_cancer", cancer, scaled(MLPClassifier((16,), "tanh", max_iter=200, random_state=SEED)), 1e-5),
        ("net_diabetes", diabetes,
         scaled(MLPRegressor((32, 16), "logistic", max_iter=400, random_state=SEED)), 1e-3),
        ("nearest_digits", digits, KNeighborsClassifier(5), 1e-6),
        ("nearest_iris", iris, scaled(KNeighborsClassifier(7, weights="distance")), 1e-4),
        ("nearest_diabetes", diabetes, scaled(KNeighborsRegressor(5)), 1e-3),
    ]


def split(count):
    order = np.random.RandomState(SEED).permutation(count)
    cut = count // HELD_OUT
    return order[cut:], order[:cut]


def outputs(model, inputs):
    values = model.predict_proba(inputs) if hasattr(model, "predict_proba") else model.predict(inputs)
    return values.reshape(len(inputs), -1).astype("<f4")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: samples_sklearn.py OUTPUT_FOLDER", file=sys.stderr)
        return 2
    import warnings
    warnings.filterwarnings("ignore")  # nets that stop before they have converged are good enough here
    for name, data, model, tolerance in models():
        path = os.path.join(sys.argv[1], name)
        inputs = data.data.astype("<f4")
        train, held_out = split(len(inputs))
        model.fit(inputs[train], data.target[train])
        onnx_sklearn.save(model, inputs.shape[1], path + ".onnx")
        tensorfile.write(path + ".ref.mtf", {
            "inputs": inputs[held_out],
            "outputs": outputs(model, inputs[held_out].astype(np.float64)),
            "tolerance": np.array([tolerance], "<f4")})
        tensorfile.write(path + ".cal.mtf", {"inputs": inputs[train][:CALIBRATION_ROWS]})
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
