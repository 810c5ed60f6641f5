"""One walk over the layers of a description, for the network in training and for a stored one."""

import torch.nn.functional as F


def walk(description, x, compute, pool=F.avg_pool2d, each=None):
    """The result of the last layer for images [n, C, h, w].

    `compute(layer, x)` gives the result of a layer that has parameters; the others are the same
    everywhere. `each(layer, x, y)`, if given, sees what a layer reads and gives, and what it
    returns is taken for the layer's result.
    """
    values, y = {"input": x}, x
    for layer in description.layers:
        x = values[layer.sources[0]]
        if layer.kind == "avgpool":
            y = pool(x, layer.kernel, layer.stride)
        elif layer.kind == "shortcut":
            pad = (layer.shape_out[0] - layer.shape_in[0]) // 2
            y = F.pad(x[:, :, :: layer.stride, :: layer.stride], (0, 0, 0, 0, pad, pad))
        elif layer.kind == "flatten":
            y = x.flatten(1)
        elif layer.kind == "add":
            y = x + values[layer.sources[1]]
        else:
            y = compute(layer, x)
        values[layer.name] = y if each is None else each(layer, x, y)
    return values[description.layers[-1].name]
