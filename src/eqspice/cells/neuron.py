"""Neurons: bidirectional amplifiers, linear or clamped to one sign by diodes."""

from __future__ import annotations

from dataclasses import dataclass

from eqspice.circuit import GROUND, BidirectionalAmplifier, Diode, Instance, Resistor, Subcircuit

PORTS = ("in", "outp", "outn")
SOURCE_RESISTANCE = 0.1  # ohm, of the amplifier behind a clamp: the diodes sit before the series resistor


@dataclass(frozen=True)
class ClampDesign:
    """Law of the clamping diodes.

    Attributes:
        saturation_current: A.
        emission: emission coefficient; 1 is a silicon junction, 0.01 a near-ideal diode.
        temperature: degrees Celsius.
    """

    saturation_current: float = 1e-14
    emission: float = 1.0
    temperature: float = 27.0


SILICON_CLAMP = ClampDesign()
NEAR_IDEAL_CLAMP = ClampDesign(saturation_current=1e-9, emission=0.02)


def neuron_linear(gain: float, back_gain: float, output_resistance: float) -> Subcircuit:
    """Output neuron: V(outp) = gain V(in), V(outn) = -gain V(in); rail currents return times back_gain.

    Args:
        gain: voltage gain, V/V.
        back_gain: current gain backward, A/A; 1/gain makes it reciprocal.
        output_resistance: of each rail, ohm.
    """
    amplifier = BidirectionalAmplifier(gain, back_gain, output_resistance)
    instance = Instance("amplifier", amplifier, PORTS, "cells.neuron_linear")
    return Subcircuit("neuron_linear", PORTS, (instance,), (("gain", gain), ("back_gain", back_gain)))


def neuron_clamped(gain: float, back_gain: float, output_resistance: float, clamp: ClampDesign) -> Subcircuit:
    """Hidden neuron: as neuron_linear, with diodes that keep outp >= 0 and outn <= 0.

    The diode currents count as rail currents, so that the clamp acts back on the input: an
    energy-based rectifier.

    Args:
        gain: voltage gain, V/V.
        back_gain: current gain backward, A/A.
        output_resistance: of each rail, ohm; above 0.1.
        clamp: diode law.
    """
    origin = "cells.neuron_clamped"
    amplifier = BidirectionalAmplifier(gain, back_gain, SOURCE_RESISTANCE)
    diode = Diode(clamp.saturation_current, clamp.emission, clamp.temperature)
    series = Resistor(output_resistance - SOURCE_RESISTANCE)
    instances = (
        Instance("amplifier", amplifier, ("in", "drive_p", "drive_n"), origin),
        Instance("clamp_p", diode, (GROUND, "drive_p"), origin),
        Instance("clamp_n", diode, ("drive_n", GROUND), origin),
        Instance("series_p", series, ("drive_p", "outp"), origin),
        Instance("series_n", series, ("drive_n", "outn"), origin),
    )
    return Subcircuit(
        "neuron_clamped",
        PORTS,
        instances,
        (("gain", gain), ("back_gain", back_gain), ("emission", clamp.emission)),
    )
