"""The trained variants: their groups, pruning, starting point and schedule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One network to train; `parent` names the variant whose weights it starts from.

    With `stem_trained` false, conv1 and act1 stay as the parent left them, which makes an
    epoch more than twice as fast.
    """

    groups: int
    epochs: int
    peak_lr: float
    parent: str | None = None
    family: str | None = None
    removed: float = 0.0
    stem_trained: bool = True


def _scratch(groups, epochs):
    return Variant(groups, epochs, 4e-3)


def _pruned(parent, groups, family, removed, epochs, stem_trained=False):
    return Variant(groups, epochs, 2e-3, parent, family, removed, stem_trained)


VARIANTS = {
    "dense": _scratch(1, 14),
    "g8": _scratch(8, 14),
    "g8-p50": _pruned("g8", 8, "coarse", 0.50, 6, True),
    "g4": _scratch(4, 14),
    "g4-p50": _pruned("g4", 4, "coarse", 0.50, 5),
    "g8-p50-fine": _pruned("g8", 8, "fine", 0.50, 6, True),
    "g4-p50-fine": _pruned("g4", 4, "fine", 0.50, 5),
    "g8-p75": _pruned("g8", 8, "coarse", 0.75, 6),
    # 13 of the 25 kernel positions go, so 12 (24 of the 50 units) stay.
    "g8-r50": _pruned("g8", 8, "position", 0.52, 6),
    "g8-r50-split": _pruned("g8", 8, "rotation", 0.50, 6),
    "dense-p50": _pruned("dense", 1, "coarse", 0.50, 5),
    "g16": _scratch(16, 14),
    "g16-p50": _pruned("g16", 16, "coarse", 0.50, 5),
}
