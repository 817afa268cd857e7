#!/usr/bin/env python3
"""Makes touch traces of requests to networks whose graphs are recorded in bench/gpu-traces/graphs (gpu_walk.py).

    gpu_graphs.py FOLDER [SEED]

onnx_pipeline: one program. Of each picture a detector finds a number of things (0 to 12), which a classifier looks at
    four at a time; of one picture in five a third network makes a map.
onnx_servers: three programs that share the device, each with its network and requests that come by chance (Poisson);
    what is running takes turns, kernel by kernel.
onnx_turns: one program that serves six networks; which is asked changes by chance, mostly to the one of before.
"""
import os
import random
import sys

from gpu_traces import Trace

GRAPHS = "bench/gpu-traces/graphs"
PICTURES, THINGS_MAX, AT_ONCE, MAPS = 120, 12, 4, 0.2
SERVERS = {"resnet50": 0.8, "convnext_tiny": 0.5, "efficientnet_b0": 1.2}  # requests in the time that one takes alone
SERVED = 40
TURNS_OF = ["convnext_tiny", "efficientnet_b0", "lraspp_mobilenet_v3", "mobilenet_v3_large_4", "resnet50",
            "ssdlite320_mobilenet_v3"]
TURNS, STAYS = 120, 0.7


class Network:
    """A recorded graph, whose buffers are made and loaded in trace t."""

    def __init__(self, t, name, program=1):
        with open(os.path.join(GRAPHS, name + ".trace"), encoding="ascii") as file:
            loads, request = file.read().split("# a request\n")
        self.numbers = {}
        self.kernels = []
        for line in loads.splitlines():
            word = line.split()
            if word[0] == "n":
                self.numbers[word[1]] = t.made
                t.lines.append(f"n {t.made} {program} {word[3]}")
                t.made += 1
            elif word[0] != "#":
                t.lines.append(self.numbered(word))
        for kernel in request.split("b\n")[:-1]:
            self.kernels.append([self.numbered(line.split()) for line in kernel.splitlines()] + ["b"])

    def numbered(self, word):
        return word[0] if word[0] == "b" else f"t {self.numbers[word[1]]} {word[2]}"

    def run(self, t):
        for kernel in self.kernels:
            t.lines += kernel


def pipeline(rng):
    t = Trace()
    detector, classifier, mapper = (Network(t, n) for n in (
        "ssdlite320_mobilenet_v3", "mobilenet_v3_large_4", "lraspp_mobilenet_v3"))
    for _ in range(PICTURES):
        looks = -(-rng.randint(0, THINGS_MAX) // AT_ONCE)
        mapped = rng.random() < MAPS
        t.choice(looks * 2 + mapped)
        detector.run(t)
        for _ in range(looks):
            classifier.run(t)
        if mapped:
            mapper.run(t)
    return t


def arrivals(rng, share, length, count):
    """When requests come, in kernels; a network that runs alone takes `length`."""
    at, times = 0.0, []
    for _ in range(count):
        at += rng.expovariate(share / (length * len(SERVERS)))
        times.append(at)
    return times


def servers(rng):
    t = Trace()
    networks = [Network(t, name, program) for program, name in enumerate(SERVERS, 1)]
    waiting = [arrivals(rng, share, len(n.kernels), SERVED) for n, share in zip(networks, SERVERS.values())]
    running, now = [0] * len(networks), 0  # kernels of the request that is running
    while any(waiting):
        ready = [i for i, times in enumerate(waiting) if times and times[0] <= now]
        now += 1
        if not ready:
            continue
        i = rng.choice(ready)
        t.lines += networks[i].kernels[running[i]]
        running[i] += 1
        if running[i] == len(networks[i].kernels):
            running[i] = 0
            waiting[i].pop(0)
    return t


def turns(rng):
    t = Trace()
    networks = [Network(t, name) for name in TURNS_OF]
    asked = 0
    for _ in range(TURNS):
        if rng.random() >= STAYS:
            asked = rng.randrange(len(networks))
        networks[asked].run(t)
    return t


def write(folder, seed):
    """Paths of the traces, by name."""
    os.makedirs(folder, exist_ok=True)
    paths = {}
    for number, make in enumerate((pipeline, servers, turns)):
        name = "onnx_" + make.__name__
        paths[name] = os.path.join(folder, name + ".trace")
        with open(paths[name], "w", encoding="ascii") as file:
            file.write("\n".join(make(random.Random(seed * 3 + number)).lines) + "\n")
    return paths


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
