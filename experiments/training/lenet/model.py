"""The polynomial LeNet: convolutions, quadratic activations, average pooling."""

import torch
import torch.nn.functional as F
from torch import nn

# The input of the first activation is bounded for every image whose pixels lie in
# [0, 1.3]; these are the ends of that range after normalisation.
INPUT_LOW, INPUT_HIGH = -0.1307 / 0.3081, (1.3 - 0.1307) / 0.3081


class QuadraticPool(nn.Module):
    """a x^2 + b x + c, one scalar triple, followed by average pooling.

    Pooling is linear, so x^2 and x are pooled before the coefficients are applied;
    the result is the same and the big tensors are read fewer times.
    """

    def __init__(self, window):
        super().__init__()
        self.window = window
        self.coeffs = nn.Parameter(torch.tensor([0.15, 0.5, 0.0]))

    def forward(self, x):
        a, b, c = self.coeffs
        if self.window == 1:
            return (a * x + b) * x + c
        return a * F.avg_pool2d(x * x, self.window) + b * F.avg_pool2d(x, self.window) + c


class LeNet(nn.Module):
    """conv 5x5 (64), act, pool 2, grouped conv 5x5 (32), act, pool 10, two dense layers."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.act1 = QuadraticPool(2)
        self.conv2 = nn.Conv2d(64, 32, 5, groups=groups)
        self.act2 = QuadraticPool(10)
        self.fc1 = nn.Linear(32, 32)
        self.act3 = QuadraticPool(1)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        """Return (logits, [inputs of the three activations])."""
        first = self.conv1(x)
        second = self.conv2(self.act1(first))
        third = self.fc1(self.act2(second).flatten(1))
        return self.fc2(self.act3(third)), [first, second, third]

    def range_penalty(self, inputs, limit):
        """Squared excess of activation inputs over `limit`, zero when all are inside.

        For the first activation it is the worst case over all images; for the other
        two it is the largest value each example of the batch produces.
        """
        weight = self.conv1.weight.flatten(1)
        top = torch.maximum(weight * INPUT_HIGH, weight * INPUT_LOW).sum(1)
        bottom = torch.minimum(weight * INPUT_HIGH, weight * INPUT_LOW).sum(1)
        reach = torch.maximum(top + self.conv1.bias, -(bottom + self.conv1.bias))
        penalty = F.relu(reach - limit).square().mean()
        for values in inputs[1:]:
            peak = values.flatten(1).abs().amax(1)
            penalty = penalty + F.relu(peak - limit).square().mean()
        return penalty

    def freeze_stem(self):
        """Leave conv1 and act1 out of the training."""
        for parameter in [*self.conv1.parameters(), *self.act1.parameters()]:
            parameter.requires_grad_(False)

    def activations(self):
        """The three activation modules, in order."""
        return self.act1, self.act2, self.act3

    def curvature_penalty(self, least=0.05):
        """Squared shortfall of each |a| below `least`, since the square is completed."""
        return sum(F.relu(least - act.coeffs[0].abs()).square() for act in self.activations())
