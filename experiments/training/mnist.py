"""MNIST from IDX files, synthetic stand-ins, and random motion."""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import images
from images import unpacked

SIDE = 28
DEGREES, SHIFT, SCALE = 10.0, 2.0, 0.1  # most that a digit is turned, moved (pixels) and made larger or smaller


def _idx(path):
    """The unsigned-byte array of an IDX file, plain or compressed."""
    raw = unpacked(path)
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is not an IDX file of unsigned bytes")
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def load_mnist(data_dir, split):
    """Return (images [n, 28, 28, 1] of bytes, labels [n]) of `split`: train or t10k."""
    base = Path(data_dir) / "mnist"
    pixels, labels = _idx(base / f"{split}-images-idx3-ubyte"), _idx(base / f"{split}-labels-idx1-ubyte")
    return torch.from_numpy(pixels.copy()).unsqueeze(3), torch.from_numpy(labels.astype(np.int64))


def train_set(data_dir):
    return load_mnist(data_dir, "train")


def test_set(data_dir):
    return load_mnist(data_dir, "t10k")


def synthetic(count, seed):
    return images.synthetic(count, seed, 1, SIDE)


class Augmentation(images.Augmentation):
    """Digits turned, moved, and made larger or smaller."""

    def __init__(self, pixels, seed, epoch, mix, altered):
        self.digits = pixels
        count = len(pixels)
        gen = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        uniform = lambda limit: (2 * torch.rand(count, generator=gen) - 1) * limit
        angle, size = uniform(DEGREES * math.pi / 180), 1 + uniform(SCALE)
        cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
        dx, dy = uniform(2 * SHIFT / SIDE), uniform(2 * SHIFT / SIDE)
        self.motion = torch.stack([cos, -sin, dx, sin, cos, dy], 1).view(-1, 2, 3)
        super().__init__(count, gen, mix, altered)

    def crop(self, index):
        """The moved digits of images `index`, 0 to 255, [n, 28, 28, 1]."""
        digits = self.digits[index].float().permute(0, 3, 1, 2)
        grid = F.affine_grid(self.motion[index], digits.shape, align_corners=False)
        return F.grid_sample(digits, grid, align_corners=False).permute(0, 2, 3, 1)


def prepared(pixels, _):
    """Images as they are: around a digit there is nothing."""
    return pixels
