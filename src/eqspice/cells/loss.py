"""Squared-error loss: what nudges an output towards its target, and the output's load."""

from __future__ import annotations

from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import GROUND, Capacitor, Instance, Product, Resistor, Subcircuit

PORTS = ("output", "target", "free", "nudged")


def nudge_resistor(conductance: float, load: float, switch: SwitchDesign) -> Subcircuit:
    """A conductance to the target voltage in the nudged phase: co-content beta/2 (V - target)^2.

    Args:
        conductance: beta in siemens.
        load: resistor from the output to ground, ohm.
        switch: connects the nudge.
    """
    origin = "cells.nudge_resistor"
    instances = (
        Instance("load", Resistor(load), ("output", GROUND), origin),
        switch.instance("connect", "output", "nudge", "nudged", origin),
        Instance("nudge", Resistor(1.0 / conductance), ("nudge", "target"), origin),
    )
    return Subcircuit("nudge_resistor", PORTS, instances, (("conductance", conductance), ("load", load)))


def nudge_current(
    conductance: float, load: float, switch: SwitchDesign, capacitance: float, logic_high: float
) -> Subcircuit:
    """A current beta (target - V_free) in the nudged phase, V_free held from the free phase.

    Args:
        conductance: beta in siemens.
        load: resistor from the output to ground, ohm.
        switch: samples the free output.
        capacitance: of the held output, farad.
        logic_high: voltage of the nudged signal that means full nudge, V.
    """
    origin = "cells.nudge_current"
    source = Product(gain=conductance / logic_high, output_resistance=1.0)
    instances = (
        Instance("load", Resistor(load), ("output", GROUND), origin),
        switch.instance("sample_free", "output", "held_free", "free", origin),
        Instance("hold_free", Capacitor(capacitance), ("held_free", GROUND), origin),
        Instance("nudge", source, ("output", "output", "target", "held_free", "nudged", GROUND), origin),
    )
    return Subcircuit("nudge_current", PORTS, instances, (("conductance", conductance), ("load", load)))
