"""Optimiser of one column: samples the free phase, multiplies in the nudged phase, writes in the update."""

from __future__ import annotations

from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import (
    GROUND,
    Capacitor,
    Instance,
    Product,
    Subcircuit,
    VoltageControlledVoltageSource,
)

PORTS = ("wbl", "free", "nudged_early", "update", "column", "row")
STORAGE = ("held_free", "held_target")
FOLLOWER = VoltageControlledVoltageSource(gain=1.0, output_resistance=1.0)


def optimizer_product(gain: float, capacitance: float, switch: SwitchDesign) -> Subcircuit:
    """The reference's rule: target = V(wbl) + gain (V(column) - V_free(column)) V(row).

    In the free phase a switch puts the buffered column voltage on a capacitor (held_free). In the
    nudged phase the word line connects the addressed cell to the bit line, a multiplier forms the
    target and a switch stores it (held_target). In the update phase a buffer writes it back. Both switches
    around held_target isolate: the way from the bit line through the multiplier and back to the bit line is
    a loop with more gain than one, in the nudged phase and in the update phase.

    Args:
        gain: 1/V, with the sign that the synapse needs to descend the loss.
        capacitance: of each held voltage, farad.
        switch: the sampling switches.
    """
    origin = "cells.optimizer_product"
    instances = (
        Instance("column_buffer", FOLLOWER, ("buffered", GROUND, "column", GROUND), origin),
        switch.instance("sample_free", "buffered", "held_free", "free", origin),
        Instance("hold_free", Capacitor(capacitance), ("held_free", GROUND), origin),
        Instance(
            "multiplier",
            Product(gain=gain, output_resistance=1.0),
            ("target", "wbl", "column", "held_free", "row", GROUND),
            origin,
        ),
        switch.isolating("sample_target", "target", "held_target", "nudged_early", origin),
        Instance("hold_target", Capacitor(capacitance), ("held_target", GROUND), origin),
        Instance("write_buffer", FOLLOWER, ("written", GROUND, "held_target", GROUND), origin),
        switch.isolating("write_back", "written", "wbl", "update", origin),
    )
    return Subcircuit("optimizer_product", PORTS, instances, (("gain", gain), ("capacitance", capacitance)))
