"""The shared library with Lattigo in the wheel of Orion, its functions declared for ctypes."""

import ctypes
from importlib.metadata import distribution

INT, FLOATS = ctypes.c_int, ctypes.POINTER(ctypes.c_float)


class Floats(ctypes.Structure):
    """An array that the library allocated."""

    _fields_ = [("data", FLOATS), ("length", ctypes.c_ulong)]


class Ints(ctypes.Structure):
    """As `Floats`."""

    _fields_ = [("data", ctypes.POINTER(INT)), ("length", ctypes.c_ulong)]


# Functions of the library: types of arguments, type of the result.
FUNCTIONS = {
    "NewScheme": ([INT, ctypes.POINTER(INT), INT, ctypes.POINTER(INT), INT, INT, INT] + [ctypes.c_char_p] * 3, None),
    "Encode": ([FLOATS, INT, INT, ctypes.c_ulong], INT),
    "Decode": ([INT], Floats),
    "GenerateLinearTransform": ([ctypes.POINTER(INT), INT, FLOATS, INT, INT, ctypes.c_float, ctypes.c_char_p], INT),
    "GetLinearTransformRotationKeys": ([INT], Ints),
    "FreeCArray": ([ctypes.c_void_p], None),
    **{name: ([INT], None) for name in ("DeletePlaintext", "DeleteCiphertext",
                                        "GenerateLinearTransformRotationKey")},
    **{name: ([INT], INT) for name in ("Encrypt", "Decrypt", "Rescale")},
    **{name: ([INT, INT], INT) for name in ("AddCiphertextNew", "MulPlaintextNew", "MulRelinCiphertextNew",
                                            "RotateNew", "EvaluateLinearTransform")},
    **{name: ([], None) for name in ("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey",
                                     "GenerateRelinearizationKey", "GenerateEvaluationKeys", "NewEncoder",
                                     "NewEncryptor", "NewDecryptor", "NewEvaluator",
                                     "NewLinearTransformEvaluator")},
}


def load():
    """The shared library of the wheel, its functions declared."""
    files = distribution("orion-fhe").files
    path = next((file.locate() for file in files if file.name == "lattigo-linux.so"), None)
    if path is None:
        raise OSError("the wheel of orion-fhe has no lattigo-linux.so: only Linux on x86-64 is supported")
    loaded = ctypes.CDLL(str(path))
    for name, (arguments, result) in FUNCTIONS.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, result
    return loaded
