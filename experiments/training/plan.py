"""Plans: the variants of each network, their schedule and pruning, read from plans/<network>.toml."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

PLANS = Path(__file__).resolve().parent / "plans"
RELU, PARENT = "relu", "parent"  # teachers: the ReLU network of --teacher, the first parent
SEARCHED = "plan"  # name of the variant in a folder of `search --patterns --out`


def network_of(searched):
    """Name of the network that a folder of `search --patterns --out` is a plan of."""
    path = Path(searched) / "network.toml"
    if not path.exists():
        raise SystemExit(f"{path} is not there; `spencnn search --patterns --out` writes it")
    return tomllib.loads(path.read_text())["name"]


@dataclass(frozen=True)
class Prune:
    """What is removed: see `pruning.Pruner` and `units.unit_map`."""

    keep: float
    family: str = "sub-block"
    importance: str = "magnitude"
    scope: str = "layer"


@dataclass(frozen=True)
class Variant:
    """One set of weights to train."""

    epochs: int
    peak_lr: float
    width: int | str
    groups: dict = field(default_factory=dict)
    shuffle: tuple = ()
    cyclic: dict = field(default_factory=dict)
    parents: tuple = ()
    start: str | None = None
    teacher: str | None = None
    prune: Prune | None = None
    fixed_statistics: bool = False
    clip: float = 4.0
    range_limit: float = 8.0
    range_weight: float = 0.1
    dropout: dict = field(default_factory=dict)
    mix: float = 0.0
    shipped: bool = True
    folder: str | None = None


def read_rank(network, folder=PLANS):
    """The candidates with which a network's accuracy proxies are checked: see rank.py."""
    raw = tomllib.loads((Path(folder) / f"{network}.toml").read_text())
    if "rank" not in raw:
        raise SystemExit(f"the plan of {network} has no [rank] table")
    return raw["rank"]


def read_plan(network, folder=PLANS, searched=None):
    """The variants of a network by name. A pruned child has its first parent's groups, shuffle and
    cyclic layers, unless it names groups. `searched` is a folder of `search --patterns --out`: its variant has the schedule
    of the table [plan], and its weights go into that folder."""
    raw = tomllib.loads((Path(folder) / f"{network}.toml").read_text())
    if searched is not None:
        own = tomllib.loads((Path(searched) / "training.toml").read_text())["variant"][SEARCHED]
        raw["variant"][SEARCHED] = {**raw.get("plan", {}), **own, "folder": str(searched)}
    known = {f.name for f in fields(Variant)}
    variants = {}
    for name, own in raw["variant"].items():
        entry = {**raw.get("all", {}), **own}
        parents = entry.pop("parent", ())
        entry["parents"] = parents = (parents,) if isinstance(parents, str) else tuple(parents)
        if unknown := set(entry) - known:
            raise SystemExit(f"plan of {network}, variant {name}: unknown keys {sorted(unknown)}")
        if unknown := [parent for parent in parents if parent not in variants]:
            raise SystemExit(f"plan of {network}, variant {name}: its parents {unknown} must come before it")
        if parents and "prune" in entry and "groups" not in entry:
            entry |= {key: getattr(variants[parents[0]], key) for key in ("groups", "shuffle", "cyclic")}
        if "prune" in entry:
            entry["prune"] = Prune(**entry["prune"])
        entry["shuffle"] = tuple(entry.get("shuffle", ()))
        variants[name] = Variant(**entry)
    return variants
