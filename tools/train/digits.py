#!/usr/bin/python3
"""Trains the net of user/examples/digits on scikit-learn's 1,797 handwritten 8x8 digits.

usage: digits.py OUTPUT_FOLDER

Writes OUTPUT_FOLDER/weights.mtf and OUTPUT_FOLDER/heldout.mtf (a fifth of the digits, never trained
on). Everything follows from SEED, in well under a minute on one core. Needs Debian's
python3-sklearn; the programs that use the files need no Python.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the order of sums stays the same

import numpy as np
from sklearn.datasets import load_digits

import tensorfile
from convnet import CLASSES, ConvNet

SEED = 20
CHANNELS = (8, 16)
EPOCHS = 30
BATCH = 32
RATE = 0.006
DECAY = 0.01
SMOOTHING = 0.05
HELD_OUT = 5  # one in so many


def split(labels, random):
    """Indices to train on and held-out ones: of every class one in HELD_OUT is held out."""
    train, held_out = [], []
    for digit in range(CLASSES):
        members = random.permutation(np.flatnonzero(labels == digit))
        cut = round(len(members) / HELD_OUT)
        held_out.append(members[:cut])
        train.append(members[cut:])
    return np.concatenate(train), random.permutation(np.concatenate(held_out))


def shifted(images, random):
    """Each image moved by -1, 0 or 1 pixel in each direction, zeros coming in."""
    padded = np.zeros((len(images), 10, 10))
    padded[:, 1:-1, 1:-1] = images
    moves = random.randint(0, 3, (len(images), 2))
    moves[random.rand(len(images)) < 0.3] = 1
    return np.stack([padded[i, y : y + 8, x : x + 8] for i, (y, x) in enumerate(moves)])


def train(images, labels, random):
    net = ConvNet(random, *CHANNELS)
    steps = EPOCHS * (len(images) // BATCH)
    for _ in range(EPOCHS):
        order = random.permutation(len(images))
        moved = shifted(images[order], random)
        for start in range(0, len(images) - BATCH + 1, BATCH):
            rate = RATE * 0.5 * (1 + np.cos(np.pi * net.steps / steps))
            part = slice(start, start + BATCH)
            net.step(net.gradients(moved[part], labels[order[part]], SMOOTHING), rate, DECAY)
    return net


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: digits.py OUTPUT_FOLDER", file=sys.stderr)
        return 2
    folder = sys.argv[1]
    random = np.random.RandomState(SEED)  # its streams are frozen, those of numpy's newer ones not
    digits = load_digits()
    pixels = digits.images.astype("u1")
    train_set, held_out = split(digits.target, random)
    net = train(pixels[train_set] / 16, digits.target[train_set], random)
    correct = int((net.predict(pixels[held_out] / 16) == digits.target[held_out]).sum())
    tensorfile.write(os.path.join(folder, "weights.mtf"), net.export())
    tensorfile.write(
        os.path.join(folder, "heldout.mtf"),
        {"images": pixels[held_out], "labels": digits.target[held_out].astype("u1")},
    )
    print(f"trained on {len(train_set)}, {correct} of {len(held_out)} held-out digits right "
          f"({100 * correct / len(held_out):.2f} %)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
