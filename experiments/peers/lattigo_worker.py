"""Times Lattigo: the shared library in the wheel of Orion, called directly.

The Python part of the package needs PyTorch and is not used. Numbers are single precision in the library's interface, both
those that it encodes and those that it decodes.
"""

from importlib.metadata import version

import numpy

from lattigo import FLOATS, INT, load
from worker import Primitive, layer, serve, values

LOG_SCALE = 40
# Numbers go in and come out rounded to 24 bits.
ROUNDING = 2.0**-23


class Handle:
    """A plaintext or ciphertext inside the library, freed with this object."""

    def __init__(self, number, free):
        self.number, self.free = number, free

    def __del__(self):
        self.free(self.number)


def floats(array):
    return array.ctypes.data_as(FLOATS)


def make(setting):
    go = load()
    bits, limbs, special = setting["bits"], setting["limbs"], setting["special"]
    data, extra = (INT * limbs)(*[bits] * limbs), (INT * special)(*[bits] * special)
    # The secret key has as many coefficients that are not zero as a uniformly ternary one: two thirds.
    go.NewScheme(setting["log_n"], data, limbs, extra, special, LOG_SCALE, (2 << setting["log_n"]) // 3,
                 b"standard", b"", b"none")
    for step in ("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey", "GenerateRelinearizationKey",
                 "GenerateEvaluationKeys", "NewEncoder", "NewEncryptor", "NewDecryptor", "NewEvaluator"):
        getattr(go, step)()
    # The evaluator has keys for all rotations by powers of two already.
    go.NewLinearTransformEvaluator()
    numbers = values(setting)
    single = numbers.astype(numpy.float32)

    def plain(number):
        return Handle(number, go.DeletePlaintext)

    def cipher(number):
        return Handle(number, go.DeleteCiphertext)

    def encode(level=limbs - 1):
        return plain(go.Encode(floats(single), len(single), level, 1 << LOG_SCALE))

    def encrypt(plaintext):
        return cipher(go.Encrypt(plaintext.number))

    def decode(plaintext):
        decoded = go.Decode(plaintext.number)
        found = numpy.ctypeslib.as_array(decoded.data, (decoded.length,)).copy()
        go.FreeCArray(decoded.data)
        return found

    def decrypt(ciphertext):
        return decode(plain(go.Decrypt(ciphertext.number)))

    def rescale(ciphertext):
        go.Rescale(ciphertext.number)
        return ciphertext

    shifts = (INT * 9)(*range(9))
    diagonals = numpy.tile(single, 9)
    # A ratio whose logarithm is negative: every rotation for itself, all from the same digits, as in this engine.
    transform = go.GenerateLinearTransform(shifts, 9, floats(diagonals), len(diagonals), limbs - 1, 0.1, b"none")
    wanted = go.GetLinearTransformRotationKeys(transform)
    for i in range(wanted.length):
        go.GenerateLinearTransformRotationKey(wanted.data[i])
    go.FreeCArray(wanted.data)

    plaintext = encode()
    a, b, last = encrypt(plaintext), encrypt(plaintext), encrypt(encode(level=0))
    squares, whole = numbers**2, 2 * LOG_SCALE

    def product():
        return cipher(go.MulPlaintextNew(a.number, plaintext.number))

    def times(left, right):
        return cipher(go.MulRelinCiphertextNew(left.number, right.number))

    # The transform's plaintexts have the scale of the last prime, so that rescaling leaves the scale as it was.
    return {"version": version("orion-fhe"), "log_scale": LOG_SCALE, "rounding": ROUNDING}, {
        "encode": Primitive(encode, decode, numbers, LOG_SCALE),
        "encrypt, public key": Primitive(lambda: encrypt(plaintext), decrypt, numbers, LOG_SCALE),
        "decrypt and decode": Primitive(lambda: decrypt(a), lambda found: found, numbers, LOG_SCALE),
        "decrypt and decode, last level": Primitive(lambda: decrypt(last), lambda found: found, numbers, LOG_SCALE),
        "add": Primitive(lambda: cipher(go.AddCiphertextNew(a.number, b.number)), decrypt, 2 * numbers, LOG_SCALE),
        "multiply by plaintext": Primitive(product, decrypt, squares, whole),
        # In place: the form with a result of its own overwrites its operand too, and then copies it.
        "rescale": Primitive(rescale, decrypt, squares, whole - bits, prepare=product),
        "multiply, relinearise": Primitive(lambda: times(a, b), decrypt, squares, whole),
        "square, relinearise": Primitive(lambda: times(a, a), decrypt, squares, whole),
        "rotate": Primitive(lambda: cipher(go.RotateNew(a.number, 1)), decrypt, numpy.roll(numbers, -1), LOG_SCALE),
        "layer, 9 rotations": Primitive(
            lambda: rescale(cipher(go.EvaluateLinearTransform(transform, a.number))), decrypt, layer(numbers), LOG_SCALE),
    }


serve(make)
