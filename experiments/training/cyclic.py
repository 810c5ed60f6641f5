"""Fully connected layers of which only some diagonals are kept, the same pattern for every output.

Output o reads the inputs (shift * o + stride * k) mod inputs, for k below `count`. Where the inputs lie side by side in a
ciphertext, and the outputs `shift` slots apart, those are whole diagonals of the encrypted product: the others need
no plaintext. Two kinds are trained, as products of small matrices:

- whole classes (stride * count = inputs): groups, an output reads all inputs of its class modulo the stride;
- windows (stride 1): an output reads neighbours, and the next output those `shift` further on.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

BLOCK = 128  # outputs of a window layer that are computed together, from all inputs that any of them reads


@dataclass(frozen=True)
class Cyclic:
    """Which inputs the outputs of a layer read."""

    shift: int
    stride: int
    count: int
    inputs: int
    outputs: int

    def __post_init__(self):
        whole = self.stride * self.count == self.inputs and self.outputs % self.stride == 0
        whole = whole and math.gcd(self.shift, self.stride) == 1
        together = self.shift * min(BLOCK, self.outputs)
        window = self.stride == 1 and self.inputs % together == 0 and self.count <= self.inputs
        turns = self.shift * self.outputs
        window = window and (turns <= self.inputs or turns % self.inputs == 0) and self.outputs % min(BLOCK, self.outputs) == 0
        if not (whole or window):
            raise ValueError(f"{self} is neither whole classes nor a window that goes evenly around")

    @property
    def whole(self):
        return self.stride * self.count == self.inputs

    def columns(self):
        """The inputs that each output reads, in order of k: [outputs, count]."""
        o, k = torch.arange(self.outputs).view(-1, 1), torch.arange(self.count)
        return (self.shift * o + self.stride * k) % self.inputs

    def dense(self, kept):
        """The dense weight of kept ones, [outputs, count] in the order of `columns`."""
        return kept.new_zeros(self.outputs, self.inputs).scatter_(1, self.columns(), kept)

    def kept(self, dense):
        """The inverse of `dense`; other weights are dropped."""
        return dense.gather(1, self.columns())


def patterns(description, cyclic):
    """The pattern of each layer named in a plan's `cyclic`: [shift, stride, count]."""
    shapes = {name: description.layer(name).weight_shape for name in cyclic}
    return {name: Cyclic(*numbers, inputs=shapes[name][1], outputs=shapes[name][0]) for name, numbers in cyclic.items()}


class CyclicLinear(nn.Module):
    """The layer. Its weight is [outputs, count]: of a window in the order of `columns`, of a whole class ascending."""

    def __init__(self, pattern, bias):
        super().__init__()
        self.pattern = pattern
        self.weight = nn.Parameter(torch.empty(pattern.outputs, pattern.count))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(pattern.outputs)) if bias else None

    def columns(self):
        columns = self.pattern.columns()
        return columns.sort(1).values if self.pattern.whole else columns

    @torch.no_grad()
    def dense_weight(self):
        p = self.pattern
        return self.weight.new_zeros(p.outputs, p.inputs).scatter_(1, self.columns().to(self.weight.device), self.weight)

    @torch.no_grad()
    def take(self, dense):
        """Take over a dense weight as far as the pattern goes."""
        self.weight.copy_(dense.gather(1, self.columns()))

    def forward(self, x):
        y = self._classes(x) if self.pattern.whole else self._windows(x)
        return y if self.bias is None else y + self.bias

    def _classes(self, x):
        p, weight = self.pattern, self.weight.to(x.dtype)
        x = x.view(len(x), p.count, p.stride)
        if p.shift % p.stride != 1:
            x = x[:, :, p.shift * torch.arange(p.stride, device=x.device) % p.stride]
        by_class = weight.view(-1, p.stride, p.count).permute(1, 2, 0)
        return torch.bmm(x.permute(2, 0, 1), by_class).permute(1, 2, 0).reshape(len(x), p.outputs)

    def _windows(self, x):
        p, weight = self.pattern, self.weight.to(x.dtype)
        block = min(BLOCK, p.outputs)
        step = p.shift * block
        width = p.count + p.shift * (block - 1)
        # Row r of a block begins shift * r columns further on: rows that much longer than the width, cut anew at the width.
        turns = max(p.shift * p.outputs // p.inputs, 1)
        blocks = p.outputs // (turns * block)
        long = F.pad(weight.view(turns, blocks, block, p.count), (0, width + p.shift - p.count)).flatten(2)
        skewed = long[:, :, : block * width].view(turns, blocks, block, width)
        skewed = skewed.permute(1, 3, 0, 2).reshape(blocks, width, turns * block)
        wide = torch.cat([x] * (1 + -(-max(width - step, 0) // p.inputs)), 1)
        seen = wide[:, : (blocks - 1) * step + width].unfold(1, width, step)
        y = torch.bmm(seen.transpose(0, 1), skewed).view(blocks, len(x), turns, block)
        return y.permute(1, 2, 0, 3).reshape(len(x), p.outputs)
