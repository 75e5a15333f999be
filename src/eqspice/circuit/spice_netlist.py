"""Builds a subcircuit from a netlist that has been taken apart: computes parameters, makes devices.

Work and memory are bounded by the limits below, whatever the netlist says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from eqspice.circuit.circuit import GROUND, Instance, Subcircuit
from eqspice.circuit.devices import Mosfet
from eqspice.circuit.spice_elements import (
    Element,
    FetKit,
    Model,
    assignments,
    node,
    placed,
    read_element,
    transistor,
)
from eqspice.circuit.spice_expressions import DEEPEST, constant
from eqspice.circuit.spice_text import Field, Line
from eqspice.errors import InputError, unknown

MOST_DEVICES = 10_000
MOST_INSTANCES = 3_000
MOST_ARITHMETIC = 200_000  # characters of expressions worked on
MOST_FETS = 64
DEEPEST_HIERARCHY = 16


@dataclass
class Definition:
    """A .subckt as it stands in the file.

    Attributes:
        name: as it stands in the file.
        ports: its terminals.
        parameters: header parameters and their defaults.
        locals: parameters of .param lines inside.
        models: .model cards inside.
        elements: element lines inside, by name.
    """

    name: Field
    ports: tuple[str, ...]
    parameters: dict[str, Field]
    locals: dict[str, Field] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    elements: dict[str, list[Field]] = field(default_factory=dict)


@dataclass
class Netlist:
    """A netlist text, its lines taken apart but nothing computed.

    Attributes:
        file: name of the file.
        subcircuits: by name, in order.
        parameters: of .param lines outside of subcircuits.
        models: .model cards outside of subcircuits.
    """

    file: str
    subcircuits: dict[str, Definition] = field(default_factory=dict)
    parameters: dict[str, Field] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)

    def build(
        self,
        name: str | None = None,
        kit: FetKit | None = None,
        parameters: Mapping[str, float] | None = None,
        temperature: float = 27.0,
    ) -> Subcircuit:
        """Returns one subcircuit with all that it is made of.

        Args:
            name: of the subcircuit; None for the only one.
            kit: the transistors that it may use; None for none.
            parameters: values of its header parameters; the others have their defaults.
            temperature: of the circuit, degrees Celsius.

        Raises:
            NetlistError: with file, line, column and what was expected.
            InputError: there is no such subcircuit or parameter.
        """
        names = tuple(self.subcircuits)
        if name is None and len(names) != 1:
            raise InputError(f"subckt: {self.file} has {len(names)} ({', '.join(names)}), name one of them.")
        chosen = names[0] if name is None else name.lower()
        if chosen not in self.subcircuits:
            raise unknown(f"subckt in {self.file}", name, names)
        given = {key.lower(): float(value) for key, value in (parameters or {}).items()}
        for key, value in given.items():
            if not math.isfinite(value):
                raise InputError(f"parameter {key}: {value} is not allowed, it must be finite.")
            if key not in self.subcircuits[chosen].parameters:
                known = tuple(self.subcircuits[chosen].parameters) or ("(it has none)",)
                raise unknown(f"parameter of {chosen} in {self.file}", key, known)
        return _Builder(self, kit, temperature).build(chosen, tuple(sorted(given.items())), ())


class _Scope:
    """Parameters of one use of a subcircuit, computed when they are asked for."""

    def __init__(
        self, values: dict[str, float], texts: Mapping[str, Field], outer: _Scope | None = None
    ) -> None:
        self._values, self._texts, self._outer = values, texts, outer
        self._asked: list[str] = []
        self._spent = 0

    def spend(self, line: Line, at: int, characters: int) -> None:
        """Counts the text that is worked on, in the outermost scope."""
        if self._outer is not None:
            return self._outer.spend(line, at, characters)
        self._spent += characters
        if self._spent > MOST_ARITHMETIC:
            line.fail(at, f"there is too much arithmetic, at most {MOST_ARITHMETIC} characters of it")

    def lookup(self, name: str, line: Line, at: int, depth: int) -> float:
        """Returns the value of a parameter."""
        if name in self._values:
            return self._values[name]
        if name not in self._texts:
            if self._outer is not None:
                return self._outer.lookup(name, line, at, depth)
            line.fail(at, f"the parameter {name!r} is not known, expected a number or a parameter")
        if name in self._asked:
            line.fail(at, f"the parameter {name} depends on itself: {' > '.join([*self._asked, name])}")
        if depth > DEEPEST:
            line.fail(at, f"parameters are nested too deeply, at most {DEEPEST}")
        self._asked.append(name)
        self._values[name] = constant(self._texts[name], self, depth)
        self._asked.pop()
        return self._values[name]


class _Around:
    """What the element lines of one use of a subcircuit see."""

    def __init__(self, builder: _Builder, definition: Definition, scope: _Scope) -> None:
        self._builder, self._definition = builder, definition
        self.lookup, self.spend = scope.lookup, scope.spend
        self.temperature = builder.temperature

    def model(self, field: Field, kind: str) -> Model:
        """Returns the model of that name."""
        models = self._builder.netlist.models | self._definition.models
        if field.text not in models or models[field.text].kind != kind:
            known = [name for name, model in models.items() if model.kind == kind]
            field.fail(
                f"the model {field.text!r} of kind {kind} is not known, expected one of: {', '.join(known)}"
            )
        return models[field.text]

    def fet(self, field: Field, width: float, length: float, multiplier: float) -> Mosfet:
        """Returns a transistor of the kit."""
        return self._builder.fet(field, width, length, multiplier)

    def length_unit(self) -> float:
        """Metres per unit of w= and l= on X lines."""
        return self._builder.kit.length_unit


class _Builder:
    """Builds subcircuits from definitions, each combination of parameters once."""

    def __init__(self, netlist: Netlist, kit: FetKit | None, temperature: float) -> None:
        self.netlist = netlist
        self.kit = kit or FetKit(_no_transistor, {})
        self.temperature = temperature
        self._globals = _Scope({}, netlist.parameters)
        self._built: dict[tuple[str, tuple[tuple[str, float], ...]], Subcircuit] = {}
        self._devices: dict[int, int] = {}  # by the identity of a built subcircuit
        self._fets: dict[tuple[str, float, float, float], Mosfet] = {}
        self._taken: set[str] = set()
        self._instances = 0

    def build(self, name: str, given: tuple[tuple[str, float], ...], path: tuple[str, ...]) -> Subcircuit:
        """Returns a subcircuit with the given header parameters."""
        definition = self.netlist.subcircuits[name]
        scope = _Scope(dict(given), definition.parameters | definition.locals, self._globals)
        values = tuple(
            (key, scope.lookup(key, text.line, text.at, 0)) for key, text in definition.parameters.items()
        )
        if (name, values) in self._built:
            return self._built[name, values]
        around = _Around(self, definition, scope)
        instances: list[Instance] = []
        first: dict[str, Field] = {}
        uses: dict[str, int] = {}
        devices = 0
        for found in definition.elements.values():
            self._instances += 1
            if self._instances > MOST_INSTANCES:
                found[0].fail(f"there are too many instances, at most {MOST_INSTANCES}")
            instance = self._instance(found, around, (*path, name))
            devices += self._devices[id(instance.of)] if isinstance(instance.of, Subcircuit) else 1
            if devices > MOST_DEVICES:
                found[0].fail(f"{name} has too many devices, at most {MOST_DEVICES}")
            instances.append(instance)
            for at in set(instance.nodes):
                uses[at] = uses.get(at, 0) + 1
                first.setdefault(at, found[0])
        for at, number in uses.items():
            if number == 1 and at not in definition.ports and at != GROUND:
                first[at].fail(f"node {at} is connected to nothing else")
        with placed(definition.name):
            subcircuit = Subcircuit(self._name(name), definition.ports, tuple(instances), values)
        self._built[name, values] = subcircuit
        self._devices[id(subcircuit)] = devices
        return subcircuit

    def fet(self, field: Field, width: float, length: float, multiplier: float) -> Mosfet:
        """Returns a transistor of the kit, equal ones as the same object."""
        if field.text not in self.kit.names:
            known = ", ".join(self.kit.names) or "none, there is no process kit here"
            field.fail(f"the transistor {field.text!r} is not known, expected one of: {known}")
        key = (self.kit.names[field.text], width, length, multiplier)
        if key not in self._fets:
            if len(self._fets) >= MOST_FETS:
                field.fail(f"too many different transistors, at most {MOST_FETS}")
            with placed(field):
                self._fets[key] = self.kit.make(*key)
        return self._fets[key]

    def _name(self, name: str) -> str:
        """Returns a name that no other subcircuit has: one with other parameters is another one."""
        number, unique = 1, name
        if name in self._taken:
            while unique in self._taken or unique in self.netlist.subcircuits:
                number += 1
                unique = f"{name}__{number}"
        self._taken.add(unique)
        return unique

    def _instance(self, found: list[Field], around: _Around, path: tuple[str, ...]) -> Instance:
        positional, assigned = assignments(found[1:]) if len(found) > 1 else ((), {})
        element = Element(found[0], positional, assigned, around)
        if found[0].text[0] != "x":
            return read_element(element)
        if not positional:
            found[0].fail(f"{found[0].text}: expected nodes and the name of a subcircuit or transistor")
        nodes, of = tuple(node(part) for part in positional[:-1]), positional[-1]
        line, _ = of.line.place(of.at)
        origin = f"{of.line.file}:{line}"
        if of.text not in self.netlist.subcircuits:
            if of.text not in self.kit.names:
                known = ", ".join([*self.netlist.subcircuits, *self.kit.names])
                of.fail(f"the subcircuit or transistor {of.text!r} is not known, expected one of: {known}")
            with placed(found[0]):
                device, nodes = transistor(element, of, nodes, around.length_unit())
                return Instance(found[0].text, device, nodes, origin)
        inner = self._inner(element, of, path)
        with placed(found[0]):
            return Instance(found[0].text, inner, nodes, origin)

    def _inner(self, element: Element, of: Field, path: tuple[str, ...]) -> Subcircuit:
        if of.text in path:
            of.fail(f"a subcircuit cannot contain itself: {' > '.join([*path, of.text])}")
        if len(path) >= DEEPEST_HIERARCHY:
            of.fail(f"subcircuits are nested too deeply, at most {DEEPEST_HIERARCHY}")
        element.only(*self.netlist.subcircuits[of.text].parameters)
        given = tuple(sorted((key, element.value(text)) for key, text in element.assigned.items()))
        return self.build(of.text, given, path)


def _no_transistor(model: str, width: float, length: float, multiplier: float) -> Mosfet:
    raise InputError(f"model: {model!r} is not known, there is no process kit.")
