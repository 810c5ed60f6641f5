"""Times SEAL through the bindings in TenSEAL."""

from importlib.metadata import version

import numpy
import tenseal.sealapi as seal

from worker import Primitive, Unsupported, layer, serve, values

LOG_SCALE = 40


def make(setting):
    if setting["special"] != 1 or setting["digit_limbs"] != 1:
        raise Unsupported("it has one special prime and digits of one limb")
    n, bits, limbs = 1 << setting["log_n"], setting["bits"], setting["limbs"]
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(n)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(n, [bits] * (limbs + 1)))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.NONE)
    generator = seal.KeyGenerator(context)
    secret = generator.secret_key()
    public, relinearisation, galois = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
    generator.create_public_key(public)
    generator.create_relin_keys(relinearisation)
    # Galois elements, not steps: powers of 3 are SEAL's rotations.
    generator.create_galois_keys([pow(3, shift, 2 * n) for shift in range(1, 9)], galois)
    encoder, evaluator = seal.CKKSEncoder(context), seal.Evaluator(context)
    encryptor, decryptor = seal.Encryptor(context, public, secret), seal.Decryptor(context, secret)
    numbers = values(setting)
    # The bindings take lists.
    listed = numbers.tolist()

    def encode():
        plaintext = seal.Plaintext()
        encoder.encode(listed, 2.0**LOG_SCALE, plaintext)
        return plaintext

    plaintext = encode()

    def into(operation, *operands):
        """A result in a new ciphertext, as the other libraries give it."""
        result = seal.Ciphertext()
        operation(*operands, result)
        return result

    a, b = (into(encryptor.encrypt, plaintext) for _ in range(2))
    last = a
    for _ in range(limbs - 1):
        last = into(evaluator.mod_switch_to_next, last)

    def decrypt(ciphertext):
        decrypted = seal.Plaintext()
        decryptor.decrypt(ciphertext, decrypted)
        return encoder.decode_double(decrypted)

    def multiply(operation, *operands):
        product = into(operation, *operands)
        evaluator.relinearize_inplace(product, relinearisation)
        return product

    def multiply_plain(ciphertext):
        return into(evaluator.multiply_plain, ciphertext, plaintext)

    def sum_of_products():
        # There are no hoisted rotations.
        total = multiply_plain(a)
        for shift in range(1, 9):
            rotated = into(evaluator.rotate_vector, a, shift, galois)
            evaluator.multiply_plain_inplace(rotated, plaintext)
            evaluator.add_inplace(total, rotated)
        evaluator.rescale_to_next_inplace(total)
        return total

    product = multiply_plain(a)
    squares, whole = numbers**2, 2 * LOG_SCALE

    def primitive(run, expected, log_scale=LOG_SCALE, read=decrypt):
        return Primitive(run, read, expected, log_scale)

    primitives = {
        "encode": primitive(encode, numbers, read=encoder.decode_double),
        "encrypt, public key": primitive(lambda: into(encryptor.encrypt, plaintext), numbers),
        "decrypt and decode": primitive(lambda: decrypt(a), numbers, read=list),
        "decrypt and decode, last level": primitive(lambda: decrypt(last), numbers, read=list),
        "add": primitive(lambda: into(evaluator.add, a, b), 2 * numbers),
        "multiply by plaintext": primitive(lambda: multiply_plain(a), squares, whole),
        "rescale": primitive(lambda: into(evaluator.rescale_to_next, product), squares, whole - bits),
        "multiply, relinearise": primitive(lambda: multiply(evaluator.multiply, a, b), squares, whole),
        "square, relinearise": primitive(lambda: multiply(evaluator.square, a), squares, whole),
        "rotate": primitive(lambda: into(evaluator.rotate_vector, a, 1, galois), numpy.roll(numbers, -1)),
        "layer, 9 rotations": primitive(sum_of_products, layer(numbers), whole - bits),
    }
    if hasattr(encryptor, "encrypt_symmetric"):
        primitives["encrypt, secret key"] = primitive(lambda: into(encryptor.encrypt_symmetric, plaintext), numbers)
    return {"version": version("tenseal"), "log_scale": LOG_SCALE}, primitives


serve(make)
