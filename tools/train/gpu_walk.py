#!/usr/bin/python3
"""Walks through an ONNX graph as a run-time system does that runs it on a GPU, and writes which buffers each kernel
touches: a trace (bench/gpu-replay/trace.h) of loading the weights and of one request.

usage: gpu_walk.py NETWORK.onnx OUTPUT.trace

Needs Debian's python3-onnx, and shapes that ONNX can infer. What it wrote is committed in bench/gpu-traces/graphs;
tools/train/gpu_graphs.py makes requests by many of them.

- A node is a kernel. Nodes that only rename (Reshape and the like) are none, and those that reckon with shapes are the
  processor's.
- The weights of a node are one buffer.
- Activations share buffers, as in MXNet's and TVM's planning of memory: what a node gives takes the free buffer whose
  size is nearest, up to 16 times larger or smaller, which grows to what it has to hold; it is free behind the last node
  that reads it. Element-wise nodes write over what they read where nobody else reads it.
"""
import sys

import onnx
from onnx import TensorProto, shape_inference

RENAME = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast"}
IN_PLACE = {"Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "Erf", "Sqrt", "Add", "Sub", "Mul", "Div", "Pow"}
BYTES = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.BOOL: 1}
APART = 16
BYTES_MIN = 256


class Graph:
    def __init__(self, path):
        model = shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
        self.graph = model.graph
        self.weights = {w.name: w for w in self.graph.initializer}
        for node in self.graph.node:  # constants are weights where they are numbers
            if node.op_type == "Constant":
                self.weights[node.output[0]] = node.attribute[0].t
        self.sizes = {}
        self.hosts = set()
        for value in [*self.graph.input, *self.graph.value_info, *self.graph.output]:
            self.size_note(value)

    def size_note(self, value):
        kind = value.type.tensor_type
        if kind.elem_type not in BYTES:
            self.hosts.add(value.name)  # shapes and indices
            return
        count = 1
        for dim in kind.shape.dim:
            if not dim.HasField("dim_value"):
                sys.exit(f"{value.name}: its size is not known")
            count *= dim.dim_value
        self.sizes[value.name] = max(count * BYTES[kind.elem_type], BYTES_MIN)

    def weight_bytes(self, name):
        weight = self.weights[name]
        count = 1
        for dim in weight.dims:
            count *= dim
        return count * BYTES.get(weight.data_type, 0)


class Walk:
    """Buffers and kernels of one request."""

    def __init__(self, graph):
        self.graph = graph
        self.loads, self.kernels = [], []  # sizes of weights; [reads, changes, writes]
        self.activations = []              # sizes
        self.free = []
        self.where = {}                    # tensor: its buffer
        self.weights_at = {}
        self.left = {}                     # buffer: tensors' reads to come
        self.reads = self.reads_count()

    def reads_count(self):
        """How often each tensor will be read, what is renamed under its first name."""
        self.names, reads = {}, {}
        for node in self.graph.graph.node:
            if node.op_type in RENAME and node.input:
                self.names[node.output[0]] = self.name(node.input[0])
            elif node.output[0] in self.graph.sizes:
                for name in dict.fromkeys(self.name(n) for n in node.input if n):
                    reads[name] = reads.get(name, 0) + 1
        for value in self.graph.graph.output:
            reads[self.name(value.name)] = reads.get(self.name(value.name), 0) + 1  # until the request's end
        return reads

    def name(self, tensor):
        return self.names.get(tensor, tensor)

    def weights_of(self, node):
        names = tuple(n for n in node.input if n in self.graph.weights and self.graph.weight_bytes(n))
        if not names:
            return []
        if names not in self.weights_at:
            self.weights_at[names] = len(self.loads)
            self.loads.append(max(sum(self.graph.weight_bytes(n) for n in names), BYTES_MIN))
        return [("w", self.weights_at[names])]

    def buffer_take(self, size):
        near = [b for b in self.free if size / APART <= self.activations[b] <= size * APART]
        if near:
            best = min(near, key=lambda b: (abs(self.activations[b] - size), b))
            self.free.remove(best)
            self.activations[best] = max(self.activations[best], size)
            return best
        self.activations.append(size)
        return len(self.activations) - 1

    def read_done(self, tensor):
        self.reads[tensor] -= 1
        if not self.reads[tensor]:
            self.free.append(self.where[tensor])

    def place_outputs(self, node, inputs):
        """Buffers of what the node gives, and whether it writes over its first input."""
        over = (node.op_type in IN_PLACE and inputs and self.reads[inputs[0]] == 1 and
                self.graph.sizes[node.output[0]] == self.graph.sizes.get(inputs[0]))
        placed = []
        for name in node.output:
            if name not in self.graph.sizes or name not in self.reads:
                continue
            self.where[name] = self.where[inputs[0]] if over else self.buffer_take(self.graph.sizes[name])
            placed.append(self.where[name])
        return placed, over

    def node(self, node):
        inputs = [n for n in dict.fromkeys(self.name(n) for n in node.input) if n in self.where]
        outputs, over = self.place_outputs(node, inputs)
        if not outputs:
            return
        read = [self.where[n] for n in inputs]
        self.kernels.append(([("a", b) for b in dict.fromkeys(read) if not (over and b == read[0])] + self.weights_of(node),
                             [("a", read[0])] if over else [], [] if over else [("a", b) for b in outputs]))
        for name in inputs[1:] if over else inputs:
            self.read_done(name)

    def run(self):
        for value in self.graph.graph.input:
            if value.name in self.graph.sizes:
                self.where[value.name] = self.buffer_take(self.graph.sizes[value.name])
                self.kernels.append(([], [], [("a", self.where[value.name])]))
        for node in self.graph.graph.node:
            if node.op_type not in RENAME and node.output[0] in self.graph.sizes and node.op_type != "Constant":
                self.node(node)

    def text(self, what):
        number = {("w", i): i for i in range(len(self.loads))}
        number |= {("a", i): len(self.loads) + i for i in range(len(self.activations))}
        lines = [f"# {what}", "# its weights"]
        lines += [f"n {i} 1 {size}" for i, size in enumerate([*self.loads, *self.activations])]
        lines += [f"t {i} o\nb" for i in range(len(self.loads))] + ["# a request"]
        for reads, changes, writes in self.kernels:
            lines += [f"t {number[b]} {how}" for how, bs in (("r", reads), ("w", changes), ("o", writes)) for b in bs]
            lines.append("b")
        return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    walk = Walk(Graph(sys.argv[1]))
    walk.run()
    name = sys.argv[1].rsplit("/", 1)[-1]
    with open(sys.argv[2], "w", encoding="ascii") as out:
        out.write(walk.text(f"{name}, by tools/train/gpu_walk.py"))
    print(f"{name}: {len(walk.kernels)} kernels, {len(walk.loads)} weights of {sum(walk.loads)} bytes, "
          f"{len(walk.activations)} other buffers of {sum(walk.activations)} bytes")


if __name__ == "__main__":
    main()
