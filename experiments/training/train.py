"""Train one variant of a network and export its weights and record.

    python train.py --network vgg5-slim --variant dense --data DATA --teacher resnet20-relu.safetensors --resume
    python train.py --plan plan/ --data DATA --teacher resnet20-relu.safetensors --resume
"""

import argparse
import hashlib
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from cyclic import patterns
from datasets import dataset
from description import NETWORKS, WEIGHTS, read_description
from export import export_variant, weight_file
from files import replacing
from fold import folded, start_from
from images import BRIGHT, DARK, NOISE, mean_colour, normalise
from mixed import mixed
from network import Network
from plan import PARENT, RELU, SEARCHED, network_of, read_plan
from pruning import Pruner
from record import git_revision
from starting import read_start
from store import single
from teacher import relu_teacher, stored_teacher, teacher_logits
from units import read_units, unit_map

MASK_EVERY = 40  # steps between two prunings while units are being removed
WARM_UP = 0.15  # share of the training during which the learning rate rises
SETTLE = 0.8  # share of the training after which batch statistics are measured once more and stay
SETTLE_IMAGES = 10_000  # on whose crops they are measured
COEFFS_RATE = 0.1  # of the quadratics' learning rate to that of the other weights
FAR = 8.0  # excess of a peak from which on its penalty grows as its logarithm: an explosion must not drown the loss
LEARNABLE = 16.0  # deviations below which all inputs of an image that is learnt lie
TEMPERATURE, SOFT = 4.0, 0.8  # of distillation, and its share of the loss
FURTHEST = 4.0  # that an image is said to reach, in limits: one that explodes must not hide all others
FORGET = 0.7  # how much of an image's reach counts when it is seen again
USUAL = 0.999  # share of the training images that stay within an activation's limit
OVERRIDES = {
    "peak_lr": "largest learning rate",
    "clip": "limit of the gradient's norm",
    "range_limit": "activation inputs beyond it, in deviations, are penalised",
    "range_weight": "weight of that penalty in the loss",
}
BRIGHTER = 1.2 * BRIGHT  # of images in bounding: a margin over what ranges are measured on
QUICK_BATCH = 500  # images of a batch out of training
CONVOLUTIONS = "convolutions"  # a start of which only what is before the flatten is taken
SMOKE_IMAGES, SMOKE_EPOCHS = 500, 2  # of a tiny run
START_IMAGES = 2000  # from which the batch statistics of a starting network are measured


@dataclass(frozen=True)
class Phase:
    """How much the range of activations counts."""

    hard: int  # images of a batch that come from the hardest
    hardest: int  # how many these are: those that reach furthest
    altered: float  # share of images whose light is changed
    penalty: float  # factor on the range penalty
    learns_all: bool  # whether altered and hard images are there to be told apart, too, or for their range only


# Before statistics are fixed, and after: then hard images are many, and to learn them would be at the cost of others.
FITTING, BOUNDING = Phase(8, 500, 0.15, 1.0, True), Phase(24, 200, 0.15, 4.0, False)


