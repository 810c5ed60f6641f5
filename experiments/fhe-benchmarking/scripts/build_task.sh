#!/usr/bin/env bash
# The harness calls this with the folder of a submission: it fills build/ in that with the executables of the stages and
# the compiled network of configuration.toml.
set -euo pipefail
task="$(cd "${1:?the folder of a submission}" && pwd)"
here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
workspace="$here/../../.."
if [ ! -f "$workspace/experiments/fhe-benchmarking/Cargo.toml" ]; then
  echo "$here is no folder of the spencnn repository: link the folders, do not copy them" >&2
  exit 1
fi
network="$(sed -n 's/^network = "\(.*\)"$/\1/p' "$task/configuration.toml")"

cargo build --release --manifest-path "$workspace/Cargo.toml" -p spencnn-experiments -p spencnn-fhe-benchmarking
target="$(cargo metadata --manifest-path "$workspace/Cargo.toml" --format-version 1 --no-deps |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release"

mkdir -p "$task/build"
for source in "$here"/../src/bin/*.rs; do
  stage="$(basename "$source" .rs)"
  ln -sf "$target/$stage" "$task/build/$stage"
done
"$target/spencnn" compile --network "$network" --config "$task/configuration.toml" \
  --model "$task/build/model.spencnn" --client "$task/build/client.spencnn"
