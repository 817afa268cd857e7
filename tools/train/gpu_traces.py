#!/usr/bin/env python3
"""Makes touch traces of GPU buffers (the format: bench/gpu-replay/trace.h) of networks that are trained and run.

    gpu_traces.py FOLDER train|held [SEED]

Each network is walked through layer by layer as a framework would do it: a kernel a batch, activations kept for the
way back, gradients, an optimizer's state. `train` and `held` are different networks: the model of gpu_evict is trained on
the one group and judged on the other. Traces that were recorded from real programs lie in bench/gpu-traces.
"""
import os
import random
import sys

KIB = 1024


class Trace:
    """Buffers and the batches that name them."""

    def __init__(self, program=1):
        self.lines = []
        self.program = program
        self.made = 0

    def new(self, size):
        self.lines.append(f"n {self.made} {self.program} {max(int(size), 256)}")
        self.made += 1
        return self.made - 1

    def op(self, reads=(), writes=(), changes=()):
        """One kernel: what it reads, what it writes all of, what it reads and writes."""
        how = {}
        for buffer in changes:
            how[buffer] = "w"
        for buffer in reads:
            how.setdefault(buffer, "r")
        for buffer in writes:
            how[buffer] = "o" if buffer not in how else "w"
        order = list(dict.fromkeys([*reads, *changes, *writes]))
        self.lines += [f"t {buffer} {how[buffer]}" for buffer in order] + ["b"]

    def choice(self, sort):
        """Chance has chosen what is done until the next one."""
        self.lines.append(f"c {sort}")

    def free(self, *buffers):
        self.lines += [f"f {buffer}" for buffer in buffers]


class Layer:
    """A layer with weights and, when it is trained, their gradient and the optimizer's state."""

    def __init__(self, t, weights, states):
        self.weights = [t.new(size) for size in weights]
        self.grads = [t.new(size) for size in weights] if states is not None else []
        self.states = [[t.new(size) for _ in range(states)] for size in weights] if states else []
        for weight in self.weights:
            t.op(writes=[weight])
        for state in sum(self.states, []):
            t.op(writes=[state])

    def update(self, t):
        for i, weight in enumerate(self.weights):
            t.op(reads=[self.grads[i]], changes=[weight, *(self.states[i] if self.states else [])])


def train(t, weights, activations, steps, states=2, recompute=0, fresh=False, evaluate=0, clip=False):
    """weights: of each layer the sizes; activations: of each layer the size of what it gives. recompute: only each
    so-manieth activation is kept for the way back. fresh: activations are made and freed each step. evaluate: every
    so many steps a pass without a way back."""
    layers = [Layer(t, sizes, states) for sizes in weights]
    data = t.new(activations[0])
    acts = grads = None
    if not fresh:
        acts = [t.new(size) for size in activations]
        grads = [t.new(size) for size in activations]

    def forward(i, source, acts):
        t.op(reads=[source, *layers[i].weights], writes=[acts[i]])

    for step in range(steps):
        t.op(writes=[data])
        if fresh:
            acts = [None] * len(layers)
            grads = [None] * len(layers)
        for i in range(len(layers)):
            if fresh:
                acts[i] = t.new(activations[i])
            forward(i, acts[i - 1] if i else data, acts)
            if fresh and recompute and i and (i - 1) % recompute != recompute - 1:
                t.free(acts[i - 1])
                acts[i - 1] = None
        if evaluate and step % evaluate == evaluate - 1:
            if fresh:
                t.free(*[a for a in acts if a is not None])
            continue
        for i in reversed(range(len(layers))):
            if recompute and i and (fresh and acts[i - 1] is None or not fresh and (i - 1) % recompute != recompute - 1):
                start = max(j for j in range(-1, i) if j < 0 or j % recompute == recompute - 1)
                for j in range(start + 1, i):
                    if fresh:
                        acts[j] = t.new(activations[j])
                    if not fresh or acts[j] is not None:
                        forward(j, acts[j - 1] if j else data, acts)
            if fresh:
                grads[i] = t.new(activations[i])
                if i == len(layers) - 1:
                    t.op(reads=[acts[i]], writes=[grads[i]])
            elif i == len(layers) - 1:
                t.op(reads=[acts[i]], writes=[grads[i]])
            source = acts[i - 1] if i else data
            t.op(reads=[grads[i], source], writes=layers[i].grads)
            if i:
                if fresh:
                    grads[i - 1] = t.new(activations[i - 1])
                t.op(reads=[grads[i], *layers[i].weights], writes=[grads[i - 1]])
            if fresh:
                t.free(grads[i])
                if acts[i] is not None:
                    t.free(acts[i])
                grads[i] = acts[i] = None
        if clip:
            for layer in layers:
                t.op(reads=layer.grads)
        for layer in layers:
            layer.update(t)


