"""Images as networks read them: normalisation, and alterations fixed by seed and epoch."""

import gzip
import lzma

import torch
import torch.nn.functional as F

BRIGHT, DARK = 1.3, 0.7  # factors of brighter and darker copies
NOISE = 0.05  # standard deviation of the noise on noisy copies, in pixels of [0, 1]


def unpacked(path):
    """The bytes of `path`, or of it compressed as .xz or .gz."""
    for suffix, unpack in (("", bytes), (".xz", lzma.decompress), (".gz", gzip.decompress)):
        file = path.with_name(path.name + suffix)
        if file.exists():
            return unpack(file.read_bytes())
    raise FileNotFoundError(f"no {path} (nor .xz, .gz)")


def synthetic(count, seed, channels, side):
    """Seeded stand-ins (images [n, side, side, channels] of bytes, labels [n]): ten smooth templates plus noise. Accuracy on
    them means nothing."""
    templates = torch.rand(10, channels, side // 4, side // 4, generator=torch.Generator().manual_seed(0))
    templates = F.interpolate(templates, size=side, mode="bilinear", align_corners=False)
    gen = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=gen)
    pixels = templates[labels] + 0.2 * torch.randn(count, channels, side, side, generator=gen)
    return (pixels.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous(), labels


class Augmentation:
    """One epoch's copies of the images, by `crop` of a data set; they depend on seed, epoch and image alone. A share `mix` of
    them is mixed with another image's.

    So a teacher's answers to an epoch can be kept and used by every network trained on it.
    A share `altered` of the images is also made brighter or darker, and half as many noisy: see `lit`.
    """

    def __init__(self, count, gen, mix, altered):
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
        """The copies of images `index`, 0 to 255, [n, h, w, channels]."""
        raise NotImplementedError

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


def mean_colour(description):
    """The mean pixel that a network's inputs are normalised by, in bytes."""
    return [round(255 * mean) for mean in description.mean]


def normalise(pixels, description):
    """Map pixels in [0, 1], [n, h, w, channels], to the network's input [n, channels, h, w] (channels last).

    Images whose pixels deviate more than `contrast` from their mean (root mean square over all
    channels) are brought to it first.
    """
    if description.contrast:
        mean = pixels.mean((1, 2, 3), keepdim=True)
        deviation = (pixels - mean).square().mean((1, 2, 3), keepdim=True).sqrt()
        pixels = mean + (pixels - mean) * (description.contrast / deviation.clamp(min=description.contrast))
    x = (pixels - torch.tensor(description.mean)) / torch.tensor(description.std)
    return x.permute(0, 3, 1, 2)
