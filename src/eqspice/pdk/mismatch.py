"""Mismatch: how equal devices of one chip differ, drawn from a seed, and what it does to a transistor.

Transistors vary in the parameters, and by the standard deviations, that their kit's library gives. A
tabulated transistor takes them to first order: `equivalents` says by how much a parameter shifts its gate and
stretches its current.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    Device,
    Mosfet,
    Product,
    VoltageControlledVoltageSource,
)
from eqspice.errors import InputError, unknown
from eqspice.pdk import ihp_sg13g2, osdi, sky130

Floats = NDArray[np.float64]

PARTS = ("transistors", "capacitors", "amplifiers", "multipliers")
Part = Literal["transistors", "capacitors", "amplifiers", "multipliers"]

CAPACITOR_SLOPE = 0.028
"""Relative standard deviation of a metal-insulator-metal capacitor of 1 um², of Sky130's `cap_mim_m3`."""

CAPACITANCE_PER_AREA = 2e-3
"""F/m² of such a capacitor, 2 fF/um²: an assumption, and what Sky130's own has."""

AMPLIFIER_OFFSET = 1.5e-3
"""V, referred to the input: a pair of `nfet_01v8` of 10 um² each, sqrt(2) 3.36 mV um / sqrt(10 um²)."""

MULTIPLIER_OFFSET = 4.7e-3
"""V, of a multiplier's first input: such a pair of 1 um² each."""

_STREAM = 7  # key of the random streams of mismatch among those of a seed
_FLOOR = 1e-7  # A times W/L: below it, a current's error counts by itself and not in proportion
_GATES = np.arange(0.0, 1.81, 0.1)  # V from source: where `equivalents` are fitted
_DRAINS = np.array([0.05, 0.2, 0.5, 1.0, 1.8])
_BULKS = np.array([0.0, -0.3, -0.6])


@dataclass(frozen=True)
class MismatchLaw:
    """What varies, and by how much.

    Attributes:
        sigma: factor on every standard deviation; 0 for a chip without mismatch.
        parts: kinds of parts that vary.
        capacitor_slope: relative standard deviation of a capacitor of 1 um²; it falls with the root of the
            area, at 2 fF/um².
        amplifier_offset: standard deviation of an ideal amplifier's offset, referred to its input, V.
        multiplier_offset: of a multiplier's offset, V.
    """

    sigma: float = 0.0
    parts: tuple[Part, ...] = ("transistors",)
    capacitor_slope: float = CAPACITOR_SLOPE
    amplifier_offset: float = AMPLIFIER_OFFSET
    multiplier_offset: float = MULTIPLIER_OFFSET

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise unknown("mismatch.parts", part, PARTS)
        for name in ("sigma", "capacitor_slope", "amplifier_offset", "multiplier_offset"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"mismatch.{name}: {value:g} is not allowed, it must be zero or positive.")


@dataclass(frozen=True, eq=False)
class Deviations:
    """One chip's deviations from the circuit as drawn, by device name.

    Attributes:
        transistors: {name: {parameter: deviation}}, in the units of the parameters.
        capacitors: relative deviation.
        offsets: V, of amplifiers and multipliers.
    """

    transistors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    capacitors: Mapping[str, float] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)

    def apply(self, name: str, device: Device) -> Device:
        """Returns a device of the circuit as it is on this chip: a transistor with a card of its own."""
        if isinstance(device, Mosfet) and name in self.transistors:
            return _kit(device).with_deviations(device, self.transistors[name])  # type: ignore[no-any-return]
        if isinstance(device, Capacitor) and name in self.capacitors:
            return replace(device, capacitance=device.capacitance * (1.0 + self.capacitors[name]))
        if name in self.offsets and isinstance(
            device, Product | VoltageControlledVoltageSource | BidirectionalAmplifier
        ):
            return replace(device, offset=device.offset + self.offsets[name])
        return device


