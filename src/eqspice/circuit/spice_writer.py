"""Subcircuit to SPICE text that `read_netlist` reads back to the same subcircuit, value for value."""

from __future__ import annotations

from collections.abc import Callable

from eqspice.circuit.circuit import Instance, Subcircuit
from eqspice.circuit.devices import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Capacitor,
    CurrentSource,
    Device,
    Diode,
    Mosfet,
    Product,
    Resistor,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.errors import CircuitError

_LETTERS: dict[type[Device], str] = {
    Resistor: "r",
    Capacitor: "c",
    Diode: "d",
    Switch: "s",
    VoltageSource: "v",
    CurrentSource: "i",
    VoltageControlledCurrentSource: "gbe",
    VoltageControlledVoltageSource: "ebg",
    Product: "be",
    BehaviouralCurrentSource: "bg",
    BehaviouralVoltageSource: "be",
    Mosfet: "mx",
}
"""First letters that the name of an instance may have, the usual one first."""


def write_subcircuit(
    subcircuit: Subcircuit, transistor: Callable[[Mosfet], str] | None = None, length_unit: float = 1e-6
) -> str:
    """Returns the text of a subcircuit and of all that it is made of, innermost first.

    Args:
        subcircuit: to be written; of device kinds that the reader reads.
        transistor: name of a transistor in the netlist; needed if there are transistors.
        length_unit: metres per unit of w= and l= on X lines.

    Raises:
        CircuitError: a device that SPICE text cannot say, or two subcircuits with the same name.
    """
    writer = _Writer(transistor, length_unit)
    writer.add(subcircuit)
    return "\n".join([*writer.models, *writer.lines]) + "\n"


class _Writer:
    def __init__(self, transistor: Callable[[Mosfet], str] | None, length_unit: float) -> None:
        self.models: list[str] = []
        self.lines: list[str] = []
        self._transistor = transistor
        self._unit = length_unit
        self._done: dict[str, Subcircuit] = {}
        self._model_names: dict[str, str] = {}

    def add(self, subcircuit: Subcircuit) -> None:
        """Writes a subcircuit once, those inside it before it."""
        if self._done.setdefault(subcircuit.name, subcircuit) != subcircuit:
            raise CircuitError(f"subcircuit {subcircuit.name}: two different ones have this name.")
        lines = []
        for instance in subcircuit.instances:
            if isinstance(instance.of, Subcircuit):
                if instance.of.name not in self._done:
                    self.add(instance.of)
                elif self._done[instance.of.name] != instance.of:
                    raise CircuitError(f"subcircuit {instance.of.name}: two different ones have this name.")
            lines.append(self._line(instance))
        head = " ".join([".subckt", subcircuit.name, *subcircuit.ports, *_header(subcircuit)])
        self.lines += [head, *lines, f".ends {subcircuit.name}"]

    def _line(self, instance: Instance) -> str:
        if isinstance(instance.of, Subcircuit):
            values = " ".join(_header(instance.of))
            name = _named(instance.name, "x")
            return f"{name} {' '.join(instance.nodes)} {instance.of.name} {values}".rstrip()
        letters = _LETTERS.get(type(instance.of))
        if letters is None:
            raise CircuitError(f"instance {instance.name}: SPICE text has no {instance.of.kind}.")
        name = _named(instance.name, letters)
        nodes, device = instance.nodes, instance.of
        match device:
            case Resistor(resistance=value) | Capacitor(capacitance=value):
                return f"{name} {' '.join(nodes)} {value!r}"
            case VoltageSource(signal=None, dc=value) | CurrentSource(signal=None, dc=value):
                return f"{name} {' '.join(nodes)} dc {value!r}"
            case Diode():
                return f"{name} {' '.join(nodes)} {self._diode_model(device)}"
            case Switch():
                values = f"ron={device.on_resistance!r} roff={device.off_resistance!r}"
                model = f"vswitch({values} von={device.v_on!r} voff={device.v_off!r})"
                return f"{name} {' '.join(nodes)} {self._model(model)}"
            case Mosfet():
                return self._fet(name, device, nodes)
        if letters[0] in "geb":
            return _controlled(name, device, nodes)
        raise CircuitError(f"instance {instance.name}: SPICE text of a cell has no signal.")

    def _diode_model(self, diode: Diode) -> str:
        """The saturation current is that of the diode's own temperature: nominal, hence not scaled."""
        law = f"is={diode.saturation_current!r} n={diode.emission!r} tnom={diode.temperature!r}"
        return self._model(f"d({law})")

    def _model(self, text: str) -> str:
        if text not in self._model_names:
            self._model_names[text] = f"model{len(self._model_names)}"
            self.models.append(f".model {self._model_names[text]} {text}")
        return self._model_names[text]

    def _fet(self, name: str, device: Mosfet, nodes: tuple[str, ...]) -> str:
        if self._transistor is None:
            raise CircuitError(f"instance {name}: the name of the transistor in the netlist is not known.")
        unit = self._unit if name[0] == "x" else 1.0
        width, length = (float(f"{size / unit:.15g}") for size in (device.width, device.length))
        size = f"w={width!r} l={length!r} m={device.multiplier!r}"
        return f"{name} {' '.join(nodes)} {self._transistor(device)} {size}"


def _header(subcircuit: Subcircuit) -> list[str]:
    return [f"{key}={value!r}" for key, value in subcircuit.parameters if isinstance(value, float)]


def _named(name: str, letters: str) -> str:
    """Returns the name with the letter in front that its line needs."""
    return name if name[0].lower() in letters else f"{letters[0]}_{name}"


def _voltage(p: str, n: str) -> str:
    if n == "0":
        return f"v({p})"
    return f"(-v({n}))" if p == "0" else f"v({p},{n})"


def _controlled(name: str, device: Device, nodes: tuple[str, ...]) -> str:
    """Returns the line of a controlled or behavioural source."""
    head, letter, current = f"{name} {nodes[0]} {nodes[1]}", name[0], False
    resistance = getattr(device, "output_resistance", None)
    match device:
        case VoltageControlledCurrentSource(transconductance=gm):
            if letter == "g":
                return f"{name} {' '.join(nodes)} {gm!r}"
            formula, current = f"({gm!r})*{_voltage(nodes[2], nodes[3])}", True
        case VoltageControlledVoltageSource(gain=gain, offset=offset):
            if letter == "e" and not offset:
                return f"{name} {' '.join(nodes)} {gain!r} rout={resistance!r}"
            formula = f"({gain!r})*({_voltage(nodes[2], nodes[3])}+({offset!r}))"
        case Product(gain=gain, offset=offset):
            p, r, ap, an, bp, bn = nodes
            head = f"{name} {p} 0"
            factors = f"(({_voltage(ap, an)}+({offset!r}))*{_voltage(bp, bn)})"
            formula = f"({gain!r})*{factors}" + ("" if r == "0" else f"+v({r})")
        case BehaviouralCurrentSource(formula=f):
            formula, current = f.text([f"v({node})" for node in nodes[2:]]), True
        case BehaviouralVoltageSource(formula=f):
            formula = f.text([f"v({node})" for node in nodes[2:]])
        case _:
            raise CircuitError(f"instance {name}: SPICE text has no {device.kind}.")
    key = "value" if letter in "eg" else "i" if current else "v"
    return f"{head} {key}={{{formula}}}" + ("" if current else f" rout={resistance!r}")
