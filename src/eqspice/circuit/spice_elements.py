"""One element line of a SPICE netlist to one instance of a device."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from eqspice.circuit.circuit import Instance
from eqspice.circuit.devices import (
    Capacitor,
    CurrentSource,
    Device,
    Diode,
    Mosfet,
    Resistor,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.circuit.forms import simplest
from eqspice.circuit.formula import Formula
from eqspice.circuit.spice_expressions import Expression, Names, constant
from eqspice.circuit.spice_text import Field
from eqspice.errors import CircuitError, InputError, ModelError, NetlistError

BOLTZMANN = 8.617333262e-5  # k/q in V/K, CODATA 2018
KELVIN = 273.15
SOURCE_RESISTANCE = 1.0  # ohm, behind an E or B voltage source that does not say rout=
_NODE = re.compile(r"[a-z0-9_]+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")

FetFactory = Callable[[str, float, float, float], Mosfet]
"""(model of the kit, width in m, length in m, multiplier) -> transistor."""


@dataclass(frozen=True)
class FetKit:
    """The transistors that a netlist may name.

    Attributes:
        make: makes a transistor.
        names: name in the netlist, in lower case -> model of the kit.
        length_unit: metres per unit of w= and l= on X lines; on M lines they are in metres.
    """

    make: FetFactory
    names: Mapping[str, str]
    length_unit: float = 1e-6


@dataclass(frozen=True)
class Model:
    """A .model card: its kind and its parameters, which are read where it is used."""

    field: Field
    kind: str
    parameters: Mapping[str, Field]


class Surroundings(Names, Protocol):
    """What an element line needs to know of the netlist around it."""

    temperature: float

    def model(self, field: Field, kind: str) -> Model:
        """Returns the .model of that name and kind, or raises NetlistError."""

    def fet(self, field: Field, width: float, length: float, multiplier: float) -> Mosfet:
        """Returns a transistor, or raises NetlistError."""

    def length_unit(self) -> float:
        """Metres per unit of w= and l= on X lines."""


@dataclass(frozen=True)
class Element:
    """An element line: its fields, the positional ones apart from name=value."""

    name: Field
    positional: tuple[Field, ...]
    assigned: Mapping[str, Field]
    around: Surroundings

    def nodes(self, count: int, expected: str) -> tuple[str, ...]:
        """Returns the first positional fields as nodes."""
        if len(self.positional) < count:
            self.name.fail(f"{self.name.text} has too few fields, expected {expected}")
        return tuple(node(field) for field in self.positional[:count])

    def rest(self, start: int, most: int, expected: str) -> tuple[Field, ...]:
        """Returns the further positional fields, at most so many."""
        if len(self.positional) > start + most:
            self.positional[start + most].fail(f"is one too many, expected {expected}")
        return self.positional[start:]

    def only(self, *names: str) -> None:
        """Refuses all parameters but these."""
        for name, field in self.assigned.items():
            if name not in names:
                known = f"expected {', '.join(names)}" if names else "none is expected"
                field.fail(f"the parameter {name} is not known here, {known}")

    def value(self, field: Field) -> float:
        """Returns a number."""
        return constant(field, self.around)

    def parameter(self, name: str, otherwise: float) -> float:
        """Returns a parameter, or a default."""
        return self.value(self.assigned[name]) if name in self.assigned else otherwise

    def positive(self, name: str, otherwise: float | None = None) -> float:
        """Returns a parameter that must be given and positive."""
        if name not in self.assigned:
            if otherwise is None:
                self.name.fail(f"{self.name.text}: {name}= is missing")
            return otherwise
        value = self.value(self.assigned[name])
        if not value > 0.0:
            self.assigned[name].fail(f"{name} is {value:g}, it must be positive")
        return value

    def sole_value(self, start: int, key: str, expected: str) -> float:
        """Returns the value that stands behind the nodes or as key=."""
        given = self.rest(start, 1, expected)
        if bool(given) == (key in self.assigned):
            self.name.fail(f"{self.name.text}: expected {expected}")
        return self.value(given[0] if given else self.assigned[key])


def node(field: Field) -> str:
    """Returns a node name, "0" for ground."""
    if field.kind != "word" or not _NODE.fullmatch(field.text):
        field.fail(f"{field.text!r} is not expected, expected a node: letters, digits and _")
    if field.text == "gnd":
        field.fail("gnd is ground in some simulators and a node in others, write 0 or another name")
    return field.text


def identifier(field: Field, what: str) -> str:
    """Returns the name of something."""
    if field.kind != "word" or not _NAME.fullmatch(field.text):
        field.fail(f"{field.text!r} is not expected, expected {what}: letters, digits and _")
    return field.text


def assignments(found: list[Field]) -> tuple[tuple[Field, ...], dict[str, Field]]:
    """Splits fields into those before the first name=value, and the name=value pairs."""
    first = next((k for k, field in enumerate(found) if field.kind == "="), len(found) + 1) - 1
    if first < 0:
        found[0].fail("'=' is not expected, expected a name before it")
    positional, values = tuple(found[:first]), {}
    for field in positional:
        if field.kind not in ("word", "group"):
            field.fail(f"{field.text!r} is not expected here, expressions stand in braces")
    place = first
    while place < len(found):
        name = identifier(found[place], "the name of a parameter")
        if place + 2 >= len(found) or found[place + 1].kind != "=":
            found[place].fail(f"expected {name}=value")
        if found[place + 2].kind not in ("word", "group"):
            found[place + 2].fail("expected a value, expressions stand in braces")
        if name in values:
            found[place].fail(f"{name} is given twice")
        values[name] = found[place + 2]
        place += 3
    return positional, values


@contextmanager
def placed(field: Field) -> Iterator[None]:
    """Gives errors of devices and kits the place of a field."""
    try:
        yield
    except NetlistError:
        raise
    except (CircuitError, InputError, ModelError) as error:
        field.fail(str(error).rstrip("."))


def _resistor(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "two nodes and a value in ohm"
    e.only("r", "m")
    nodes = e.nodes(2, expected)
    return Resistor(e.sole_value(2, "r", expected) / e.positive("m", 1.0)), nodes


def _capacitor(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "two nodes and a value in farad"
    e.only("c", "m")
    nodes = e.nodes(2, expected)
    return Capacitor(e.sole_value(2, "c", expected) * e.positive("m", 1.0)), nodes


def _diode(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "anode, cathode, model and perhaps an area"
    e.only("area", "m")
    nodes = e.nodes(2, expected)
    given = e.rest(2, 2, expected)
    if not given or (len(given) == 2 and "area" in e.assigned):
        e.name.fail(f"{e.name.text}: expected {expected}")
    area = e.value(given[1]) if len(given) == 2 else e.positive("area", 1.0)
    model = e.around.model(given[0], "d")
    values = _model_values(e, model, {"is": 1e-14, "n": 1.0, "eg": 1.11, "xti": 3.0, "tnom": 27.0})
    kelvin, nominal = e.around.temperature + KELVIN, values["tnom"] + KELVIN
    if not (nominal > 0.0 and values["n"] > 0.0):
        model.field.fail("n and the temperature tnom (in kelvin) must be positive")
    # The saturation current at the circuit's temperature, as every SPICE computes it.
    gap = (kelvin / nominal - 1.0) * values["eg"] / (values["n"] * BOLTZMANN * kelvin)
    exponent = gap + values["xti"] / values["n"] * math.log(kelvin / nominal)
    if abs(exponent) > 300.0:
        model.field.fail("the saturation current at the circuit's temperature is not finite")
    saturation = values["is"] * math.exp(exponent) * area * e.positive("m", 1.0)
    return Diode(saturation, values["n"], e.around.temperature), nodes


def _model_values(e: Element, model: Model, known: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the parameters of a model; known holds defaults, None for what must be given."""
    values: dict[str, float] = {}
    for name, default in known.items():
        if name in model.parameters:
            values[name] = e.value(model.parameters[name])
        elif default is None:
            model.field.fail(f"the model has no {name}=, all of {', '.join(known)} are needed")
        else:
            values[name] = default
    for name, field in model.parameters.items():
        if name not in known and e.value(field) != 0.0:
            field.fail(f"the parameter {name} is not modelled, expected {', '.join(known)} (or {name}=0)")
    return values


