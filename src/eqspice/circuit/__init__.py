"""What a circuit is, as data. Nothing here knows a simulator."""

from eqspice.circuit.circuit import GROUND, Circuit, FlatDevice, Instance, Subcircuit, check
from eqspice.circuit.devices import (
    BidirectionalAmplifier,
    Capacitor,
    CurrentSource,
    Device,
    Diode,
    ModelCard,
    Mosfet,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.circuit.stimulus import Stimulus

__all__ = [
    "GROUND",
    "BidirectionalAmplifier",
    "Capacitor",
    "Circuit",
    "CurrentSource",
    "Device",
    "Diode",
    "FlatDevice",
    "Instance",
    "ModelCard",
    "Mosfet",
    "Product",
    "Resistor",
    "SoftLimiter",
    "Stimulus",
    "Subcircuit",
    "Switch",
    "VoltageControlledCurrentSource",
    "VoltageControlledVoltageSource",
    "VoltageSource",
    "check",
]
