"""Times OpenFHE."""

from importlib.metadata import version

import numpy
import openfhe as fhe

from worker import Primitive, layer, serve, values


def make(setting):
    bits, slots = setting["bits"], 1 << (setting["log_n"] - 1)
    parameters = fhe.CCParamsCKKSRNS()
    parameters.SetRingDim(2 * slots)
    parameters.SetMultiplicativeDepth(setting["limbs"] - 1)
    parameters.SetScalingModSize(bits)
    parameters.SetFirstModSize(60)
    parameters.SetScalingTechnique(fhe.FIXEDMANUAL)
    parameters.SetKeySwitchTechnique(fhe.HYBRID)
    parameters.SetNumLargeDigits(-(-setting["limbs"] // setting["digit_limbs"]))
    # The sets are at the 128-bit bound by another table; the library's own is not to change the ring degree.
    parameters.SetSecurityLevel(fhe.HEStd_NotSet)
    parameters.SetBatchSize(slots)
    context = fhe.GenCryptoContext(parameters)
    for feature in (fhe.PKE, fhe.KEYSWITCH, fhe.LEVELEDSHE):
        context.Enable(feature)
    keys = context.KeyGen()
    context.EvalMultKeyGen(keys.secretKey)
    context.EvalRotateKeyGen(keys.secretKey, list(range(1, 9)))
    numbers = values(setting)
    plaintext = context.MakeCKKSPackedPlaintext(numbers)
    a, b = (context.Encrypt(keys.publicKey, plaintext) for _ in range(2))
    last = context.LevelReduce(a, None, setting["limbs"] - 1)
    digits = context.EvalFastRotationPrecompute(a)
    product = context.EvalMult(a, plaintext)
    squares, rotated, twice = numbers**2, numpy.roll(numbers, -1), numpy.roll(numbers, -2)

    def decrypt(ciphertext):
        return context.Decrypt(keys.secretKey, ciphertext)

    def numbers_of(decrypted):
        return decrypted.GetRealPackedValue()

    def decrypted(ciphertext):
        return numbers_of(decrypt(ciphertext))

    def sum_of_products():
        # Rotations from the same digits; products in the extended basis are not in the wheel's interface.
        precomputed = context.EvalFastRotationPrecompute(a)
        total = context.EvalMult(a, plaintext)
        for shift in range(1, 9):
            term = context.EvalMult(context.EvalFastRotation(a, shift, precomputed), plaintext)
            total = context.EvalAdd(total, term)
        return context.Rescale(total)

    def primitive(run, read, expected, log_scale=bits):
        return Primitive(run, read, expected, log_scale)

    return {"version": version("openfhe"), "log_scale": bits}, {
        "encode": primitive(lambda: context.MakeCKKSPackedPlaintext(numbers),
                            lambda encoded: decrypted(context.Encrypt(keys.publicKey, encoded)), numbers),
        "encrypt, secret key": primitive(lambda: context.Encrypt(keys.secretKey, plaintext), decrypted, numbers),
        "encrypt, public key": primitive(lambda: context.Encrypt(keys.publicKey, plaintext), decrypted, numbers),
        "decrypt and decode": primitive(lambda: decrypt(a), numbers_of, numbers),
        "decrypt and decode, last level": primitive(lambda: decrypt(last), numbers_of, numbers),
        "add": primitive(lambda: context.EvalAdd(a, b), decrypted, 2 * numbers),
        "multiply by plaintext": primitive(lambda: context.EvalMult(a, plaintext), decrypted, squares, 2 * bits),
        "rescale": primitive(lambda: context.Rescale(product), decrypted, squares),
        "multiply, relinearise": primitive(lambda: context.EvalMult(a, b), decrypted, squares, 2 * bits),
        "square, relinearise": primitive(lambda: context.EvalSquare(a), decrypted, squares, 2 * bits),
        "rotate": primitive(lambda: context.EvalRotate(a, 1), decrypted, rotated),
        "hoisted rotations, once": primitive(
            lambda: context.EvalFastRotationPrecompute(a),
            lambda found: decrypted(context.EvalFastRotation(a, 1, found)), rotated),
        "hoisted rotations, each": primitive(lambda: context.EvalFastRotation(a, 2, digits), decrypted, twice),
        # Left in the extended basis; a sum of rotations adds these and has one mod-down.
        "sum of rotations, each": primitive(
            lambda: context.EvalFastRotationExt(a, 2, digits, True),
            lambda extended: decrypted(context.KeySwitchDown(extended)), twice),
        "layer, 9 rotations": primitive(sum_of_products, decrypted, layer(numbers)),
    }


serve(make)