def _mosfet(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "drain, gate, source, bulk, model, w= and l= in metres"
    nodes = e.nodes(4, expected)
    model = e.rest(4, 1, expected)
    if not model:
        e.name.fail(f"{e.name.text}: expected {expected}")
    return transistor(e, model[0], nodes, 1.0)


def transistor(
    e: Element, model: Field, nodes: tuple[str, ...], unit: float
) -> tuple[Device, tuple[str, ...]]:
    """Returns a transistor of the kit, w= and l= in the given unit (metres)."""
    e.only("w", "l", "m")
    sizes = {}
    for name in ("w", "l"):
        value = e.positive(name)
        if unit == 1.0 and value > 1e-3:
            e.assigned[name].fail(
                f"{name} is {value:g} m, lengths are in metres here, write {name}={value:g}u"
            )
        if unit == 1e-6 and value < 1e-3:
            e.assigned[name].fail(f"{name} is in micrometres on an X line, write {name}={value * 1e6:g}")
        sizes[name] = float(f"{value * unit:.15g}")  # 0.42 um is the float nearest to 0.42e-6
    return e.around.fet(model, sizes["w"], sizes["l"], e.positive("m", 1.0)), nodes


def _switch(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "two nodes, two control nodes and a model"
    e.only()
    nodes = e.nodes(4, expected)
    given = e.rest(4, 1, expected)
    if not given:
        e.name.fail(f"{e.name.text}: expected {expected}")
    model = e.around.model(given[0], "vswitch")
    values = _model_values(e, model, {"ron": None, "roff": None, "von": None, "voff": None})
    return Switch(values["ron"], values["roff"], values["von"], values["voff"]), nodes


def _dc_source(
    kind: type[VoltageSource] | type[CurrentSource],
) -> Callable[..., tuple[Device, tuple[str, ...]]]:
    def read(e: Element) -> tuple[Device, tuple[str, ...]]:
        expected = "two nodes and a constant value"
        e.only("dc")
        nodes = e.nodes(2, expected)
        if len(e.positional) > 2 and e.positional[2].text == "dc":
            if len(e.positional) < 4:
                e.name.fail(f"{e.name.text}: expected {expected}")
            e = Element(e.name, e.positional[:2] + e.positional[3:], e.assigned, e.around)
        return kind(dc=e.sole_value(2, "dc", expected)), nodes

    return read


def _controlled(e: Element) -> tuple[Device, tuple[str, ...]]:
    current = e.name.text[0] == "g"
    what = "transconductance in S" if current else "gain"
    expected = f"two nodes, two control nodes and a {what}, or two nodes and value={{...}}"
    if "value" in e.assigned:
        return behavioural(e, e.assigned["value"], current, expected)
    e.only(*(() if current else ("rout",)))
    nodes = e.nodes(4, expected)
    given = e.rest(4, 1, expected)
    if not given:
        e.name.fail(f"{e.name.text}: expected {expected}")
    value = e.value(given[0])
    if current:
        return VoltageControlledCurrentSource(value), nodes
    return VoltageControlledVoltageSource(value, e.positive("rout", SOURCE_RESISTANCE)), nodes


def _source(e: Element) -> tuple[Device, tuple[str, ...]]:
    expected = "two nodes and I={...} or V={...}"
    if ("i" in e.assigned) == ("v" in e.assigned):
        e.name.fail(f"{e.name.text}: expected {expected}")
    current = "i" in e.assigned
    return behavioural(e, e.assigned["i" if current else "v"], current, expected)


def behavioural(e: Element, formula: Field, current: bool, expected: str) -> tuple[Device, tuple[str, ...]]:
    """Returns the simplest device that computes a formula."""
    e.only("value", "i", "v", *(() if current else ("rout",)))
    nodes = e.nodes(2, expected)
    e.rest(2, 0, expected)
    sensed: list[str] = []
    end = formula.at + len(formula.text)
    value = Expression(formula.line, formula.at, end, e.around, sensed).read()
    if "gnd" in sensed:
        formula.fail("gnd is ground in some simulators and a node in others, write 0 or another name")
    steps = (("number", value),) if isinstance(value, float) else value
    resistance = None if current else e.positive("rout", SOURCE_RESISTANCE)
    return simplest(nodes[0], nodes[1], Formula(steps), sensed, resistance)


READERS: Mapping[str, Callable[[Element], tuple[Device, tuple[str, ...]]]] = {
    "r": _resistor,
    "c": _capacitor,
    "d": _diode,
    "m": _mosfet,
    "s": _switch,
    "v": _dc_source(VoltageSource),
    "i": _dc_source(CurrentSource),
    "e": _controlled,
    "g": _controlled,
    "b": _source,
}
"""Readers by the first letter of an element's name; x, an instance, is the netlist's own."""


def read_element(element: Element) -> Instance:
    """Returns the instance of an element line other than X.

    Raises:
        NetlistError: with place and what was expected.
    """
    with placed(element.name):
        device, nodes = READERS[element.name.text[0]](element)
        line, _ = element.name.line.place(element.name.at)
        return Instance(element.name.text, device, nodes, f"{element.name.line.file}:{line}")
