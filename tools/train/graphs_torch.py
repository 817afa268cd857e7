#!/usr/bin/python3
"""Exports networks of torchvision with torch.onnx, for tools/train/gpu_walk.py: published architectures with weights by
chance, for only sizes and order matter there.

usage: graphs_torch.py OUTPUT_FOLDER

Needs Debian's python3-torch, python3-torchvision and python3-onnx; what was made of its output is committed in
bench/gpu-traces/graphs, so that nobody needs them for a measurement.
"""
import os
import sys

import torch
from torch import nn
from torch.nn import functional
from torchvision import models
from torchvision.models import detection, segmentation

OPSET = 13


class Detector(nn.Module):
    """What runs on the device: the choice among the boxes is the processor's."""

    def __init__(self, whole):
        super().__init__()
        self.backbone, self.head = whole.backbone, whole.head

    def forward(self, image):
        found = self.head(list(self.backbone(image).values()))
        return found["bbox_regression"], found["cls_logits"]


def interpolate_by_factors(values, size, plain=functional.interpolate, **how):
    """To the same sizes, but by numbers: else the graph would reckon sizes anew for each request."""
    factors = [(int(to) + 0.01) / int(now) for to, now in zip(size, values.shape[-2:])]
    return plain(values, scale_factor=factors, **how)


class Segmenter(nn.Module):
    def __init__(self, whole):
        super().__init__()
        self.whole = whole

    def forward(self, image):
        return self.whole(image)["out"]


# Name: the network, and the shape of its input. Crops of a picture go through a classifier four at a time.
NETWORKS = {
    "ssdlite320_mobilenet_v3": (lambda: Detector(detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None)), (1, 3, 320, 320)),
    "mobilenet_v3_large_4": (lambda: models.mobilenet_v3_large(weights=None), (4, 3, 224, 224)),
    "lraspp_mobilenet_v3": (lambda: Segmenter(segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None)), (1, 3, 520, 520)),
    "resnet50": (lambda: models.resnet50(weights=None), (1, 3, 224, 224)),
    "convnext_tiny": (lambda: models.convnext_tiny(weights=None), (1, 3, 224, 224)),
    "efficientnet_b0": (lambda: models.efficientnet_b0(weights=None), (1, 3, 224, 224)),
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.makedirs(sys.argv[1], exist_ok=True)
    torch.manual_seed(0)
    functional.interpolate = interpolate_by_factors
    for name, (make, shape) in NETWORKS.items():
        torch.onnx.export(make().eval(), torch.zeros(shape), f"{sys.argv[1]}/{name}.onnx", opset_version=OPSET)
        print(name)


if __name__ == "__main__":
    main()