def make_parser(description):
    """The options of training."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--network", help="name of a description and of a plan")
    add("--plan", type=Path, help="train the plan in this folder (of `spencnn search --patterns --out`) into it")
    add("--data", default=os.environ.get("SPENCNN_DATA"), help="folder that holds cifar10/ or mnist/")
    add("--teacher", type=Path, help="weights of a ReLU ResNet-20, for variants whose plan has a teacher")
    add("--start", type=Path, help="weight file to start from, for variants whose plan asks for one")
    add("--units", type=Path, help="prune these units (file of the `units` command) in place of the plan's")
    add("--name", help="what the result is called, where --units or --keep make it another than the plan's")
    add("--keep", type=float, help="share of units to keep, in place of the plan's or the file's")
    add("--networks", type=Path, default=NETWORKS, help="folder of descriptions")
    add("--weights", type=Path, default=WEIGHTS, help="where weights and records go, in a folder per network")
    add("--work", type=Path, default=Path("/tmp/spencnn-training"), help="checkpoint folder")
    add("--resume", action="store_true", help="continue from the last checkpoint")
    add("--pause-file", type=Path, default=Path("/tmp/spencnn-pause"), help="sleep while it exists")
    add("--epochs", type=int, help="instead of the plan's number")
    add("--batch", type=int, default=128)
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=2)
    for option, meaning in OVERRIDES.items():
        add(f"--{option.replace('_', '-')}", type=float, help=f"{meaning}, instead of the plan's")
    add("--smoke", action="store_true", help="a tiny run on a few images, synthetic ones without --data; a plan starts from its parent, others from nothing")
    return parser


def parse_args(parser):
    """The options given, checked."""
    args = parser.parse_args()
    if args.plan is not None:
        args.network, args.variant = network_of(args.plan), SEARCHED
        args.name, args.units = SEARCHED, args.plan / "units.safetensors"
    elif None in (args.network, getattr(args, "variant", "")):
        parser.error("name a --network and a --variant, or a --plan")
    if args.smoke:
        args.work, args.resume, args.teacher, args.start = args.work / "smoke", False, None, None
        args.batch = 50
        if args.plan is None:
            args.weights = args.work / "weights"
    elif args.name is None and (args.units or args.keep):
        parser.error("give the result a --name: with --units or --keep it is another variant than the plan's")
    elif args.data is None:
        parser.error("give --data or set SPENCNN_DATA (or try --smoke)")
    return args


def learning_rate(progress, peak):
    """Linear warm-up, then a cosine down to zero."""
    if progress < WARM_UP:
        return peak * (0.1 + 0.9 * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def wait_while_paused(pause_file):
    """Sleep while the pause file exists; return the seconds slept."""
    start = time.monotonic()
    while pause_file.exists():
        time.sleep(1)
    return time.monotonic() - start


def load_data(args):
    """((train images, labels), (test images, labels)), images as bytes [n, h, w, channels]."""
    images = dataset(read_description(args.network, folder=args.networks))
    if args.smoke and args.data is None:
        return images.synthetic(SMOKE_IMAGES, 1), images.synthetic(SMOKE_IMAGES, 2)
    most = SMOKE_IMAGES if args.smoke else None
    return tuple(tuple(part[:most] for part in of(args.data)) for of in (images.train_set, images.test_set))


def chosen_variant(args):
    """The plan's variant, with what the options say in place of the plan."""
    variants = read_plan(args.network, searched=args.plan)
    if args.variant not in variants:
        raise SystemExit(f"no variant {args.variant!r} of {args.network}; there are {', '.join(variants)}")
    given = {name: getattr(args, name) for name in OVERRIDES}
    return replace(variants[args.variant], **{name: v for name, v in given.items() if v is not None})


