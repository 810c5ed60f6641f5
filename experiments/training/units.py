"""The units in which a convolution is pruned: the weights that share one plaintext.

A unit map is an int tensor shaped like a layer's weight; a unit is kept or removed whole. With G
groups and group-interleaved encoding, w channels to a ciphertext (w a multiple of G), channel
(group g, index j) lies in ciphertext j // (w / G), and input index i meets output index o on
diagonal (i - o) mod (w / G). With one group that is the dense encoding of w channels.
Where a layer has more channels on one side, its ciphertexts may hold more of them there.
"""

import torch
from safetensors.torch import load_file

from fold import from_dense

ALL = "all"  # width of ciphertexts that hold every channel
FAMILIES = {
    "sub-block": "one (output ciphertext, input ciphertext, diagonal, kernel position): one plaintext",
    "rotation": "one (input ciphertext, diagonal, kernel position), for all outputs: one rotated input",
    "diagonal": "one (output ciphertext, input ciphertext, diagonal), all kernel positions",
    "position": "one kernel position, for all channels",
}


def unit_map(layer, family, width):
    """The unit number of every weight of a convolution; `width` is the channels in a ciphertext, or `ALL`.

    A width below the number of groups counts as that number.
    """
    width_in, width_out = layer.shape_in[0], layer.shape_out[0]
    if width != ALL:
        width_in = width_out = width
    out, depth, area = layer.weight_shape[0], layer.weight_shape[1], layer.kernel**2
    per_group = out // layer.groups
    step, step_out = (max(w // layer.groups, 1) for w in (width_in, width_out))
    o = (torch.arange(out) % per_group).view(-1, 1, 1)
    i = torch.arange(depth).view(1, -1, 1)
    position = torch.arange(area).view(1, 1, -1)
    inputs = -(-depth // step)
    ct_out, ct_in, diagonal = o // step_out, i // step, (i - o) % step
    if family == "sub-block":
        ids = ((ct_out * inputs + ct_in) * step + diagonal) * area + position
    elif family == "rotation":
        ids = (ct_in * step + diagonal) * area + position
    elif family == "diagonal":
        ids = (ct_out * inputs + ct_in) * step + diagonal
    elif family == "position":
        ids = position
    else:
        raise ValueError(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    ids = ids.expand(out, depth, area).reshape(layer.weight_shape)
    return torch.unique(ids, return_inverse=True)[1]


def shuffle_order(channels, groups):
    """Which input channel each place of a shuffled group convolution reads.

    Place (group g, index i) reads channel (group (g + i) mod G, index i): with group-interleaved
    encoding that is one rotation across blocks for each input ciphertext, and no more products.
    """
    depth = channels // groups
    group, index = torch.arange(groups).view(-1, 1), torch.arange(depth).view(1, -1)
    return (((group + index) % groups) * depth + index).flatten()


def layer_units(path, name, shape, order=None, tensors=None):
    """The unit of each weight of a layer of that shape, and which units to keep (None if the file does not say), from a file of
    the `units` command; None if it has none of that layer.

    The command knows shuffled layers as dense ones with zeros: where an `order` is given, their map is cut to what the groups read.
    """
    tensors = load_file(path) if tensors is None else tensors
    ids = tensors.get(f"{name}.units")
    if ids is None:
        return None
    if order is not None and ids.shape[1] == len(order):
        ids = from_dense(ids, len(order) // shape[1], order)
    if tuple(ids.shape) != tuple(shape):
        raise SystemExit(
            f"{path}: {name}.units has shape {tuple(ids.shape)}, the layer's weight {tuple(shape)}; were the units written "
            "for this variant?"
        )
    there, ids = torch.unique(ids, return_inverse=True)
    keep = tensors.get(f"{name}.keep")
    return ids, None if keep is None else keep[there.long()].bool()


def kept_shares(dense, groups, order, ids=None, keep=None):
    """Shares of a dense weight's squares: that within its groups and, of that, the kept units' (all of it without units)."""
    within = from_dense(dense, groups, order).double().square()
    units = within[keep[ids]].sum() / within.sum() if ids is not None else within.new_ones(())
    shares = {"groups": within.sum() / dense.double().square().sum(), "units": units}
    return {name: round(share.item(), 6) for name, share in shares.items()}


def read_units(path, description, shuffled=()):
    """Unit maps by layer from a file of the `units` command, and the units it says to keep, if it does."""
    tensors = load_file(path)
    maps, keeps = {}, {}
    for layer in description.layers:
        if layer.weight_shape is None:
            continue
        order = shuffle_order(layer.shape_in[0], layer.groups) if layer.name in shuffled else None
        found = layer_units(path, layer.name, layer.weight_shape, order, tensors)
        if found is not None:
            maps[layer.name], keep = found
            if keep is not None:
                keeps[layer.name] = keep
    if not maps:
        raise SystemExit(f"{path} holds no units of {description.name}")
    return maps, keeps
