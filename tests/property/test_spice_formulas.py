"""Random formulas: whatever simpler device the reader takes for one, it computes the formula."""

import math
import random

import pytest

from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Product,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
)
from eqspice.circuit.spice_reader import read_subcircuit
from eqspice.errors import NetlistError

NUMBERS = ("0", "1", "2.5", "3m", "-1", "0.5", "1e300", "1e-300")
VOLTAGES = ("V(a)", "V(b)", "V(c)", "V(a,b)", "V(b,a)", "V(c,a)", "V(0,b)")
FUNCTIONS = ("tanh", "exp", "sin", "atan")
AT = {"a": 0.31, "b": -0.47, "c": 0.83, "0": 0.0}


def formula(rng, depth):
    """A random formula as (text in a netlist, the same in Python)."""
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        if rng.random() < 0.65:
            voltage = rng.choice(VOLTAGES)
            nodes = [*voltage[2:-1].split(","), "0"]
            return voltage, f"({AT[nodes[0]]} - {AT[nodes[1]]})"
        number = rng.choice(NUMBERS)
        return number, f"({float(number.replace('m', 'e-3'))})"
    text, python = formula(rng, depth - 1)
    if kind < 0.22:
        name = rng.choice(FUNCTIONS)
        return f"{name}({text})", f"{name}({python})"
    if kind < 0.3:
        return f"-({text})", f"-({python})"
    sign, other = rng.choice("++-**/"), formula(rng, depth - 1)
    return f"({text}{sign}{other[0]})", f"({python}{sign}{other[1]})"


def value(python):
    """Value of the Python text; not a number where it has none."""
    try:
        return float(eval(python, {"__builtins__": {}, **{name: getattr(math, name) for name in FUNCTIONS}}))
    except (ArithmeticError, ValueError):
        return math.nan


def computed(part):
    """What a source gives: its current, or its voltage without load."""
    device, at = part.of, [AT[node] for node in part.nodes[2:]]
    match device:
        case VoltageControlledCurrentSource():
            return device.transconductance * (at[0] - at[1])
        case VoltageControlledVoltageSource():
            return device.gain * (at[0] - at[1])
        case Product():
            r, ap, an, bp, bn = (AT[node] for node in part.nodes[1:])
            return r + device.gain * (ap - an + device.offset) * (bp - bn)
        case BehaviouralCurrentSource() | BehaviouralVoltageSource():
            return device.formula.value(at)
    raise AssertionError(device)


@pytest.mark.parametrize("output", ["I", "V"])
def test_the_device_computes_the_formula(output):
    kinds = {}
    for seed in range(1500):
        rng = random.Random(seed)
        text, python = formula(rng, rng.randint(1, 4))
        netlist = f".subckt s a b c q\nB1 q 0 {output}={{{text}}}\nR1 q 0 1\n.ends"
        expected = value(python)
        try:
            part = read_subcircuit(netlist).instances[0]
        except NetlistError as error:
            assert "finite" in str(error), text
            continue
        kinds[part.of.kind] = kinds.get(part.of.kind, 0) + 1
        if math.isfinite(expected) and "e" not in text.replace("exp", ""):
            assert computed(part) == pytest.approx(expected, rel=1e-9, abs=1e-290), text
    assert len(kinds) == (2 if output == "I" else 3) and min(kinds.values()) > 20, kinds
