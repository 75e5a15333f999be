"""What the writers of all dialects share: names, numbers, sources, checks, headers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    GROUND,
    Circuit,
    CurrentSource,
    Diode,
    FlatDevice,
    Mosfet,
    Stimulus,
    VoltageSource,
)
from eqspice.engines.base import Save, State
from eqspice.errors import InputError

FloatArray = NDArray[np.float64]

BOLTZMANN = 8.617333262e-5
"""k/q in V/K, CODATA 2018."""

KELVIN = 273.15
_WIDTH = 110


def number(value: float) -> str:
    """Returns the shortest decimal text that reads back to the same float."""
    text = repr(float(value))
    # A long run of digits without a point is an integer to some parsers, and too long for one.
    return text.removesuffix(".0") if abs(value) < 1e6 else text


def thermal_voltage(diode: Diode) -> float:
    """Returns emission * kT/q in volts."""
    return diode.emission * BOLTZMANN * (diode.temperature + KELVIN)


def line_voltage(diode: Diode) -> float:
    """Returns the voltage above which the diode's law is a straight line (where it carries 1 A)."""
    return thermal_voltage(diode) * math.log(1.0 / diode.saturation_current)


class Names:
    """Maps hierarchical names to names that every simulator reads, and back.

    Simulators fold case, take dots for hierarchy and some reject leading digits. A name becomes
    prefix + name with dots as underscores, in lower case; a clash is resolved by a number.
    """

    def __init__(self, names: Iterable[str], prefix: str) -> None:
        self._to: dict[str, str] = {}
        taken: set[str] = set()
        for name in names:
            plain = prefix + re.sub(r"[^a-z0-9_]", "_", name.lower())
            unique, count = plain, 1
            while unique in taken:
                count += 1
                unique = f"{plain}__{count}"
            taken.add(unique)
            self._to[name] = unique

    def __getitem__(self, name: str) -> str:
        """Returns the simulator's name."""
        return self._to[name]

    def items(self) -> Iterable[tuple[str, str]]:
        """Returns (our name, simulator's name) pairs in order."""
        return self._to.items()


class NodeNames(Names):
    """Names of nodes; ground is 0 in every dialect."""

    def __init__(self, circuit: Circuit) -> None:
        super().__init__(circuit.nodes, "n_")
        self._to[GROUND] = GROUND


@dataclass(frozen=True)
class Deck:
    """Everything that a writer needs, checked.

    Attributes:
        circuit: what to write.
        nodes: names of nodes.
        instances: names of instances, without the letter that SPICE wants in front.
        times: breakpoints in seconds from the start of the run, first is 0.
        stimulus: signals.
        state: where to start, None for all nodes at zero.
        save: nodes to record, in order.
        models: name of the model of every distinct transistor, in order of first use.
    """

    circuit: Circuit
    nodes: NodeNames
    instances: Names
    times: FloatArray
    stimulus: Stimulus
    state: State | None
    save: tuple[str, ...]
    models: Mapping[Mosfet, str]

    @property
    def stop(self) -> float:
        """Length of the run in seconds."""
        return float(self.times[-1])

    def at(self, flat: FlatDevice) -> list[str]:
        """Returns the simulator's node names of a device."""
        return [self.nodes[node] for node in flat.nodes]

    def start(self) -> dict[str, float]:
        """Returns the volts of every node at the start: the state's, and what grounded sources hold."""
        volts = {GROUND: 0.0} | dict.fromkeys(self.circuit.nodes, 0.0)
        if self.state is not None:
            volts |= dict(zip(self.circuit.nodes, self.state.voltages.tolist(), strict=True))
        for flat in self.circuit.devices:
            if isinstance(flat.device, VoltageSource) and GROUND in flat.nodes:
                wave = self.waveform(flat.device)
                value = flat.device.dc if wave is None else float(wave[1][0])
                p, n = flat.nodes
                volts |= {p: value} if n == GROUND else {n: -value}
        return volts | {GROUND: 0.0}

    def initial(self) -> list[tuple[str, float]]:
        """Returns (simulator's node name, volts) of every node that does not start at zero."""
        return [(self.nodes[node], value) for node, value in self.start().items() if value != 0.0]

    def free_start(self) -> list[tuple[str, float]]:
        """Returns (simulator's node name, volts) of every node that no grounded source holds.

        For simulators that begin with an operating point in which these nodes are held there: it puts the
        nodes inside transistors where they belong. A node that is held anyway must not be held twice.
        """
        held = {GROUND}
        for flat in self.circuit.devices:
            if isinstance(flat.device, VoltageSource) and GROUND in flat.nodes:
                held |= set(flat.nodes)
        return [(self.nodes[node], value) for node, value in self.start().items() if node not in held]

    def waveform(self, source: VoltageSource | CurrentSource) -> tuple[FloatArray, FloatArray] | None:
        """Returns (times, values) of a source with a signal, without points inside plateaus; else None."""
        if source.signal is None:
            return None
        column = self.stimulus.values[:, self.stimulus.names.index(source.signal)]
        values = source.dc + source.scale * column
        inside = (values[1:-1] == values[:-2]) & (values[1:-1] == values[2:])
        keep = np.concatenate([[True], ~inside, [True]])
        return self.times[keep], values[keep]


