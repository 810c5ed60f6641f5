"""CIFAR-10 from binary records, synthetic stand-ins, and random crops."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import images
from images import mean_colour, unpacked

RECORD, SIDE, PAD = 3073, 32, 4


def _records(path):
    """The records of `path`, or of it compressed."""
    raw = unpacked(path)
    if len(raw) % RECORD:
        raise ValueError(f"{path} holds {len(raw)} bytes, not a multiple of {RECORD}")
    return np.frombuffer(raw, np.uint8).reshape(-1, RECORD)


def load_cifar(data_dir, names):
    """Return (images [n, 32, 32, 3] of bytes, labels [n]) of the named record files."""
    base = Path(data_dir) / "cifar10"
    rows = np.concatenate([_records(base / name) for name in names])
    pixels = torch.from_numpy(rows[:, 1:].reshape(-1, 3, SIDE, SIDE).copy()).permute(0, 2, 3, 1)
    return pixels.contiguous(), torch.from_numpy(rows[:, 0].astype(np.int64))


def train_set(data_dir):
    return load_cifar(data_dir, [f"data_batch_{k}.bin" for k in range(1, 6)])


def test_set(data_dir):
    return load_cifar(data_dir, ["test_batch.bin"])


def synthetic(count, seed):
    return images.synthetic(count, seed, 3, SIDE)


class Augmentation(images.Augmentation):
    """Random crops (padding 4) and flips of `prepared` images."""

    def __init__(self, wide, seed, epoch, mix, altered):
        self.padded = wide
        count = len(wide)
        gen = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        self.row = torch.randint(0, 2 * PAD + 1, (count,), generator=gen)
        self.col = torch.randint(0, 2 * PAD + 1, (count,), generator=gen)
        self.flip = torch.rand(count, generator=gen) < 0.5
        super().__init__(count, gen, mix, altered)

    def crop(self, index):
        """The crops of images `index`, as bytes [n, 32, 32, 3]."""
        side = torch.arange(SIDE)
        rows = self.row[index, None] + side
        cols = torch.where(self.flip[index, None], self.col[index, None] + side.flip(0), self.col[index, None] + side)
        return self.padded[index[:, None, None], rows[:, :, None], cols[:, None, :]]


def prepared(pixels, description):
    """Images with a border of four pixels in the mean colour: a black one would raise the contrast of dark
    crops beyond that of any image, and a network of quadratics explodes on one crop in twenty."""
    wide = F.pad(pixels, (0, 0, PAD, PAD, PAD, PAD))
    border = torch.ones(wide.shape[1:3], dtype=torch.bool)
    border[PAD:-PAD, PAD:-PAD] = False
    wide[:, border] = torch.tensor(mean_colour(description), dtype=torch.uint8)
    return wide
