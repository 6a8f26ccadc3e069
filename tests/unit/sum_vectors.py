"""Prints random lists of doubles and their exact sums, rounded once to nearest even, as a C header.

The sums come from Python's rational numbers, which share nothing with src/reduce/sum_f64.c. All doubles are written by
their bits. The lists are the same in every run.
"""
import random
import struct
from fractions import Fraction

SEED = 20250101


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def double(pattern):
    return struct.unpack("<d", struct.pack("<Q", pattern))[0]


def exact_sum(values):
    """The double nearest to the true sum: dividing two of Python's integers rounds correctly, ties to even."""
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return total.numerator / total.denominator
    except OverflowError:
        return float("inf") if total > 0 else float("-inf")


def random_double(rng, low, high):
    """Any bits of sign and fraction, an exponent field from low to high."""
    return double(rng.getrandbits(1) << 63 | rng.randint(low, high) << 52 | rng.getrandbits(52))


def random_lists(rng):
    kinds = [(0, 2046), (0, 60), (0, 1), (1023, 1023), (1000, 1076), (2000, 2046), (2040, 2046), (500, 600)]
    for low, high in kinds:
        for _ in range(60):
            values = [random_double(rng, low, high) for _ in range(rng.randint(1, 30))]
            yield values
            # what nearly cancels out shows the low bits
            yield values + [-value for value in rng.sample(values, rng.randint(0, len(values)))]
            # all gone but the error of one rounding
            if len(values) > 2:
                rounded = exact_sum(values)
                if abs(rounded) != float("inf"):
                    yield values + [-rounded]


def ties(rng):
    """Sums that lie exactly half way between two doubles, and a bit beside it."""
    for _ in range(120):
        exponent = rng.randint(120, 2045)
        value = random_double(rng, exponent, exponent)
        half = double((exponent - 53) << 52)
        for sign in (1, -1):
            yield [value, sign * half]
            yield [value, sign * half, double(1)]
            yield [value, sign * half, -double(1)]


def edges():
    largest, least, normal = double(0x7FEFFFFFFFFFFFFF), double(1), double(1 << 52)
    half_ulp = double((2046 - 53) << 52)
    yield []
    yield [0.0, -0.0]
    yield [-0.0]
    yield [largest, half_ulp]
    yield [largest, half_ulp, -least]
    yield [-largest, -half_ulp]
    yield [-largest, -half_ulp, least]
    yield [largest] * 1000 + [-largest] * 999
    yield [-largest] * 1000 + [largest] * 999
    yield [largest] * 3
    yield [-largest] * 3
    yield [normal, -least]
    yield [-normal, least]
    yield [least] * 100
    yield [-least] * 100
    yield [normal, normal, -least]
    yield [1e308, 1e308, -1e308]
    yield [1.0, 1e100, 1.0, -1e100]
    yield [0.1] * 10


def main():
    rng = random.Random(SEED)
    lists = list(edges()) + list(random_lists(rng)) + list(ties(rng))
    print("static const uint64_t sum_values[] = {")
    for values in lists:
        print("".join(f"{bits(value):#x}," for value in values))
    print("};\nstatic const struct { unsigned count; uint64_t sum; } sum_vectors[] = {")
    for values in lists:
        print(f"{{{len(values)}, {bits(exact_sum(values)):#x}}},")
    print("};")


main()
