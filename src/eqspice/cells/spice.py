"""Cells that a user gives as SPICE subcircuits, fitted into the places of the package's own cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from eqspice.cells import neuron, optimizer, synapse
from eqspice.cells.synapse import UNUSED
from eqspice.circuit import GROUND, Instance, Resistor, Subcircuit
from eqspice.circuit.spice_elements import FetKit
from eqspice.circuit.spice_reader import read_netlist
from eqspice.errors import InputError, unknown


@dataclass(frozen=True)
class Place:
    """A place in a network that a cell can take.

    Attributes:
        ports: how the network connects it.
        storage: nodes inside that hold charge by design.
        quantities: numbers of the design that parameters of the subcircuit can have.
    """

    ports: tuple[str, ...]
    storage: tuple[str, ...]
    quantities: tuple[str, ...]


_NEURON = Place(neuron.PORTS, (), ("gain", "back_gain", "output_resistance"))
PLACES: dict[str, Place] = {
    "synapse": Place(synapse.PORTS, (synapse.STORAGE,), ("capacitance", "multiplier")),
    "hidden_neuron": _NEURON,
    "output_neuron": _NEURON,
    "optimizer": Place(optimizer.PORTS, optimizer.STORAGE, ("update_gain", "capacitance")),
}
SHARED_QUANTITIES = ("logic_high", "temperature")


@dataclass(frozen=True)
class SpiceCell:
    """A subcircuit of a netlist text in a place of the network.

    Attributes:
        place: one of PLACES.
        file: name of the netlist, for messages.
        text: of the netlist.
        subckt: name of the subcircuit.
        ports: (port of the place, port of the subcircuit) pairs; a port of the place may be missing.
        storage: (storage node of the place, node or port of the subcircuit) pairs, all of them.
        parameters: (parameter of the subcircuit, value or name of a quantity) pairs.
        update_sign: of a synapse: +1 if a higher storage voltage raises the column for a positive row,
            else -1.
    """

    place: str
    file: str
    text: str
    subckt: str
    ports: tuple[tuple[str, str], ...]
    storage: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, float | str], ...] = ()
    update_sign: float = 1.0

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise unknown("cell", self.place, tuple(PLACES))
        place = PLACES[self.place]
        definition = read_netlist(self.text, self.file).subcircuits.get(self.subckt)
        if definition is None:
            known = tuple(read_netlist(self.text, self.file).subcircuits)
            raise unknown(f"{self.place}.subckt of {self.file}", self.subckt, known)
        for field, given, allowed in (
            ("ports", self.ports, place.ports),
            ("storage", self.storage, place.storage),
        ):
            for name, _ in given:
                if name not in allowed:
                    raise unknown(f"{self.place}.{field}", name, allowed or ("(none)",))
        missing = set(place.storage) - {name for name, _ in self.storage}
        if missing:
            raise InputError(f"{self.place}.storage: the node of {', '.join(sorted(missing))} is missing.")
        for name, port in self.ports:
            if port not in definition.ports:
                raise unknown(f"{self.place}.ports.{name}: port of {self.subckt}", port, definition.ports)
        connected = [port for _, port in self.ports + self.storage]
        for port in definition.ports:
            if port not in connected:
                raise InputError(
                    f"{self.place}.ports: port {port!r} of {self.subckt} is connected to nothing; "
                    f"give it one of {', '.join(place.ports)}."
                )
        for name, value in self.parameters:
            if name not in definition.parameters:
                known = tuple(definition.parameters) or ("(it has none)",)
                raise unknown(f"{self.place}.parameters of {self.subckt}", name, known)
            if isinstance(value, str) and value not in place.quantities + SHARED_QUANTITIES:
                raise unknown(f"{self.place}.parameters.{name}", value, place.quantities + SHARED_QUANTITIES)
            if not isinstance(value, str) and not math.isfinite(value):
                raise InputError(
                    f"{self.place}.parameters.{name}: {value} is not allowed, it must be finite."
                )
        if self.update_sign not in (1.0, -1.0):
            raise InputError(
                f"{self.place}.update_sign: {self.update_sign} is not allowed, it must be 1 or -1."
            )

    def build(self, kit: FetKit, quantities: Mapping[str, float], temperature: float) -> Subcircuit:
        """Returns the cell with the ports and storage nodes of its place.

        Args:
            kit: transistors that it may use.
            quantities: value of each quantity of the place and of SHARED_QUANTITIES.
            temperature: degrees Celsius.

        Raises:
            NetlistError: the text does not say a cell; with file, line, column.
            InputError: a storage node does not exist.
        """
        values = {
            name: quantities[value] if isinstance(value, str) else value for name, value in self.parameters
        }
        read = read_netlist(self.text, self.file).build(self.subckt, kit, values, temperature)
        return self._fitted(read)

    def _fitted(self, read: Subcircuit) -> Subcircuit:
        """Renames ports and storage nodes; loads the ports of the place that the cell does not use."""
        place = PLACES[self.place]
        used = {node for instance in read.instances for node in instance.nodes}
        wanted = {inner: outer for outer, inner in self.ports + self.storage}
        for outer, inner in self.storage:
            if inner not in used:
                raise InputError(
                    f"{self.place}.storage.{outer}: node {inner!r} does not exist in {self.subckt} "
                    f"of {self.file}."
                )
        taken = {*place.ports, *place.storage, GROUND}
        names = {GROUND: GROUND} | wanted
        for node in sorted(used - set(names)):
            name = node
            while name in taken:
                name += "_cell"
            taken.add(name)
            names[node] = name
        instances = [
            Instance(part.name, part.of, tuple(names[node] for node in part.nodes), part.origin)
            for part in read.instances
        ]
        for port in place.ports:
            if port not in (names[node] for node in used):
                load = Instance(f"eqspice_unused_{port}", Resistor(UNUSED), (port, GROUND), "cells.spice")
                instances.append(load)
        return Subcircuit(read.name, place.ports, tuple(instances), read.parameters)