class Trainer:
    """The state of one training run, saved after every epoch."""

    def __init__(self, args, variant, train):
        self.args, self.variant = args, variant
        self.revision = git_revision()
        self.images, self.labels = train
        self.description = read_description(args.network, self.variant.groups, args.networks)
        torch.manual_seed(args.seed)
        self.cyclic = patterns(self.description, self.variant.cyclic)
        self.network = Network(self.description, self.variant.shuffle, self.variant.dropout, self.cyclic)
        self.start()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network.to(self.device, memory_format=torch.channels_last)
        self.pruner = self.make_pruner()
        self.optimiser = torch.optim.SGD(self.parameter_groups(), lr=variant.peak_lr, momentum=0.9, nesterov=True)
        # What activations' inputs are penalised beyond, and the largest of each image in units of that.
        self.limits = torch.full((len(self.network.quadratics()), 1), variant.range_limit)
        self.reach = torch.zeros(len(self.labels))
        self.prepared = dataset(self.description).prepared(self.images, self.description)
        self.teacher, self.teacher_file = None, self.find_teacher()
        self.epoch, self.seconds = 0, 0.0
        self.name = args.name or args.variant
        self.checkpoint = (args.plan or args.work / args.network) / f"{self.name}.pt"
        self.identity = self.make_identity()
        if args.resume and self.checkpoint.exists():
            self.load()

    @property
    def taught(self):
        return self.teacher_file is not None

    def find_teacher(self):
        """The weights of what the plan says teaches; None where nothing does, or no file is given."""
        if self.variant.teacher == PARENT:
            return next((path for path in self.parent_files() if path.exists() or not self.args.smoke), None)
        return self.args.teacher if self.variant.teacher == RELU else None

    def make_teacher(self):
        if self.variant.teacher == RELU:
            return relu_teacher(self.teacher_file)
        groups = read_plan(self.args.network, searched=self.args.plan)[self.variant.parents[0]].groups
        description = read_description(self.args.network, groups, self.args.networks)
        return stored_teacher(description, single(read_start(self.teacher_file)))

    def parameter_groups(self):
        """Quadratics learn slowly and their gradients, most of the norm in a deep network, are clipped apart."""
        coeffs = [quadratic.coeffs for _, quadratic in self.network.quadratics()]
        others = [p for p in self.network.parameters() if all(p is not c for c in coeffs)]
        return [
            {"params": [p for p in others if p.dim() > 1], "weight_decay": 5e-4, "rate": 1.0},
            {"params": [p for p in others if p.dim() == 1], "weight_decay": 0.0, "rate": 1.0},
            {"params": coeffs, "weight_decay": 0.0, "rate": COEFFS_RATE},
        ]

    def start(self):
        """Load what the plan says to start from."""
        tensors = self.given = self.start_tensors()
        if tensors is None:
            return
        pixels = self.images[:START_IMAGES].float() / 255
        inputs = normalise(pixels, self.description)
        start_from(self.network, tensors, inputs)
        if any(quadratic.centred for _, quadratic in self.network.quadratics()):
            # The file's may have had constants, which the means behind them contain.
            self.network.project()
            self.network.measure(inputs.split(self.args.batch))
        if self.variant.fixed_statistics:
            self.network.fix_statistics()

    def start_tensors(self):
        """The mean of the parents' exported weights, or the file to start from; None where the plan names neither."""
        paths = self.parent_files() or ([self.args.start] if self.variant.start else [])
        if self.args.smoke and not all(path and path.exists() for path in paths):
            return None
        if None in paths:
            raise SystemExit(f"variant {self.args.variant} starts from given weights: name them with --start")
        if not paths:
            return None
        tensors = mean_of([single(read_start(path)) for path in paths])
        if self.variant.start == CONVOLUTIONS:
            first = {layer.name for layer in self.description.before("flatten").layers}
            tensors = {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[0] in first}
        return tensors

    def result(self):
        """The tensors to export: the network's or, without any training, exactly those it started from."""
        untrained = self.epoch == 0 and self.given is not None
        return self.given if untrained else folded(self.network.cpu())

    def parent_files(self):
        """Weight files of the plan's parents."""
        plan = read_plan(self.args.network, searched=self.args.plan)
        return [weight_file(self.args, plan, name) for name in self.variant.parents]

    def make_pruner(self):
        """What removes units: those of a file, else those that the plan defines; None if neither is asked for."""
        args, prune, keeps = self.args, self.variant.prune, {}
        if args.units is not None:
            maps, keeps = read_units(args.units, self.description, self.variant.shuffle)
        elif prune is not None:
            layers = self.description.pruned_layers()
            maps = {layer.name: unit_map(layer, prune.family, self.variant.width) for layer in layers}
        else:
            return None
        keep = prune.keep if prune and args.keep is None else args.keep
        if args.keep is not None:
            keeps = {}
        elif keep is None and not keeps:
            raise SystemExit(f"{args.units} does not say which units to keep; give --keep")
        place = lambda tensors: {name: tensor.to(self.device) for name, tensor in tensors.items()}
        importance, scope = (prune.importance, prune.scope) if prune else ("magnitude", "layer")
        return Pruner(self.network, place(maps), keep, importance, scope, place(keeps))

    def make_identity(self):
        """What makes this run: two checkpoints may only follow each other if it is the same."""
        args, variant = self.args, self.variant
        files = {"teacher": self.teacher_file, "start": args.start, "units": args.units}
        files |= {f"parent {path.stem}": path for path in self.parent_files()}
        described = asdict(variant)
        del described["folder"]  # may be moved
        return {
            "variant": described,
            "options": {name: getattr(args, name) for name in ("seed", "batch", "epochs", "keep")},
            "files": {name: path and path.exists() and digest(path) for name, path in files.items()},
        }

    def load(self):
        saved = torch.load(self.checkpoint, map_location=self.device)
        was, now = saved.get("identity", {}), self.identity
        if changed := sorted(key for key in now if was.get(key) != now[key]):
            raise SystemExit(f"{self.checkpoint} is of another run ({', '.join(changed)} differ); remove it to start anew")
        if self.revision != saved["revision"]:
            self.revision = f"{saved['revision']}, {self.revision} after epoch {saved['epoch']}"
        if saved["settled"]:
            self.network.fix_statistics()
        self.network.load_state_dict(saved["network"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.epoch, self.seconds, self.reach = saved["epoch"], saved["seconds"], saved["reach"].cpu()
        if self.pruner:
            self.pruner.load(saved["pruner"])

    def save(self):
        state = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "reach": self.reach,
            "pruner": self.pruner.state() if self.pruner else None,
            "settled": self.settled,
            "identity": self.identity,
            "revision": self.revision,
            "epoch": self.epoch,
            "seconds": self.seconds,
        }
        with replacing(self.checkpoint) as partial:
            torch.save(state, partial)

    @property
    def settled(self):
        return all(part.fixed for part in self.network.statistics())

    @property
    def phase(self):
        return BOUNDING if self.settled else FITTING

    def inputs(self, augmentation, index):
        """Network inputs: this epoch's crops of images `index`."""
        pixels = augmentation.lit(index, augmentation.pixels(index))
        return augmentation.pushed(index, normalise(pixels, self.description)).to(self.device)

    def measured_inputs(self, index, gen):
        """Network inputs much as ranges are measured on: images as they are, still brighter, darker or with noise."""
        kind = torch.randint(4, (len(index), 1, 1, 1), generator=gen)
        factor = torch.tensor([1.0, BRIGHTER, DARK, 1.0])[kind]
        pixels = self.images[index].float() / 255 * factor
        pixels += (kind == 3) * NOISE * torch.randn(pixels.shape, generator=gen)
        return normalise(pixels.clamp_(0, 1), self.description).to(self.device)

    def scan(self):
        """Find what activations' inputs usually are, to penalise what lies beyond, and the images that reach furthest.

        The first activation in which an image stands out is seldom that in which it is large. All training images are
        looked at as they are and brighter: those that explode may do so in few of their crops.
        """
        peaks, bright = (
            torch.cat([peaks.float().cpu() for _, peaks in results(self.network, self.images, light)], 1)
            for light in (1.0, BRIGHTER)
        )
        usual = peaks.nan_to_num(nan=math.inf).quantile(USUAL, 1, keepdim=True, interpolation="lower")
        self.limits = usual.clamp(max=self.variant.range_limit)
        self.reach = torch.maximum(reach(peaks, self.limits), reach(bright, self.limits))

    def settle(self, augmentation, order):
        """Measure batch statistics on crops, and keep them."""
        batches = order[:SETTLE_IMAGES].split(self.args.batch)
        with mixed(self.device.type):
            self.network.settle(self.inputs(augmentation, index) for index in batches)

    def losses(self, x, labels, soft, own, learnt):
        """(cross-entropy, distillation, range penalty, reach of each image); `soft`: the teacher's logits, or nothing.

        Images of which less than all is their `own` have no label: for them the teacher alone counts. Those not
        `learnt` (1 or 0 each) have a range penalty only; so have those whose inputs reach `LEARNABLE`: their logits say nothing.
        """
        with mixed(self.device.type):
            logits, peaks = self.network(x)
        logits = logits.float()
        learnt = learnt * (peaks.amax(0) < LEARNABLE)
        pure = learnt * (own == 1)
        entropy = (pure * F.cross_entropy(logits, labels, reduction="none")).sum() / pure.sum().clamp(min=1)
        excess = F.relu(peaks.float() - self.limits.to(self.device))
        penalty = (FAR * (excess / FAR).log1p()).sum(0).mean()
        far = reach(peaks.detach().cpu(), self.limits)
        if not self.taught:
            return entropy, entropy, penalty, far
        target = F.softmax(soft / TEMPERATURE, 1)
        apart = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="none").sum(1)
        distance = (learnt * apart).sum() / learnt.sum().clamp(min=1)
        return entropy, TEMPERATURE**2 * distance, penalty, far

    def soft_labels(self, augmentation):
        """The teacher's logits on this epoch's crops."""
        if not self.taught:
            return torch.zeros(len(self.labels), 0)
        colour = "-".join(map(str, mean_colour(self.description)))  # of the crops' borders
        mix = f"-m{self.variant.mix}" if self.variant.mix else ""
        teacher = f"teacher-{digest(self.teacher_file)[:16]}"
        cache = self.args.work / teacher / f"{colour}{mix}-s{self.args.seed}-e{self.epoch}.pt"
        if self.teacher is None and not cache.exists():
            self.teacher = self.make_teacher()
        return teacher_logits(self.teacher, augmentation, self.labels, cache).float()

    def step(self, phase, augmentation, index, hard, soft, gen):
        """One optimiser step on images `index` and `hard`; returns the cross-entropy and the range penalty."""
        ordinary, index = index, torch.cat([index, hard])
        if phase.learns_all:
            x, learnt = self.inputs(augmentation, index), torch.ones(len(index))
        else:
            x = torch.cat([self.inputs(augmentation, ordinary), self.measured_inputs(hard, gen)])
            learnt = torch.cat([(~augmentation.altered[ordinary]).float(), torch.zeros(len(hard))])
        labels, soft = self.labels[index].to(self.device), soft[index].to(self.device)
        own = augmentation.own[index].to(self.device)
        entropy, distance, penalty, far = self.losses(x, labels, soft, own, learnt.to(self.device))
        self.reach[index] = torch.maximum(far, FORGET * self.reach[index])
        loss = (1 - SOFT) * entropy + SOFT * distance + phase.penalty * self.variant.range_weight * penalty
        self.optimiser.zero_grad()
        loss.backward()
        if self.pruner:
            self.pruner.observe()
        for group in self.optimiser.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], self.variant.clip)
        self.optimiser.step()
        self.network.project()
        if self.pruner:
            self.pruner.apply()
        return entropy.item(), penalty.item()

    def run_epoch(self, epochs):
        """One pass over the training images, hard ones in every batch; returns the means of entropy and range penalty."""
        start, paused, totals = time.monotonic(), 0.0, torch.zeros(2)
        mix = self.variant.mix if self.taught else 0.0
        phase = self.phase
        if phase is BOUNDING:
            self.scan()
        augmentation = dataset(self.description).Augmentation(self.prepared, self.args.seed, self.epoch, mix, phase.altered)
        soft = self.soft_labels(augmentation)
        gen = torch.Generator().manual_seed(7919 * self.args.seed + self.epoch)
        torch.manual_seed(7919 * self.args.seed + self.epoch)
        order = torch.randperm(len(self.labels), generator=gen)
        ordinary = self.args.batch - phase.hard
        steps = len(order) // ordinary
        shuffled = self.reach + 1e-3 * torch.rand(len(order), generator=gen)  # where none is known yet, any are taken
        hardest = shuffled.topk(min(phase.hardest, len(order))).indices
        self.network.train()
        for number in range(steps):
            paused += wait_while_paused(self.args.pause_file)
            progress = (self.epoch + number / steps) / epochs
            for group in self.optimiser.param_groups:
                group["lr"] = group["rate"] * learning_rate(progress, self.variant.peak_lr)
            if progress >= SETTLE and not self.settled:
                self.settle(augmentation, order)
            if self.pruner and number and number % MASK_EVERY == 0:
                self.pruner.prune(progress)
            # The square: of two images that explode, little would be seen among a hundred that are merely large.
            weights = self.reach[hardest].square() + 1e-6
            hard = hardest[torch.multinomial(weights, phase.hard, replacement=True, generator=gen)]
            index = order[number * ordinary :][:ordinary]
            totals += torch.tensor(self.step(phase, augmentation, index, hard, soft, gen))
        if not torch.isfinite(totals).all():
            raise SystemExit(f"{self.name} diverged in epoch {self.epoch + 1}; try a smaller peak_lr or clip")
        self.epoch += 1
        if self.pruner:
            self.pruner.prune(self.epoch / epochs)
        self.seconds += time.monotonic() - start - paused
        return (totals / steps).tolist()


