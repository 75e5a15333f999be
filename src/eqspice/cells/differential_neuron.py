"""Differential neurons: bidirectional amplifier, two-sided clamp, and the column's common-mode hold."""

from __future__ import annotations

from dataclasses import dataclass

from eqspice.circuit import (
    Instance,
    Resistor,
    SoftLimiter,
    Subcircuit,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
)

PORTS = ("inp", "inn", "outp", "outn", "drive_p", "drive_n", "common")
HOLD_PORTS = ("inp", "inn", "common")
SOURCE_RESISTANCE = 0.1  # ohm, of the voltage sources in front of the series resistors


@dataclass(frozen=True)
class DifferentialClamp:
    """The two-sided clamp of a hidden neuron's rails.

    Attributes:
        voltage: each rail stays within this of the common mode, V; 0 for no clamp.
        softness: of the clamp's knee at a rail, V.
        resistance: from rail to rail in the clamped region, ohm.
    """

    voltage: float = 0.25
    softness: float = 0.02
    resistance: float = 100.0


def neuron_differential(
    gain: float, back_gain: float, series: float, clamp: DifferentialClamp | None
) -> Subcircuit:
    """Rails at common ± gain v for a column pair at common ± v; the rails' currents return to the column.

    With J_p and J_n the currents that the rails deliver, the neuron draws back_gain (J_p - J_n) / 2 from
    inp and gives it to inn. Any positive back_gain makes the network settle where an energy is stationary:
    it weighs what follows the neuron against what comes before. The clamp's current counts as a rail
    current, so that it acts back on the column.

    Args:
        gain: voltage gain, V/V.
        back_gain: current gain backward, A/A.
        series: resistor through which each rail's current is sensed, ohm.
        clamp: of the rails; None for a linear neuron.
    """
    origin = "cells.neuron_differential"
    forward = VoltageControlledVoltageSource(0.5 * gain, SOURCE_RESISTANCE)
    backward = VoltageControlledCurrentSource(0.5 * back_gain / series)
    instances = [
        Instance("forward_p", forward, ("drive_p", "common", "inp", "inn"), origin),
        Instance("forward_n", forward, ("drive_n", "common", "inn", "inp"), origin),
        Instance("series_p", Resistor(series), ("drive_p", "outp"), origin),
        Instance("series_n", Resistor(series), ("drive_n", "outn"), origin),
        Instance("backward_p", backward, ("inp", "inn", "drive_p", "outp"), origin),
        Instance("backward_n", backward, ("inn", "inp", "drive_n", "outn"), origin),
    ]
    if clamp is not None and clamp.voltage > 0.0:
        law = SoftLimiter(-2 * clamp.voltage, 2 * clamp.voltage, 2 * clamp.softness, clamp.resistance)
        instances.append(Instance("clamp", law, ("outp", "outn"), origin))
    parameters = (("gain", gain), ("back_gain", back_gain), ("series", series))
    return Subcircuit("neuron_differential", PORTS, tuple(instances), parameters)


def common_mode_hold(conductance: float) -> Subcircuit:
    """Holds the mean of a column's two wires at the common mode and leaves their difference alone.

    Each wire is drawn conductance ((V(inp) + V(inn)) / 2 - V(common)): a quadratic co-content of the mean.

    Args:
        conductance: siemens.
    """
    half = VoltageControlledCurrentSource(0.5 * conductance)
    instances = tuple(
        Instance(
            f"hold_{wire[-1]}_by_{sensed[-1]}",
            half,
            (wire, "common", sensed, "common"),
            "cells.common_mode_hold",
        )
        for wire in ("inp", "inn")
        for sensed in ("inp", "inn")
    )
    return Subcircuit("common_mode_hold", HOLD_PORTS, instances, (("conductance", conductance),))


def single_column(resistance: float) -> Subcircuit:
    """Ties the wire that a column of a single wire does not use to the common mode.

    Args:
        resistance: ohm.
    """
    instance = Instance("short", Resistor(resistance), ("inn", "common"), "cells.single_column")
    return Subcircuit("single_column", HOLD_PORTS, (instance,), (("resistance", resistance),))
