"""The precision that trainings compute in."""

import torch


def mixed(device="cpu", enabled=True):
    """A context in which convolutions and products are in bfloat16, if wished and if the device computes with it.

    A CPU without instructions for it takes seven to twenty times as long in bfloat16 as in float32 (measured on an AMD EPYC with AVX2).
    """
    able = device != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device, torch.bfloat16, enabled=enabled and able)
