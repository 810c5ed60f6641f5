"""Between a trained network and its weight file: folding normalisation away, and starting from a file.

In a file a network is what the description says and no more: convolutions with or without a bias,
and `[3, C]` coefficients of x^2, x, 1 for each activation. An activation that reads a linear layer
without a bias which nothing else reads has inputs of variance one over the training images, or less: see
`Quadratic.polynomial`.
"""

import math

import torch
import torch.nn.functional as F

from cyclic import CyclicLinear
from store import by_output
from walk import walk


def to_dense(weight, groups, order):
    """A group convolution's weight as that of a dense one; `order` is its shuffle, or None."""
    out, depth = weight.shape[:2]
    dense = weight.new_zeros(out, depth * groups, *weight.shape[2:])
    order = torch.arange(depth * groups) if order is None else order
    rows = torch.arange(out)
    for k in range(depth):
        dense[rows, order[rows // (out // groups) * depth + k]] = weight[:, k]
    return dense


def from_dense(dense, groups, order):
    """The inverse of `to_dense`; weights outside the groups are dropped."""
    out, channels = dense.shape[:2]
    depth = channels // groups
    order = torch.arange(channels) if order is None else order
    rows = torch.arange(out)
    columns = [dense[rows, order[rows // (out // groups) * depth + k]] for k in range(depth)]
    return torch.stack(columns, 1)


@torch.no_grad()
def folded(network):
    """The tensors of a network's weight file, in double precision; shuffled convolutions as dense ones."""
    description, tensors = network.description, {}
    for layer in description.linear():
        part = network.part(layer.name)
        cyclic = isinstance(part, CyclicLinear)
        weight, bias = (part.dense_weight() if cyclic else part.weight.detach()).double(), None
        if layer.kind == "fc":
            bias = part.bias.detach().double() if layer.bias else None
        elif part.affine is not None:
            affine, norm = part.affine, part.affine.norm
            factor = affine.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            weight = weight * by_output(factor, weight)
            bias = affine.bias.double() - norm.running_mean.double() * factor
        if layer.kind == "conv" and part.order is not None:
            weight = to_dense(weight, part.groups, part.order)
        tensors[f"{layer.name}.weight"] = weight
        if bias is not None:
            tensors[f"{layer.name}.bias"] = bias
    for layer in description.activations():
        source = description.layer(layer.sources[0])
        unit = description.activation_alone(source) is layer
        coeffs, factor = network.part(layer.name).polynomial(unit)
        tensors[f"{layer.name}.coeffs"] = coeffs
        if unit:
            weight = tensors[f"{source.name}.weight"]
            tensors[f"{source.name}.weight"] = weight * by_output(factor, weight)
    return tensors


def plain_forward(description, tensors, x, each=None):
    """The network of a weight file on normalised images; `each(layer, input, result)` sees every layer.

    A convolution whose weight is dense though the description has groups is a shuffled one.
    """

    def compute(layer, x):
        if layer.kind == "activation":
            a, b, c = tensors[f"{layer.name}.coeffs"].view(3, 1, -1, *[1] * (x.dim() - 2))
            return (a * x + b) * x + c
        weight, bias = tensors[f"{layer.name}.weight"], tensors.get(f"{layer.name}.bias")
        if layer.kind == "fc":
            return F.linear(x, weight, bias)
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=groups)

    def show(layer, x, y):
        each(layer, x, y)
        return y

    return walk(description, x, compute, each=show if each else None)


def _moments(description, tensors, images):
    """Mean and variance per channel of every activation's input and every linear layer's result.

    They are taken over the images on which the network does not explode: all values below 100.
    """
    totals = {}
    for batch in images.split(250):
        sane = torch.ones(len(batch), dtype=torch.bool)

        def note(_, x, y):
            sane.logical_and_(y.flatten(1).abs().amax(1) < 100)

        def measure(layer, x, y):
            x = (x if layer.kind == "activation" else y).double()
            dims = [0, *range(2, x.dim())]
            count = x.new_tensor(x.numel() / x.shape[1])
            sums = (count, x.sum(dims), x.square().sum(dims))
            totals[layer.name] = [a + b for a, b in zip(totals.get(layer.name, (0, 0, 0)), sums)]

        plain_forward(description, tensors, batch, note)
        plain_forward(description, tensors, batch[sane], measure)
    return {name: (first / n, second / n - (first / n).square()) for name, (n, first, second) in totals.items()}


@torch.no_grad()
def start_from(network, tensors, images):
    """Load a weight file's tensors into a network, all or those of its first layers; batch statistics are measured on
    `images`.

    Weights of a dense convolution go into a grouped or shuffled one as far as its groups go, and
    those of a grouped one into a dense one as its block diagonal. Where the groups are the same, so
    is the network.
    """
    description = network.description
    first = [f"{layer.name}.weight" in tensors for layer in description.linear()]
    description = description if all(first) else description.before(description.linear()[first.index(False)].name)
    moments = _moments(description, tensors, images)
    for layer in description.linear():
        part, weight = network.part(layer.name), tensors[f"{layer.name}.weight"]
        bias = tensors.get(f"{layer.name}.bias")
        if layer.kind == "conv":
            dense = to_dense(weight, layer.shape_in[0] // weight.shape[1], None)
            weight = from_dense(dense, part.groups, part.order)
            if part.affine is not None:
                affine, (mean, variance) = part.affine, moments[layer.name]
                affine.norm.running_mean.copy_(mean - bias)
                affine.norm.running_var.copy_(variance)
                affine.weight.copy_((variance + affine.norm.eps).sqrt())
                affine.bias.copy_(mean)
        elif layer.bias:
            part.bias.copy_(bias)
        if isinstance(part, CyclicLinear):
            part.take(weight)
        else:
            part.weight.copy_(weight)
    for layer in description.activations():
        name, quadratic = layer.name, network.part(layer.name)
        mean, variance = moments[name]
        deviation = (variance + quadratic.norm.eps).sqrt()
        quadratic.norm.running_mean.copy_(mean)
        quadratic.norm.running_var.copy_(variance)
        a, b, c = tensors[f"{name}.coeffs"]
        square = a * deviation**2
        quadratic.coeffs[0] = square * math.sqrt(2)
        quadratic.coeffs[1] = deviation * (b + 2 * a * mean)
        quadratic.coeffs[2] = (a * mean + b) * mean + c + square
    _restore_sizes(network, description)


def _restore_sizes(network, description):
    """Give weights that a normalisation follows the size they are initialised with; the network stays the same.

    Such a layer's learning rate in effect goes with the inverse square of its weights, and the variance of one that a
    file's activations have would make that hundreds of times smaller than in the training before.
    """
    for layer in description.linear():
        part, activation, norm = network.part(layer.name), description.activation_alone(layer), None
        if layer.kind == "conv" and part.affine is not None:
            norm = part.affine.norm
        elif activation is not None:
            norm = network.part(activation.name).norm
        if norm is not None:
            weight = part.weight
            present = (weight != 0).sum()
            factor = (2 * present / weight[0].numel()).sqrt() / weight.norm()
            weight.mul_(factor)
            norm.running_mean.mul_(factor)
            norm.running_var.copy_(((norm.running_var + norm.eps) * factor**2 - norm.eps).clamp(min=0))
