"""Writes scikit-learn models as ONNX, for malv-model.

Debian has no skl2onnx; this covers what lib/mlrt runs, with the operators that skl2onnx uses:
TreeEnsembleClassifier/Regressor, LinearClassifier/Regressor, Scaler, Normalizer, Gemm and activations.
Nearest neighbours have no operator in ONNX: they become the node KNearest of the domain org.malv
(docs/mlrt.md).

    import onnx_sklearn
    onnx_sklearn.save(pipeline_or_model, features, "model.onnx")

What comes out are probabilities of classifiers, values of regressors; [rows][outputs], float32.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ML = "ai.onnx.ml"
OWN = "org.malv"


class Graph:
    """Nodes in a row; each takes what the one before gives."""

    def __init__(self, features):
        self.features = features
        self.nodes = []
        self.constants = []
        self.current = "input"

    def add(self, op, domain="", constants=(), outputs=("",), data=0, **attributes):
        """Adds a node. outputs: the names' endings; data: which of them goes on."""
        number = len(self.nodes)
        names = [f"value{number}{ending}" for ending in outputs]
        inputs = [self.current]
        for index, array in enumerate(constants):
            inputs.append(f"constant{number}_{index}")
            self.constants.append(numpy_helper.from_array(array, inputs[-1]))
        self.nodes.append(helper.make_node(op, inputs, names, f"{op}{number}", domain=domain,
                                           **attributes))
        self.current = names[data]

    def pair(self):
        """1 - p and p of one probability."""
        self.constants.append(numpy_helper.from_array(np.array([1], np.float32), "one"))
        self.nodes.append(helper.make_node("Sub", ["one", self.current], ["complement"]))
        self.nodes.append(helper.make_node("Concat", ["complement", self.current], ["pair"], axis=1))
        self.current = "pair"

    def model(self, width):
        graph = helper.make_graph(
            self.nodes, "model",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, self.features])],
            [helper.make_tensor_value_info(self.current, TensorProto.FLOAT, [None, width])],
            self.constants)
        return helper.make_model(graph, producer_name="onnx_sklearn", opset_imports=[
            helper.make_opsetid("", 13), helper.make_opsetid(ML, 2), helper.make_opsetid(OWN, 1)])


def float32_not_above(values):
    """The largest float32 that is not above each value: of float32 x, x <= value stays the same."""
    rounded = values.astype(np.float32)
    over = rounded.astype(np.float64) > values
    rounded[over] = np.nextafter(rounded[over], np.float32(-np.inf))
    return rounded


class Trees:
    """The lists of a tree ensemble. kind: "class" or "target"."""

    def __init__(self, kind):
        self.kind = kind
        self.count = 0
        self.nodes = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes",
                                            "truenodeids", "falsenodeids")}
        self.leaves = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add(self, left, right, feature, threshold, leaf_weights):
        """A tree: arrays over its nodes, left < 0 at leaves; leaf_weights(node) -> [(output, weight)]."""
        limits = float32_not_above(np.asarray(threshold, np.float64))
        for node in range(len(left)):
            leaf = left[node] < 0
            values = (self.count, node, 0 if leaf else int(feature[node]),
                      0.0 if leaf else float(limits[node]), "LEAF" if leaf else "BRANCH_LEQ",
                      0 if leaf else int(left[node]), 0 if leaf else int(right[node]))
            for name, value in zip(self.nodes, values):
                self.nodes[name].append(value)
            for output, weight in leaf_weights(node) if leaf else ():
                for name, value in zip(self.leaves, (self.count, node, output, float(weight))):
                    self.leaves[name].append(value)
        self.count += 1

    def add_sklearn(self, tree, leaf_weights):
        self.add(tree.children_left, tree.children_right, tree.feature, tree.threshold, leaf_weights)

    def attributes(self):
        return ({f"nodes_{name}": value for name, value in self.nodes.items()} |
                {f"{self.kind}_{name}": value for name, value in self.leaves.items()})


def forest_add(graph, model, trees, classes):
    """Bagged trees: each leaf's share of classes, or its values, over the number of trees."""
    out = Trees("class" if classes else "target")
    for tree in trees:
        tree = getattr(tree, "tree_", tree)

        def weights(node, tree=tree):
            value = tree.value[node]
            value = value[0] / value[0].sum() if classes else value[:, 0]
            return list(enumerate(value / len(trees)))
        out.add_sklearn(tree, weights)
    if classes:
        graph.add("TreeEnsembleClassifier", ML, outputs=("_label", "_scores"), data=1,
                  classlabels_int64s=list(range(classes)), post_transform="NONE", **out.attributes())
        return classes
    graph.add("TreeEnsembleRegressor", ML, n_targets=model.n_outputs_, post_transform="NONE",
              **out.attributes())
    return model.n_outputs_


def boosting_start(model, width):
    """What a GradientBoosting model begins with: the same for every row."""
    zeros = np.zeros((1, model.n_features_in_), np.float32)
    return np.broadcast_to(model._raw_predict_init(zeros)[0], width)


