"""Weight files with other names than the description's, to start from."""

import torch
from safetensors.torch import load_file

from store import decode_all


def read_start(path):
    """Tensors under the description's names.

    A quadratic ResNet-20 stored as `stem.conv`, `blockK.conv1`, `blockK.act1.a` and so on (K from
    0), is renamed; other files are read as weight files.
    """
    tensors = load_file(path)
    if "stem.conv.weight" not in tensors:
        return decode_all(tensors)
    renamed = {}
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        if head == "stem":
            rest = rest.replace("conv", "conv0").replace("act", "act0")
        elif head == "fc":
            rest = f"fc1.{rest}"
        else:
            rest = f"b{int(head.removeprefix('block')) + 1}.{rest}"
        if rest.endswith((".b", ".c")):
            continue
        if rest.endswith(".a"):
            base = name.removesuffix(".a")
            tensor = torch.stack([tensors[f"{base}.{part}"] for part in "abc"])
            rest = rest.removesuffix(".a") + ".coeffs"
        renamed[rest] = tensor
    return renamed
