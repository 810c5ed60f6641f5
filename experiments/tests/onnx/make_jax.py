"""Exports the models of the import tests that are written in JAX and Flax, with the logits that JAX gives for them.

    pip install jax==0.12.0.1 flax==0.12.12 jax2onnx==0.17.1 onnx==1.23.2
    python make_jax.py

writes jax-NAME.onnx and their part of logits.json beside this file. Weights are random, by a seed; models.py has the image.
"""

import jax
import numpy
import onnx
from flax import nnx
from jax import numpy as jnp
from jax2onnx import to_onnx

from models import HERE, image, models_of, plain, record


class Quadratic(nnx.Module):
    """a x^2 + b x + c for each channel."""

    def __init__(self, channels, rngs):
        self.a = nnx.Param(0.3 * jax.random.normal(rngs.params(), (channels,)))
        self.b = nnx.Param(1 + 0.3 * jax.random.normal(rngs.params(), (channels,)))
        self.c = nnx.Param(0.1 * jax.random.normal(rngs.params(), (channels,)))

    def __call__(self, x):
        return self.a[...] * x**2 + self.b[...] * x + self.c[...]


def flat(x):
    return x.reshape(x.shape[0], -1)


class Small(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 4, (5, 5), strides=2, padding="SAME", use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
        self.conv2 = nnx.Conv(4, 6, (3, 3), padding="VALID", feature_group_count=2, rngs=rngs)
        self.fc = nnx.Linear(24, 5, rngs=rngs)

    def __call__(self, x):
        x = jnp.square(self.norm(self.conv1(x)))
        x = nnx.avg_pool(self.conv2(x), window_shape=(2, 2), strides=(2, 2))
        return self.fc(flat(x))


class Quads(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.act1 = Quadratic(4, rngs)
        self.conv2 = nnx.Conv(4, 4, (3, 1), strides=(1, 2), padding=((1, 1), (0, 0)), rngs=rngs)
        self.act2 = Quadratic(4, rngs)
        self.fc = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        x = self.act1(self.conv1((x - 0.5) / 0.25))
        x = self.act2(self.conv2(x))
        return self.fc(x.mean(axis=(1, 2)))


class Residual(nnx.Module):
    """Activations first: what the sum reads is read by an activation, too, and then by a pool."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(2, 4, (3, 3), rngs=rngs)
        self.conv1 = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(4, 4, (3, 3), rngs=rngs)
        self.down = nnx.Conv(4, 6, (1, 1), rngs=rngs)
        self.conv3 = nnx.Conv(4, 6, (3, 3), strides=2, rngs=rngs)
        self.fc = nnx.Linear(6 * 16, 4, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        x = x + self.conv2(jnp.square(self.conv1(x * x)))
        y = self.down(nnx.avg_pool(x, window_shape=(2, 2), strides=(2, 2)))
        return self.fc(flat(jnp.square(y + self.conv3(x))))


class Edges(nnx.Module):
    """Means of the values inside the map alone."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 2, (3, 3), padding="VALID", rngs=rngs)
        self.act = Quadratic(2, rngs)
        self.mix = nnx.Conv(2, 3, (3, 3), rngs=rngs)
        self.fc = nnx.Linear(12, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(self.act(self.conv(x)), window_shape=(3, 3), padding="SAME", count_include_pad=False)
        x = jnp.square(self.mix(x))
        x = nnx.avg_pool(x, window_shape=(3, 3), strides=(2, 2), padding="SAME", count_include_pad=False)
        return self.fc(flat(x))


class Mlp(nnx.Module):
    def __init__(self, rngs):
        self.fc1 = nnx.Linear(36, 8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, deterministic=True, rngs=rngs)
        self.fc2 = nnx.Linear(8, 3, use_bias=False, rngs=rngs)

    def __call__(self, x):
        return self.fc2(self.drop(jnp.square(self.fc1(flat(x)))))


def inference(model, seed):
    """Statistics of batch norms as after a training."""
    random = numpy.random.default_rng(seed)
    for _, part in nnx.iter_graph(model):
        if isinstance(part, nnx.BatchNorm):
            for statistic in [part.mean, part.var, part.scale, part.bias]:
                statistic[...] = jnp.asarray(random.uniform(0.5, 1.5, statistic.shape), jnp.float32)
    model.eval()
    return model


def main():
    cases = [
        ("small", Small, (12, 12, 1)),
        ("quads", Quads, (8, 8, 3)),
        ("residual", Residual, (8, 8, 2)),
        ("edges", Edges, (6, 6, 1)),
        ("mlp", Mlp, (6, 6, 1)),
    ]
    for old in models_of(["jax"]):
        old.unlink()
    found = {}
    for seed, (name, make, shape) in enumerate(cases):
        model = inference(make(nnx.Rngs(seed)), seed)
        # One with a batch of any size.
        batch = "B" if name == "mlp" else 1
        path = HERE / f"jax-{name}.onnx"
        onnx.save(to_onnx(model, [(batch, *shape)], model_name=name), path)
        plain(path)
        with jax.default_matmul_precision("highest"):
            found[path.stem] = ((1, *shape), model(jnp.asarray(image((1, *shape)))))
    record(found, ["jax"])


if __name__ == "__main__":
    main()
