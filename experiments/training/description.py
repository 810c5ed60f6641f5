"""Network descriptions: the TOML files that the command reads, with their shapes."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parent.parent
NETWORKS, WEIGHTS = EXPERIMENTS / "networks", EXPERIMENTS / "weights"


@dataclass
class Layer:
    """One layer; shapes are (channels, height, width)."""

    name: str
    kind: str
    sources: list
    shape_in: tuple
    shape_out: tuple
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True

    @property
    def weight_shape(self):
        """Shape of the weight, or None for a layer without one."""
        if self.kind == "conv":
            return (self.shape_out[0], self.shape_in[0] // self.groups, self.kernel, self.kernel)
        if self.kind == "fc":
            channels, height, width = self.shape_in
            return (self.shape_out[0], channels * height * width)
        return None


@dataclass
class Description:
    """A network: its layers in order, and how images are normalised (see `images.normalise`)."""

    name: str
    shape: tuple
    mean: list
    std: list
    contrast: float | None = None
    layers: list = field(default_factory=list)

    def layer(self, name):
        return next(layer for layer in self.layers if layer.name == name)

    def before(self, name):
        """The layers before one, as a description of their own."""
        names = [layer.name for layer in self.layers]
        return replace(self, layers=self.layers[: names.index(name)])

    def readers(self, name):
        """The layers that read a layer's result."""
        return [layer for layer in self.layers if name in layer.sources]

    def linear(self):
        """Convolutions and fully connected layers."""
        return [layer for layer in self.layers if layer.weight_shape]

    def activation_alone(self, linear):
        """The activation that alone reads a linear layer without a bias, whose inputs can so be scaled at will; or None."""
        readers = self.readers(linear.name)
        alone = len(readers) == 1 and readers[0].kind == "activation"
        return readers[0] if alone and linear.weight_shape and not linear.bias else None

    def constant_is_lost(self, activation):
        """Whether the normalisation behind the next linear layer takes out what an activation adds to all its results
        (but for the share of it that padding keeps from the border)."""
        readers = self.readers(activation.name)
        while len(readers) == 1 and readers[0].kind in ("avgpool", "flatten"):
            readers = self.readers(readers[0].name)
        return len(readers) == 1 and self.activation_alone(readers[0]) is not None

    def activations(self):
        return [layer for layer in self.layers if layer.kind == "activation"]

    def pruned_layers(self):
        """The convolutions that units are removed from: all but the first layer and shortcuts."""
        return [layer for layer in self.layers[1:] if layer.kind == "conv"]


def _window(extent, kernel, stride):
    return (extent - kernel) // stride + 1


def _shape_out(entry, layer):
    channels, height, width = layer.shape_in
    if layer.kind == "conv":
        pad = 2 * layer.padding
        return (
            entry["out"],
            _window(height + pad, layer.kernel, layer.stride),
            _window(width + pad, layer.kernel, layer.stride),
        )
    if layer.kind == "fc":
        return (entry["out"], 1, 1)
    if layer.kind == "avgpool":
        return (channels, *(_window(extent, layer.kernel, layer.stride) for extent in (height, width)))
    if layer.kind == "shortcut":
        return (entry["out"], -(-height // layer.stride), -(-width // layer.stride))
    if layer.kind == "flatten":
        return (channels * height * width, 1, 1)
    if layer.kind in ("activation", "add"):
        return layer.shape_in
    raise ValueError(f"layer {layer.name}: unknown kind {layer.kind!r}")


def read_description(name, groups=None, folder=NETWORKS):
    """Read `<name>.toml`, with other group counts for the layers named in `groups`."""
    raw = tomllib.loads((Path(folder) / f"{name}.toml").read_text())
    head = raw["input"]
    shape = (head["channels"], head["height"], head["width"])
    per_channel = lambda v: [v] * shape[0] if isinstance(v, float) else v
    mean, std = per_channel(head["mean"]), per_channel(head["std"])
    result = Description(raw["name"], shape, mean, std, head.get("contrast"))
    shapes, previous = {"input": shape}, "input"
    for entry in raw["layer"]:
        sources = entry.get("input", previous)
        sources = [sources] if isinstance(sources, str) else sources
        kernel = entry.get("kernel", 1)
        layer = Layer(
            name=entry["name"],
            kind=entry["kind"],
            sources=sources,
            shape_in=shapes[sources[0]],
            shape_out=(),
            kernel=kernel,
            stride=entry.get("stride", kernel if entry["kind"] == "avgpool" else 1),
            padding=entry.get("padding", 0),
            groups=(groups or {}).get(entry["name"], entry.get("groups", 1)),
            bias=entry.get("bias", True),
        )
        layer.shape_out = _shape_out(entry, layer)
        result.layers.append(layer)
        shapes[layer.name], previous = layer.shape_out, layer.name
    return result
