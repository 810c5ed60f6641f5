#!/usr/bin/env bash
# Orion 1.0.2 (wheel orion-fhe 1.0.2, with Lattigo 6.2.0 in a shared library): `RescaleNew`, which the package calls for
# `rescale(ciphertext, in_place=False)`, rescales its operand too. All other functions whose names end in `New` leave their
# operands as they were. Nothing is reported; the operand has lost a level, and a second rescale takes the next.
#
# Seen (levels):
#   product: 2
#   product after MulRelinCiphertextNew, RotateNew, AddCiphertextNew: 2 2 2
#   result of RescaleNew: 1
#   product after RescaleNew: 1
#
# Ends with status 0 while this is so, 1 when it is not any more, 2 when it cannot be tried. Needs Linux on x86-64, Python 3.10,
# 3.11 or 3.12 (PYTHON names it) and the network. Only the shared library is used, so that PyTorch is not needed.
set -euo pipefail

python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3.10 || true)}
if [ -z "$python" ] ||
  ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
  echo "Python 3.10, 3.11 or 3.12 is needed: name it with PYTHON=/path/to/python" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/env" &&
  "$folder/env/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    orion-fhe==1.0.2 || { echo "the wheel cannot be installed" >&2; exit 2; }

"$folder/env/bin/python" - <<'EOF'
import ctypes
import sys
from importlib.metadata import distribution

path = next(file.locate() for file in distribution("orion-fhe").files if file.name == "lattigo-linux.so")
go = ctypes.CDLL(str(path))
number, integer, floats = ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_float)
go.NewScheme.argtypes = [number, integer, number, integer, number, number, number] + [ctypes.c_char_p] * 3
go.Encode.argtypes = [floats, number, number, ctypes.c_ulong]
go.GetCiphertextLevel.argtypes = [ctypes.c_longlong]

# N = 2^12, three primes of data and a special one, scale 2^40.
go.NewScheme(12, (number * 3)(46, 46, 46), 3, (number * 1)(46), 1, 40, 192, b"standard", b"", b"none")
for step in ("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey", "GenerateRelinearizationKey",
             "GenerateEvaluationKeys", "NewEncoder", "NewEncryptor", "NewDecryptor", "NewEvaluator"):
    getattr(go, step)()
plaintext = go.Encode((ctypes.c_float * 2048)(*[0.5] * 2048), 2048, 2, 1 << 40)
product = go.MulPlaintextNew(go.Encrypt(plaintext), plaintext)
level = go.GetCiphertextLevel

levels = [level(product)]
print("product:", levels[0])
for operation, operand in ((go.MulRelinCiphertextNew, product), (go.RotateNew, 1), (go.AddCiphertextNew, product)):
    operation(product, operand)
    levels.append(level(product))
print("product after MulRelinCiphertextNew, RotateNew, AddCiphertextNew:", *levels[1:])
levels.append(level(go.RescaleNew(product)))
print("result of RescaleNew:", levels[-1])
levels.append(level(product))
print("product after RescaleNew:", levels[-1])
sys.exit(0 if levels == [2, 2, 2, 2, 1, 1] else "not as it was seen: see the head of this script")
EOF
