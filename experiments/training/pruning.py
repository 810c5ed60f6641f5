"""Gradual pruning: the importance of units, and which of them are removed when."""

import torch

PRUNE_UNTIL = 0.5  # share of the training after which no more units are removed
FLOOR = 0.3  # share of the units to keep on average that every layer keeps with scope "global"
MEMORY = 0.98  # of the running mean of Taylor scores, per step


def removed_share(progress, goal):
    """The gradual schedule: many units early, the last ones slowly, `goal` at the end."""
    return goal * (1 - (1 - min(1.0, progress / PRUNE_UNTIL)) ** 3)


class Pruner:
    """Masks over the weights of some layers, made from unit maps and scores.

    `importance` is "magnitude" (sum of squared weights) or "taylor" (squared first-order change of
    the loss when the unit goes, (sum of weight times gradient)^2, averaged over steps: Molchanov et
    al., arXiv 1906.10771); "random" is for comparison. With `scope` "layer" the same share of every layer is removed; with
    "global" the least important units of all layers, magnitudes divided by their layer's mean.
    With `keeps` (units to keep by layer) the others go, gradually, and `keep` means nothing.
    """

    def __init__(self, network, maps, keep, importance, scope, keeps):
        self.weights = {name: network.part(name).weight for name in maps}
        self.maps, self.keep = maps, keep
        self.importance, self.scope, self.keeps = importance, scope, keeps
        self.counts = {name: int(ids.max()) + 1 for name, ids in maps.items()}
        each = lambda make: {name: make(n).to(maps[name].device) for name, n in self.counts.items()}
        gen = torch.Generator().manual_seed(0)
        self.taylor = each(torch.zeros)
        self.noise = each(lambda n: torch.rand(n, generator=gen))
        # Units that a parent has lost stay lost.
        self.kept = {name: self._sum(name, w.detach().square()) > 0 for name, w in self.weights.items()}

    def _sum(self, name, values):
        sums = values.new_zeros(self.counts[name])
        return sums.index_add_(0, self.maps[name].flatten(), values.flatten())

    @torch.no_grad()
    def observe(self):
        """Take the gradients of a step into the Taylor scores."""
        if self.importance == "taylor":
            for name, weight in self.weights.items():
                change = self._sum(name, weight * weight.grad).square()
                self.taylor[name].mul_(MEMORY).add_(change, alpha=1 - MEMORY)

    @torch.no_grad()
    def scores(self):
        """Importance of every unit by layer."""
        if self.importance == "taylor":
            return self.taylor
        if self.importance == "random":
            return self.noise
        scores = {name: self._sum(name, weight.square()) for name, weight in self.weights.items()}
        if self.scope == "global":
            scores = {name: s / s.mean() for name, s in scores.items()}
        return scores

    @torch.no_grad()
    def prune(self, progress):
        """Bring the masks up to the schedule. Removed units stay removed."""
        scores = self.scores()
        if self.keeps:
            for name, keep in self.keeps.items():
                spare = (~keep).nonzero().flatten()
                order = spare[scores[name][spare].argsort()]
                self.kept[name][order[: round(removed_share(progress, 1.0) * len(spare))]] = False
        else:
            share = removed_share(progress, 1 - self.keep)
            groups = [list(scores)] if self.scope == "global" else [[name] for name in scores]
            for names in groups:
                self._remove_least(names, scores, share)
        self.apply()

    def _remove_least(self, names, scores, share):
        """Remove the least important units of some layers together, those gone already among them."""
        together = torch.cat([self._with_floor(scores[name].masked_fill(~self.kept[name], -1.0), share) for name in names])
        gone = torch.zeros_like(together, dtype=torch.bool)
        gone[together.argsort()[: round(share * len(together))]] = True
        for name, part in zip(names, gone.split([self.counts[name] for name in names])):
            self.kept[name] &= ~part

    @staticmethod
    def _with_floor(scores, share):
        """Scores with the best of a layer out of reach."""
        best = scores.argsort(descending=True)[: round(FLOOR * (1 - share) * len(scores))]
        return scores.index_fill(0, best, float("inf"))

    @torch.no_grad()
    def apply(self):
        """Set the weights of removed units to zero."""
        for name, weight in self.weights.items():
            weight.mul_(self.kept[name][self.maps[name]])

    def state(self):
        return {"taylor": self.taylor, "kept": self.kept}

    def load(self, state):
        self.taylor, self.kept = state["taylor"], state["kept"]
