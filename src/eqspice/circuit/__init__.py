"""What a circuit is, as data. Nothing here knows a simulator."""

from eqspice.circuit.circuit import GROUND, Circuit, FlatDevice, Instance, Subcircuit, check
from eqspice.circuit.devices import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
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
from eqspice.circuit.formula import Formula
from eqspice.circuit.stimulus import Stimulus

__all__ = [
    "GROUND",
    "BehaviouralCurrentSource",
    "BehaviouralVoltageSource",
    "BidirectionalAmplifier",
    "Capacitor",
    "Circuit",
    "CurrentSource",
    "Device",
    "Diode",
    "FlatDevice",
    "Formula",
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
