"""How large an error of a result may be: a bound on the noise of CKKS, by parameters alone.

A coefficient's noise is a sum of many independent terms, close to a normal distribution, and a slot is a sum of N
coefficients times roots of unity: its standard deviation is sqrt(N) times theirs. Sources of noise:

- encryption with a public key, `u e + e0 + s e1` with errors of deviation 3.2 and ternary `u` and `s` of which two thirds
  are not zero: variance `3.2^2 (4 N / 3 + 1)`;
- a key switch: every digit times an error, divided by the special primes, which are at least as large as a digit.
  In a slot the error has variance `3.2^2 N`. The digit is largest in the slot of the root nearest 1 if its coefficients
  are taken from zero upwards, as some libraries do: half a digit in each makes `N / pi` digits, the random rest `sqrt(N)` at
  most. Extending a digit to the other primes may add as many multiples of it as it has limbs, less one;
- rounding after a division by primes, and of a plaintext: `r0 + s r1`, uniform parts of variance 1/12.

Eight standard deviations are exceeded less than once in 10^14 slots. All numbers are at most 1, so that the noise of a
product is at most the sum of its operands'; TERMS counts these. What goes wrong without a word (a missing rescale, a rotation
by another shift) is wrong by about as much as the numbers are large.
"""

import math

DEVIATION = 3.2
SIGMAS = 8.0
# Operands that put their noise into a result; one where nothing is said.
TERMS = {
    "add": 2, "multiply, relinearise": 2, "square, relinearise": 2, "sum of rotations, each": 8, "layer, 9 rotations": 9,
}


def tolerance(setting, primitive, operands, result, rounding):
    """The largest error allowed.

    `operands` and `result` are base-2 logarithms of scales; `rounding` is that of the numbers a library takes and gives.
    """
    n = 1 << setting["log_n"]
    digits = -(-setting["limbs"] // setting["digit_limbs"])
    rounded = math.sqrt(n * 2 * (1 + 2 * n / 3) / 12)
    fresh = DEVIATION * math.sqrt(n * (4 * n / 3 + 1))
    switched = DEVIATION * math.sqrt(n * digits) * (n / math.pi + math.sqrt(n)) * setting["digit_limbs"]
    each = SIGMAS * (fresh + switched + rounded) / 2.0**operands
    return TERMS.get(primitive, 1) * (each + rounding) + SIGMAS * rounded / 2.0**result
