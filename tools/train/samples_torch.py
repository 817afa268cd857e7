#!/usr/bin/python3
"""Trains small PyTorch nets and exports them with torch.onnx, for tests and benchmarks of lib/mlrt.

usage: samples_torch.py OUTPUT_FOLDER

For each NAME it writes NAME.onnx, NAME.ref.mtf (held-out inputs, and what PyTorch gives for them) and
NAME.cal.mtf (inputs it was trained on). Everything follows from SEED. Needs Debian's python3-torch and
python3-onnx; what it wrote is committed in tests/models, so that nobody needs them for a test.
"""

import os
import sys

import numpy as np
import torch
from torch import nn

import tensorfile

SEED = 20
STEPS = 12
TRAIN, HELD_OUT = 512, 128


class Cells(nn.Module):
    """A GRU or LSTM over a sequence and a dense layer on its last step."""

    def __init__(self, cell, features, hidden, outputs, layers=1):
        super().__init__()
        self.cell = cell(features, hidden, num_layers=layers, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


class CellsState(Cells):
    """The same by way of the last state, with steps first, a sigmoid behind."""

    def __init__(self, cell, features, hidden, outputs):
        super().__init__(cell, features, hidden, outputs)
        self.cell = cell(features, hidden, batch_first=True)

    def forward(self, x):
        return torch.sigmoid(self.head(self.cell(x)[1][0]))


def sequences(random, count):
    """Noisy sines of two features; to be told: the next value, and whether it rises."""
    phase, pace = random.uniform(0, 6.28, (count, 1)), random.uniform(0.2, 1.2, (count, 1))
    times = np.arange(STEPS + 1)
    wave = np.sin(phase + pace * times) + random.normal(0, 0.05, (count, STEPS + 1))
    inputs = np.stack([wave[:, :-1], np.gradient(wave[:, :-1], axis=1)], axis=2)
    return inputs.astype("<f4"), wave[:, -1:].astype("<f4"), (wave[:, -1:] > wave[:, -2:-1]).astype("<f4")


def rows(random, count):
    """Points in 16 dimensions, of 4 classes by a curved rule."""
    inputs = random.normal(0, 1, (count, 16))
    rule = inputs[:, 0] * inputs[:, 1] > 0, inputs[:, 2:8].sum(1) > 0
    return inputs.astype("<f4"), (rule[0] * 2 + rule[1]).astype("<i8")


def train(model, inputs, targets, loss, epochs):
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    inputs, targets = torch.from_numpy(inputs), torch.from_numpy(targets)
    for _ in range(epochs):
        for first in range(0, len(inputs), 64):
            optimizer.zero_grad()
            loss(model(inputs[first : first + 64]), targets[first : first + 64]).backward()
            optimizer.step()


def write(folder, name, model, inputs, tolerance):
    model.eval()
    held_out = inputs[TRAIN:]
    path = os.path.join(folder, name)
    with torch.no_grad():
        outputs = model(torch.from_numpy(held_out)).numpy().astype("<f4")
    torch.onnx.export(model, torch.from_numpy(held_out[:1]), path + ".onnx", input_names=["input"],
                      output_names=["output"], opset_version=13, dynamic_axes={"input": {0: "rows"}})
    tensorfile.write(path + ".ref.mtf", {"inputs": held_out, "outputs": outputs,
                                         "tolerance": np.array([tolerance], "<f4")})
    tensorfile.write(path + ".cal.mtf", {"inputs": inputs[: TRAIN // 4]})
    print(name, flush=True)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: samples_torch.py OUTPUT_FOLDER", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    random = np.random.RandomState(SEED)
    points, classes = rows(random, TRAIN + HELD_OUT)
    waves, following, rises = sequences(random, TRAIN + HELD_OUT)
    dense = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 24), nn.Tanh(), nn.Linear(24, 4),
                          nn.Softmax(dim=1))
    train(dense[:-1], points[:TRAIN], classes[:TRAIN], nn.CrossEntropyLoss(), 40)
    write(sys.argv[1], "torch_dense", dense, points, 1e-5)
    for name, model, targets, loss in [
        ("torch_gru", Cells(nn.GRU, 2, 20, 1), following, nn.MSELoss()),
        ("torch_gru2", Cells(nn.GRU, 2, 12, 1, layers=2), following, nn.MSELoss()),
        ("torch_lstm", Cells(nn.LSTM, 2, 20, 1), following, nn.MSELoss()),
    ]:
        train(model, waves[:TRAIN], targets[:TRAIN], loss, 30)
        write(sys.argv[1], name, model, waves, 1e-5)
    state = CellsState(nn.GRU, 2, 10, 1)
    train(state, waves[:TRAIN], rises[:TRAIN], nn.BCELoss(), 30)
    write(sys.argv[1], "torch_gru_state", state, waves, 1e-5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
