"""Teachers: networks whose logits a student is also trained towards."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from files import replacing
from fold import plain_forward
from images import normalise
from mixed import mixed

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class ReluBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


class ReluResNet20(nn.Module):
    """ResNet-20 of He et al. (2016) with option-A shortcuts; names as in common checkpoints."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate((16, 32, 64), 1):
            blocks = []
            for k in range(3):
                blocks.append(ReluBlock(inputs, outputs, 2 if stage > 1 and k == 0 else 1))
                inputs = outputs
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def stored_teacher(description, tensors):
    """A network of a weight file as a teacher: the logits of pixels in [0, 1], [n, h, w, channels]."""
    return lambda pixels: plain_forward(description, tensors, normalise(pixels, description))


def relu_teacher(path):
    """The ReLU ResNet-20 of a weight file as a teacher."""
    model = ReluResNet20()
    state = {name: tensor for name, tensor in load_file(path).items() if "num_batches" not in name}
    missing, unknown = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if "num_batches" not in name]
    if missing or unknown:
        raise SystemExit(f"{path} is no ResNet-20: {len(missing)} tensors missing, {len(unknown)} unknown")
    model.eval().to(memory_format=torch.channels_last)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return lambda pixels: model(((pixels - mean) / std).permute(0, 3, 1, 2))


@torch.no_grad()
def teacher_logits(teacher, augmentation, labels, cache):
    """The teacher's logits on every crop of an epoch, from `cache` if it has them."""
    if cache.exists():
        return torch.load(cache)
    rows = []
    for index in torch.arange(len(labels)).split(500):
        with mixed():
            rows.append(teacher(augmentation.pixels(index)).half())
    logits = torch.cat(rows)
    with replacing(cache) as partial:
        torch.save(logits, partial)
    return logits
