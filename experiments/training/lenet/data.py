"""MNIST and synthetic stand-in digits in [0, 1], and light augmentation."""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

# Behind this folder, whose modules come first.
sys.path.append(str(Path(__file__).resolve().parents[1]))
import mnist

MEAN, STD = 0.1307, 0.3081


def _floats(pixels, labels):
    """(images in [0, 1] as [n, 1, 28, 28], labels) of bytes as [n, 28, 28, 1]."""
    return pixels.permute(0, 3, 1, 2).float() / 255, labels


def load_mnist(data_dir, split):
    """Return (images in [0, 1] as [n, 1, 28, 28], labels) of `split`: train or t10k."""
    return _floats(*mnist.load_mnist(data_dir, split))


def synthetic_digits(count, seed):
    """Return seeded random stand-ins for MNIST, of the same form; accuracy on them means nothing."""
    return _floats(*mnist.synthetic(count, seed))


def normalise(pixels):
    """Map pixels in [0, 1] to the network's input."""
    return (pixels - MEAN) / STD


def augment(pixels, gen, degrees=10.0, shift=2.0, scale=0.1, light=0.15):
    """Return randomly rotated, shifted, scaled and brightened copies of a batch."""

    def uniform(limit):
        return (2 * torch.rand(len(pixels), generator=gen) - 1) * limit

    angle, size = uniform(degrees * math.pi / 180), 1 + uniform(scale)
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    dx, dy = uniform(shift * 2 / 28), uniform(shift * 2 / 28)
    theta = torch.stack([cos, -sin, dx, sin, cos, dy], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, pixels.shape, align_corners=False)
    moved = F.grid_sample(pixels, grid, align_corners=False)
    return moved * (1 + uniform(light)).view(-1, 1, 1, 1)
