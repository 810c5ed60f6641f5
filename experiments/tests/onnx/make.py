"""Exports the models of the import tests, with the logits that onnxruntime gives for them.

    pip install torch onnx onnxscript onnxruntime keras
    KERAS_BACKEND=torch python make.py

writes NAME.onnx, bars.npz and logits.json beside this file, and leaves what make_jax.py wrote there. Weights are random, by a
seed; models.py has the image. Made with torch 2.15.0, onnx 1.23.2, onnxruntime 1.32.0, keras 3.15.1.
"""

import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

from models import HERE, image, models_of, plain, record

warnings.filterwarnings("ignore")


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Quadratic(nn.Module):
    """a x^2 + b x + c for each channel."""

    def __init__(self, channels):
        super().__init__()
        self.a = nn.Parameter(0.3 * torch.randn(channels, 1, 1))
        self.b = nn.Parameter(1 + 0.3 * torch.randn(1, channels, 1, 1))
        self.c = nn.Parameter(0.1 * torch.randn(channels, 1, 1))

    def forward(self, x):
        return self.a * torch.pow(x, 2) + x * self.b + self.c


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 5, stride=2, padding=2, bias=False)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, groups=2)
        self.fc1 = nn.Linear(24, 5)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = self.norm1(self.conv1(x)) ** 2
        x = functional.avg_pool2d(self.conv2(x), 2)
        x = x.view(x.size(0), -1)
        return self.fc1(self.drop(x))


