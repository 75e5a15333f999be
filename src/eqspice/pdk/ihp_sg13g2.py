"""IHP SG13G2, 130 nm: the 1.2 V transistors of the open process kit, resolved for one geometry.

The numbers come from the PyPI package `ihp-gdsfactory` (Apache-2.0, IHP PDK Authors) by way of
`scripts/import_ihp_sg13g2.py`, and so does the source of the compact model that they were fitted for,
PSP 103.6. The PSP 103 that VACASK brings compiled is older: it fixes the exponent of Coulomb scattering
(`thecs`) at 2 where these transistors have 1.18 and 1.46, and its currents are up to 27 % too large.

The oxide is 2.2 nm thin and its gates leak: 10 pA at 1 V for W = 1 um, L = 0.13 um. On a storage
capacitor of 0.1 pF that is 24 mV in one presentation of 240 us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from eqspice.circuit.devices import ModelCard, Mosfet
from eqspice.errors import InputError, unknown
from eqspice.pdk.arguments import check_choices, check_multiplier, check_temperature, read_data
from eqspice.pdk.expressions import evaluate
from eqspice.pdk.roles import Drawn

MODELS = ("sg13_lv_nmos", "sg13_lv_pmos")
CORNERS = ("tt", "ss", "ff", "sf", "fs")
MODEL_SETS = ("continuous",)
JUNCTIONS = ("physical",)
TEMPERATURES = (-40.0, 125.0)
"""Range of the library in degrees Celsius."""

SUPPLY = 1.2
"""Volts between the rails of the core logic."""

ROLES = {
    "nfet": Drawn("sg13_lv_nmos", 0.42e-6, 0.15e-6),
    "pfet": Drawn("sg13_lv_pmos", 0.84e-6, 0.15e-6),
    "nfet_lvt": Drawn("sg13_lv_nmos", 0.42e-6, 1e-6),
    "pfet_lvt": Drawn("sg13_lv_pmos", 1.55e-6, 1e-6),
}

NETLIST_PREFIX = ""
"""In front of a model's name in netlists."""

NETLIST_LENGTH = 1.0
"""Metres per unit of w= and l= of a transistor's X line in netlists."""

_MICRO = 1e-6
_EDGE = 1e-9  # relative: a value this close to a limit is within it


@cache
def _data() -> dict[str, Any]:
    return read_data("ihp_sg13g2")


def source() -> dict[str, Any]:
    """Returns where the numbers come from: package, version, sha256 of its files, licence."""
    return dict(_data()["source"])


def mosfet(
    model: str,
    width: float,
    length: float,
    *,
    corner: str = "tt",
    temperature: float = 27.0,
    model_set: str = "continuous",
    junctions: str = "physical",
    multiplier: float = 1.0,
    fingers: int = 1,
) -> Mosfet:
    """Returns one transistor with its model card resolved.

    Args:
        model: one of MODELS.
        width: drawn gate width in metres, of each of the parallel devices, all fingers together.
        length: drawn gate length in metres.
        corner: one of CORNERS (n-channel first: sf is slow n, fast p).
        temperature: of the device, degrees Celsius.
        model_set: "continuous": one card for all geometries.
        junctions: "physical": drain and source areas of the layout rules.
        multiplier: number of devices in parallel (the library's m).
        fingers: gate fingers that share diffusions (the library's ng).

    Raises:
        InputError: a name is not known, or the geometry or temperature is outside the library.
    """
    _choose(model, corner, model_set)
    check_choices({"junctions": (junctions, JUNCTIONS)})
    check_temperature(temperature, TEMPERATURES)
    check_multiplier(multiplier)
    if fingers != int(fingers) or fingers < 1:
        raise InputError(f"fingers: {fingers} is not allowed, it must be a whole number of 1 or more.")
    _check_geometry(model, width, length, fingers)
    table = _data()["models"][model]
    symbols = table["corners"][corner] | table["instance"]["symbols"]
    symbols |= {"w": width, "l": length, "ng": float(fingers)}
    parameters = _resolved(table["parameters"], symbols)
    instance = _resolved(table["instance"]["odd" if fingers % 2 else "even"], symbols)
    instance |= {"nf": float(fingers), "delvto": 0.0, "factuo": 1.0}
    origin = _data()["source"]
    card = ModelCard(
        name=f"{model}_{corner}_w{width / _MICRO:g}_l{length / _MICRO:g}_ng{fingers}",
        level="psp103",
        polarity=table["polarity"],
        parameters=tuple(sorted(parameters.items())),
        provenance=f"{origin['package']} {origin['version']} {model} mos_{corner}; "
        f"{origin['license']}, Copyright {origin['copyright']}",
    )
    return Mosfet(card, width, length, multiplier, temperature, tuple(sorted(instance.items())))