def draw_deviations(circuit: Circuit, law: MismatchLaw, seed: int) -> Deviations:
    """Draws a chip. The same seed gives the same chip at every corner and temperature.

    Args:
        circuit: as drawn.
        law: what varies.
        seed: of the random numbers; every kind of part has a stream of its own.
    """
    streams = {
        part: np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM, k)))
        for k, part in enumerate(PARTS)
    }
    transistors: dict[str, dict[str, float]] = {}
    capacitors: dict[str, float] = {}
    offsets: dict[str, float] = {}
    for flat in circuit.devices if law.sigma > 0.0 else ():
        match flat.device:
            case Mosfet() as device if "transistors" in law.parts and not device.ideal:
                sigmas = _sigmas(device)
                normal = law.sigma * streams["transistors"].standard_normal(len(sigmas))
                drawn = zip(sigmas.values(), normal.tolist(), strict=True)
                transistors[flat.name] = dict(zip(sigmas, (s * x for s, x in drawn), strict=True))
            case Capacitor(capacitance=c) if "capacitors" in law.parts:
                sigma = law.sigma * law.capacitor_slope / math.sqrt(c / CAPACITANCE_PER_AREA * 1e12)
                capacitors[flat.name] = max(sigma * float(streams["capacitors"].standard_normal()), -0.9)
            case VoltageControlledVoltageSource() | BidirectionalAmplifier() if "amplifiers" in law.parts:
                normal_1 = float(streams["amplifiers"].standard_normal())
                offsets[flat.name] = law.sigma * law.amplifier_offset * normal_1
            case Product() if "multipliers" in law.parts:
                normal_1 = float(streams["multipliers"].standard_normal())
                offsets[flat.name] = law.sigma * law.multiplier_offset * normal_1
    return Deviations(transistors, capacitors, offsets)


def equivalent(device: Mosfet, tied: bool, deviations: Mapping[str, float]) -> tuple[float, float]:
    """Returns what deviations amount to: a shift of the gate, V, and a factor of currents and charges.

    Args:
        device: the transistor as drawn.
        tied: whether its bulk is tied to its source.
        deviations: {parameter: deviation}.
    """
    known = equivalents(replace(device, multiplier=1.0), tied)
    shift = sum(deviation * known[name][0] for name, deviation in deviations.items())
    stretch = sum(deviation * known[name][1] for name, deviation in deviations.items())
    return shift, math.exp(stretch)


@lru_cache(maxsize=4096)
def equivalents(device: Mosfet, tied: bool) -> Mapping[str, tuple[float, float]]:
    """Returns what each parameter that varies does to the drain current, to first order.

    dI/dp = a gm + b I, fitted by least squares over gates up to the supply, drains of both signs and,
    where the bulk is a node of its own, bulks down to -0.6 V. Errors count in proportion to the current,
    below threshold by themselves.

    Returns:
        {parameter: (a in V, b) per unit of the parameter}.
    """
    points = _biases(device.card.polarity, tied)
    found = osdi.compact_model(device).evaluate(points)
    current, gm = found.current[:, 0], found.conductance[:, 0, 1]
    weight = 1.0 / (np.abs(current) + _FLOOR * device.width / device.length)
    basis = np.column_stack([gm, current]) * weight[:, None]
    kit, result = _kit(device), {}
    for name, sigma in _sigmas(device).items():
        if sigma == 0.0:
            result[name] = 0.0, 0.0
            continue
        up, down = (
            osdi.compact_model(kit.with_deviations(device, {name: sign * sigma}))
            .evaluate(points)
            .current[:, 0]
            for sign in (1.0, -1.0)
        )
        slope = (up - down) / (2.0 * sigma) * weight
        shift, stretch = np.linalg.lstsq(basis, slope, rcond=None)[0]
        result[name] = float(shift), float(stretch)
    return result


def _biases(polarity: int, tied: bool) -> Floats:
    gates, drains, bulks = np.meshgrid(
        _GATES, np.concatenate([-_DRAINS, _DRAINS]), _BULKS[:1] if tied else _BULKS, indexing="ij"
    )
    points = np.zeros((gates.size, 4))
    points[:, 0], points[:, 1], points[:, 3] = drains.ravel(), gates.ravel(), bulks.ravel()
    if not tied:  # drains below the bulk would open their junctions
        points = points[points[:, 0] >= points[:, 3]]
    return polarity * points


@lru_cache(maxsize=4096)
def _sigmas(device: Mosfet) -> Mapping[str, float]:
    return dict(_kit(device).device_sigmas(device))


def _kit(device: Mosfet) -> ModuleType:
    return sky130 if device.card.name.startswith("sky130_") else ihp_sg13g2
