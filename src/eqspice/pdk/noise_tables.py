"""Noise densities of transistors, characterised once over the bias: what transient noise looks up.

Two numbers per point, from the compact model's own noise sources: the logarithm of the white density
(the channel's thermal noise, and that of resistances inside of the device), and the logarithm of the
flicker density at 1 Hz over the drain current squared. Both are smooth where the densities span many
decades; flicker noise vanishes with the current by itself. The frequency exponent of flicker is one
number per transistor.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit.devices import Mosfet
from eqspice.jit import cache_folder
from eqspice.pdk import noise_tables_kernel as kernel
from eqspice.pdk import osdi, table_files

Floats = NDArray[np.float64]

TABLE_VERSION = 1
"""Part of the cache key: change it when what a table holds changes."""

_LEAST_WHITE = 1e-42  # A^2/Hz, far below that of any leakage
_LEAST_FLICKER = 1e-20  # 1/Hz
_BESIDE = 1e-3  # volts beside V_ds = 0, where the ratio of flicker to current squared is finite


@dataclass(frozen=True, eq=False)
class NoiseTable:
    """Densities of one transistor at multiplier one.

    Attributes:
        numbers: (layers, gate, drain, 2), see `noise_tables_kernel`.
        exponent: of flicker: density ~ 1 / f^exponent; 1.0 if the model has none.
    """

    numbers: Floats
    exponent: float


@lru_cache(maxsize=256)
def characterise_noise(mosfet: Mosfet, tied: bool) -> NoiseTable:
    """Returns the table of a transistor, from the cache or made anew (some seconds).

    Args:
        mosfet: with a card of an OSDI model; its multiplier does not matter.
        tied: over (V_gs, V_ds) with bulk tied to source; else over three voltages against the bulk, for
            a device that is the same with drain and source exchanged.

    Raises:
        ModelError: the model could not be evaluated.
    """
    single = dataclasses.replace(mosfet, multiplier=1.0)
    shape = kernel.PLANE if tied else kernel.SPACE
    size = int(np.prod(shape))
    key = table_files.device_key(single, f"noise {TABLE_VERSION} {shape}")
    path = cache_folder() / f"noise-{key[:32]}.npz"
    stored = table_files.load(path, key, (size + 1,))
    if stored is None:
        points = _plane() if tied else float(single.card.polarity) * _space()
        stored = _numbers(single, points)
        table_files.save(path, key, stored)
    return NoiseTable(np.ascontiguousarray(stored[:-1].reshape(shape)), float(stored[-1]))


def _numbers(mosfet: Mosfet, points: Floats) -> Floats:
    """Returns the numbers at the points, and the exponent behind them."""
    model = osdi.compact_model(mosfet)
    white, low, middle = model.drain_noise(points).T
    current = np.abs(model.evaluate(points).current[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(current > 0, low / current**2, 0.0)
        exponents = np.log10(low / middle) / 3.0
    strong = low > 1e-3 * low.max() if low.max() > 0 else np.zeros(len(low), bool)
    exponent = float(np.median(exponents[strong])) if strong.any() else 1.0
    pairs = np.stack([np.log(white + _LEAST_WHITE), np.log(ratio + _LEAST_FLICKER)], axis=1)
    return np.append(pairs.ravel(), exponent)


def _drain(count: int, low: float) -> Floats:
    voltage = kernel.BEND * np.sinh(low + kernel.DRAIN_STEP * np.arange(count))
    return np.where(np.abs(voltage) < _BESIDE, _BESIDE, voltage)


def _plane() -> Floats:
    layers, gates, drains, _ = kernel.PLANE
    vgs = kernel.PLANE_GATE_LOW + kernel.PLANE_GATE_STEP * np.arange(gates)
    points = np.zeros((layers, gates, drains, 4))
    points[..., 1] = vgs[:, None]
    points[..., 0] = _drain(drains, kernel.PLANE_DRAIN_LOW)
    return points.reshape(-1, 4)


def _space() -> Floats:
    layers, gates, drains, _ = kernel.SPACE
    low = kernel.SPACE_LOW + kernel.SPACE_STEP * np.arange(layers)
    points = np.zeros((layers, gates, drains, 4))
    points[..., 2] = low[:, None, None]
    points[..., 0] = low[:, None, None] + _drain(drains, 0.0)
    gate = kernel.SPACE_GATE_LOW + kernel.SPACE_GATE_STEP * np.arange(gates)
    points[..., 1] = low[:, None, None] + gate[:, None]
    return points.reshape(-1, 4)
