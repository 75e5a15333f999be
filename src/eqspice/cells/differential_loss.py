"""Squared-error loss of a differential output: load, stored free error, current nudge."""

from __future__ import annotations

from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import (
    GROUND,
    Capacitor,
    Instance,
    Product,
    Resistor,
    Subcircuit,
    VoltageControlledVoltageSource,
)

PORTS = ("outp", "outn", "common", "target", "free", "nudge")
STORAGE = "held_error"


def nudge_stored_error(
    conductance: float, load: float, switch: SwitchDesign, capacitance: float
) -> Subcircuit:
    """Currents ±beta (V(nudge) / 1 V) e into outp and outn.

    e = target - (V(outp) - V(outn)) is held from the free phase, so the current does not depend on the
    nudged output: the nudge is exact for any strength. Its sign is that of the nudge voltage.

    Args:
        conductance: beta, S.
        load: from each output wire to the common mode, ohm.
        switch: samples the error; it isolates, as a negative nudge by a live error would amplify itself.
        capacitance: that holds the error, farad.
    """
    origin = "cells.nudge_stored_error"
    sense = VoltageControlledVoltageSource(1.0, 1.0)
    instances = [
        Instance("load_p", Resistor(load), ("outp", "common"), origin),
        Instance("load_n", Resistor(load), ("outn", "common"), origin),
        Instance("sense", sense, ("error", "target", "outn", "outp"), origin),
        switch.isolating("sample_error", "error", STORAGE, "free", origin),
        Instance("hold_error", Capacitor(capacitance), (STORAGE, GROUND), origin),
    ]
    for wire, sign in (("outp", 1.0), ("outn", -1.0)):
        source = Product(gain=sign * conductance)
        nodes = (wire, wire, STORAGE, GROUND, "nudge", GROUND)
        instances.append(Instance(f"nudge_{wire[-1]}", source, nodes, origin))
    parameters = (("conductance", conductance), ("load", load))
    return Subcircuit("nudge_stored_error", PORTS, tuple(instances), parameters)