def mismatch_slopes(
    model: str,
    width: float,
    length: float,
    *,
    corner: str = "tt",
    model_set: str = "continuous",
    multiplier: float = 1.0,
) -> dict[str, float]:
    """Returns the standard deviation of each quantity that varies from device to device.

    The library draws each of them independently: the threshold `delvto` (V) and the relative mobility
    `factuo` with sigma = slope / sqrt(W L multiplier), W and L in micrometres, and the drawn width `w`
    and length `l` (m) with a fixed sigma.
    """
    _choose(model, corner, model_set)
    check_multiplier(multiplier)
    _check_geometry(model, width, length, 1)
    slopes = _data()["models"][model]["mismatch"]
    root = math.sqrt(width / _MICRO * length / _MICRO * multiplier)
    return {
        "delvto": slopes["delvto"] / root,
        "factuo": slopes["factuo"] / root,
        "w": slopes["dw"],
        "l": slopes["dl"],
    }


def device_sigmas(device: Mosfet) -> dict[str, float]:
    """Returns `mismatch_slopes` of a transistor of this kit."""
    model = next(name for name in MODELS if device.card.name.startswith(f"{name}_"))
    return mismatch_slopes(model, device.width, device.length, multiplier=device.multiplier)


def with_deviations(device: Mosfet, deviations: Mapping[str, float]) -> Mosfet:
    """Returns the transistor with deviations added.

    Args:
        device: a transistor of this kit.
        deviations: {name: deviation} of model or instance parameters, or of `w` and `l` in metres; for
            example mismatch slopes times standard normal draws.
    """
    card, instance = dict(device.card.parameters), dict(device.instance)
    geometry = {"w": device.width, "l": device.length}
    for name, deviation in deviations.items():
        where = next((part for part in (geometry, instance, card) if name in part), None)
        if where is None:
            raise unknown("deviations", name, ("w", "l", *sorted(instance), *sorted(card)))
        where[name] += deviation
    return replace(
        device,
        card=replace(device.card, parameters=tuple(sorted(card.items()))),
        width=geometry["w"],
        length=geometry["l"],
        instance=tuple(sorted(instance.items())),
    )


def geometry_limits(model: str, model_set: str = "continuous") -> tuple[float, float, float, float]:
    """Returns (smallest width, largest width, smallest length, largest length) in metres, inclusive.

    The widths are those of one finger.
    """
    _choose(model, "tt", model_set)
    limits = _data()["limits"]
    return (*limits["width"], *limits["length"])


def _choose(model: str, corner: str, model_set: str) -> None:
    check_choices(
        {"model": (model, MODELS), "corner": (corner, CORNERS), "model_set": (model_set, MODEL_SETS)}
    )


def _check_geometry(model: str, width: float, length: float, fingers: int) -> None:
    narrow, wide, short, long = geometry_limits(model)
    finger = f"width of each of {fingers} fingers" if fingers > 1 else "width"
    for field, value, low, high in ((finger, width / fingers, narrow, wide), ("length", length, short, long)):
        if not low * (1.0 - _EDGE) <= value <= high * (1.0 + _EDGE):
            raise InputError(
                f"{field}: {value / _MICRO:g} um is not allowed for {model}, the range is "
                f"{low / _MICRO:g} um to {high / _MICRO:g} um."
            )


def _resolved(table: Mapping[str, float | str], symbols: Mapping[str, float]) -> dict[str, float]:
    """Returns numbers for a table of numbers and formulas."""
    return {
        name: evaluate(value, symbols) if isinstance(value, str) else float(value)
        for name, value in table.items()
    }