def train_rnn(t, cells, weight, hidden, length, steps, states=2, seed=0):
    """Backpropagation through time: the weights of a cell are used at each of `length` time steps."""
    rng = random.Random(seed)
    layers = [Layer(t, [weight, hidden], states) for _ in range(cells)]
    acts = [[t.new(hidden) for _ in range(length)] for _ in range(cells)]
    grad = [t.new(hidden) for _ in range(cells)]
    data = t.new(hidden * length)
    for _ in range(steps):
        n = length if seed == 0 else rng.randint(length // 2, length)
        if seed:
            t.choice(n)
        t.op(writes=[data])
        for c in range(cells):
            for i in range(n):
                before = [acts[c][i - 1]] if i else []
                below = [acts[c - 1][i]] if c else [data]
                t.op(reads=[*before, *below, *layers[c].weights], writes=[acts[c][i]])
        for c in reversed(range(cells)):
            for i in reversed(range(n)):
                t.op(reads=[acts[c][i], *([acts[c][i - 1]] if i else []), *layers[c].weights],
                     changes=[grad[c], *layers[c].grads])
        for layer in layers:
            layer.update(t)


def infer(t, weights, activations, passes, rng=None, batches=(1,), exits=0.0, fresh=False):
    """Passes; rng: of changing batch sizes, and with a share of early exits in the middle."""
    layers = [Layer(t, sizes, None) for sizes in weights]
    sets = {n: None if fresh else [t.new(size * n) for size in activations] for n in batches}
    for _ in range(passes):
        n = rng.choice(batches) if rng else batches[0]
        acts = [None] * len(layers) if fresh else sets[n]
        last = len(layers)
        if rng and rng.random() < exits:
            last = rng.randint(len(layers) // 3, len(layers))
        if rng and not fresh:
            t.choice(n * 1000 + last)
        for i in range(last):
            if fresh:
                acts[i] = t.new(activations[i] * n)
            t.op(reads=[*([acts[i - 1]] if i else []), *layers[i].weights], writes=[acts[i]])
            if fresh and i:
                t.free(acts[i - 1])
        if fresh:
            t.free(acts[last - 1])


# ---- Networks ----

def mlp(widths, batch):
    weights = [[a * b * 4, b * 4] for a, b in zip(widths, widths[1:])]
    return weights, [b * batch * 4 for b in widths[1:]]


def convnet(stages, width, image, batch):
    """Stages of 3x3 convolutions; each halves the image and doubles the channels."""
    weights, acts = [], []
    channels = 3
    for stage, count in enumerate(stages):
        for _ in range(count):
            out = width << stage
            weights.append([channels * out * 9 * 4, out * 8])
            acts.append(out * (image >> stage) ** 2 * batch * 4)
            channels = out
    weights.append([channels * 1000 * 4])
    acts.append(1000 * batch * 4)
    return weights, acts


def transformer(blocks, d, tokens, vocabulary):
    weights, acts = [[vocabulary * d * 4]], [tokens * d * 4]
    for _ in range(blocks):
        weights += [[d * 8], [3 * d * d * 4, 3 * d * 4], [d * 16], [d * d * 4, d * 4], [d * 8],
                    [4 * d * d * 4, 4 * d * 4], [4 * d * d * 4, d * 4]]
        acts += [tokens * d * 4, 3 * tokens * d * 4, tokens * d * 4, tokens * d * 4, tokens * d * 4,
                 4 * tokens * d * 4, tokens * d * 4]
    weights.append([vocabulary * d * 4])
    acts.append(tokens * vocabulary)
    return weights, acts


def interleaved(seed, *traces):
    """Programs at once: batches in turn, by chance; numbers of buffers are made apart."""
    rng = random.Random(seed)
    queues, out, numbers = [], [], {}
    for program, trace in enumerate(traces, 1):
        chunk, chunks = [], []
        for line in trace.lines:
            word = line.split()
            if len(word) > 1:
                number = numbers.setdefault((program, word[1]), len(numbers))
                rest = [str(program), word[3]] if word[0] == "n" else word[2:]
                line = " ".join([word[0], str(number), *rest])
            chunk.append(line)
            if line == "b":
                chunks.append(chunk)
                chunk = []
        chunks.append(chunk)
        queues.append(chunks[::-1])
    while any(queues):
        queue = rng.choice([q for q in queues if q])
        out += queue.pop()
    joined = Trace()
    joined.lines = out
    return joined


# ---- Traces that no network makes ----

def random_touches(seed, buffers, touches, power=0.0, sizes=(64 * KIB,)):
    rng, t = random.Random(seed), Trace()
    ids = [t.new(rng.choice(sizes)) for _ in range(buffers)]
    shares = [1 / (i + 1) ** power for i in range(buffers)]
    rng.shuffle(shares)
    for buffer in rng.choices(ids, shares, k=touches):
        t.op(reads=[buffer]) if rng.random() < 0.7 else t.op(changes=[buffer])
    return t


def flips(seed, buffers, rounds):
    """The order is learned, then turned round or shuffled: what is expected last comes first."""
    rng, t = random.Random(seed), Trace()
    ids = [t.new(64 * KIB) for _ in range(buffers)]
    for number in range(rounds):
        for _ in range(rng.randint(2, 5)):
            for buffer in ids:
                t.op(changes=[buffer])
        ids.reverse() if number % 2 else rng.shuffle(ids)
    return t


def against(buffers, touches, share=0.6):
    """Whoever was seen to be kept least by a most-recently-used rule is asked for: back and forth over the edge of
    what fits, where keeping the old is wrong."""
    t = Trace()
    ids = [t.new(64 * KIB) for _ in range(buffers)]
    fits = int(buffers * share)
    for buffer in ids:
        t.op(changes=[buffer])
    at, n = 0, 0
    while n < touches:
        for i in range(fits):  # a window that fits into the quota, again and again, then moves on
            for _ in range(2):
                t.op(reads=[ids[(at + i) % buffers]])
                n += 1
        at += fits // 2 if n % 3 else fits
    return t


def windows(seed, buffers, touches):
    """LRU is right: what was touched last is touched next."""
    rng, t = random.Random(seed), Trace()
    ids = [t.new(rng.choice((16, 64, 256)) * KIB) for _ in range(buffers)]
    stack = ids[:]
    for _ in range(touches):
        depth = min(int(rng.expovariate(1 / (buffers * 0.25))), buffers - 1)
        buffer = stack.pop(depth)
        stack.insert(0, buffer)
        t.op(reads=[buffer]) if rng.random() < 0.5 else t.op(changes=[buffer])
    return t


# ---- The two groups ----

def made(function, *args, **named):
    t = Trace()
    function(t, *args, **named)
    return t


def group_train(seed):
    rng = random.Random(seed)
    return {
        "mlp_adam": made(train, *mlp([784, 1024, 512, 512, 10], 128), 24),
        "mlp_sgd": made(train, *mlp([256, 512, 512, 512, 512, 64], 64), 30, states=0),
        "conv_sgd": made(train, *convnet([2, 2, 2], 32, 32, 16), 20, states=1),
        "conv_fresh": made(train, *convnet([1, 2, 3], 16, 64, 8), 16, states=1, fresh=True),
        "transformer_adam": made(train, *transformer(4, 128, 256, 2000), 14),
        "transformer_recompute": made(train, *transformer(3, 192, 512, 1000), 12, recompute=7),
        "transformer_fresh": made(train, *transformer(2, 256, 128, 4000), 14, fresh=True, clip=True),
        "rnn": made(train_rnn, 2, 256 * KIB, 32 * KIB, 12, 12),
        "rnn_lengths": made(train_rnn, 1, 512 * KIB, 64 * KIB, 16, 16, seed=seed + 1),
        "train_evaluate": made(train, *convnet([2, 3], 24, 32, 16), 24, states=1, evaluate=4),
        "infer_mlp": made(infer, *mlp([1024] * 10, 4), 40),
        "infer_conv": made(infer, *convnet([2, 2, 3], 32, 64, 1), 30),
        "infer_batches": made(infer, *convnet([2, 2, 2], 32, 32, 1), 60, rng=rng, batches=(1, 2, 4, 8)),
        "infer_exits": made(infer, *transformer(3, 128, 64, 1000), 50, rng=rng, exits=0.3),
        "infer_fresh": made(infer, *transformer(2, 192, 64, 2000), 40, rng=rng, batches=(1, 4), fresh=True),
        "two_programs": interleaved(seed, made(infer, *mlp([512] * 12, 8), 40),
                                    made(train, *mlp([256, 512, 512, 10], 64), 20)),
        "random": random_touches(seed, 80, 6000),
        "zipf": random_touches(seed + 1, 120, 6000, 1.0, (16 * KIB, 64 * KIB, 256 * KIB)),
        "flips": flips(seed, 60, 20),
        "windows": windows(seed, 100, 6000),
    }


def group_held(seed):
    rng = random.Random(seed + 1000)
    return {
        "train_resnet": made(train, *convnet([3, 4, 6, 3], 64, 56, 8), 40, states=1),
        "train_vgg_adam": made(train, *convnet([2, 2, 3, 3], 48, 64, 8), 40),
        "train_gpt": made(train, *transformer(8, 256, 512, 8000), 30),
        "train_gpt_recompute": made(train, *transformer(6, 320, 1024, 4000), 30, recompute=7),
        "train_gpt_fresh": made(train, *transformer(6, 256, 384, 6000), 30, fresh=True),
        "train_wide_mlp": made(train, *mlp([2048, 2048, 1024, 2048, 512, 256, 10], 256), 60),
        "train_lstm": made(train_rnn, 3, 400 * KIB, 24 * KIB, 20, 30),
        "train_lstm_lengths": made(train_rnn, 2, 300 * KIB, 48 * KIB, 24, 40, seed=seed + 1001),
        "train_evaluate": made(train, *convnet([2, 2, 2, 2], 32, 64, 8), 50, states=2, evaluate=5),
        "infer_resnet": made(infer, *convnet([3, 4, 6, 3], 64, 56, 1), 60),
        "infer_gpt": made(infer, *transformer(12, 256, 64, 8000), 60),
        "infer_batches": made(infer, *convnet([3, 3, 3], 48, 48, 1), 150, rng=rng, batches=(1, 3, 6)),
        "infer_exits": made(infer, *transformer(8, 192, 64, 3000), 80, rng=rng, exits=0.5),
        "infer_fresh": made(infer, *transformer(6, 192, 64, 3000), 60, rng=rng, batches=(1, 2, 8), fresh=True),
        "two_servers": interleaved(seed + 5, made(infer, *convnet([2, 3, 3], 48, 56, 1), 100),
                                   made(infer, *transformer(4, 192, 64, 2000), 60)),
        "serve_and_train": interleaved(seed + 6, made(infer, *mlp([1024] * 8, 16), 150),
                                       made(train, *convnet([2, 2], 32, 32, 8), 40, states=1)),
        "random_even": random_touches(seed + 1000, 100, 10000),
        "random_zipf": random_touches(seed + 1001, 150, 10000, 0.8, (8 * KIB, 64 * KIB, 512 * KIB)),
        "adverse_flips": flips(seed + 1002, 80, 30),
        "adverse_edge": against(100, 10000),
        "adverse_windows": windows(seed + 1003, 120, 10000),
    }


def write(folder, group, seed):
    os.makedirs(folder, exist_ok=True)
    traces = {"train": group_train, "held": group_held}[group](seed)
    for name, trace in traces.items():
        with open(os.path.join(folder, name + ".trace"), "w", encoding="ascii") as file:
            file.write("\n".join(trace.lines) + "\n")
    return sorted(os.path.join(folder, name + ".trace") for name in traces)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[2] not in ("train", "held"):
        sys.exit(__doc__)
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
