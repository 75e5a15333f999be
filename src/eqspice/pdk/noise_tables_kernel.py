"""Looks noise densities up: linear interpolation of logarithms on coarse grids.

PLANE is over V_gs and V_ds, SPACE over the lower end of the channel against the bulk (the layers), the
gate against the lower end, and |V_ds|; mirrored for p-channel. The axis along V_ds is u with V_ds = BEND
sinh(u): close around zero, where a channel in weak inversion saturates within 0.1 V. Outside of a grid
its edge counts.
"""

# mypy: disable-error-code="no-untyped-call,type-arg"

from __future__ import annotations

import math

import numpy as np

from eqspice.jit import kernel

BEND = 0.05
DRAIN_STEP = 0.25
PLANE = (1, 111, 37, 2)
PLANE_GATE_LOW, PLANE_GATE_STEP, PLANE_DRAIN_LOW = -2.2, 0.04, -4.5
SPACE = (11, 69, 20, 2)
SPACE_LOW, SPACE_STEP, SPACE_GATE_LOW, SPACE_GATE_STEP = -0.5, 0.25, -0.5, 0.05


@kernel(inline="always")
def _place(value, low, step, count):  # type: ignore[no-untyped-def]
    """Returns the cell of a value on an axis and how far into it."""
    u = min(max((value - low) / step, 0.0), count - 1.0)
    cell = min(int(u), count - 2)
    return cell, u - cell


@kernel(inline="always")
def _bend(v):  # type: ignore[no-untyped-def]
    """Returns asinh(v / BEND), faster than the library does."""
    u = abs(v) / BEND
    w = math.log(u + math.sqrt(u * u + 1.0))
    return w if v >= 0.0 else -w


@kernel(nogil=True)
def _layer(numbers: np.ndarray, i: int, x: float, j: int, y: float) -> tuple[float, float]:
    first = (1.0 - x) * ((1.0 - y) * numbers[i, j, 0] + y * numbers[i, j + 1, 0])
    first += x * ((1.0 - y) * numbers[i + 1, j, 0] + y * numbers[i + 1, j + 1, 0])
    second = (1.0 - x) * ((1.0 - y) * numbers[i, j, 1] + y * numbers[i, j + 1, 1])
    second += x * ((1.0 - y) * numbers[i + 1, j, 1] + y * numbers[i + 1, j + 1, 1])
    return first, second


@kernel(nogil=True)
def plane_noise(numbers: np.ndarray, vgs: float, vds: float) -> tuple[float, float]:
    """Returns white density (A^2/Hz), and flicker density at 1 Hz over current squared (1/Hz).

    Args:
        numbers: float64 PLANE, `NoiseTable.numbers`.
        vgs: gate to source, V.
        vds: drain to source, V.
    """
    i, x = _place(vgs, PLANE_GATE_LOW, PLANE_GATE_STEP, PLANE[1])
    j, y = _place(_bend(vds), PLANE_DRAIN_LOW, DRAIN_STEP, PLANE[2])
    white, flicker = _layer(numbers[0], i, x, j, y)
    return math.exp(white), math.exp(flicker)


@kernel(nogil=True)
def space_noise(
    numbers: np.ndarray, polarity: float, drain: float, gate: float, source: float
) -> tuple[float, float]:
    """Returns the same as `plane_noise`.

    Args:
        numbers: float64 SPACE, `NoiseTable.numbers`.
        polarity: 1 for n-channel, -1 for p-channel.
        drain: V against the bulk.
        gate: V against the bulk.
        source: V against the bulk.
    """
    low = min(polarity * drain, polarity * source)
    k, z = _place(low, SPACE_LOW, SPACE_STEP, SPACE[0])
    i, x = _place(polarity * gate - low, SPACE_GATE_LOW, SPACE_GATE_STEP, SPACE[1])
    j, y = _place(_bend(abs(drain - source)), 0.0, DRAIN_STEP, SPACE[2])
    white_1, flicker_1 = _layer(numbers[k], i, x, j, y)
    white_2, flicker_2 = _layer(numbers[k + 1], i, x, j, y)
    return math.exp(white_1 + z * (white_2 - white_1)), math.exp(flicker_1 + z * (flicker_2 - flicker_1))
