"""CIFAR-10 from binary records, synthetic stand-ins, and augmentation fixed by seed and epoch."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

RECORD, SIDE, PAD = 3073, 32, 4
BRIGHT, DARK = 1.3, 0.7  # factors of brighter and darker copies
NOISE = 0.05  # standard deviation of the noise on noisy copies, in pixels of [0, 1]


def _records(path):
    """The bytes of `path`, or of it compressed as .xz or .gz."""
    for suffix, unpack in (("", bytes), (".xz", lzma.decompress), (".gz", gzip.decompress)):
        file = path.with_name(path.name + suffix)
        if file.exists():
            raw = unpack(file.read_bytes())
            if len(raw) % RECORD:
                raise ValueError(f"{file} holds {len(raw)} bytes, not a multiple of {RECORD}")
            return np.frombuffer(raw, np.uint8).reshape(-1, RECORD)
    raise FileNotFoundError(f"no {path} (nor .xz, .gz)")


def load_cifar(data_dir, names):
    """Return (images [n, 32, 32, 3] of bytes, labels [n]) of the named record files."""
    base = Path(data_dir) / "cifar10"
    rows = np.concatenate([_records(base / name) for name in names])
    images = torch.from_numpy(rows[:, 1:].reshape(-1, 3, SIDE, SIDE).copy()).permute(0, 2, 3, 1)
    return images.contiguous(), torch.from_numpy(rows[:, 0].astype(np.int64))


def train_set(data_dir):
    return load_cifar(data_dir, [f"data_batch_{k}.bin" for k in range(1, 6)])


def test_set(data_dir):
    return load_cifar(data_dir, ["test_batch.bin"])


def synthetic(count, seed):
    """Seeded stand-ins: ten smooth templates plus noise. Accuracy on them means nothing."""
    templates = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    templates = F.interpolate(templates, size=SIDE, mode="bilinear", align_corners=False)
    gen = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=gen)
    pixels = templates[labels] + 0.2 * torch.randn(count, 3, SIDE, SIDE, generator=gen)
    return (pixels.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous(), labels


class Augmentation:
    """Random crops (padding 4) and flips of one epoch; they depend on seed, epoch and image alone. A share `mix` of them
    is mixed with another image's.

    So a teacher's answers to an epoch can be kept and used by every network trained on it.
    A share of the images is also made brighter or darker, and half as many noisy: see `lit`.
    """

    def __init__(self, images, seed, epoch, mix, altered):
        self.padded = images
        count = len(images)
        gen = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        self.row = torch.randint(0, 2 * PAD + 1, (count,), generator=gen)
        self.col = torch.randint(0, 2 * PAD + 1, (count,), generator=gen)
        self.flip = torch.rand(count, generator=gen) < 0.5
        chosen = torch.rand(count, generator=gen) < altered
        self.light = torch.where(chosen, 0.6 + 0.8 * torch.rand(count, generator=gen), torch.ones(count))
        self.push = torch.where(chosen, 1 + 0.3 * torch.rand(count, generator=gen), torch.ones(count))
        self.noisy = torch.rand(count, generator=gen) < altered / 2
        self.altered = chosen | self.noisy
        mixed = torch.rand(count, generator=gen) < mix
        self.own = torch.where(mixed, 0.5 + 0.5 * torch.rand(count, generator=gen), torch.ones(count))
        self.other = torch.randperm(count, generator=gen)
        self.gen = gen

    def crop(self, index):
        """The crops of images `index`, as bytes [n, 32, 32, 3]."""
        side = torch.arange(SIDE)
        rows = self.row[index, None] + side
        cols = torch.where(self.flip[index, None], self.col[index, None] + side.flip(0), self.col[index, None] + side)
        return self.padded[index[:, None, None], rows[:, :, None], cols[:, None, :]]

    def pixels(self, index):
        """The crops in [0, 1], mixed where the epoch says so."""
        pixels = self.crop(index).float() / 255
        rows = (self.own[index] < 1).nonzero().flatten()
        if len(rows):
            other = self.crop(self.other[index[rows]]).float() / 255
            pixels[rows] = other.lerp(pixels[rows], self.own[index[rows]].view(-1, 1, 1, 1))
        return pixels

    def lit(self, index, pixels):
        """Pixels in [0, 1] with the light changed by a factor of 0.6 to 1.4, or with noise, on some images."""
        pixels = pixels * self.light[index].view(-1, 1, 1, 1)
        rows = self.noisy[index].nonzero().flatten()
        if len(rows):
            noise = torch.randn(pixels[rows].shape, generator=self.gen)
            pixels[rows] += NOISE * noise
        return pixels.clamp_(0, 1)

    def pushed(self, index, x):
        """Network inputs with the contrast of the images whose light was changed raised by up to 1.3: further than
        the description's limit, so that the network's range is trained with a margin."""
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (x - mean) * self.push[index].view(-1, 1, 1, 1)


def padded(images, description):
    """Images with a border of four pixels in the mean colour: a black one would raise the contrast of dark
    crops beyond that of any image, and a network of quadratics explodes on one crop in twenty."""
    wide = F.pad(images, (0, 0, PAD, PAD, PAD, PAD))
    border = torch.ones(wide.shape[1:3], dtype=torch.bool)
    border[PAD:-PAD, PAD:-PAD] = False
    wide[:, border] = torch.tensor(mean_colour(description), dtype=torch.uint8)
    return wide


def mean_colour(description):
    """The mean pixel that a network's inputs are normalised by, in bytes."""
    return [round(255 * mean) for mean in description.mean]


def normalise(pixels, description):
    """Map pixels in [0, 1], [n, 32, 32, 3], to the network's input [n, 3, 32, 32] (channels last).

    Images whose pixels deviate more than `contrast` from their mean (root mean square over all
    channels) are brought to it first.
    """
    if description.contrast:
        mean = pixels.mean((1, 2, 3), keepdim=True)
        deviation = (pixels - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
        pixels = mean + (pixels - mean) * (description.contrast / deviation.clamp(min=description.contrast))
    x = (pixels - torch.tensor(description.mean)) / torch.tensor(description.std)
    return x.permute(0, 3, 1, 2)