def digest(path):
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mean_of(parts):
    """The mean of several networks' tensors; bounds are not theirs any more. Networks trained on from one start and with
    its statistics can be averaged: weights do not change places (model soups, arXiv 2203.05482)."""
    return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0] if not name.endswith(".bound")}


def reach(peaks, limits):
    """The largest peak of each image over all activations ([activations, n] to [n]), in units of the limits there."""
    return (peaks.float() / limits).amax(0).nan_to_num(nan=FURTHEST).clamp(max=FURTHEST)


@torch.no_grad()
def results(network, images, light=1.0):
    """(logits, peaks) of the network out of training, in mixed precision, for batches of `QUICK_BATCH` images in order.

    Images are made brighter by the factor `light`.
    """
    network.eval()
    device = next(network.parameters()).device
    for pixels in images.split(QUICK_BATCH):
        x = normalise((light / 255 * pixels.float()).clamp_(0, 1), network.description).to(device)
        with mixed(device.type):
            yield network(x)


def quick_accuracy(network, images, labels):
    """(share of images classified right, largest |z| of any activation), in mixed precision."""
    right, peak = 0, 0.0
    for y, (logits, peaks) in zip(labels.split(QUICK_BATCH), results(network, images)):
        right += (logits.argmax(1).cpu() == y).sum().item()
        peak = max(peak, peaks.nan_to_num(nan=float("inf")).max().item())
    return right / len(labels), peak


def main():
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--variant", help="name of a variant in the plan")
    args = parse_args(parser)
    torch.set_num_threads(args.threads)
    os.nice(10)
    train, test = load_data(args)
    trainer = Trainer(args, chosen_variant(args), train)
    planned = min(SMOKE_EPOCHS, trainer.variant.epochs) if args.smoke else trainer.variant.epochs
    epochs = planned if args.epochs is None else args.epochs
    while trainer.epoch < epochs:
        entropy, penalty = trainer.run_epoch(epochs)
        trainer.save()
        right, peak = quick_accuracy(trainer.network, *test)
        print(
            f"{args.network} {trainer.name} epoch {trainer.epoch}/{epochs} entropy {entropy:.4f} penalty {penalty:.3f} "
            f"test {right:.4f} peak {peak:.1f} {trainer.seconds:.0f} s",
            flush=True,
        )
    export_variant(trainer, epochs, train, test)


if __name__ == "__main__":
    main()
