"""The weight files: half precision or 8 bits, pruned weights left out.

A weight `X` is stored as `X` (float16, or int8 with `X.step`, float32 per output: value = q * step),
or, where weights were removed, as `X.shape` (int64), `X.kept` (a bitmap over all weights in reading
order, least significant bit first) and `X.values` (float16 or int8, the kept ones in reading order).
A fully connected layer of which every output reads the same number of inputs in one pattern (`cyclic.Cyclic`) is stored as
`X.shape`, `X.cyclic` (int64: shift, stride) and `X.values`: of each output those it reads, input (shift * output + stride * k) mod
inputs for k from 0.
Biases, coefficients and bounds are float32.
"""

import torch
from safetensors.torch import load_file, save_file

from cyclic import Cyclic
from files import replacing

SPARSE_FROM = 0.05  # share of zeros from which a bitmap saves more than it takes


def single(tensors):
    """The tensors in single precision."""
    return {name: tensor.float() for name, tensor in tensors.items()}


def by_output(values, weight):
    """One value for each first index of a weight, shaped to multiply it."""
    return values.view(-1, *[1] * (weight.dim() - 1))


def _step(weight):
    """The step per output for which the largest weight becomes 127."""
    largest = weight.abs().flatten(1).amax(1)
    return torch.where(largest > 0, largest / 127, torch.ones_like(largest)).float()


def _bitmap(kept):
    bits = torch.nn.functional.pad(kept.flatten().int(), (0, -kept.numel() % 8)).view(-1, 8)
    return (bits << torch.arange(8)).sum(1).to(torch.uint8)


def encode(name, weight, eight_bits, cyclic=None):
    """The stored tensors of one weight (any float type), `cyclic` its pattern if it has one."""
    tensors, weight = {}, weight.float()
    if eight_bits:
        step = _step(weight)
        tensors[f"{name}.step"] = step
        stored = (weight / by_output(step, weight)).round().to(torch.int8)
    else:
        stored = weight.half()
    kept = weight != 0
    if cyclic:
        tensors[f"{name}.shape"] = torch.tensor(weight.shape)
        tensors[f"{name}.cyclic"] = torch.tensor([cyclic.shift, cyclic.stride])
        tensors[f"{name}.values"] = cyclic.kept(stored).flatten()
    elif kept.float().mean() > 1 - SPARSE_FROM:
        tensors[name] = stored
    else:
        tensors[f"{name}.shape"] = torch.tensor(weight.shape)
        tensors[f"{name}.kept"] = _bitmap(kept)
        tensors[f"{name}.values"] = stored[kept]
    return {key: value.contiguous() for key, value in tensors.items()}


def encode_all(tensors, eight_bits, cyclic):
    """The stored form of a network's tensors; weights named in `eight_bits` take 8 bits, `cyclic` has patterns by layer."""
    stored = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            stored.update(encode(name, tensor, name in eight_bits, cyclic.get(name.removesuffix(".weight"))))
        else:
            stored[name] = tensor.float().contiguous()
    return stored


def halve_inputs(stored, linear, activation):
    """Halve the results of a linear layer without a bias, and have the activation that reads them make up for it.

    A power of two leaves the network what it was, but for weights below the normal ones of float16.
    """
    weight = f"{linear}.weight"
    for key in (f"{weight}.step", f"{weight}.values", weight):
        if key in stored:
            stored[key] = stored[key] / 2
            break
    stored[f"{activation}.coeffs"] = stored[f"{activation}.coeffs"] * torch.tensor([[4.0], [2.0], [1.0]])


def decode_all(stored):
    """A network's tensors in double precision, from their stored form."""
    tensors = {}
    for key, value in stored.items():
        if key.endswith((".step", ".shape", ".kept", ".cyclic")):
            continue
        name = key.removesuffix(".values")
        if name == key:
            weight = value.double()
        elif f"{name}.cyclic" in stored:
            outputs, inputs = stored[f"{name}.shape"].tolist()
            shift, stride = stored[f"{name}.cyclic"].tolist()
            pattern = Cyclic(shift, stride, value.numel() // outputs, inputs, outputs)
            weight = pattern.dense(value.double().view(outputs, -1))
        else:
            shape = stored[f"{name}.shape"].tolist()
            bits = (stored[f"{name}.kept"].int().view(-1, 1) >> torch.arange(8)) & 1
            weight = torch.zeros(torch.Size(shape).numel(), dtype=torch.float64)
            kept = bits.flatten()[: weight.numel()].bool()
            weight[kept] = value.double()
            weight = weight.view(shape)
        step = stored.get(f"{name}.step")
        if step is not None:
            weight = weight * by_output(step.double(), weight)
        tensors[name] = weight
    return tensors


def read_weights(path):
    """The tensors of a weight file, in double precision."""
    return decode_all(load_file(path))


def write_weights(path, stored):
    """Write a weight file, readable by all, and its folder if need be."""
    with replacing(path) as partial:
        save_file(stored, partial)
        partial.chmod(0o644)
