"""How well the importance proxies rank trained variants: Spearman's correlation, with its table.

    python rank.py --network vgg5-slim --data DATA --out ../results/rank-vgg5-slim.json

The plan's [rank] table names a parent and lists of families, importances and shares to keep. Every
combination is pruned from the parent and fine-tuned; its accuracy on the test images is compared
with the share of the parent's importance that its pattern keeps, known before any training. A
candidate that is already in the output is not trained again. Other options are those of train.py.
"""

import dataclasses
import json
from pathlib import Path

import torch

import train
from description import read_description
from importance import taylor_scores
from files import replacing
from plan import Prune, read_plan, read_rank
from record import git_revision
from store import read_weights, single

PROXIES = ("magnitude", "taylor")


def ranks(values):
    """Ranks from 0, ties sharing their mean."""
    values = torch.tensor(values, dtype=torch.float64)
    below = (values[None, :] < values[:, None]).sum(1).double()
    ties = (values[None, :] == values[:, None]).sum(1).double()
    return below + (ties - 1) / 2


def spearman(xs, ys):
    """Spearman's rank correlation."""
    return torch.corrcoef(torch.stack([ranks(xs), ranks(ys)]))[0, 1].item()


def candidates(plan, table):
    """(name, variant) of every combination."""
    parent = plan[table["parent"]]
    for keep in table["keep"]:
        for family in table["family"]:
            for importance in table["importance"]:
                yield f"{family}-{importance}-{round(100 * keep)}", dataclasses.replace(
                    parent,
                    parents=(table["parent"],),
                    epochs=table["epochs"],
                    peak_lr=table["peak_lr"],
                    fixed_statistics=False,
                    prune=Prune(keep, family, importance),
                )


def proxy_scores(args, parent, data):
    """Per weight and layer: squared magnitude, and Taylor scores, of the parent."""
    groups = read_plan(args.network)[parent].groups
    description = read_description(args.network, groups, args.networks)
    tensors = single(read_weights(args.weights / args.network / f"{parent}.safetensors"))
    images, labels = data
    taylor = taylor_scores(description, tensors, images[:5000], labels[:5000])
    names = [layer.name for layer in description.pruned_layers()]
    squares = {name: tensors[f"{name}.weight"].square() for name in names}
    return {
        "magnitude": {name: score / score.sum() / len(names) for name, score in squares.items()},
        "taylor": {name: taylor[name] / sum(taylor[n].sum() for n in names) for name in names},
    }


def run_candidate(args, name, variant, data, test, scores):
    """Train a candidate; return its row of the table."""
    args.variant = f"rank-{name}"
    trainer = train.Trainer(args, variant, data)
    while trainer.epoch < variant.epochs:
        trainer.run_epoch(variant.epochs)
        trainer.save()
    accuracy, _ = train.quick_accuracy(trainer.network, *test)
    kept = {layer: units[trainer.pruner.maps[layer]] for layer, units in trainer.pruner.kept.items()}
    row = {"name": name, "keep": variant.prune.keep, "accuracy": accuracy}
    for proxy in PROXIES:
        row[proxy] = sum((scores[proxy][layer] * mask).sum().item() for layer, mask in kept.items())
    return row


def summary(rows):
    """Spearman's correlation of each proxy with accuracy: over all rows, and among those that keep the same share."""
    result = {}
    for proxy in PROXIES:
        column = lambda some: ([row[proxy] for row in some], [row["accuracy"] for row in some])
        result[proxy] = {"all": spearman(*column(rows))}
        for keep in sorted({row["keep"] for row in rows}):
            some = [row for row in rows if row["keep"] == keep]
            if len(some) > 2:
                result[proxy][f"keep {keep}"] = spearman(*column(some))
    return result


def main():
    parser = train.make_parser(__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file of rows and correlations (JSON)")
    args = train.parse_args(parser)
    args.resume, out = True, args.out
    torch.set_num_threads(args.threads)
    table = read_rank(args.network)
    data, test = train.load_data(args)
    scores = proxy_scores(args, table["parent"], data)
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    for name, variant in candidates(read_plan(args.network), table):
        if all(row["name"] != name for row in rows):
            rows.append(run_candidate(args, name, variant, data, test, scores))
            print(rows[-1], flush=True)
        content = {
            "command": f"python rank.py --network {args.network} --seed {args.seed} --teacher {args.teacher and args.teacher.name}",
            "revision": git_revision(),
            "seed": args.seed,
            "parent": table["parent"],
            "epochs": table["epochs"],
            "spearman": summary(rows) if len(rows) > 2 else {},
            "rows": rows,
        }
        with replacing(out) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
