#!/bin/sh
# The whole loop in a few minutes: a plan is searched for, trained for a moment, and run encrypted.
#
#   smoke_plan.sh [NETWORK [FOLDER]]
#
# NETWORK is lenet, hefnet, vgg5-slim or resnet20; FOLDER gets the plan. SPENCNN is the command (built here by default), PYTHON an
# interpreter with requirements.txt installed, PROFILE a calibration profile (this machine's by default). With SPENCNN_DATA, images
# are those of the data set. The training is so short that its accuracy says nothing.
set -eu
network=${1:-lenet}
folder=${2:-$(mktemp -d)/plan}
here=$(cd "$(dirname "$0")" && pwd)
profile=${PROFILE:+--profile "$PROFILE"}
case $network in
lenet) limits="--max-drop 0.01 --log-n 14" ;;
hefnet) limits="--max-drop 0.02 --log-n 14" ;;
vgg5-slim) limits="--max-drop 0.03 --log-n 14" ;;
resnet20) limits="--max-drop 0.03 --log-n 16 --min-precision 4" ;;
*) echo "no limits are known for $network; there are lenet, hefnet, vgg5-slim and resnet20" >&2 && exit 2 ;;
esac
spencnn() {
    if [ -n "${SPENCNN:-}" ]; then "$SPENCNN" "$@"; else
        cargo run --release --quiet --manifest-path "$here/../Cargo.toml" --bin spencnn -- "$@"
    fi
}
precision=$(echo "$limits" | grep -o -e '--min-precision [0-9]*' || true)
# shellcheck disable=SC2086  # lists of words
spencnn search --network "$network" --patterns --quick $limits $profile --out "$folder"
"${PYTHON:-python}" "$here/train.py" --smoke --plan "$folder"
# shellcheck disable=SC2086
spencnn run --plan "$folder" --images 1 $precision $profile
echo "the plan is in $folder"
