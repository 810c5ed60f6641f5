"""Write a trained variant: its weights, its record, and the logits that the project's tests check against.

    python export.py --network vgg5-slim      # rewrite check.json from the weights that exist
"""

import argparse
import json
import math
import platform
import tomllib
from pathlib import Path

import torch

from description import NETWORKS, WEIGHTS, read_description
from files import replacing
from fold import plain_forward
from measure import BOUND_LIMIT, accuracy, bound, largest_values, rounded_up, to_halve
from plan import RELU, read_plan
from record import git_revision, toml_text
from store import decode_all, encode_all, halve_inputs, read_weights, single, write_weights
from units import FAMILIES, kept_shares

CHECK_INPUTS = 8
DENSE = "dense"  # the variant that patterns are chosen for
KEPT = "kept_importance"  # in the record of a plan of the search: what its groups and units keep of the dense weights' squares
EIGHT_BITS_FROM = 100_000  # fully connected weights from this size on are tried in 8 bits
EIGHT_BITS_IMAGES = 10_000  # training images on which the two are compared
EIGHT_BITS_LOSS = 0.001  # largest loss of accuracy, as a fraction, for which 8 bits are taken


def pruning_record(trainer):
    """What the record says about units, counted on the network's weights."""
    pruner = trainer.pruner
    if pruner is None:
        return {"family": "none", "kept_units": 0, "total_units": 0}
    kept = {
        name: len(ids.cpu()[pruner.weights[name].detach().cpu() != 0].unique()) for name, ids in pruner.maps.items()
    }
    prune = trainer.variant.prune
    return {
        "family": prune.family if prune and not trainer.args.units else "file",
        "unit": FAMILIES[prune.family] if prune and not trainer.args.units else trainer.args.units.name,
        "width": "file" if trainer.args.units else trainer.variant.width,
        "importance": pruner.importance,
        "scope": pruner.scope,
        "kept_units": sum(kept.values()),
        "total_units": sum(pruner.counts.values()),
        "kept_units_by_layer": kept,
        "total_units_by_layer": pruner.counts,
    }


def searched_record(trainer):
    """What the record of a plan of the search says beside the others': the shares of the dense network's importance that it keeps,
    whichever network it was trained from."""
    if trainer.args.plan is None or trainer.given is None:
        return {}
    path = weight_file(trainer.args, read_plan(trainer.args.network, searched=trainer.args.plan), DENSE)
    if not path.exists():
        return {}
    dense, shares = single(read_weights(path)), {}
    found = trainer.pruner.maps
    pruned = {layer.name for layer in trainer.description.pruned_layers()}
    for layer in (layer for layer in trainer.description.linear() if layer.name in pruned | set(found)):
        order = getattr(trainer.network.part(layer.name), "order", None)
        order = None if order is None else order.cpu()
        units = (pick.get(layer.name) for pick in (trainer.pruner.maps, trainer.pruner.keeps))
        units = [None if part is None else part.cpu() for part in units]
        shares[layer.name] = kept_shares(dense[f"{layer.name}.weight"], layer.groups, order, *units)
    return {KEPT: shares}


def command(args, variant, epochs):
    """The command that trains this again, without its folders."""
    words = ["python train.py", f"--network {args.network} --variant {args.variant}"]
    if args.plan is not None:
        words = [f"python train.py --plan {args.plan.name}"]
    words += ["--smoke"] if args.smoke else []
    words.append(f"--seed {args.seed} --epochs {epochs} --batch {args.batch}")
    words.append(f"--peak-lr {variant.peak_lr} --clip {variant.clip}")
    words.append(f"--range-limit {variant.range_limit} --range-weight {variant.range_weight}")
    for name in ("teacher", "start", "units"):
        path = getattr(args, name)
        used = {"teacher": variant.teacher == RELU, "start": variant.start, "units": True}[name]
        if path is not None and used and not (name == "units" and args.plan):
            words.append(f"--{name} {path.name}")
    for name in ("keep", "name") if args.plan is None else ():
        if getattr(args, name) is not None:
            words.append(f"--{name} {getattr(args, name)}")
    return " ".join(words)


def stored_form(description, tensors, cyclic, train, test):
    """(stored tensors, their accuracy, that of float32): large fully connected weights in 8 bits if that costs little,
    as seen on training images (in float16 if there are none)."""
    exact = single(tensors)
    large = {
        f"{layer.name}.weight"
        for layer in description.linear()
        if layer.kind == "fc" and tensors[f"{layer.name}.weight"].numel() >= EIGHT_BITS_FROM
    }
    seen = [part[:EIGHT_BITS_IMAGES] for part in train]
    of = lambda data, tensors: accuracy(description, tensors, *data)
    if not len(seen[0]):
        large = set()
    stored = encode_all(tensors, large, cyclic)
    if large and of(seen, exact) - of(seen, single(decode_all(stored))) >= EIGHT_BITS_LOSS:
        stored = encode_all(tensors, set(), cyclic)
    return stored, of(test, single(decode_all(stored))), of(test, exact)


