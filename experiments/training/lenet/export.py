"""Write a trained variant: its weights and its record."""

import platform
from pathlib import Path

import torch
from safetensors.torch import save_file

from data import normalise  # makes the modules of the folder above known
from patterns import DEFINITIONS, unit_ids
from record import git_revision, toml_text

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "lenet"


@torch.no_grad()
def activation_ranges(model, train_pixels, test_pixels):
    """The largest |input| of each activation, by name, over train, test and altered test images."""
    noise = torch.randn(test_pixels.shape, generator=torch.Generator().manual_seed(0))
    sets = (
        train_pixels,
        test_pixels,
        1.3 * test_pixels,
        0.7 * test_pixels,
        test_pixels + 0.1 * noise,
    )
    peaks = [0.0, 0.0, 0.0]
    for pixels in sets:
        for batch in pixels.split(500):
            inputs = model(normalise(batch))[1]
            peaks = [max(p, x.abs().max().item()) for p, x in zip(peaks, inputs)]
    return {f"act{number}": peak for number, peak in enumerate(peaks, 1)}


def pruning_record(variant, weight):
    """What the record says about pruning, counted on the exported weights."""
    if variant.family is None:
        return {"family": "none", "kept_units": 0, "total_units": 0}
    ids = unit_ids(variant.family, variant.groups)
    kept, total = len(ids[weight != 0].unique()), int(ids.max()) + 1
    return {
        "family": variant.family,
        "unit": DEFINITIONS[variant.family],
        "importance": "magnitude",
        "kept_units": kept,
        "total_units": total,
        "kept_units_by_layer": {"conv2": kept},
        "total_units_by_layer": {"conv2": total},
    }


def export_variant(trainer, epochs, train_pixels, test_pixels, test_accuracy):
    """Write <variant>.safetensors and <variant>.toml."""
    args, variant, model = trainer.args, trainer.variant, trainer.model
    state = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    args.weights.mkdir(parents=True, exist_ok=True)
    save_file(state, args.weights / f"{args.variant}.safetensors")
    record = {
        "network": "lenet",
        "variant": args.variant,
        "groups": {"conv2": variant.groups} if variant.groups > 1 else {},
        "shuffled": [],
        **pruning_record(variant, state["conv2.weight"]),
        "test_accuracy": test_accuracy,
        "parent": variant.parent or "none",
        "stem_trained": variant.stem_trained,
        "command": f"python train.py --variant {args.variant} --seed {args.seed} --epochs {epochs} "
        f"--batch {args.batch} --range-limit {args.range_limit}",
        "seed": args.seed,
        "epochs": epochs,
        "wall_time_s": round(trainer.seconds, 1),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "git_revision": git_revision(),
        "max_abs_activation_input": activation_ranges(model, train_pixels, test_pixels),
    }
    (args.weights / f"{args.variant}.toml").write_text(toml_text(record))
