"""SPICE subcircuit text to Subcircuit: `.subckt … .ends`, `.param`, `.model`, and element lines in between.

Element lines: R, C, D, S (`.model … vswitch`), M and X transistors of the kit, X instances, E, G, B, and
constant V and I. Everything else is refused with its place. E and B voltage sources stand behind 1 ohm, or
rout= ohm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from eqspice.circuit.circuit import GROUND, Subcircuit
from eqspice.circuit.spice_elements import READERS, FetKit, Model, assignments, identifier, node
from eqspice.circuit.spice_netlist import Definition, Netlist
from eqspice.circuit.spice_text import Field, Line, fields, logical_lines
from eqspice.errors import NetlistError

MOST_STATEMENTS = 3_000
_FORMULA = re.compile(r"\s[iv]\s*=\s*([^{'\s].*)")


def read_netlist(text: str, file: str = "netlist") -> Netlist:
    """Takes a netlist text apart.

    Args:
        text: of the file.
        file: its name, for messages.

    Raises:
        NetlistError: with file, line, column and what was expected.
    """
    netlist, inside, ended = Netlist(file), None, False
    count = 0
    for line in logical_lines(text, file):
        if ended:
            line.fail(0, "nothing is expected behind .end")
        found = fields(line) if not line.text.startswith("b") else _source_fields(line)
        if not found:
            continue
        word = found[0]
        count += 1
        if count > MOST_STATEMENTS:
            word.fail(f"there are too many statements, at most {MOST_STATEMENTS}")
        if word.text == ".end":
            ended = True
        elif word.text == ".subckt":
            inside = _open(netlist, inside, found)
        elif word.text == ".ends":
            _close(inside, found)
            inside = None
        elif word.text == ".param":
            _parameters(netlist.parameters if inside is None else inside.locals, inside, found)
        elif word.text == ".model":
            _model(netlist.models if inside is None else inside.models, found)
        else:
            _element(inside, found)
    if inside is not None:
        inside.name.fail(f".subckt {inside.name.text} is not closed, expected .ends")
    if not netlist.subcircuits:
        raise NetlistError("there is no .subckt, expected at least one", file, 1, 1)
    return netlist


def _source_fields(line: Line) -> list[Field]:
    """Fields of a B line, where a formula without braces goes to the end of the line."""
    match = _FORMULA.search(line.text)
    if match is None:
        return fields(line)
    head = Line(line.file, line.text[: match.start(1)], line.starts, line.places)
    return [*fields(head), Field(line, "group", match.group(1).rstrip(), match.start(1))]


def _open(netlist: Netlist, inside: Definition | None, found: list[Field]) -> Definition:
    if inside is not None:
        found[0].fail(f"a .subckt inside .subckt {inside.name.text} is not expected, expected .ends")
    if len(found) < 2:
        found[0].fail("expected .subckt name ports")
    name = identifier(found[1], "the name of a subcircuit")
    if name in netlist.subcircuits:
        found[1].fail(f"the subcircuit {name} is defined twice")
    rest = [part for part in found[2:] if part.text != "params:"]
    positional, parameters = assignments(rest) if rest else ((), {})
    ports = tuple(node(port) for port in positional)
    for place, port in enumerate(ports):
        if port == GROUND:
            positional[place].fail("ground (0) is no port, it is known everywhere")
        if port in ports[:place]:
            positional[place].fail(f"the port {port} is named twice")
    if not ports:
        found[1].fail("a subcircuit needs at least one port")
    netlist.subcircuits[name] = Definition(found[1], ports, parameters)
    return netlist.subcircuits[name]


def _close(inside: Definition | None, found: list[Field]) -> None:
    if inside is None:
        found[0].fail(".ends closes nothing, expected .subckt before it")
    if len(found) > 2 or (len(found) == 2 and found[1].text != inside.name.text):
        found[1].fail(f"{found[1].text!r} is not expected, expected {inside.name.text}")
    if not inside.elements:
        inside.name.fail(f"the subcircuit {inside.name.text} is empty, expected element lines")


def _parameters(target: dict[str, Field], inside: Definition | None, found: list[Field]) -> None:
    positional, values = assignments(found[1:]) if len(found) > 1 else ((), {})
    if positional or not values:
        found[0].fail("expected .param name=value")
    for name, value in values.items():
        if name in target or (inside is not None and name in inside.parameters):
            value.fail(f"the parameter {name} is given twice")
        target[name] = value


def _model(target: dict[str, Model], found: list[Field]) -> None:
    if len(found) < 3:
        found[0].fail("expected .model name kind (parameters)")
    name = identifier(found[1], "the name of a model")
    kind = identifier(found[2], "a kind of model")
    if kind not in ("d", "vswitch"):
        found[2].fail(f"models of kind {kind!r} are not read, expected d (diode) or vswitch (smooth switch)")
    if name in target:
        found[1].fail(f"the model {name} is defined twice")
    rest = found[3:]
    if rest and rest[0].kind == "(":
        if rest[-1].kind != ")" or len(rest) == 1:
            rest[0].fail("( is not closed, expected )")
        rest = rest[1:-1]
    positional, values = assignments(rest) if rest else ((), {})
    if positional:
        positional[0].fail("expected name=value")
    target[name] = Model(found[1], kind, values)


def _element(inside: Definition | None, found: list[Field]) -> None:
    word = found[0]
    letters = ", ".join((*READERS, "x")).upper()
    if word.text.startswith("."):
        word.fail(f"{word.text} is not read, expected .subckt, .ends, .param, .model, .end or an element")
    if word.kind != "word" or word.text[0] not in (*READERS, "x"):
        word.fail(f"{word.text!r} is not expected, expected an element whose name begins with {letters}")
    identifier(word, "the name of an element")
    if inside is None:
        word.fail(f"{word.text} stands outside of a subcircuit, expected .subckt before it")
    if word.text in inside.elements:
        word.fail(f"the element {word.text} is defined twice")
    inside.elements[word.text] = found


def read_subcircuit(
    text: str,
    kit: FetKit | None = None,
    name: str | None = None,
    parameters: Mapping[str, float] | None = None,
    file: str = "netlist",
    temperature: float = 27.0,
) -> Subcircuit:
    """Returns a subcircuit of a netlist text; see `read_netlist` and `Netlist.build`."""
    return read_netlist(text, file).build(name, kit, parameters, temperature)
