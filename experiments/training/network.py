"""The torch network of a description, with normalised quadratic activations.

An activation is a/sqrt(2) (z^2 - 1) + b z + c per channel, with z the batch-normalised input: the
Hermite basis of AESPA (arXiv 2201.06699), with one normalisation in place of two. In training inputs
are clamped, so that an image on which the network would grow without bound cannot spoil a step, and
what exceeds a limit is penalised. Out of training nothing is clamped.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from cyclic import CyclicLinear
from normalised import EPSILON, average_pool, normalised_quadratic
from units import shuffle_order
from walk import walk

CLAMP, WIDE_CLAMP = 10.0, 32.0  # in standard deviations; the latter once statistics are fixed
HERMITE = (1 / math.sqrt(4 * math.pi), 0.5, 1 / math.sqrt(2 * math.pi))  # of ReLU: a, b, c
MOMENTUM = 0.1  # of running statistics
FURTHEST_MEAN = 8.0  # of an activation's inputs, in units of what they are scaled by
LEAST_CURVATURE = 0.09  # of |a| / |b|: completing the square divides by a, and this keeps the quotient below 8


class Statistics(nn.Module):
    """Running mean and (unbiased) variance of a normalisation."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = EPSILON
        self.momentum, self.fixed = MOMENTUM, False

    @property
    def clamp(self):
        """With fixed statistics nothing can be spoilt, and what a lower clamp hides is what makes a network explode."""
        return WIDE_CLAMP if self.fixed else CLAMP


class Quadratic(nn.Module):
    """One quadratic per channel, in the basis described above.

    A centred one has no constant, so that the mean of its results is zero, and with it that of the layer's that reads
    them. Else the results of a channel may lie a hundred deviations from zero: bfloat16 does not resolve them, and the
    running mean lags behind by several deviations.
    """

    def __init__(self, channels, centred):
        super().__init__()
        self.norm = Statistics(channels)
        self.coeffs = nn.Parameter(torch.tensor(HERMITE).view(3, 1).repeat(1, channels))
        self.centred = centred
        self.project()

    def forward(self, x):
        """Return (result, peak of each image: see `normalised_quadratic`)."""
        a, b, c = self.coeffs
        a = a / math.sqrt(2)
        return normalised_quadratic(x, torch.stack([a, b, c - a]), self.norm, self.training, self.norm.clamp)

    @torch.no_grad()
    def project(self):
        """Keep every |a| at `LEAST_CURVATURE` of |b| or above, with its sign, and a centred quadratic centred."""
        a, b, c = self.coeffs
        sign = torch.where(a < 0, -1.0, 1.0)
        a.copy_(sign * torch.maximum(a.abs(), LEAST_CURVATURE * b.abs() + 1e-4))
        if self.centred:
            c.zero_()

    @torch.no_grad()
    def polynomial(self, unit):
        """Return ([3, C] coefficients of x^2, x, 1; factor [C] that x must be multiplied with first).

        With `unit`, the input is brought to unit variance by that factor, or to less where its mean would then lie
        beyond `FURTHEST_MEAN`: a channel that hardly varies would have large inputs on every image. Else it is one.
        """
        deviation = (self.norm.running_var.double() + self.norm.eps).sqrt()
        reach = torch.maximum(deviation, self.norm.running_mean.double().abs() / FURTHEST_MEAN)
        factor = 1 / reach if unit else torch.ones_like(deviation)
        scale, mean = 1 / (deviation * factor), self.norm.running_mean.double() / deviation
        a, b, c = self.coeffs.double()
        a = a / math.sqrt(2)
        # z = scale * x - mean
        square = a * scale * scale
        linear = scale * (b - 2 * a * mean)
        constant = a * mean * mean - b * mean + c - a
        return torch.stack([square, linear, constant]), factor


class Affine(nn.Module):
    """Batch norm: the quadratic without its square, on the same operation."""

    def __init__(self, channels):
        super().__init__()
        self.norm = Statistics(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        coeffs = torch.stack([torch.zeros_like(self.weight), self.weight, self.bias])
        return normalised_quadratic(x, coeffs, self.norm, self.training, self.norm.clamp)[0]


class Convolution(nn.Module):
    """A convolution; with `shuffle`, its inputs are permuted first; with a bias, batch norm stands for it."""

    def __init__(self, layer, shuffle):
        super().__init__()
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups
        self.weight = nn.Parameter(torch.empty(layer.weight_shape))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.affine = Affine(layer.shape_out[0]) if layer.bias else None
        order = shuffle_order(layer.shape_in[0], layer.groups) if shuffle else None
        self.register_buffer("order", order)

    def forward(self, x):
        if self.order is not None:
            x = x[:, self.order]
        y = F.conv2d(x, self.weight, None, self.stride, self.padding, groups=self.groups)
        return y if self.affine is None else self.affine(y)


class Network(nn.Module):
    """A description made trainable; `dropout` gives rates by layer name, applied to its result, and `cyclic` the
    patterns of the fully connected layers that have one."""

    def __init__(self, description, shuffled=(), dropout=None, cyclic=None):
        super().__init__()
        self.description = description
        self.dropout, cyclic = dropout or {}, cyclic or {}
        self.parts = nn.ModuleDict()
        for layer in description.layers:
            part = None
            if layer.kind == "conv":
                part = Convolution(layer, layer.name in shuffled)
            elif layer.name in cyclic:
                part = CyclicLinear(cyclic[layer.name], layer.bias)
            elif layer.kind == "fc":
                part = nn.Linear(layer.weight_shape[1], layer.weight_shape[0], bias=layer.bias)
            elif layer.kind == "activation":
                part = Quadratic(layer.shape_in[0], description.constant_is_lost(layer))
            if part is not None:
                self.parts[key(layer.name)] = part

    def fix_statistics(self):
        """Train on with the statistics as they are: a batch has no say in them. Nothing is dropped any more."""
        self.dropout = {}
        for part in self.statistics():
            part.fixed = True

    @torch.no_grad()
    def measure(self, batches):
        """Take the statistics anew, as means over batches of inputs."""
        for number, x in enumerate(batches):
            for part in self.statistics():
                part.momentum = 1 / (number + 1)
            self(x)
        for part in self.statistics():
            part.momentum = MOMENTUM

    def settle(self, batches):
        """Take the statistics anew and fix them."""
        self.dropout = {}
        self.measure(batches)
        self.fix_statistics()

    def project(self):
        """Bring every quadratic to what it must be: see `Quadratic.project`."""
        for _, quadratic in self.quadratics():
            quadratic.project()

    def statistics(self):
        return [part for part in self.modules() if isinstance(part, Statistics)]

    def part(self, name):
        return self.parts[key(name)]

    def quadratics(self):
        """(name, module) of every activation, in order."""
        return [(layer.name, self.part(layer.name)) for layer in self.description.activations()]

    def forward(self, x):
        """Return (logits [n, classes], peaks [activations, n])."""
        peaks = []

        def compute(layer, x):
            if layer.kind != "activation":
                return self.part(layer.name)(x)
            flat = x.dim() == 2
            y, peak = self.part(layer.name)(x[:, :, None, None] if flat else x)
            peaks.append(peak)
            return y.flatten(1) if flat else y

        def drop(layer, _, y):
            return F.dropout(y, self.dropout.get(layer.name, 0.0), self.training)

        logits = walk(self.description, x, compute, average_pool, drop if self.dropout else None)
        return logits, torch.stack(peaks)


def key(name):
    """A module name may have no dots."""
    return name.replace(".", "_")
