"""Behavioural sources as lines that ngspice, Xyce and VACASK (lang=ngspice) read alike."""

from __future__ import annotations

from eqspice.circuit import BehaviouralCurrentSource, BehaviouralVoltageSource, Device
from eqspice.engines.spice.dialects import number
from eqspice.errors import InputError

KINDS = ("behavioural_current", "behavioural_voltage")
_WRITTEN_OUT = 8  # integer powers up to this are products: ngspice takes (-2)**3 as 8
_LONGEST = 20_000


def is_behavioural(device: Device) -> bool:
    """Returns whether these lines are for a device."""
    return device.kind in KINDS


def behavioural(device: Device, name: str, nodes: list[str]) -> list[str]:
    """Returns the lines of a behavioural source.

    Args:
        device: the source.
        name: of its lines, without the letter.
        nodes: simulator's names of p, n and the sensed nodes.

    Raises:
        InputError: the formula is too long when its powers are written out.
    """
    p, n = nodes[:2]
    voltages = [f"v({node})" if node != "0" else "0" for node in nodes[2:]]
    if isinstance(device, BehaviouralVoltageSource):
        r = device.output_resistance
        current = f"({number(-1.0 / r)})*({device.formula.text(voltages, _power)})"
        return [f"r_{name} {p} {n} {number(r)}", f"b_{name} {p} {n} i={{{current}}}"]
    assert isinstance(device, BehaviouralCurrentSource)
    return [f"b_{name} {p} {n} i={{{device.formula.text(voltages, _power)}}}"]


def _power(base: str, exponent: float) -> str:
    whole = int(exponent)
    if whole != exponent or not 0 < abs(whole) <= _WRITTEN_OUT:
        return f"({base}**({number(exponent)}))"
    product = "*".join([base] * abs(whole))
    if len(product) > _LONGEST:
        raise InputError(f"formula: written out for the simulator it has more than {_LONGEST} characters.")
    return f"({product})" if whole > 0 else f"(1/({product}))"
