"""Export the importance of every weight of a variant, for the search's accuracy proxy.

    python importance.py --network vgg5-slim --variant g8 --data DATA

Writes importance/<network>-<variant>.safetensors: for every convolution and fully connected layer
`<layer>.taylor` (float16, shaped like the weight): the sum over batches of (weight * gradient of
the loss)^2, scaled so that the largest of the network is 2^15. Scores add up: a unit's importance
is the sum over its weights, whatever the layout that makes the units.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.nn.functional as F

from datasets import dataset
from description import EXPERIMENTS, NETWORKS, WEIGHTS, read_description
from fold import plain_forward
from images import normalise
from plan import read_plan
from store import read_weights, single, write_weights

FOLDER = EXPERIMENTS / "importance"
BATCH = 100
LARGEST = 2.0**15  # score, near the end of float16's range: scores span ten orders of magnitude


def taylor_scores(description, tensors, images, labels):
    """Sum over batches of (weight * gradient)^2 by layer, of the cross-entropy, without augmentation."""
    names = [layer.name for layer in description.linear()]
    tensors = dict(tensors)
    for name in names:
        tensors[f"{name}.weight"] = tensors[f"{name}.weight"].clone().requires_grad_()
    weights = [tensors[f"{name}.weight"] for name in names]
    scores = [torch.zeros_like(weight) for weight in weights]
    for x, y in zip(images.split(BATCH), labels.split(BATCH)):
        x = normalise(x.float() / 255, description).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(plain_forward(description, tensors, x), y)
        for score, weight, gradient in zip(scores, weights, torch.autograd.grad(loss, weights)):
            score += (weight.detach() * gradient).square()
    return dict(zip(names, scores))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--data", default=os.environ.get("SPENCNN_DATA"), help="folder that holds cifar10/ or mnist/")
    parser.add_argument("--images", type=int, default=5000, help="training images to take gradients on")
    parser.add_argument("--networks", type=Path, default=NETWORKS)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    groups = read_plan(args.network)[args.variant].groups
    description = read_description(args.network, groups, args.networks)
    tensors = single(read_weights(args.weights / args.network / f"{args.variant}.safetensors"))
    images, labels = dataset(description).train_set(args.data)
    scores = taylor_scores(description, tensors, images[: args.images], labels[: args.images])
    largest = max(score.max() for score in scores.values())
    stored = {f"{name}.taylor": (LARGEST / largest * score).half().contiguous() for name, score in scores.items()}
    write_weights(args.out / f"{args.network}-{args.variant}.safetensors", stored)


if __name__ == "__main__":
    main()