def boosting_add(graph, model, classes):
    """GradientBoosting*: stages of trees, one for each score."""
    scores = model.estimators_.shape[1]
    out = Trees("class" if classes else "target")
    for stage in model.estimators_:
        for output, tree in enumerate(stage):
            def weights(node, tree=tree.tree_, output=output):
                return [(output, tree.value[node][0][0] * model.learning_rate)]
            out.add_sklearn(tree.tree_, weights)
    base = [float(value) for value in boosting_start(model, scores)]
    if not classes:
        graph.add("TreeEnsembleRegressor", ML, n_targets=1, base_values=base, post_transform="NONE",
                  **out.attributes())
        return 1
    graph.add("TreeEnsembleClassifier", ML, outputs=("_label", "_scores"), data=1,
              classlabels_int64s=list(range(classes)), base_values=base,
              post_transform="LOGISTIC" if scores == 1 else "SOFTMAX", **out.attributes())
    return classes


def histogram_boosting_add(graph, model, classes):
    """HistGradientBoosting*, of numerical features without missing values."""
    scores = model.n_trees_per_iteration_
    out = Trees("class" if classes else "target")
    for stage in model._predictors:
        for output, predictor in enumerate(stage):
            nodes = predictor.nodes
            left = np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64))

            def weights(node, nodes=nodes, output=output):
                return [(output, nodes["value"][node])]
            out.add(left, nodes["right"], nodes["feature_idx"], nodes["num_threshold"], weights)
    base = [float(value) for value in np.ravel(model._baseline_prediction)]
    if not classes:
        graph.add("TreeEnsembleRegressor", ML, n_targets=1, base_values=base, post_transform="NONE",
                  **out.attributes())
        return 1
    graph.add("TreeEnsembleClassifier", ML, outputs=("_label", "_scores"), data=1,
              classlabels_int64s=list(range(classes)), base_values=base,
              post_transform="LOGISTIC" if scores == 1 else "SOFTMAX", **out.attributes())
    return classes


def linear_classifier_add(graph, model, classes):
    """LogisticRegression: one softmax, or a sigmoid for each class and their shares."""
    softmax = classes > 2 and getattr(model, "multi_class", "auto") != "ovr"
    graph.add("LinearClassifier", ML, outputs=("_label", "_scores"), data=1,
              coefficients=np.ravel(model.coef_).tolist(), intercepts=np.ravel(model.intercept_).tolist(),
              classlabels_ints=list(range(classes)), post_transform="SOFTMAX" if softmax else "LOGISTIC")
    if classes > 2 and not softmax:
        graph.add("Normalizer", ML, norm="L1")
    return classes


def linear_regressor_add(graph, model):
    coefficients = np.atleast_2d(model.coef_)
    intercepts = np.broadcast_to(model.intercept_, len(coefficients))
    graph.add("LinearRegressor", ML, coefficients=np.ravel(coefficients).tolist(),
              intercepts=[float(value) for value in intercepts], targets=len(coefficients))
    return len(coefficients)


def network_add(graph, model):
    """MLPClassifier and MLPRegressor."""
    names = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "softmax": "Softmax"}
    layers = len(model.coefs_)
    for index, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_)):
        graph.add("Gemm", constants=(weights.astype(np.float32), bias.astype(np.float32)))
        activation = names.get(model.activation if index + 1 < layers else model.out_activation_)
        if activation:
            graph.add(activation)
    width = model.coefs_[-1].shape[1]
    if width == 1 and hasattr(model, "classes_"):  # one probability becomes two, as in skl2onnx
        graph.pair()
        return 2
    return width


def nearest_add(graph, model, classes):
    if model.effective_metric_ not in ("euclidean", "minkowski"):
        raise ValueError(f"nearest neighbours by {model.effective_metric_}: only euclidean distance can be")
    attributes = {"points": numpy_helper.from_array(np.asarray(model._fit_X, np.float32)),
                  "k": model.n_neighbors, "weights": model.weights}
    if classes:
        graph.add("KNearest", OWN, labels=np.ravel(model._y).tolist(), classes=classes, **attributes)
        return classes
    targets = np.asarray(model._y, np.float32).reshape(len(model._fit_X), -1)
    graph.add("KNearest", OWN, targets=numpy_helper.from_array(targets), **attributes)
    return targets.shape[1]


def step_add(graph, model):
    """Adds one scikit-learn model; the number of its outputs comes back."""
    name = type(model).__name__
    classes = len(model.classes_) if hasattr(model, "classes_") else 0
    if name == "StandardScaler":
        graph.add("Scaler", ML, offset=model.mean_.tolist(), scale=(1 / model.scale_).tolist())
        return len(model.mean_)
    if name.startswith("DecisionTree"):
        return forest_add(graph, model, [model], classes)
    if name.startswith(("RandomForest", "ExtraTrees")):
        return forest_add(graph, model, model.estimators_, classes)
    if name.startswith("GradientBoosting"):
        return boosting_add(graph, model, classes)
    if name.startswith("HistGradientBoosting"):
        return histogram_boosting_add(graph, model, classes)
    if name == "LogisticRegression":
        return linear_classifier_add(graph, model, classes)
    if name in ("LinearRegression", "Ridge", "Lasso", "ElasticNet", "SGDRegressor", "LinearSVR"):
        return linear_regressor_add(graph, model)
    if name.startswith("MLP"):
        return network_add(graph, model)
    if name.startswith("KNeighbors"):
        return nearest_add(graph, model, classes)
    raise ValueError(f"{name} can't be written as ONNX here")


def save(model, features, path):
    """Writes a model, or a pipeline of them, that was trained on this number of features."""
    graph = Graph(features)
    width = features
    for step in [step for _, step in model.steps] if hasattr(model, "steps") else [model]:
        width = step_add(graph, step)
    onnx.save(graph.model(width), path)