def make_deck(circuit: Circuit, stimulus: Stimulus, state: State | None, save: Save | None) -> Deck:
    """Checks what a run was given and returns it with names chosen.

    Raises:
        InputError: a signal is missing, a node to save does not exist, or the state does not fit.
    """
    missing = [name for name in circuit.signals if name not in stimulus.names]
    if missing:
        raise InputError(f"stimulus: signals {', '.join(missing)} are missing.")
    wanted = circuit.nodes if save is None else save.nodes
    known = set(circuit.nodes)
    unknown = [node for node in wanted if node not in known]
    if unknown:
        raise InputError(f"save: node {unknown[0]!r} does not exist.")
    if state is not None and state.voltages.shape != (len(circuit.nodes),):
        raise InputError(
            f"state: voltages has shape {state.voltages.shape}, ({len(circuit.nodes)},) is needed."
        )
    if state is not None and not np.isfinite(state.voltages).all():
        raise InputError("state: voltages must be finite.")
    models: dict[Mosfet, str] = {}
    for flat in circuit.devices:
        if not isinstance(flat.device, Mosfet) or flat.device.card.level == "square_law":
            continue  # a square law is written out, it has no card
        if model_key(flat.device) not in models:
            models[model_key(flat.device)] = f"fet{len(models)}"
    return Deck(
        circuit,
        NodeNames(circuit),
        Names((flat.name for flat in circuit.devices), ""),
        stimulus.times - stimulus.times[0],
        stimulus,
        state,
        tuple(wanted),
        models,
    )


def recorded(deck: Deck) -> list[str]:
    """Returns the simulator's names of all nodes: the last voltages of all of them are the state."""
    return [name for node, name in deck.nodes.items() if node != "0"]


def model_key(mosfet: Mosfet) -> Mosfet:
    """Returns a transistor that stands for all that share its model: parallel devices do."""
    if mosfet.multiplier == 1.0:
        return mosfet
    return Mosfet(mosfet.card, mosfet.width, mosfet.length, 1.0, mosfet.temperature, mosfet.instance)


def transistors(circuit: Circuit) -> list[tuple[FlatDevice, Mosfet]]:
    """Returns all transistors of a circuit."""
    return [(flat, flat.device) for flat in circuit.devices if isinstance(flat.device, Mosfet)]


def refuse(circuit: Circuit, engine: str, levels: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    """Checks that an engine can run every device.

    Args:
        circuit: to be checked.
        engine: name, for the message.
        levels: transistor models that it knows.
        kinds: device kinds that it knows.

    Raises:
        InputError: with the list of all devices that cannot be run and why.
    """
    faults = []
    for flat in circuit.devices:
        if flat.device.kind not in kinds:
            faults.append(f"{flat.name}: kind {flat.device.kind}")
        elif isinstance(flat.device, Mosfet) and flat.device.card.level not in levels:
            faults.append(f"{flat.name}: transistor model {flat.device.card.level}")
    temperatures = sorted({mosfet.temperature for _, mosfet in transistors(circuit)})
    if len(temperatures) > 1:
        faults.append(f"transistors at different temperatures ({', '.join(map(number, temperatures))} degC)")
    if faults:
        raise InputError(f"engine {engine} cannot run: {'; '.join(faults)}.")


def temperature(circuit: Circuit) -> float:
    """Returns the one temperature of the transistors, degrees Celsius; 27 if there are none."""
    for _, mosfet in transistors(circuit):
        return mosfet.temperature
    return 27.0


def wrap(words: Iterable[str], separator: str, start: str = "", continuation: str = "") -> list[str]:
    """Joins words into lines of limited width.

    Args:
        words: in order.
        separator: between words of one line, and at the end of a line that goes on.
        start: what the first line begins with.
        continuation: what each further line begins with.
    """
    lines, line, empty = [], start, True
    for word in words:
        if not empty and len(line) + len(word) > _WIDTH:
            lines.append((line + separator).rstrip())
            line, empty = continuation, True
        line += word if empty else separator + word
        empty = False
    return [*lines, line]


def header(deck: Deck, mark: str, run: str) -> list[str]:
    """Returns the comment lines that say what a deck is and how it is run.

    Args:
        deck: what is written.
        mark: what makes a line a comment.
        run: command line.
    """
    counts = ", ".join(f"{count} {kind}" for kind, count in deck.circuit.count().items())
    lines = [
        f"eqspice circuit {deck.circuit.name}, sha256 {deck.circuit.hash[:16]}",
        f"{counts}; {len(deck.circuit.nodes)} nodes",
        f"run: {run}",
        "node names: dots are underscores, n_ in front; time starts at 0",
    ]
    return [f"{mark} {line}" for line in lines]
