"""Times OpenFHE."""

from importlib.metadata import version

import numpy
import openfhe as fhe

from worker import serve


def make(setting):
    slots = 1 << (setting["log_n"] - 1)
    parameters = fhe.CCParamsCKKSRNS()
    parameters.SetRingDim(2 * slots)
    parameters.SetMultiplicativeDepth(setting["limbs"] - 1)
    parameters.SetScalingModSize(setting["bits"])
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
    context.EvalRotateKeyGen(keys.secretKey, [1, 2])
    values = numpy.sin(0.7 * numpy.arange(slots))
    plaintext = context.MakeCKKSPackedPlaintext(values)
    a, b = (context.Encrypt(keys.publicKey, plaintext) for _ in range(2))
    digits = context.EvalFastRotationPrecompute(a)
    primitives = {
        "encode": lambda: context.MakeCKKSPackedPlaintext(values),
        "encrypt, secret key": lambda: context.Encrypt(keys.secretKey, plaintext),
        "encrypt, public key": lambda: context.Encrypt(keys.publicKey, plaintext),
        "decrypt and decode": lambda: context.Decrypt(keys.secretKey, a),
        "add": lambda: context.EvalAdd(a, b),
        "multiply by plaintext": lambda: context.EvalMult(a, plaintext),
        "rescale": lambda: context.Rescale(a),
        "multiply, relinearise": lambda: context.EvalMult(a, b),
        "square, relinearise": lambda: context.EvalSquare(a),
        "rotate": lambda: context.EvalRotate(a, 1),
        "hoisted rotations, once": lambda: context.EvalFastRotationPrecompute(a),
        "hoisted rotations, each": lambda: context.EvalFastRotation(a, 2, digits),
        # Left in the extended basis; a sum of rotations adds these and has one mod-down.
        "sum of rotations, each": lambda: context.EvalFastRotationExt(a, 2, digits, True),
    }
    return {"version": version("openfhe")}, primitives


serve(make)
