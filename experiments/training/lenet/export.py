"""Write a trained variant: its weights, its record, and the inputs Rust checks against.

    python export.py        # rewrite check.json from the weights that exist
"""

import argparse
import json
import math
import platform
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from data import normalise
from model import LeNet
from patterns import DEFINITIONS, unit_ids
from variants import VARIANTS

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "lenet"
CHECK_INPUTS = 8


@torch.no_grad()
def activation_ranges(model, train_pixels, test_pixels):
    """The largest |input| of each activation over train, test and altered test images."""
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
    return peaks


def git_revision():
    """The current commit, or "none"."""
    here = Path(__file__).resolve().parent
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "none"


def toml_text(record):
    """Format a flat record as TOML (JSON's scalars and lists are valid TOML)."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in record.items())


def pruning_record(variant, weight):
    """What the record says about pruning, counted on the exported weights."""
    if variant.family is None:
        return {"family": "none", "unit": "none", "kept_units": 0, "total_units": 0}
    ids = unit_ids(variant.family, variant.groups)
    return {
        "family": variant.family,
        "unit": DEFINITIONS[variant.family],
        "kept_units": len(ids[weight != 0].unique()),
        "total_units": int(ids.max()) + 1,
    }


def export_variant(trainer, epochs, train_pixels, test_pixels, test_accuracy):
    """Write <variant>.safetensors and <variant>.toml."""
    args, variant, model = trainer.args, trainer.variant, trainer.model
    state = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    args.weights.mkdir(parents=True, exist_ok=True)
    save_file(state, args.weights / f"{args.variant}.safetensors")
    record = {
        "variant": args.variant,
        "groups": variant.groups,
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


def check_input(k):
    """Synthetic input k, already normalised, as [1, 1, 28, 28] in float64."""
    rows = [
        [0.5 * math.sin(0.37 * k + 0.21 * y) + 0.5 * math.cos(0.13 * k * x + 0.3 * x) for x in range(28)]
        for y in range(28)
    ]
    return torch.tensor(rows, dtype=torch.float64).view(1, 1, 28, 28)


@torch.no_grad()
def write_check(weights):
    """Write check.json: every variant's float64 logits on the synthetic inputs."""
    inputs = torch.cat([check_input(k) for k in range(CHECK_INPUTS)])
    logits = {}
    for name, variant in VARIANTS.items():
        path = weights / f"{name}.safetensors"
        if path.exists():
            model = LeNet(variant.groups).double()
            model.load_state_dict(load_file(path))
            logits[name] = model(inputs)[0].tolist()
    formula = "pixel (y, x) of input k = 0.5*sin(0.37*k + 0.21*y) + 0.5*cos(0.13*k*x + 0.3*x)"
    content = {"input": formula + ", already normalised", "inputs": CHECK_INPUTS, "logits": logits}
    (weights / "check.json").write_text(json.dumps(content, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    write_check(parser.parse_args().weights)


if __name__ == "__main__":
    main()
