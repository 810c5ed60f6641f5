#!/usr/bin/env bash
# rten-onnx 0.27.0 (crate, the reader of ONNX files of rten): a model whose attributes have lists of integers (strides, pads) in
# packed form is refused. Protocol Buffers lets a list of numbers be packed or not, whatever the schema says, and asks readers
# to take both; the proto3 form of ONNX's schema, onnx.proto3, packs them. The crate takes both for the values of tensors, and only
# lists one by one for attributes. The model is one convolution; onnx 1.19.1, which checks it, finds the same model in both files.
#
# Seen:
#   onnx, lists one by one: the model
#   onnx, lists packed: the model
#   rten-onnx, lists one by one: pads [1, 1, 1, 1], strides [1, 1]
#   rten-onnx, lists packed: error: error in message rten_onnx::onnx::AttributeProto field 8: field type mismatch
#
# Ends with status 0 while this is so, 1 when it is not any more, 2 when it cannot be tried. Needs cargo, Python 3.9 to 3.13
# (PYTHON names it) and the network.
set -euo pipefail

python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3.10 || command -v python3 || true)}
if [ -z "$python" ] ||
  ! "$python" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
  echo "Python 3.9 to 3.13 is needed: name it with PYTHON=/path/to/python" >&2
  exit 2
fi
command -v cargo >/dev/null || { echo "cargo is needed" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/env" &&
  "$folder/env/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    onnx==1.19.1 protobuf==6.33.0 || { echo "the wheels cannot be installed" >&2; exit 2; }

"$folder/env/bin/python" - "$folder" <<'EOF' || exit 1
import sys

import onnx
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from onnx import TensorProto, helper

folder = sys.argv[1]
weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 3, 3], [1.0] * 9)
node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[1, 1], pads=[1, 1, 1, 1])
image = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy"]
graph = helper.make_graph([node], "one convolution", image[:1], image[1:], [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
plain = model.SerializeToString()

# The same schema, with the option [packed = true] on the lists of integers of attributes.
schema = descriptor_pb2.FileDescriptorProto()
onnx.ModelProto.DESCRIPTOR.file.CopyToProto(schema)
attribute = next(message for message in schema.message_type if message.name == "AttributeProto")
next(field for field in attribute.field if field.name == "ints").options.packed = True
pool = descriptor_pool.DescriptorPool()
pool.Add(schema)
packed = message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx.ModelProto")).FromString(plain)
packed = packed.SerializeToString()

as_seen = packed != plain
for name, content in (("one by one", plain), ("packed", packed)):
    with open(f"{folder}/{name.replace(' ', '-')}.onnx", "wb") as file:
        file.write(content)
    read = onnx.load_from_string(content)
    onnx.checker.check_model(read, full_check=True)
    print(f"onnx, lists {name}: {'the model' if read == model else 'another model'}")
    as_seen = as_seen and read == model
sys.exit(0 if as_seen else "not as it was seen: see the head of this script")
EOF

mkdir -p "$folder/reader/src"
cat >"$folder/reader/Cargo.toml" <<'EOF'
[package]
name = "reader"
version = "0.0.0"
edition = "2021"

[dependencies]
rten-onnx = "=0.27.0"

[workspace]
EOF
cat >"$folder/reader/src/main.rs" <<'EOF'
fn main() {
    let path = std::env::args().nth(1).unwrap();
    match rten_onnx::onnx::ModelProto::parse_buf(&std::fs::read(path).unwrap()) {
        Ok(model) => {
            let node = &model.graph.as_ref().unwrap().node[0];
            let lists = node.attribute.iter().filter(|a| !a.ints.is_empty());
            let lists = lists.map(|a| format!("{} {:?}", a.name.as_deref().unwrap_or(""), a.ints));
            println!("{}", lists.collect::<Vec<_>>().join(", "));
        }
        Err(error) => println!("error: {error}"),
    }
}
EOF
CARGO_TARGET_DIR=$folder/target cargo build --quiet --manifest-path "$folder/reader/Cargo.toml" ||
  { echo "the crate cannot be built" >&2; exit 2; }
plain=$("$folder/target/debug/reader" "$folder/one-by-one.onnx")
packed=$("$folder/target/debug/reader" "$folder/packed.onnx")
echo "rten-onnx, lists one by one: $plain"
echo "rten-onnx, lists packed: $packed"
if [ "$plain" != "pads [1, 1, 1, 1], strides [1, 1]" ] ||
  [ "$packed" != "error: error in message rten_onnx::onnx::AttributeProto field 8: field type mismatch" ]; then
  echo "not as it was seen: see the head of this script" >&2
  exit 1
fi
