"""What trained patterns keep of the dense network's importance, for fitting the search's model of accuracy.

    python kept.py                 # writes ../accuracy/trained.json from the records and the dense weights

A row for every record that has a pattern: its drop in points against the dense network, the latter's error in percent, and for
each layer that may have a pattern the share of the dense weights' squares within its groups, and the share of that in as many of
its best units as the record kept. Which units a training really kept does not matter: before training nobody knows. A plan of the
search says beforehand which it keeps; its record has their shares.
"""

import json
import sys

import torch

from description import EXPERIMENTS, WEIGHTS, read_description
from export import KEPT, records_of
from files import replacing
from fold import from_dense
from plan import read_plan
from store import read_weights, single
from units import kept_shares, shuffle_order, unit_map

sys.path.insert(0, str(EXPERIMENTS / "training" / "lenet"))
from patterns import unit_ids  # noqa: E402  (LeNet's families)

OUT = EXPERIMENTS / "accuracy" / "trained.json"
NETWORKS = ("lenet", "hefnet", "resnet20", "vgg5-slim")
SHORT = ("short", "start")  # trained for too short a time to tell what the pattern costs


def best_units(weight, ids, count):
    """The best `count` units of a weight by the mean of their squares."""
    flat, squares = ids.flatten(), weight.flatten().square()
    sums = torch.zeros(int(ids.max()) + 1).index_add_(0, flat, squares)
    keep = torch.zeros(len(sums), dtype=torch.bool)
    keep[(sums / flat.bincount()).argsort(descending=True)[:count]] = True
    return keep


def layer_row(name, dense, groups, shuffled, ids, count):
    """What a layer keeps."""
    order = shuffle_order(dense.shape[1], groups) if shuffled else None
    keep = None if ids is None else best_units(from_dense(dense, groups, order), ids, count)
    return {"layer": name, **kept_shares(dense, groups, order, ids, keep)}


def row(network, record, dense_accuracy, layers):
    return {
        "network": network,
        "variant": record["variant"],
        "dense_error": round(100 * (1 - dense_accuracy), 2),
        "drop": round(100 * (dense_accuracy - record["test_accuracy"]), 2),
        "short": record["variant"].endswith(SHORT),
        "layers": layers,
    }


def units_of(record, layer, plan):
    """The unit of each weight of a layer, in the families of the trainer that wrote the record."""
    if record["network"] == "lenet":
        return unit_ids(record["family"], layer.groups)
    return unit_map(layer, record["family"], record.get("width") or plan[record["variant"]].width)


def network_rows(network):
    """The rows of a network, without plans of the search."""
    records = records_of(network, WEIGHTS) + records_of(network, WEIGHTS, False)
    dense_accuracy = next(r["test_accuracy"] for r in records if r["variant"] == "dense")
    tensors, plan = single(read_weights(WEIGHTS / network / "dense.safetensors")), read_plan(network)
    for record in records:
        if KEPT in record or not record["groups"] and not record["total_units"]:
            continue
        description, layers = read_description(network, record["groups"]), []
        for layer in description.pruned_layers():
            count = record.get("kept_units_by_layer", {}).get(layer.name)
            ids = None if count is None else units_of(record, layer, plan)
            shuffled = layer.name in record["shuffled"]
            layers.append(layer_row(layer.name, tensors[f"{layer.name}.weight"], layer.groups, shuffled, ids, count))
        yield row(network, record, dense_accuracy, layers)


def searched_rows(network):
    """The rows of trained plans of the search, whose records have the shares."""
    records = records_of(network, WEIGHTS) + records_of(network, WEIGHTS, False)
    dense_accuracy = next(r["test_accuracy"] for r in records if r["variant"] == "dense")
    for record in records:
        if KEPT in record:
            layers = [{"layer": name, **shares} for name, shares in record[KEPT].items()]
            yield row(network, record, dense_accuracy, layers)


def main():
    rows = [r for of in (network_rows, searched_rows) for network in NETWORKS for r in of(network)]
    OUT.parent.mkdir(exist_ok=True)
    with replacing(OUT) as partial:
        partial.write_text(json.dumps({"command": "python kept.py", "rows": rows}, indent=1) + "\n")
    for r in rows:
        shares = [(round(x["groups"], 3), round(x["units"], 3)) for x in r["layers"]]
        print(r["network"], r["variant"], r["drop"], "short" if r["short"] else "", shares[:4])


if __name__ == "__main__":
    main()
