"""Random numbers in compiled code, whose whole state is an array of four words."""

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
def _word(s):  # type: ignore[no-untyped-def]
    """xoshiro256+ (Blackman and Vigna 2018): the next 64 bits."""
    result = s[0] + s[3]
    t = s[1] << np.uint64(17)
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = (s[3] << np.uint64(45)) | (s[3] >> np.uint64(19))
    return result


@kernel()
def _uniform(s):  # type: ignore[no-untyped-def]
    """Returns a number in (0, 1]."""
    return (float(np.int64(_word(s) >> np.uint64(11))) + 1.0) * (1.0 / 9007199254740992.0)


@kernel()
def _edge(s, layer, x):  # type: ignore[no-untyped-def]
    """The rare case: a number of the tail, or of a layer's edge; negative if it is not taken."""
    if layer == 0:
        while True:
            beyond = -math.log(_uniform(s)) / _TAIL
            if -2.0 * math.log(_uniform(s)) > beyond * beyond:
                return _TAIL + beyond
    high = _DENSITY[layer + 1] if layer + 1 < _LAYERS else 1.0
    if _DENSITY[layer] + _uniform(s) * (high - _DENSITY[layer]) < math.exp(-0.5 * x * x):
        return x
    return -1.0


@kernel()
def normal(generator):  # type: ignore[no-untyped-def]
    """Returns a standard normal number by the ziggurat of Marsaglia and Tsang (2000).

    Args:
        generator: state, uint64 (4,), not all zero.
    """
    while True:
        word = _word(generator)
        layer = (word >> np.uint64(3)) & np.uint64(_LAYERS - 1)
        x = float(np.int64(word >> np.uint64(11))) * (1.0 / 9007199254740992.0) * _EDGES[layer]
        if x >= _EDGES[layer + np.uint64(1)]:
            x = _edge(generator, np.int64(layer), x)
            if x < 0.0:
                continue
        return x if word & np.uint64(4) else -x
