"""Batch-normalised quadratics: one operation with its own gradient, compiled where a compiler is found."""

import os
import sys
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F

EPSILON = 1e-5
WILD = 0.1  # share of a batch's images, those that deviate most, that have no say in where values are clamped


@cache
def compiled():
    """The C++ form of the operation, or None: without a compiler, on a GPU, or if SPENCNN_PLAIN is set."""
    if os.environ.get("SPENCNN_PLAIN"):
        return None
    from torch.utils import cpp_extension

    source = Path(__file__).resolve().parent / "normalised.cpp"
    flags = ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-fopenmp"]
    try:
        return cpp_extension.load("spencnn_normalised", [str(source)], extra_cflags=flags)
    except (RuntimeError, OSError, ImportError) as error:
        print(f"training without the compiled activation, at half the speed: {error}", file=sys.stderr)
        return None


class _Compiled(torch.autograd.Function):
    """y = (a z + b) z + c with z = (clamp(x, low, high) - mean) * rstd, x [n, C, h, w], and each image's peak.

    `fixed` is (low, high, centre, factor), [4, C]; `batch` says that mean and rstd are the batch's own.
    """

    @staticmethod
    def forward(ctx, x, coeffs, mean, rstd, fixed, batch):
        x = x.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = x.shape
        table = torch.cat([mean.view(1, -1), rstd.view(1, -1), coeffs, fixed]).float().contiguous()
        y, peak = torch.empty_like(x), torch.empty(n)
        compiled().forward(x, table, y, peak, height * width, channels)
        ctx.save_for_backward(x, table, peak)
        ctx.batch = batch
        return y, peak

    @staticmethod
    def backward(ctx, g, gpeak):
        x, table, peak = ctx.saved_tensors
        n, channels, height, width = x.shape
        rows = n * height * width
        g = g.contiguous(memory_format=torch.channels_last)
        sums = compiled().backward_sums(x, g, table, rows, channels)
        means = (sums[3:] / rows if ctx.batch else torch.zeros_like(sums[3:])).float()
        dx = torch.empty_like(x)
        compiled().backward_input(x, g, table, means, dx, rows, channels)
        if gpeak is not None and gpeak.any():
            compiled().backward_peak(x, table, peak, gpeak.contiguous(), dx, height * width, channels)
        return dx, sums[:3].flip(0).float(), None, None, None, None


class _CompiledPool(torch.autograd.Function):
    """Average over k x k windows that do not overlap, x [n, C, k h, k w]."""

    @staticmethod
    def forward(ctx, x, k):
        x = x.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = x.shape
        ctx.shape, ctx.k = x.shape, k
        size = (n, channels, height // k, width // k)
        y = torch.empty(size, dtype=x.dtype, memory_format=torch.channels_last)
        compiled().pool(x, y, n, height // k, width // k, channels, k, False)
        return y

    @staticmethod
    def backward(ctx, g):
        g = g.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = g.shape
        dx = torch.empty(ctx.shape, dtype=g.dtype, memory_format=torch.channels_last)
        compiled().pool(dx, g, n, height, width, channels, ctx.k, True)
        return dx, None


def average_pool(x, kernel, stride):
    """Average pooling; the compiled form where windows tile the map."""
    tiles = kernel == stride and x.shape[2] % kernel == 0 and x.shape[3] % kernel == 0
    if tiles and x.device.type == "cpu" and compiled():
        return _CompiledPool.apply(x, kernel)
    return F.avg_pool2d(x, kernel, stride)


def _plain(x, coeffs, mean, rstd, fixed):
    """The same in torch's own operations; gradients flow through `mean` and `rstd`."""
    wide = lambda v: v.view(1, -1, 1, 1)
    low, high, centre, factor = fixed
    peak = ((x - wide(centre)) * wide(factor)).abs().amax((1, 2, 3))
    z = (torch.minimum(torch.maximum(x, wide(low)), wide(high)) - wide(mean)) * wide(rstd)
    a, b, c = coeffs
    return (wide(a) * z + wide(b)) * z + wide(c), peak


def _image_moments(x, fast):
    """(mean, variance) of each image and channel of x [n, C, h, w], both [n, C]."""
    if fast:
        area, channels = x.shape[2] * x.shape[3], x.shape[1]
        sums = fast.image_moments(x.detach().contiguous(memory_format=torch.channels_last), area, channels) / area
        return sums[:, 0], (sums[:, 1] - sums[:, 0].square()).clamp(min=0)
    x = x.detach().float()
    return x.mean((2, 3)), x.var((2, 3), unbiased=False)


def _tame(x, fast):
    """(centre, deviation) of each channel over a batch without its wildest images."""
    means, variances = _image_moments(x, fast)
    centre = means.nanmedian(0).values
    spread = (variances + (means - centre).square()).nan_to_num(nan=float("inf")).sort(0).values
    return centre, (spread[: max(1, int((1 - WILD) * len(spread)))].mean(0) + EPSILON).sqrt()


def _clamped_moments(x, low, high, fast):
    """(mean, variance) of each channel over a batch, of values clamped to [low, high]."""
    rows, channels = x.numel() // x.shape[1], x.shape[1]
    if not fast:
        wide = lambda v: v.view(1, -1, 1, 1)
        inside = torch.minimum(torch.maximum(x.float(), wide(low)), wide(high))
        return inside.mean((0, 2, 3)), inside.var((0, 2, 3), unbiased=False)
    table = torch.cat([torch.zeros(5, channels), torch.stack([low, high, low, high])]).contiguous()
    sums = fast.moments(x.detach().contiguous(memory_format=torch.channels_last), table, rows, channels)
    mean = sums[0] / rows
    return mean, (sums[1] / rows - mean.square()).clamp(min=0)


def normalised_quadratic(x, coeffs, norm, training, limit):
    """(quadratic of the normalised input, peak of each image).

    `coeffs` is [3, C]: of z^2, z, 1. `norm` has running_mean and running_var. The peak is the largest
    deviation from the running mean in running standard deviations. In training, values beyond `limit`
    deviations of the batch without its wildest images are clamped, before batch statistics are taken: one image on
    which the network explodes would otherwise flatten the rest of its batch. (Running statistics are no measure for
    that: a channel whose mean had moved would be clamped whole, lose its gradient and never come back.) With
    `norm.fixed` the running statistics are used in training too, and stay as they are.
    """
    fast = compiled() if x.device.type == "cpu" else None
    centre, deviation = norm.running_mean, (norm.running_var + EPSILON).sqrt()
    batch = training and not norm.fixed
    middle, reach = _tame(x, fast) if batch else (centre, deviation)
    reach = limit * reach if training else torch.full_like(deviation, float("inf"))
    low, high = middle - reach, middle + reach
    if batch:
        rows = x.numel() // x.shape[1]
        mean, variance = _clamped_moments(x, low, high, fast)
        with torch.no_grad():
            norm.running_mean.lerp_(mean.to(norm.running_mean), norm.momentum)
            norm.running_var.lerp_(variance.to(norm.running_var) * rows / max(rows - 1, 1), norm.momentum)
    else:
        mean, variance = norm.running_mean, norm.running_var
    rstd = (variance + EPSILON).rsqrt()
    fixed = torch.stack([low, high, centre, 1 / deviation])
    if fast:
        return _Compiled.apply(x, coeffs, mean.float(), rstd.float(), fixed, batch)
    y, peak = _plain(x.float(), coeffs, mean, rstd, fixed)
    return y.to(x.dtype), peak
