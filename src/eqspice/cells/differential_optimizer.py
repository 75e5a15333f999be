"""Optimiser of a differential network: holds of rows and columns, contrastive product, charge pumps.

With V_c and V_r the differences of a column's and of a row's two wires, held in the first and in the
second nudged phase, a weight changes by

    rate s [V_c1 V_r1 - V_c2 V_r2] = rate s [(V_c1 - V_c2) V_r1 + V_c2 (V_r1 - V_r2)],

in the second form, because there each product has one small factor and nothing large is subtracted
behind a multiplier. rate is a reference voltage: the schedule's pulse, its sign and its decay.
"""

from __future__ import annotations

from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import (
    GROUND,
    Capacitor,
    Instance,
    Product,
    SoftLimiter,
    Subcircuit,
    VoltageControlledVoltageSource,
)

HOLD_PORTS = ("pos", "neg", "held", "control")
COLUMN_PORTS = ("first", "second", "free", "rate", "unit", "delta", "level")
ROW_PORTS = ("first", "second", "delta")
PUMP_PORTS = ("out_p", "out_n", "column_delta", "column_level", "row", "row_delta")


def sample_hold(switch: SwitchDesign, capacitance: float) -> Subcircuit:
    """Holds V(pos) - V(neg) on a capacitor while control is low.

    The switch isolates, or the weights would reach the held voltages that the update is made of.

    Args:
        switch: the sampling switch.
        capacitance: farad.
    """
    origin = "cells.sample_hold"
    sense = VoltageControlledVoltageSource(1.0, 1.0)
    instances = (
        Instance("sense", sense, ("sensed", GROUND, "pos", "neg"), origin),
        switch.isolating("sample", "sensed", "held", "control", origin),
        Instance("hold", Capacitor(capacitance), ("held", GROUND), origin),
    )
    return Subcircuit("sample_hold", HOLD_PORTS, instances, (("capacitance", capacitance),))


def column_driver(
    offset: float, auto_zero: bool, levels: bool, switch: SwitchDesign, capacitance: float
) -> Subcircuit:
    """Multiplies held values by the rate: delta = rate (first - second + offset), level = rate second.

    With auto-zero, the difference is taken through a stage whose output in the free phase, when both
    holds follow the same voltage, is kept on a capacitor and subtracted.

    Args:
        offset: of the difference, V.
        auto_zero: subtract the offset as measured in each free phase.
        levels: make level; a layer whose rows do not move in the nudged phases needs none.
        switch: the auto-zero switch.
        capacitance: that holds the offset, farad.
    """
    origin = "cells.column_driver"
    by_rate = Product(gain=1.0)
    instances = []
    if auto_zero:
        stage = Product(gain=1.0, offset=offset)
        instances += [
            Instance("stage", stage, ("difference", GROUND, "first", "second", "unit", GROUND), origin),
            switch.instance("sample_offset", "difference", "held_offset", "free", origin),
            Instance("hold_offset", Capacitor(capacitance), ("held_offset", GROUND), origin),
            Instance(
                "delta", by_rate, ("delta", GROUND, "difference", "held_offset", "rate", GROUND), origin
            ),
        ]
    else:
        contrast = Product(gain=1.0, offset=offset)
        instances.append(
            Instance("delta", contrast, ("delta", GROUND, "first", "second", "rate", GROUND), origin)
        )
    if levels:
        instances.append(
            Instance("level", by_rate, ("level", GROUND, "second", GROUND, "rate", GROUND), origin)
        )
    return Subcircuit("column_driver", COLUMN_PORTS, tuple(instances), (("offset", offset),))


def sign_driver(offset: float, slope: float, volts: float) -> Subcircuit:
    """Multiplies the sign of a column's change by the rate: delta = rate (± volts).

    A comparator: an amplifier behind 10 kohm, clamped at both sides.

    Args:
        offset: of the difference, V.
        slope: gain of the amplifier, V/V.
        volts: what a sign counts as, V.
    """
    origin = "cells.sign_driver"
    amplifier = Product(gain=slope, offset=offset, output_resistance=1e4)
    clamp = SoftLimiter(-volts, volts, 1e-3 * volts, 1e-3)
    instances = (
        Instance("amplifier", amplifier, ("sign", GROUND, "first", "second", "unit", GROUND), origin),
        Instance("clamp", clamp, ("sign", GROUND), origin),
        Instance("delta", Product(gain=1.0), ("delta", GROUND, "sign", GROUND, "rate", GROUND), origin),
    )
    return Subcircuit("sign_driver", COLUMN_PORTS, instances, (("offset", offset), ("slope", slope)))


def row_driver() -> Subcircuit:
    """Drives a row's difference of its held values, V(first) - V(second)."""
    buffer = VoltageControlledVoltageSource(1.0, 1.0)
    instance = Instance("difference", buffer, ("delta", GROUND, "first", "second"), "cells.row_driver")
    return Subcircuit("row_driver", ROW_PORTS, (instance,))


def charge_pump(transconductance: float, levels: bool) -> Subcircuit:
    """Drives +I into out_p and -I into out_n: I = k (column_delta row + column_level row_delta).

    Equal and opposite currents leave the common mode of the two capacitors where it is.

    Args:
        transconductance: k, A/V².
        levels: whether the second product is there (a layer whose rows move in the nudged phases).
    """
    origin = "cells.charge_pump"
    pairs = [("delta", "column_delta", "row")] + [("level", "column_level", "row_delta")] * levels
    instances = tuple(
        Instance(
            f"{name}_{out[-1]}",
            Product(gain=sign * transconductance),
            (out, out, column, GROUND, row, GROUND),
            origin,
        )
        for name, column, row in pairs
        for out, sign in (("out_p", 1.0), ("out_n", -1.0))
    )
    return Subcircuit("charge_pump", PUMP_PORTS, instances, (("transconductance", transconductance),))
