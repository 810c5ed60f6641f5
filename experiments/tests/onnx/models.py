"""What the scripts that make the models of the import tests share."""

import json
import pathlib

import numpy
import onnx

HERE = pathlib.Path(__file__).parent
LOGITS = HERE / "logits.json"


def image(shape):
    """Value k of the image of a model is ((7919 k + 13) mod 256) / 255."""
    count = int(numpy.prod(shape))
    values = (7919 * numpy.arange(count) + 13) % 256 / 255
    return values.reshape(shape).astype(numpy.float32)


def models_of(prefixes):
    """The models whose names begin so, in order."""
    return [path for path in sorted(HERE.glob("*.onnx")) if path.name.startswith(tuple(prefixes))]


def plain(path):
    """Without notes of where in a program nodes came from, which are most of some files."""
    model = onnx.load(path, load_external_data=False)
    parts = [model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info]
    for part in [*parts, *model.graph.input, *model.graph.output]:
        del part.metadata_props[:]
        part.doc_string = ""
    path.write_bytes(model.SerializeToString())


def record(found, prefixes):
    """Writes the shape of the image and the logits of models by name, in place of all whose names begin so."""
    known = json.loads(LOGITS.read_text())
    entries = {name: entry for name, entry in known.items() if not name.startswith(tuple(prefixes))}
    for name, (shape, logits) in found.items():
        graph = onnx.load(HERE / f"{name}.onnx", load_external_data=False).graph
        entries[name] = {
            "shape": list(shape),
            "operators": sorted({node.op_type for node in graph.node}),
            "logits": [float(v) for v in numpy.ravel(logits)],
        }
    LOGITS.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")
