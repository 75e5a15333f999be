"""A circuit as data: instances of devices and subcircuits, flattened to devices with hierarchical names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from eqspice.circuit.devices import Device, ModelCard
from eqspice.errors import CircuitError

GROUND = "0"
SEPARATOR = "."
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]*")


@dataclass(frozen=True)
class Instance:
    """One use of a device or of a subcircuit.

    Attributes:
        name: unique among its siblings, letters, digits and underscores, not a digit first.
        of: a device with its parameters, or a subcircuit.
        nodes: node names, in the order of the device's terminals or the subcircuit's ports.
        origin: where it came from, for error messages ("netlist.sp:12", "cells.synapse").
    """

    name: str
    of: Device | Subcircuit
    nodes: tuple[str, ...]
    origin: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise CircuitError(f"instance {self.name!r}: a name is letters, digits and underscores.")
        where = f"instance {self.name}" + (f" ({self.origin})" if self.origin else "")
        if not isinstance(self.of, Device | Subcircuit):
            raise CircuitError(f"{where}: it is of {self.of!r}, a device or a subcircuit is needed.")
        if not isinstance(self.nodes, tuple):
            raise CircuitError(f"{where}: nodes are {self.nodes!r}, a tuple of names is needed.")
        for node in self.nodes:
            if not (isinstance(node, str) and _NODE.fullmatch(node)):
                raise CircuitError(f"{where}: {node!r} is not a node name.")
        ports = self.of.ports if isinstance(self.of, Subcircuit) else self.of.terminals
        if len(ports) != len(self.nodes):
            what = self.of.name if isinstance(self.of, Subcircuit) else self.of.kind
            raise CircuitError(
                f"{where}: {what} has {len(ports)} terminals ({', '.join(ports)}), "
                f"{len(self.nodes)} nodes were given ({', '.join(self.nodes)})."
            )
        if isinstance(self.of, Device):
            try:
                self.of.check()
            except CircuitError as error:
                raise CircuitError(f"{where}: {error}") from None


@dataclass(frozen=True)
class Subcircuit:
    """A circuit with ports. Node "0" inside is the global ground; all else that is no port is internal.

    Attributes:
        name: what it is, for example "synapse_cmos".
        ports: names of its terminals.
        instances: what it is made of.
        parameters: (name, value) pairs that it was made with, for documentation.
    """

    name: str
    ports: tuple[str, ...]
    instances: tuple[Instance, ...]
    parameters: tuple[tuple[str, float | str], ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.ports)) != len(self.ports):
            raise CircuitError(f"subcircuit {self.name}: a port is named twice ({', '.join(self.ports)}).")
        _check_unique(self.instances, f"subcircuit {self.name}")


@dataclass(frozen=True)
class FlatDevice:
    """A device of a flattened circuit.

    Attributes:
        name: hierarchical name, for example "layer0.cell_3_7.store".
        device: kind and parameters.
        nodes: hierarchical node names.
        origin: where it came from.
    """

    name: str
    device: Device
    nodes: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class Circuit:
    """A whole circuit. Checked when made; the order of everything is that of the instances.

    Attributes:
        name: title.
        instances: top-level instances.
        storage_nodes: nodes that hold charge by design (weights, held voltages): the engine controls
            its time step on them.
    """

    name: str
    instances: tuple[Instance, ...]
    storage_nodes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_unique(self.instances, f"circuit {self.name}")
        check(self)

    @cached_property
    def devices(self) -> tuple[FlatDevice, ...]:
        """All devices with hierarchical names, in deterministic order."""
        return tuple(_flatten(self.instances, "", {}))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All node names but ground, in order of first use."""
        seen: dict[str, None] = {}
        for flat in self.devices:
            for node in flat.nodes:
                seen.setdefault(node, None)
        seen.pop(GROUND, None)
        return tuple(seen)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Names of the stimulus signals that the sources refer to, sorted."""
        names = {getattr(flat.device, "signal", None) for flat in self.devices}
        return tuple(sorted(name for name in names if name is not None))

    def count(self) -> dict[str, int]:
        """Returns the number of devices of each kind."""
        return dict(sorted(Counter(flat.device.kind for flat in self.devices).items()))

    def ideal_parts(self) -> dict[str, int]:
        """Returns the number of parts of each kind that silicon could not build as drawn."""
        return dict(sorted(Counter(flat.device.kind for flat in self.devices if flat.device.ideal).items()))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over every device, parameter and node: equal circuits have equal hashes."""
        digest = hashlib.sha256()
        cards: dict[ModelCard, str] = {}
        for flat in self.devices:
            values = []
            for item in fields(flat.device):
                value = getattr(flat.device, item.name)
                if isinstance(value, ModelCard):
                    if value not in cards:
                        cards[value] = hashlib.sha256(repr(value).encode()).hexdigest()
                    value = cards[value]
                values.append(f"{item.name}={value!r}")
            digest.update(f"{flat.name} {flat.device.kind} {' '.join(flat.nodes)} {values}\n".encode())
        digest.update(repr(self.storage_nodes).encode())
        return digest.hexdigest()


