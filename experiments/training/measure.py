"""What a stored network does on images: its accuracy, and how large its activations' inputs become."""

import math

import torch

from fold import plain_forward
from images import BRIGHT, DARK, NOISE, normalise
from mixed import mixed

BATCH = 250
BOUND_LIMIT = 32.0
MARGIN = 1.2  # of a recorded bound over the largest value seen


def _batches(description, pixels):
    for part in pixels.split(BATCH) if len(pixels) else ():
        x = part.float() / 255 if part.dtype == torch.uint8 else part
        yield normalise(x, description).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(description, tensors, images, labels):
    """The share of images classified correctly, in float32."""
    right = 0
    for x, y in zip(_batches(description, images), labels.split(BATCH)):
        right += (plain_forward(description, tensors, x).argmax(1) == y).sum().item()
    return right / len(labels)


def altered(images):
    """(name, pixels in [0, 1]) of the copies that ranges are also measured on."""
    pixels = images.float() / 255
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    yield "test, brighter", (BRIGHT * pixels).clamp(0, 1)
    yield "test, darker", DARK * pixels
    yield "test, with noise", (pixels + NOISE * noise).clamp(0, 1)


@torch.no_grad()
def largest_values(description, tensors, train, test):
    """(largest |input| of each activation by name, largest |logit|): over all training images, all test images and
    altered copies of these. But for the test images, convolutions are in bfloat16 where the CPU has it, which moves the largest values by
    less than a hundredth."""
    largest = {layer.name: 0.0 for layer in description.activations()}
    output = [0.0]

    def peak(x):
        value = x.abs().amax().item()
        return math.inf if math.isnan(value) else value

    def note(layer, x, _):
        if layer.kind == "activation":
            largest[layer.name] = max(largest[layer.name], peak(x))

    for name, pixels in (("train", train), ("test", test), *altered(test)):
        for x in _batches(description, pixels):
            with mixed(enabled=name != "test"):
                output[0] = max(output[0], peak(plain_forward(description, tensors, x, note)))
    return largest, output[0]


def rounded_up(largest):
    """A value with the margin, in halves."""
    return math.ceil(2 * MARGIN * largest) / 2 if math.isfinite(largest) else None


def to_halve(description, largest):
    """The activations whose inputs must be half as large to stay within the limit, where that is the file's to choose."""
    scaled = [description.activation_alone(linear) for linear in description.linear()]
    return [layer.name for layer in scaled if layer and BOUND_LIMIT < largest[layer.name] <= 2 * BOUND_LIMIT]


def bound(largest):
    """The bound recorded for an activation: the largest value with a margin, in halves, at most 32; or None."""
    if largest > BOUND_LIMIT:
        return None
    return min(BOUND_LIMIT, rounded_up(largest))
