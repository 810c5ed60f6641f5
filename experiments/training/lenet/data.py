"""MNIST from gzip IDX files, synthetic stand-in digits, and light augmentation."""

import gzip
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

MEAN, STD = 0.1307, 0.3081


def _read_idx(path):
    """Return the unsigned-byte array held in a gzip-compressed IDX file."""
    raw = gzip.decompress(Path(path).read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def load_mnist(data_dir, split):
    """Return (images in [0, 1] as [n, 1, 28, 28], labels) of `split`: train or t10k."""
    base = Path(data_dir) / "mnist"
    images = _read_idx(base / f"{split}-images-idx3-ubyte.gz")
    labels = _read_idx(base / f"{split}-labels-idx1-ubyte.gz")
    pixels = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return pixels, torch.from_numpy(labels.astype(np.int64))


def synthetic_digits(count, seed):
    """Return seeded random stand-ins for MNIST: ten smooth templates plus noise.

    They only exercise the training code; accuracy on them means nothing.
    """
    templates = torch.rand(10, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    templates = F.interpolate(templates, size=28, mode="bilinear", align_corners=False)
    gen = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=gen)
    noise = 0.2 * torch.randn(count, 1, 28, 28, generator=gen)
    return (templates[labels] + noise).clamp(0, 1), labels


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
