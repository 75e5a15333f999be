"""Accounts of energy over time steps, settling times, silicon areas: functions of arrays.

A simulator moves charge step by step. Its account closes only if the energy of a step is booked with the
charge that the step has moved. Between two steps node voltages go in a straight line from v to v', and
each device carries the mean current J that the integrator gives it:

    backward Euler:  J = I(v')
    BDF2:            J = ((1 + r) I(v') + r J_before) / (1 + 2 r),   r = step / step before

Then h J at a node is minus its change of charge to rounding, a capacitor's energy changes by exactly the
difference of C v^2 / 2, and what a jump burns that the steps do not resolve is booked in full: a closing
switch that moves Q over a voltage falling from V to 0 takes Q V / 2, however short its time constant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqspice.pdk.mismatch import CAPACITANCE_PER_AREA

FloatArray = NDArray[np.float64]


def mean_current(current: FloatArray, before: FloatArray | None, ratio: float) -> FloatArray:
    """Returns the current that an integrator's step carries, A.

    Args:
        current: at the end of the step.
        before: what this function gave for the step before; None for backward Euler.
        ratio: of the step to the one before.
    """
    if before is None:
        return current
    return ((1.0 + ratio) * current + ratio * before) / (1.0 + 2.0 * ratio)


def taken(voltage: FloatArray, voltage_after: FloatArray, charge: FloatArray) -> FloatArray:
    """Returns the energy that devices take while charge enters their terminals, J, shape (n,).

    Args:
        voltage: of the terminals before the step, V, shape (n, terminals).
        voltage_after: after it.
        charge: that enters each terminal during the step, C.
    """
    return np.asarray(np.sum(0.5 * (voltage + voltage_after) * charge, axis=-1))


def imbalance(delivered: FloatArray, taken_up: FloatArray) -> float:
    """Returns |sum of delivered - sum of taken_up| over all that is delivered by what delivers.

    Args:
        delivered: energy of each source or active part, J; negative if it takes.
        taken_up: energy dissipated or stored of each other part, J; negative if it gives back.
    """
    turned_over = delivered[delivered > 0.0].sum() - taken_up[taken_up < 0.0].sum()
    error = abs(delivered.sum() - taken_up.sum())
    return float(error / turned_over) if turned_over > 0.0 else float(error)


def settling_time(
    times: FloatArray, values: FloatArray, relative: float = 0.01, absolute: float = 1e-3
) -> float:
    """Returns the seconds from the first time until every signal stays at its last value.

    Args:
        times: s, shape (T,).
        values: V, shape (T, signals).
        relative: a signal is there within this part of its last value, or
        absolute: within this, V, whichever is larger.
    """
    band = np.maximum(relative * np.abs(values[-1]), absolute)
    away = np.flatnonzero(np.any(np.abs(values - values[-1]) > band, axis=1))
    return float(times[away[-1] + 1] - times[0]) if len(away) else 0.0


def fet_area(width: float, length: float, multiplier: float, diffusion: float) -> float:
    """Returns W (L + 2 diffusion) of a FET with contacts on both sides, m^2; no wells, no wires."""
    return multiplier * width * (length + 2.0 * diffusion)


def capacitor_area(capacitance: float) -> float:
    """Returns the plate area of a capacitor, m^2."""
    return capacitance / CAPACITANCE_PER_AREA
