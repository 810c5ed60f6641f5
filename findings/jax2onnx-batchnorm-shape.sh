#!/usr/bin/env bash
# jax2onnx 0.17.1 (exporter of JAX and Flax models to ONNX): Conv, BatchNorm, relu, Conv of a Flax model comes out with wrong shapes.
# The exporter moves channels first for the convolutions and leaves out the transposes between them, but the shape that it notes for
# what comes after the batch norm still has channels last: [1, 6, 8, 4] for a tensor of [1, 4, 6, 8]. The checker of onnx 1.23.2
# refuses the model with full_check. Without the batch norm the shapes are right.
#
# Seen:
#   without a batch norm: relu_out_0 [1, 4, 6, 8], valid
#   with a batch norm: relu_out_0 [1, 6, 8, 4], Inferred shape and existing shape differ
#
# Ends with status 0 while this is so, 1 when it is not any more, 2 when it cannot be tried. Needs Python 3.12 or 3.13 (PYTHON
# names it) and the network.
set -euo pipefail

python=${PYTHON:-$(command -v python3.12 || command -v python3.13 || command -v python3 || true)}
if [ -z "$python" ] ||
  ! "$python" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  echo "Python 3.12 or 3.13 is needed: name it with PYTHON=/path/to/python" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/env" &&
  "$folder/env/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    jax==0.12.0.1 jaxlib==0.12.0.1 flax==0.12.12 jax2onnx==0.17.1 onnx==1.23.2 onnx-ir==1.1.0 ||
  { echo "the wheels cannot be installed" >&2; exit 2; }

"$folder/env/bin/python" - <<'EOF'
import sys

import onnx
from flax import nnx
from jax2onnx import to_onnx

rngs = nnx.Rngs(0)
conv1, conv2 = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.Conv(4, 2, (3, 3), rngs=rngs)
norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
seen = []
for name, between in (("without", lambda x: x), ("with", norm)):
    model = to_onnx(lambda x: conv2(nnx.relu(between(conv1(x)))), [(1, 6, 8, 1)])
    [relu] = [node for node in model.graph.node if node.op_type == "Relu"]
    [value] = [value for value in model.graph.value_info if value.name == relu.output[0]]
    shape = [extent.dim_value for extent in value.type.tensor_type.shape.dim]
    try:
        onnx.checker.check_model(model, full_check=True)
        verdict = "valid"
    except onnx.shape_inference.InferenceError as error:
        differs = "Inferred shape and existing shape differ"
        verdict = differs if differs in str(error) else str(error)
    print(f"{name} a batch norm: {relu.output[0]} {shape}, {verdict}")
    seen.append((shape, verdict))
wanted = [([1, 4, 6, 8], "valid"), ([1, 6, 8, 4], "Inferred shape and existing shape differ")]
sys.exit(0 if seen == wanted else "not as it was seen: see the head of this script")
EOF
