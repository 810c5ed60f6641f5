"""Times SEAL through the bindings in TenSEAL."""

from importlib.metadata import version

import tenseal.sealapi as seal

from worker import Unsupported, serve

SCALE = 2.0**40


def make(setting):
    if setting["special"] != 1 or setting["digit_limbs"] != 1:
        raise Unsupported("it has one special prime and digits of one limb")
    n = 1 << setting["log_n"]
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(n)
    bits = [setting["bits"]] * (setting["limbs"] + 1)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(n, bits))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.NONE)
    generator = seal.KeyGenerator(context)
    secret = generator.secret_key()
    public, relinearisation, galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
    generator.create_public_key(public)
    generator.create_relin_keys(relinearisation)
    # Galois elements, not steps: 3 is SEAL's rotation by one slot.
    generator.create_galois_keys([3], galois)
    encoder, evaluator = seal.CKKSEncoder(context), seal.Evaluator(context)
    encryptor, decryptor = seal.Encryptor(context, public, secret), seal.Decryptor(context, secret)
    values = [(0.7 * i) % 2 - 1 for i in range(n // 2)]

    def encode():
        plaintext = seal.Plaintext()
        encoder.encode(values, SCALE, plaintext)
        return plaintext

    plaintext = encode()

    def into(operation, *operands):
        """A result in a new ciphertext, as the other libraries give it."""
        result = seal.Ciphertext()
        operation(*operands, result)
        return result

    a, b = (into(encryptor.encrypt, plaintext) for _ in range(2))

    def decrypt():
        decrypted = seal.Plaintext()
        decryptor.decrypt(a, decrypted)
        return encoder.decode_double(decrypted)

    def multiply(operation, *operands):
        product = into(operation, *operands)
        evaluator.relinearize_inplace(product, relinearisation)
        return product

    primitives = {
        "encode": encode,
        "encrypt, public key": lambda: into(encryptor.encrypt, plaintext),
        "decrypt and decode": decrypt,
        "add": lambda: into(evaluator.add, a, b),
        "multiply by plaintext": lambda: into(evaluator.multiply_plain, a, plaintext),
        "rescale": lambda: into(evaluator.rescale_to_next, a),
        "multiply, relinearise": lambda: multiply(evaluator.multiply, a, b),
        "square, relinearise": lambda: multiply(evaluator.square, a),
        "rotate": lambda: into(evaluator.rotate_vector, a, 1, galois),
    }
    if hasattr(encryptor, "encrypt_symmetric"):
        primitives["encrypt, secret key"] = lambda: into(encryptor.encrypt_symmetric, plaintext)
    return {"version": version("tenseal")}, primitives


serve(make)
