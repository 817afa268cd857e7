#!/usr/bin/env python3
"""Trains the forest of modules/mlaas/mem_readahead: which kind of accesses a stream's are.

    tools/train/mem_readahead.py                 says how well it does on what it was not trained on
    tools/train/mem_readahead.py --write         and writes modules/mlaas/mem_readahead/mem_readahead.mlm
    tools/train/mem_readahead.py --check         fails if that file is not what comes out

The accesses are made up here, from a fixed seed; the features are the policy's own: pattern.c is compiled and
called. Held out are other sizes of reads, records, strides and files than those it is trained on.
"""
import argparse
import ctypes
import filecmp
import os
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import RandomForestClassifier

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import onnx_sklearn  # noqa: E402
import tensorfile  # noqa: E402

FOLDER = os.path.join(ROOT, "modules/mlaas/mem_readahead")
MODEL = os.path.join(FOLDER, "mem_readahead.mlm")
KINDS = ["sequential", "strided", "random", "records", "mixed"]
FEATURES = 13
SEED = 20261130
TREES, DEPTH = 16, 7
STREAMS = 260  # of each kind
READS = 400    # of a stream, about

TRAINING = {"reads": [1, 2, 4, 8, 16, 32], "records": [1, 2, 4, 8, 16, 32, 64],
            "gaps": [2, 3, 4, 8, 16, 32], "files": [4096, 32768, 131072, 1 << 20], "turns": [2, 3, 4]}
HELD_OUT = {"reads": [3, 6, 12, 24, 64], "records": [3, 5, 12, 24, 48, 128],
            "gaps": [5, 6, 12, 24, 50], "files": [10000, 65536, 400000], "turns": [2, 5, 6]}


class Access(ctypes.Structure):
    _fields_ = [("first", ctypes.c_uint64), ("count", ctypes.c_uint32), ("there", ctypes.c_uint32)]


class Stream(ctypes.Structure):
    _fields_ = [("file", ctypes.c_uint64), ("file_pages", ctypes.c_uint64), ("accesses", ctypes.c_uint64),
                ("mapped", ctypes.c_bool), ("advice", ctypes.c_uint8), ("history", Access * 4)]


class Memory(ctypes.Structure):
    _fields_ = [("cache_most", ctypes.c_uint64), ("cache_now", ctypes.c_uint64), ("file_now", ctypes.c_uint64)]


def library(folder):
    path = os.path.join(folder, "pattern.so")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-I", ROOT, "-I", os.path.join(ROOT, "kernel/include"),
                    "-o", path, os.path.join(FOLDER, "pattern.c")], check=True)
    return ctypes.CDLL(path)


# ---- Streams: each yields (first page, pages) of its reads


def in_reads(start, length, read):
    for at in range(start, start + length, read):
        yield at, min(read, start + length - at)


def sequential(rng, sizes, pages):
    """From anywhere on, with a jump now and then, as who skips a part or starts again."""
    read, at = rng.choice(sizes["reads"]), int(rng.integers(pages)) * int(rng.integers(2))
    while True:
        for _ in range(int(rng.geometric(0.01))):
            if at + read > pages:
                at = 0
            yield at, read
            at += read
        at = int(rng.integers(pages))


def strided(rng, sizes, pages):
    length, read = rng.choice(sizes["records"]), rng.choice(sizes["reads"])
    stride = int(length) * int(rng.choice(sizes["gaps"])) + int(rng.integers(2)) * int(rng.integers(8))
    at = int(rng.integers(stride))
    while True:
        yield from in_reads(at, length, min(read, length))
        at += stride
        if at + length > pages:
            at = int(rng.integers(stride))


def random_reads(rng, sizes, pages):
    """Anywhere and of any size, of one size off any grid, or some places more often than others."""
    kind, most = int(rng.integers(3)), int(rng.choice([1, 2, 4, 8]))
    while True:
        if kind == 0:
            length, at = int(rng.integers(1, most + 1)), int(rng.integers(pages - most))
        elif kind == 1:
            length, at = 1, int(rng.integers(pages))
        else:
            length, at = 1, (int(rng.zipf(1.2)) * 2654435761) % (pages - 1)
        yield at, length