def _check_unique(instances: tuple[Instance, ...], where: str) -> None:
    counts = Counter(instance.name for instance in instances)
    twice = [name for name, number in counts.items() if number > 1]
    if twice:
        raise CircuitError(f"{where}: instance {twice[0]} is named {counts[twice[0]]} times.")


def _flatten(instances: tuple[Instance, ...], prefix: str, ports: Mapping[str, str]) -> Iterator[FlatDevice]:
    for instance in instances:
        name = prefix + instance.name
        nodes = tuple(_resolve(node, prefix, ports) for node in instance.nodes)
        if isinstance(instance.of, Subcircuit):
            inner = dict(zip(instance.of.ports, nodes, strict=True))
            yield from _flatten(instance.of.instances, name + SEPARATOR, inner)
        else:
            yield FlatDevice(name, instance.of, nodes, instance.origin)


def _resolve(node: str, prefix: str, ports: Mapping[str, str]) -> str:
    if node == GROUND:
        return GROUND
    return ports.get(node) or prefix + node


def check(circuit: Circuit) -> None:
    """Checks that every node can be solved for.

    Raises:
        CircuitError: a node has one connection only, no path to ground (through any two-terminal path,
            a capacitor included), or a storage node does not exist. The error names instance and node.
    """
    if not circuit.devices:
        raise CircuitError(f"circuit {circuit.name}: it has no devices.")
    by_name = {flat.name: flat for flat in circuit.devices}
    uses: Counter[str] = Counter()
    first: dict[str, str] = {}
    for flat in circuit.devices:
        for node in set(flat.nodes):
            uses[node] += 1
            first.setdefault(node, flat.name)
    for node, number in uses.items():
        if number == 1 and node != GROUND and not _drives(by_name[first[node]], node):
            raise CircuitError(f"instance {first[node]}: node {node} is connected to nothing else.")
    if GROUND not in uses:
        raise CircuitError(f"circuit {circuit.name}: no instance is connected to ground (node 0).")
    reached = _reachable(circuit)
    for node in circuit.nodes:
        if node not in reached:
            raise CircuitError(f"instance {first[node]}: node {node} has no path to ground.")
    for node in circuit.storage_nodes:
        if node not in uses:
            raise CircuitError(f"circuit {circuit.name}: storage node {node} does not exist.")


# Terminals at which a device sets the voltage by itself: nothing else need be connected there.
_DRIVING: dict[str, tuple[str, ...]] = {
    "voltage_source": ("p", "n"),
    "vcvs": ("p", "n"),
    "behavioural_voltage": ("p", "n"),
    "product": ("p",),
    "bidirectional_amplifier": ("outp", "outn"),
}


def _drives(flat: FlatDevice, node: str) -> bool:
    terminals = _DRIVING.get(flat.device.kind, ())
    at = zip(flat.device.terminals, flat.nodes, strict=True)
    return any(name == node and terminal in terminals for terminal, name in at)


# Terminals that conduct or store charge; the others only sense a voltage. "0" stands for a return to ground.
_CONDUCTING: dict[str, tuple[tuple[str, ...], ...]] = {
    "switch": (("p", "n"),),
    "current_source": (),
    "vccs": (),
    "vcvs": (("p", "n"),),
    "behavioural_current": (),
    "behavioural_voltage": (("p", "n"),),
    "product": (("p", GROUND),),
    "bidirectional_amplifier": (("outp", GROUND), ("outn", GROUND)),
}


def _reachable(circuit: Circuit) -> set[str]:
    neighbours: dict[str, set[str]] = {GROUND: set()}
    for flat in circuit.devices:
        of = dict(zip(flat.device.terminals, flat.nodes, strict=True))
        of[GROUND] = GROUND
        for group in _CONDUCTING.get(flat.device.kind, (flat.device.terminals,)):
            nodes = [of[terminal] for terminal in group]
            for node in nodes[1:]:
                neighbours.setdefault(nodes[0], set()).add(node)
                neighbours.setdefault(node, set()).add(nodes[0])
    reached, todo = {GROUND}, [GROUND]
    while todo:
        for node in neighbours.get(todo.pop(), ()):
            if node not in reached:
                reached.add(node)
                todo.append(node)
    return reached
