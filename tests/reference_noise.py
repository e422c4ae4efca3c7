"""The random numbers of the plain reference: Philox4x32-10, and normal numbers by Box-Muller.

The address of a number is its seed, step, layer, purpose (draw) and part of the test set. Most
tests have one seed, so numbers are kept for the next network; they are read-only.
"""

from functools import lru_cache

import numpy as np

FRESH, SLOPE_1, SLOPE_2, VOLTAGE, READ, TEST, WRITE, DEVICE, DEVICE_TEST = 0, 1, 2, 3, 4, 6, 7, 8, 9
ROUNDING, WRITE_RAISED = 10, 11


def philox_words(seed, count, step, layer, draw, part=0):
    """[4, ceil(count / 4)] random 32-bit words."""
    with np.errstate(over="ignore"):
        block = np.arange((count + 3) // 4, dtype=np.uint64)
        c = [block] + [np.full_like(block, v) for v in (step, layer * 256 + draw, part)]
        k = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
        mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
        for _ in range(10):
            p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
            c = [(p1 >> half) ^ c[1] ^ k[0], p1 & mask, (p0 >> half) ^ c[3] ^ k[1], p0 & mask]
            k = [(k[0] + np.uint64(0x9E3779B9)) & mask, (k[1] + np.uint64(0xBB67AE85)) & mask]
    return np.stack(c).astype(np.float64)


def kept(numbers):
    """Draw the numbers of an address once."""

    @lru_cache(maxsize=2000)
    def drawn(shape, *address):
        array = numbers(shape, *address)
        array.flags.writeable = False
        return array

    return drawn


@kept
def normal(shape, *address):
    """N(0, 1) numbers; address: seed, step, layer, draw and, if it is not 0, part."""
    count = int(np.prod(shape))
    a, b, c, d = philox_words(address[0], count, *address[1:])
    numbers = []
    for u, v in ((a, b), (c, d)):
        radius, angle = np.sqrt(-2 * np.log((u + 0.5) / 2**32)), 2 * np.pi * v / 2**32
        numbers += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.concatenate(numbers)[:count].reshape(shape)


@kept
def uniform(shape, *address):
    """U(-1, 1) numbers; address as of `normal`."""
    count = int(np.prod(shape))
    words = philox_words(address[0], count, *address[1:])
    return ((words + 0.5) / 2**31 - 1).reshape(-1)[:count].reshape(shape)


@kept
def uniform_of_pairs(shape, *address):
    """U(0, 1) numbers, one for each weight of a layer of `shape` = (out, in).

    Outputs are addressed in blocks of 32: four words of a counter belong to outputs 8 apart.
    """
    n_out, n_in = shape
    blocks = -(-n_out // 32)
    words = philox_words(address[0], blocks * n_in * 32, *address[1:]).reshape(4, blocks, n_in, 8)
    out, column = np.arange(n_out)[:, None], np.arange(n_in)
    return (words[out % 32 // 8, out // 32, column, out % 8] + 0.5) / 2**32