def records(rng, sizes, pages):
    """The same records in another order each time; their number may be small."""
    length, read = int(rng.choice(sizes["records"])), int(rng.choice(sizes["reads"]))
    count, header = pages // length, int(rng.integers(2)) and length > 4
    count = min(count, int(rng.choice([64, 512, 4096, 1 << 20])))
    while True:
        for n in rng.permutation(count):
            start = int(n) * length
            if header:
                yield start, 1
                yield from in_reads(start + 1, length - 1, min(read, length))
            else:
                yield from in_reads(start, length, min(read, length))


def mixed(rng, sizes, pages):
    """Several who read on, in turns; one may read anywhere instead."""
    read, count = int(rng.choice(sizes["reads"])), int(rng.choice(sizes["turns"]))
    at = [int(rng.integers(pages)) for _ in range(count)]
    strays = rng.random() * 0.5 if rng.integers(2) else 0
    while True:
        if rng.random() < strays:
            yield int(rng.integers(pages - 1)), 1
            continue
        who = int(rng.integers(count))
        for _ in range(int(rng.integers(1, 4))):
            if at[who] + read > pages:
                at[who] = 0
            yield at[who], read
            at[who] += read


MAKERS = [sequential, strided, random_reads, records, mixed]


def samples(lib, rng, sizes, streams):
    rows, labels = [], []
    for kind, maker in enumerate(MAKERS):
        for _ in range(streams):
            pages = int(rng.choice(sizes["files"]))
            data = (ctypes.c_uint64 * 32)()
            stream, memory = Stream(file_pages=pages), Memory(cache_most=int(pages * rng.choice([0.1, 0.25, 0.5, 2])))
            reads = maker(rng, sizes, pages)
            for _ in range(int(rng.integers(READS // 4, READS))):
                first, count = next(reads)
                now = Access(int(first), int(count), 0)
                if lib.pattern_take(data, ctypes.byref(stream), ctypes.byref(now)) & 1:
                    out = (ctypes.c_int32 * FEATURES)()
                    lib.pattern_features(data, ctypes.byref(stream), ctypes.byref(memory), out)
                    rows.append(list(out))
                    labels.append(kind)
                stream.accesses += 1
    return np.array(rows, np.float32), np.array(labels)


def report(name, model, rows, labels):
    said = model.predict(rows)
    print(f"{name}: {np.mean(said == labels):.3f} right of {len(labels)}")
    for kind, word in enumerate(KINDS):
        mine = labels == kind
        others = ", ".join(f"{KINDS[k]} {np.mean(said[mine] == k):.3f}" for k in range(len(KINDS)))
        print(f"  {word}: {others}")


def convert(model, rows, folder):
    onnx, data, out = (os.path.join(folder, n) for n in ("m.onnx", "m.mtf", "m.mlm"))
    onnx_sklearn.save(model, FEATURES, onnx)
    tensorfile.write(data, {"inputs": rows[:2000]})
    subprocess.run([os.path.join(ROOT, "build/host/malv-model"), "convert", onnx, out, "--int8", data,
                    "--fraction", "0"], check=True, stdout=subprocess.DEVNULL)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lib = library(folder)
        rows, labels = samples(lib, np.random.default_rng(SEED), TRAINING, STREAMS)
        model = RandomForestClassifier(TREES, max_depth=DEPTH, min_samples_leaf=20, random_state=SEED, n_jobs=1)
        model.fit(rows, labels)
        report("trained on", model, rows, labels)
        held_rows, held_labels = samples(lib, np.random.default_rng(SEED + 1), HELD_OUT, STREAMS // 3)
        report("other sizes", model, held_rows, held_labels)
        out = convert(model, rows, folder)
        print(f"{os.path.getsize(out)} bytes")
        if args.write:
            with open(out, "rb") as made, open(MODEL, "wb") as file:
                file.write(made.read())
        if args.check and not filecmp.cmp(out, MODEL, shallow=False):
            print(f"{MODEL} is not what this makes", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
