"""Train one LeNet variant and export its weights and record.

    python train.py --variant dense --data DATA --work WORK --resume
"""

import argparse
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from data import augment, load_mnist, normalise, synthetic_digits
from export import export_variant
from mixed import mixed
from model import LeNet
from patterns import keep_strongest, unit_ids
from variants import VARIANTS

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "lenet"
MASK_EVERY = 40  # steps between two prunings while units are being removed
PRUNE_UNTIL = 0.45  # share of the training after which no more units are removed
WARM_UP = 0.15  # share of the training during which the learning rate rises


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=VARIANTS, default="dense")
    parser.add_argument("--data", default=os.environ.get("SPENCNN_DATA"), help="folder that holds mnist/")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where weights and records go")
    parser.add_argument("--work", type=Path, default=Path("/tmp/spencnn-training"), help="checkpoint folder")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--pause-file", type=Path, default=Path("/tmp/spencnn-pause"), help="sleep while it exists")
    parser.add_argument("--epochs", type=int, help="instead of the variant's own number")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--range-limit", type=float, default=8.0, help="activation inputs above it are penalised")
    parser.add_argument("--smoke", action="store_true", help="a tiny run; synthetic digits when there is no data")
    return parser.parse_args()


def load_data(args):
    """Return ((train images, labels), (test images, labels)) as pixels in [0, 1]."""
    if args.data is None:
        if not args.smoke:
            raise SystemExit("give --data or set SPENCNN_DATA (or try --smoke)")
        return synthetic_digits(2000, 1), synthetic_digits(500, 2)
    train, test = load_mnist(args.data, "train"), load_mnist(args.data, "t10k")
    if args.smoke:
        return tuple(x[:2000] for x in train), tuple(x[:500] for x in test)
    return train, test


def initial_model(args, variant):
    """Return the network to start from: the parent's weights, or seeded random ones."""
    torch.manual_seed(args.seed)
    model = LeNet(variant.groups)
    if variant.parent and not args.smoke:
        model.load_state_dict(load_file(args.weights / f"{variant.parent}.safetensors"))
    return model.to(memory_format=torch.channels_last)


def learning_rate(progress, peak):
    """Linear warm-up, then a cosine down to zero."""
    if progress < WARM_UP:
        return peak * (0.1 + 0.9 * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def removed_units(progress, goal):
    """The gradual schedule: many units early, the last ones slowly, `goal` at the end."""
    return round(goal * (1 - (1 - min(1.0, progress / PRUNE_UNTIL)) ** 3))


def wait_while_paused(pause_file):
    """Sleep while the pause file exists; return the seconds slept."""
    start = time.monotonic()
    while pause_file.exists():
        time.sleep(1)
    return time.monotonic() - start


class Trainer:
    """The state of one training run, saved after every epoch."""

    def __init__(self, args, variant):
        self.args, self.variant = args, variant
        self.model = initial_model(args, variant)
        if not variant.stem_trained:
            self.model.freeze_stem()
        self.optimiser = torch.optim.Adam(self.model.parameters(), variant.peak_lr)
        self.gen = torch.Generator().manual_seed(args.seed)
        self.ids = unit_ids(variant.family, variant.groups) if variant.family else None
        self.units = int(self.ids.max()) + 1 if variant.family else 0
        self.mask = None
        self.epoch, self.seconds = 0, 0.0
        self.checkpoint = args.work / f"{args.variant}.pt"
        if args.resume and self.checkpoint.exists():
            self.load()

    def load(self):
        saved = torch.load(self.checkpoint)
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.gen.set_state(saved["generator"])
        self.mask, self.epoch, self.seconds = saved["mask"], saved["epoch"], saved["seconds"]

    def save(self):
        self.args.work.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.gen.get_state(),
            "mask": self.mask,
            "epoch": self.epoch,
            "seconds": self.seconds,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def prune(self, progress):
        """Bring the mask up to the schedule."""
        goal = round(self.variant.removed * self.units)
        removed = removed_units(progress, goal)
        self.mask = keep_strongest(self.model.conv2.weight, self.ids, removed)
        self.apply_mask()

    @torch.no_grad()
    def apply_mask(self):
        self.model.conv2.weight.mul_(self.mask)

    def step(self, pixels, labels):
        """One optimiser step; returns the cross-entropy."""
        x = normalise(augment(pixels, self.gen)).contiguous(memory_format=torch.channels_last)
        with mixed():
            logits, inputs = self.model(x)
        entropy = F.cross_entropy(logits.float(), labels, label_smoothing=0.03)
        penalty = 0.1 * self.model.range_penalty(inputs, self.args.range_limit)
        loss = entropy + penalty + 10 * self.model.curvature_penalty()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return entropy.item()

    def run_epoch(self, images, labels, epochs):
        """One pass over the training images; returns the mean cross-entropy."""
        start, paused, total = time.monotonic(), 0.0, 0.0
        order = torch.randperm(len(images), generator=self.gen)
        batches = order.split(self.args.batch)
        for number, batch in enumerate(batches):
            paused += wait_while_paused(self.args.pause_file)
            progress = (self.epoch + number / len(batches)) / epochs
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(progress, self.variant.peak_lr)
            if self.units and number % MASK_EVERY == 0:
                self.prune(progress)
            total += self.step(images[batch], labels[batch])
            if self.mask is not None:
                self.apply_mask()
        self.epoch += 1
        self.seconds += time.monotonic() - start - paused
        return total / len(batches)


@torch.no_grad()
def accuracy(model, images, labels):
    """The share of images classified correctly, in float32."""
    batches = zip(images.split(500), labels.split(500))
    right = sum((model(normalise(x))[0].argmax(1) == y).sum().item() for x, y in batches)
    return right / len(images)


def main():
    args = parse_args()
    variant = VARIANTS[args.variant]
    torch.set_num_threads(args.threads)
    if args.smoke:
        args.weights, args.work, args.resume = args.work / "smoke", args.work / "smoke", False
    epochs = args.epochs or (2 if args.smoke else variant.epochs)
    (train_x, train_y), (test_x, test_y) = load_data(args)
    trainer = Trainer(args, variant)
    while trainer.epoch < epochs:
        entropy = trainer.run_epoch(train_x, train_y, epochs)
        trainer.save()
        right = accuracy(trainer.model, test_x, test_y)
        coeffs = [[round(v, 3) for v in act.coeffs.tolist()] for act in trainer.model.activations()]
        print(
            f"{args.variant} epoch {trainer.epoch}/{epochs} entropy {entropy:.4f} "
            f"test {right:.4f} coeffs {coeffs} {trainer.seconds:.0f} s",
            flush=True,
        )
    export_variant(trainer, epochs, train_x, test_x, accuracy(trainer.model, test_x, test_y))


if __name__ == "__main__":
    main()
