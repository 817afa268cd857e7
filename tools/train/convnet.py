"""A small convolutional net for 8x8 images in plain numpy: forward, gradients, Adam.

conv 3x3 (1 -> C1), relu; conv 3x3 (C1 -> C2), relu; max pool 2x2; dense -> 10; softmax.

All arithmetic is in float64, so that another BLAS or another processor gives the same net but for
the last digits; weights are rounded to float32 only when they are written. Images are arrays of
[image][y][x][channel] here; `export` turns the weights into the [channel][y][x] order of the
program that runs the net.
"""

import numpy as np

SIZE = 8
POOLED = SIZE // 2
CLASSES = 10


def patches(images):
    """[n][8][8][c] -> [n * 64][9 * c]: each pixel's 3x3 neighbourhood, zeros outside."""
    n, _, _, channels = images.shape
    padded = np.zeros((n, SIZE + 2, SIZE + 2, channels))
    padded[:, 1:-1, 1:-1] = images
    out = np.empty((n, SIZE, SIZE, 9, channels))
    for tap in range(9):
        y, x = divmod(tap, 3)
        out[:, :, :, tap] = padded[:, y : y + SIZE, x : x + SIZE]
    return out.reshape(n * SIZE * SIZE, 9 * channels)


def patches_gradient(grad, n, channels):
    """The transpose of `patches`: adds each neighbourhood's gradient back to its pixels."""
    grad = grad.reshape(n, SIZE, SIZE, 9, channels)
    padded = np.zeros((n, SIZE + 2, SIZE + 2, channels))
    for tap in range(9):
        y, x = divmod(tap, 3)
        padded[:, y : y + SIZE, x : x + SIZE] += grad[:, :, :, tap]
    return padded[:, 1:-1, 1:-1]


class ConvNet:
    def __init__(self, random, channels1, channels2):
        features = POOLED * POOLED * channels2
        self.shape = (channels1, channels2)
        self.params = {
            "conv1.weight": random.normal(0, np.sqrt(2 / 9), (9, channels1)),
            "conv1.bias": np.zeros(channels1),
            "conv2.weight": random.normal(0, np.sqrt(2 / (9 * channels1)), (9 * channels1, channels2)),
            "conv2.bias": np.zeros(channels2),
            "dense.weight": random.normal(0, np.sqrt(1 / features), (features, CLASSES)),
            "dense.bias": np.zeros(CLASSES),
        }
        self.moment1 = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.moment2 = {name: np.zeros_like(value) for name, value in self.params.items()}
        self.steps = 0

    def forward(self, images):
        """Probabilities of [n][8][8] images in 0..1, and what `gradients` needs of the way there."""
        p = self.params
        n = len(images)
        channels1, channels2 = self.shape
        in1 = patches(images[..., np.newaxis])
        out1 = np.maximum(in1 @ p["conv1.weight"] + p["conv1.bias"], 0)
        in2 = patches(out1.reshape(n, SIZE, SIZE, channels1))
        out2 = np.maximum(in2 @ p["conv2.weight"] + p["conv2.bias"], 0)
        blocks = out2.reshape(n, POOLED, 2, POOLED, 2, channels2)
        pooled = blocks.max(axis=(2, 4))
        features = pooled.reshape(n, -1)
        scores = features @ p["dense.weight"] + p["dense.bias"]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = scores / scores.sum(axis=1, keepdims=True)
        return probabilities, (in1, out1, in2, out2, blocks, pooled, features)

    def gradients(self, images, labels, smoothing):
        """Gradients of the mean cross-entropy against labels smoothed by `smoothing`."""
        p = self.params
        n = len(images)
        probabilities, (in1, out1, in2, out2, blocks, pooled, features) = self.forward(images)
        target = np.full((n, CLASSES), smoothing / CLASSES)
        target[np.arange(n), labels] += 1 - smoothing
        d_scores = (probabilities - target) / n
        d_pooled = (d_scores @ p["dense.weight"].T).reshape(pooled.shape)
        winners = blocks == pooled[:, :, np.newaxis, :, np.newaxis]
        d_blocks = winners * d_pooled[:, :, np.newaxis, :, np.newaxis]
        d_out2 = d_blocks.reshape(out2.shape) * (out2 > 0)
        d_in2 = d_out2 @ p["conv2.weight"].T
        d_out1 = patches_gradient(d_in2, n, self.shape[0]).reshape(out1.shape) * (out1 > 0)
        return {
            "conv1.weight": in1.T @ d_out1,
            "conv1.bias": d_out1.sum(axis=0),
            "conv2.weight": in2.T @ d_out2,
            "conv2.bias": d_out2.sum(axis=0),
            "dense.weight": features.T @ d_scores,
            "dense.bias": d_scores.sum(axis=0),
        }

    def step(self, gradients, rate, decay):
        """One step of Adam (Kingma and Ba 2015) with decoupled weight decay."""
        self.steps += 1
        for name, gradient in gradients.items():
            m, v = self.moment1[name], self.moment2[name]
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient * gradient - v)
            direction = (m / (1 - 0.9**self.steps)) / (np.sqrt(v / (1 - 0.999**self.steps)) + 1e-8)
            if name.endswith("weight"):
                direction = direction + decay * self.params[name]
            self.params[name] -= rate * direction

    def predict(self, images):
        return self.forward(images)[0].argmax(axis=1)

    def export(self):
        """The weights as float32: convolutions [out][in][3][3], dense [class][channel * y * x]."""
        p = self.params
        channels1, channels2 = self.shape
        dense = p["dense.weight"].reshape(POOLED, POOLED, channels2, CLASSES)
        arrays = {
            "conv1.weight": p["conv1.weight"].reshape(3, 3, 1, channels1).transpose(3, 2, 0, 1),
            "conv1.bias": p["conv1.bias"],
            "conv2.weight": p["conv2.weight"].reshape(3, 3, channels1, channels2).transpose(3, 2, 0, 1),
            "conv2.bias": p["conv2.bias"],
            "dense.weight": dense.transpose(3, 2, 0, 1).reshape(CLASSES, -1),
            "dense.bias": p["dense.bias"],
        }
        return {name: np.ascontiguousarray(array, "<f4") for name, array in arrays.items()}

    def load(self, arrays):
        """The opposite of `export`, for a net of the same shape."""
        channels1, channels2 = self.shape
        dense = arrays["dense.weight"].reshape(CLASSES, channels2, POOLED, POOLED)
        self.params = {
            "conv1.weight": arrays["conv1.weight"].transpose(2, 3, 1, 0).reshape(9, channels1),
            "conv1.bias": arrays["conv1.bias"],
            "conv2.weight": arrays["conv2.weight"].transpose(2, 3, 1, 0).reshape(-1, channels2),
            "conv2.bias": arrays["conv2.bias"],
            "dense.weight": dense.transpose(2, 3, 1, 0).reshape(-1, CLASSES),
            "dense.bias": arrays["dense.bias"],
        }
        self.params = {name: array.astype("f8") for name, array in self.params.items()}
