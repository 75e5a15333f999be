"""Presets from a TOML file: a named preset with other numbers, and cells given as SPICE subcircuits.

base = "reference"                     a named preset
description = "…"
[design]                               numbers of the design that differ, for example
weight_centre = 0.6
[synapse]                              also hidden_neuron, output_neuron, optimizer
file = "cell.sp"                       beside this file
subckt = "synapse"
ports = { wwl = "w", wbl = "b" }       port of the place = port of the subcircuit; equal names need none
storage = "mem"                        node that holds the charge; a table where there are several
parameters = { c = "capacitance" }     value, or quantity of the design
update_sign = 1                        of a synapse
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from eqspice.cells.spice import PLACES, SpiceCell
from eqspice.circuit.spice_reader import read_netlist
from eqspice.circuit.spice_text import read_file
from eqspice.design.changes import changed, number
from eqspice.design.network import Design
from eqspice.design.own_cells import OwnCells
from eqspice.design.presets import Preset, get_preset
from eqspice.design.single_ended.network import SingleEnded
from eqspice.errors import InputError, unknown

SUFFIX = ".toml"
_CELL_KEYS = ("file", "subckt", "ports", "storage", "parameters", "update_sign")


@dataclass(frozen=True)
class PresetFiles:
    """The texts that make a preset: its TOML file and the netlists that it names.

    Attributes:
        name: of the TOML file.
        texts: (file name without folders, text) pairs, the TOML file first.
    """

    name: str
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, path: str | Path) -> PresetFiles:
        """Reads a preset file and the netlists that it names, and checks them.

        Raises:
            InputError: a file cannot be read or says something that is not allowed.
        """
        path = Path(path)
        text = read_file(path, "preset")
        texts = {path.name: text}
        for place, section in _sections(_parse(text, path.name)):
            file = path.parent / _string(place, section, "file")
            netlist = read_file(file)
            if texts.setdefault(file.name, netlist) != netlist:
                raise InputError(f"{place}.file: two files are named {file.name!r}, rename one.")
        return cls(path.name, tuple(texts.items())).checked()

    def checked(self) -> PresetFiles:
        """Returns itself if it says a preset.

        Raises:
            InputError: one line with the field, the value and what is allowed.
        """
        self.preset().build((1, 1))
        return self

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each text, by file name."""
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self.texts}

    def preset(self) -> Preset:
        """Returns the preset.

        Raises:
            InputError: the texts say something that is not allowed.
        """
        texts = dict(self.texts)
        settings = _parse(texts[self.name], self.name)
        allowed = ("base", "description", "design", *PLACES)
        for key in settings:
            if key not in allowed:
                raise unknown(f"{self.name}", key, allowed)
        base = get_preset(_string(self.name, settings, "base"))
        numbers = settings.get("design", {})
        if not isinstance(numbers, dict):
            raise InputError(f"design: {numbers!r} is not allowed, it must be a table.")
        cells = OwnCells(**{place: _cell(place, section, texts) for place, section in _sections(settings)})
        preset = PurePosixPath(self.name).stem

        def build(widths: tuple[int, ...]) -> Design:
            design = replace(base.build(widths), preset=preset)
            if isinstance(design, SingleEnded):
                design = replace(design, cells=cells)
            elif cells != OwnCells():
                raise InputError(
                    f"base: {settings['base']!r} takes no cells of your own, it is differential."
                )
            changes = _per_layer(numbers, len(widths) - 1)
            found: Design = changed("design", design, changes)
            return found

        description = str(settings.get("description", f"{base.description}, changed"))
        return replace(base, build=build, description=description)


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"preset: {name} is not TOML ({error}).") from None


def _sections(settings: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for place in PLACES:
        if place in settings:
            if not isinstance(settings[place], dict):
                raise InputError(f"{place}: {settings[place]!r} is not allowed, it must be a table.")
            found.append((place, settings[place]))
    return found


def _string(where: str, section: Mapping[str, Any], key: str) -> str:
    if key not in section:
        raise InputError(f"{where}: {key} is missing.")
    if not isinstance(section[key], str):
        raise InputError(f"{where}.{key}: {section[key]!r} is not allowed, it must be text.")
    return str(section[key])


def _cell(place: str, section: Mapping[str, Any], texts: Mapping[str, str]) -> SpiceCell:
    for key in section:
        if key not in _CELL_KEYS or (key == "update_sign" and place != "synapse"):
            raise unknown(place, key, _CELL_KEYS)
    given = _string(place, section, "file")
    name = PureWindowsPath(given).name  # takes both kinds of slash
    if name not in texts:
        raise InputError(
            f"{place}.file: {given!r} is not among the files of the preset ({', '.join(texts)})."
        )
    netlist = read_netlist(texts[name], name)
    subckt = str(section.get("subckt", "")).lower()
    if not subckt and len(netlist.subcircuits) == 1:
        subckt = next(iter(netlist.subcircuits))
    ports = _names(place, section, "ports")
    own = netlist.subcircuits[subckt].ports if subckt in netlist.subcircuits else ()
    given_ports = {port: port for port in PLACES[place].ports if port in own and port not in ports.values()}
    return SpiceCell(
        place,
        name,
        texts[name],
        subckt,
        tuple((given_ports | ports).items()),
        tuple(_storage(place, section).items()),
        tuple(_parameters(place, section).items()),
        number(f"{place}.update_sign", section.get("update_sign", 1)),
    )


def _names(place: str, section: Mapping[str, Any], key: str) -> dict[str, str]:
    table = section.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise InputError(f"{place}.{key}: {table!r} is not allowed, it must be a table of names.")
    return {name: value.lower() for name, value in table.items()}


def _storage(place: str, section: Mapping[str, Any]) -> dict[str, str]:
    nodes = PLACES[place].storage
    if isinstance(section.get("storage"), str) and len(nodes) == 1:
        return {nodes[0]: section["storage"].lower()}
    return _names(place, section, "storage")


def _parameters(place: str, section: Mapping[str, Any]) -> dict[str, float | str]:
    table = section.get("parameters", {})
    if not isinstance(table, dict):
        raise InputError(f"{place}.parameters: {table!r} is not allowed, it must be a table.")
    return {
        name.lower(): value if isinstance(value, str) else number(f"{place}.parameters.{name}", value)
        for name, value in table.items()
    }


def _per_layer(numbers: Mapping[str, Any], layers: int) -> dict[str, Any]:
    """Expands (hidden layers, last layer) pairs."""
    values = dict(numbers)
    if "update_gains" in values:
        given = values["update_gains"]
        if not isinstance(given, list) or len(given) != 2:
            raise InputError(
                f"design.update_gains: {given!r} is not allowed, it must be [hidden layers, last layer]."
            )
        hidden, last = (number("design.update_gains", value) for value in given)
        values["update_gains"] = [hidden] * (layers - 1) + [last]
    return values
