#!/usr/bin/env bash
# OpenFHE 1.6.1 (wheel openfhe 1.6.1.0.22.4), CKKS with FIXEDMANUAL: to a product that was not rescaled, a plaintext or a number
# is added at the product's scale, a ciphertext at its own. The sum with the ciphertext is the product alone: the other
# operand is 2^46 times too small. Nothing is reported, although both ciphertexts carry their scales.
#
# Seen (errors over all slots of values in [-1, 1]):
#   product + plaintext: error below 1e-6
#   product + number: error below 1e-6
#   product + ciphertext: error 1.0
#   rescaled product + ciphertext: error below 1e-6
#
# Ends with status 0 while this is so, 1 when it is not any more, 2 when it cannot be tried. Needs Python 3.10 (PYTHON names
# it), the C library 2.34 or newer, and the network.
set -euo pipefail

python=${PYTHON:-$(command -v python3.10 || true)}
if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then
  echo "Python 3.10 is needed: name it with PYTHON=/path/to/python3.10" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/env" &&
  "$folder/env/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    openfhe==1.6.1.0.22.4 numpy==2.2.6 || { echo "the wheels cannot be installed" >&2; exit 2; }

"$folder/env/bin/python" - <<'EOF'
import sys

import numpy
import openfhe as fhe

parameters = fhe.CCParamsCKKSRNS()
parameters.SetRingDim(1 << 13)
parameters.SetMultiplicativeDepth(2)
parameters.SetScalingModSize(46)
parameters.SetScalingTechnique(fhe.FIXEDMANUAL)
parameters.SetSecurityLevel(fhe.HEStd_NotSet)
context = fhe.GenCryptoContext(parameters)
for feature in (fhe.PKE, fhe.KEYSWITCH, fhe.LEVELEDSHE):
    context.Enable(feature)
keys = context.KeyGen()
values = numpy.sin(0.7 * numpy.arange(1 << 12))
plaintext = context.MakeCKKSPackedPlaintext(values)
ciphertext = context.Encrypt(keys.publicKey, plaintext)
product = context.EvalMult(ciphertext, plaintext)

sums = {
    "product + plaintext": (context.EvalAdd(product, plaintext), values**2 + values, False),
    "product + number": (context.EvalAdd(product, 0.5), values**2 + 0.5, False),
    "product + ciphertext": (context.EvalAdd(product, ciphertext), values**2 + values, True),
    "rescaled product + ciphertext": (context.EvalAdd(context.Rescale(product), ciphertext), values**2 + values, False),
}
as_seen = True
for name, (result, expected, lost) in sums.items():
    decrypted = numpy.array(context.Decrypt(keys.secretKey, result).GetRealPackedValue())[: len(values)]
    error = numpy.abs(decrypted - expected).max()
    print(f"{name}: error {'below 1e-6' if error < 1e-6 else f'{error:.1f}'}")
    as_seen = as_seen and ((numpy.abs(decrypted - values**2).max() < 1e-6) if lost else error < 1e-6)
sys.exit(0 if as_seen else "not as it was seen: see the head of this script")
EOF