class Quads(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.act1 = Quadratic(4)
        self.conv2 = nn.Conv2d(4, 4, (3, 1), stride=(1, 2), padding=(1, 0))
        self.act2 = Quadratic(4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = self.act1(self.conv1(self.norm((x - 0.5) / 0.25)))
        x = self.pool(self.act2(self.conv2(x)))
        return self.fc(torch.flatten(x, 1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.down = nn.Conv2d(4, 6, 1, stride=2)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.square(self.norm(self.stem(x)))
        y = self.conv2(torch.square(self.conv1(x)))
        x = torch.square(y + self.down(x))
        return self.fc(x.mean([2, 3]))


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, (2, 3), stride=(1, 2))
        self.conv2 = nn.Conv2d(3, 3, 3, dilation=2, padding=3)
        self.conv3 = nn.Conv2d(3, 2, 2, padding="same")
        self.pool = nn.AvgPool2d((3, 2), stride=2, padding=1)
        self.fc = nn.Linear(56, 3)

    def forward(self, x):
        x = self.conv1(functional.pad(x, (1, 2, 0, 3)))
        x = self.conv3(Square()(self.conv2(x)))
        return self.fc(self.pool(x).flatten(1))


class Flat(nn.Module):
    """A batch norm after a flatten, without a weight; quadratics by value."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm1d(32, affine=False)
        self.scale = nn.Parameter(torch.randn(32))
        self.fc1 = nn.Linear(32, 6)
        self.fc2 = nn.Linear(6, 3, bias=False)

    def forward(self, x):
        x = self.norm(torch.flatten(Square()(self.conv(x)), 1))
        x = Square()(self.fc1(x * self.scale))
        return self.fc2(x)


class Last(nn.Module):
    """Channels last: matrices over channels, and a flattened map whose channels come last."""

    def __init__(self):
        super().__init__()
        self.mix1 = nn.Linear(3, 4)
        self.mix2 = nn.Linear(4, 2)
        self.fc = nn.Linear(2 * 25, 3)

    def forward(self, x):
        x = self.mix2(Square()(self.mix1(x.permute(0, 2, 3, 1))))
        return self.fc(x.reshape(-1, 50))


class Twins(nn.Module):
    """Layers whose weights are equal, which exporters store once."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 2, 3, padding=1)
        self.conv2 = nn.Conv2d(2, 2, 3, padding=1)
        self.conv2.load_state_dict(self.conv1.state_dict())
        self.fc = nn.Linear(2 * 16, 3)
        self.skip = nn.Linear(2 * 16, 3)

    def forward(self, x):
        y = self.conv2(Square()(self.conv1(x)))
        return self.fc(y.flatten(1)) - self.skip(x.flatten(1)) / 2


class Exclude(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x)).flatten(1))


class Other(nn.Module):
    """With an activation that is no quadratic."""

    def __init__(self, activation):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.activation = activation
        self.fc = nn.Linear(2 * 16, 3)

    def forward(self, x):
        return self.fc(self.activation(self.conv(x)).flatten(1))


def inference(module):
    """Statistics of batch norms as after a training."""
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_(0, 0.3)
    return module.eval()


def torch_models():
    cases = [
        ("small", Small, (1, 1, 12, 12)),
        ("quads", Quads, (1, 3, 8, 8)),
        ("residual", Residual, (1, 2, 8, 8)),
        ("windows", Windows, (1, 1, 9, 9)),
        ("flat", Flat, (1, 1, 6, 6)),
        ("last", Last, (1, 3, 5, 5)),
        ("twins", Twins, (1, 2, 4, 4)),
    ]
    for k, (name, make, shape) in enumerate(cases):
        torch.manual_seed(k)
        module, x = inference(make()), torch.zeros(shape)
        batch = {"input_names": ["image"], "output_names": ["logits"]}
        script = {"dynamo": False, "opset_version": 17, "dynamic_axes": {"image": {0: "n"}}}
        torch.onnx.export(module, (x,), HERE / f"torch-script-{name}.onnx", **batch, **script)
        torch.onnx.export(
            module, (x,), HERE / f"torch-dynamo-{name}.onnx", dynamo=True, opset_version=18,
            external_data=name == "residual", verbose=False, **batch,
        )
    torch.manual_seed(50)
    script = {"dynamo": False, "opset_version": 17}
    x = torch.zeros((1, 1, 6, 6))
    torch.onnx.export(inference(Exclude()), (x,), HERE / "torch-script-exclude.onnx", **script)
    for name, activation in [("relu", nn.ReLU()), ("silu", nn.SiLU()), ("hardswish", nn.Hardswish())]:
        torch.onnx.export(inference(Other(activation)), (x,), HERE / f"refused-{name}.onnx", **script)
    torch.onnx.export(Other(nn.MaxPool2d(1)), (x,), HERE / "refused-maxpool.onnx", **script)
    live = {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
    torch.onnx.export(Other(nn.Dropout(0.5)), (x,), HERE / "refused-dropout.onnx", **script, **live)


def keras_models():
    layers, square = keras.layers, lambda x: x * x
    keras.utils.set_random_seed(9)
    first = keras.Input((9, 8, 2))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(first)
    x = layers.BatchNormalization()(x)
    x = layers.Lambda(square)(x)
    x = layers.AveragePooling2D(2)(x)
    small = keras.Model(first, layers.Dense(3)(layers.Flatten()(x)))
    x = layers.Lambda(square)(layers.Conv2D(3, 3, padding="same")(first))
    y = layers.Conv2D(3, (1, 3), padding="same")(x)
    x = layers.Lambda(square)(layers.Add()([x, y]))
    residual = keras.Model(first, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    flat = keras.Input((6, 6, 1))
    x = layers.Lambda(square)(layers.Dense(8)(layers.Flatten()(flat)))
    mlp = keras.Model(flat, layers.Dense(3)(layers.Dropout(0.5)(x)))
    for name, model in [("small", small), ("residual", residual), ("mlp", mlp)]:
        for norm in model.layers:
            if isinstance(norm, layers.BatchNormalization):
                shapes = [w.shape for w in norm.get_weights()]
                norm.set_weights([numpy.random.uniform(0.5, 1.5, s) for s in shapes])
        model.predict(numpy.zeros((1, *model.input_shape[1:])), verbose=0)
        model.export(HERE / f"keras-{name}.onnx", format="onnx", verbose=False)


def shapes(count, seed):
    """Bars of four directions, brighter than the noise around them, as bytes, and their numbers."""
    random = numpy.random.default_rng(seed)
    images = random.uniform(0, 90, (count, 1, 12, 12))
    labels = numpy.arange(count) % 4
    for image, label in zip(images[:, 0], labels):
        row, column = random.integers(2, 10, 2)
        for k in range(-3, 4):
            down, across = [(0, k), (k, 0), (k, k), (k, -k)][label]
            if 0 <= row + down < 12 and 0 <= column + across < 12:
                image[row + down, column + across] += random.uniform(90, 160)
    return images.astype(numpy.uint8), labels


def bars():
    """The network of README's "Bring your own", trained, and images to test it."""
    torch.manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, stride=2, padding=2), Square(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 16), Square(),
        nn.Linear(16, 4),
    )
    images, labels = shapes(4000, 1)
    x, y = (torch.tensor(images) / 255 - 0.25) / 0.2, torch.tensor(labels)
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for step in range(1500):
        some = torch.randint(0, len(x), (128,))
        loss = functional.cross_entropy(model(x[some]), y[some])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    torch.onnx.export(
        model.eval(), (torch.zeros(1, 1, 12, 12),), HERE / "bars.onnx", dynamo=True, opset_version=18, external_data=False,
        verbose=False,
    )
    images, labels = shapes(200, 2)
    x = (torch.tensor(images) / 255 - 0.25) / 0.2
    print("bars:", (model(x).argmax(1).numpy() == labels).mean())
    numpy.savez_compressed(HERE / "bars.npz", images=images[:60], labels=labels[:60])


def main():
    ours = ["bars", "keras", "refused", "torch"]
    for old in [*models_of(ours), *HERE.glob("*.onnx.data")]:
        old.unlink()
    torch_models()
    keras_models()
    bars()
    found = {}
    for path in models_of(ours):
        plain(path)
        if path.name.startswith("refused"):
            continue
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        [read] = session.get_inputs()
        shape = [1 if not isinstance(extent, int) else extent for extent in read.shape]
        [logits] = session.run(None, {read.name: image(shape)})
        found[path.stem] = (shape, logits)
    record(found, ours)


if __name__ == "__main__":
    main()
