"""The units in which conv2 is pruned, and the masks that remove the weakest of them.

A pattern gives every conv2 weight the number of the unit it belongs to; a unit is kept
or removed whole. With 32 channel blocks per ciphertext interleaved by group, input
channel (group g, index i) lives in ciphertext t = i // (32/G) at j_in = i % (32/G), and
output channel (group g, index j_out) meets it on diagonal d = (j_in - j_out) mod (32/G).
"""

import torch

IN_CHANNELS, OUT_CHANNELS, KERNEL = 64, 32, 5

DEFINITIONS = {
    "coarse": "one (input ciphertext, diagonal, kernel position): 32 weights over all "
    "groups and outputs",
    "fine": "one (output index in group, input index in group, kernel position): "
    "the G weights over all groups",
    "rotation": "one (input ciphertext, kernel position): all diagonals",
    "position": "one kernel position, shared by both input ciphertexts: all diagonals",
}


def unit_ids(family, groups):
    """Return an int tensor shaped like conv2.weight: the unit number of each weight."""
    width, depth, area = OUT_CHANNELS // groups, IN_CHANNELS // groups, KERNEL * KERNEL
    j_out = (torch.arange(OUT_CHANNELS) % width).view(-1, 1, 1)
    index = torch.arange(depth).view(1, -1, 1)
    position = torch.arange(area).view(1, 1, -1)
    ciphertext, j_in = index // width, index % width
    if family == "coarse":
        ids = (ciphertext * width + (j_in - j_out) % width) * area + position
    elif family == "fine":
        ids = (j_out * depth + index) * area + position
    elif family == "rotation":
        ids = ciphertext * area + position
    elif family == "position":
        ids = position
    else:
        raise ValueError(f"unknown pruning family {family!r}")
    return ids.expand(OUT_CHANNELS, depth, area).reshape(OUT_CHANNELS, depth, KERNEL, KERNEL)


def unit_scores(weight, ids):
    """Return the squared L2 norm of every unit."""
    scores = torch.zeros(int(ids.max()) + 1, dtype=weight.dtype)
    return scores.scatter_add_(0, ids.flatten(), weight.detach().square().flatten())


def keep_strongest(weight, ids, removed):
    """Return a 0/1 mask that removes the `removed` weakest units of `weight`."""
    kept = torch.ones(int(ids.max()) + 1, dtype=weight.dtype)
    kept[unit_scores(weight, ids).argsort()[:removed]] = 0
    return kept[ids]