def weight_folder(args, variant):
    """Where a variant's weights and record go: those not shipped lie with the checkpoints, a searched plan's in its folder."""
    if variant.folder is not None:
        return Path(variant.folder)
    return (args.weights if variant.shipped else args.work / "weights") / args.network


def weight_file(args, plan, name):
    """The weight file of a variant of a plan."""
    return weight_folder(args, plan[name]) / f"{name}.safetensors"


def record_folder(weights, network, shipped):
    """Where a variant's record goes: those of what is not shipped have a folder of their own beside the others."""
    return weights / network if shipped else weights / network / "unshipped"


def export_variant(trainer, epochs, train, test):
    """Write <variant>.safetensors and <variant>.toml into the network's folders.

    What is not shipped is a start for others or there to compare: its ranges are looked at on the test images and their
    copies only.
    """
    args, variant, description = trainer.args, trainer.variant, trainer.description
    if not variant.shipped:
        train = tuple(part[:0] for part in train)
    stored, after, before = stored_form(description, trainer.result(), trainer.cyclic, train, test)
    largest, output = largest_values(description, single(decode_all(stored)), train[0], test[0])
    # Parents are left alone: one whose inputs were halved could not be averaged with its siblings.
    halved = to_halve(description, largest) if variant.shipped else []
    for name in halved:
        halve_inputs(stored, description.layer(name).sources[0], name)
        largest[name] /= 2
    bounds = {name: bound(value) for name, value in largest.items()}
    for name, value in (*bounds.items(), ("output", rounded_up(output))):
        if value is not None:
            stored[f"{name}.bound"] = torch.tensor([value])
    folder = weight_folder(args, variant)
    write_weights(folder / f"{trainer.name}.safetensors", stored)
    record = {
        "network": args.network,
        "variant": trainer.name,
        "groups": variant.groups,
        "shuffled": list(variant.shuffle),
        **({"cyclic": {name: list(numbers) for name, numbers in variant.cyclic.items()}} if variant.cyclic else {}),
        **pruning_record(trainer),
        **searched_record(trainer),
        "test_accuracy": after,
        "test_accuracy_float32": before,
        "parent": ", ".join(variant.parents) or (args.start.name if variant.start and args.start else "none"),
        "teacher": trainer.teacher_file.name if trainer.taught else "none",
        "command": command(args, variant, epochs),
        "seed": args.seed,
        "epochs": epochs,
        "wall_time_s": round(trainer.seconds, 1),
        "threads": args.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "git_revision": trainer.revision,
        "bounded": all(value is not None for value in bounds.values()),
        "max_abs_logit": output,
        "max_abs_activation_input": largest,
        "halved": sorted(halved),
    }
    records = folder if variant.folder else record_folder(args.weights, args.network, variant.shipped)
    with replacing(records / f"{trainer.name}.toml") as partial:
        partial.write_text(toml_text(record))
    print(f"{args.network} {trainer.name} exported: accuracy {after:.4f}, largest input {max(largest.values()):.1f}")
    if not record["bounded"]:
        print(f"NOT BOUNDED: inputs beyond {BOUND_LIMIT} in {[k for k, v in bounds.items() if v is None]}; do not ship it")


def records_of(network, weights, shipped=True):
    """The records of a network's variants, shipped or not: those of its plan in that order, then others.

    A variant has the name of its file: some were trained under another, before the plan called its successor so.
    """
    names = list(read_plan(network))
    paths = sorted(record_folder(weights, network, shipped).glob("*.toml"), key=lambda path: path.stem)
    records = [{**tomllib.loads(path.read_text()), "variant": path.stem} for path in paths]
    place = lambda record: names.index(record["variant"]) if record["variant"] in names else len(names)
    return sorted(records, key=place)


def check_input(description, k):
    """Synthetic input k, already normalised, as [1, C, h, w] in float64."""
    channels, height, width = description.shape
    rows = [
        [
            [
                0.5 * math.sin(0.37 * k + 0.21 * y + 0.9 * c) + 0.5 * math.cos(0.13 * k * x + 0.3 * x + 0.5 * c)
                for x in range(width)
            ]
            for y in range(height)
        ]
        for c in range(channels)
    ]
    return torch.tensor(rows, dtype=torch.float64)[None]


@torch.no_grad()
def write_check(network, weights, networks):
    """Write check.json: every exported variant's float64 logits on the synthetic inputs."""
    logits = {}
    for record in records_of(network, weights):
        description = read_description(network, record["groups"], networks)
        inputs = torch.cat([check_input(description, k) for k in range(CHECK_INPUTS)])
        tensors = read_weights(weights / network / f"{record['variant']}.safetensors")
        logits[record["variant"]] = plain_forward(description, tensors, inputs).tolist()
    formula = "0.5*sin(0.37*k + 0.21*y + 0.9*c) + 0.5*cos(0.13*k*x + 0.3*x + 0.5*c)"
    content = {
        "input": f"channel c, pixel (y, x) of input k = {formula}, already normalised",
        "inputs": CHECK_INPUTS,
        "logits": logits,
    }
    with replacing(weights / network / "check.json") as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--networks", type=Path, default=NETWORKS)
    args = parser.parse_args()
    write_check(args.network, args.weights, args.networks)


if __name__ == "__main__":
    main()
