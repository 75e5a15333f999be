"""Terminal currents and charges of every single device, by the compiled program's own laws.

The stepper only needs sums per node. Here every device is taken by itself, for accounts of power: the
program is evaluated at given voltages, none bypassed, and each device's part is read from its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import GROUND, FlatDevice
from eqspice.engines.native import newton as nt
from eqspice.engines.native import program as pg
from eqspice.engines.native.compile import Compiled
from eqspice.engines.native.layout import constant_currents, linear_stamps

FloatArray = NDArray[np.float64]

_EXACT = 0.0  # bypass tolerance: every device is evaluated where it is


@dataclass(frozen=True, eq=False)
class DeviceGroup:
    """Devices that one law evaluates.

    Attributes:
        kind: of the devices.
        devices: of the circuit.
        places: of their terminals in the vector of voltages, shape (n, terminals).
    """

    kind: str
    devices: tuple[FlatDevice, ...]
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Law:
    conductances: FloatArray
    capacitances: FloatArray
    constants: FloatArray
    add: Callable[[pg.Program, pg.Work, FloatArray, FloatArray], None] | None


class TerminalLaws:
    """Evaluates every device of a compiled circuit by itself. Voltage sources are not among them."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._work = pg.new_work(compiled.program)
        places = zip(compiled.node_names, compiled.places, strict=True)
        self._places = {GROUND: 0} | {node: int(place) for node, place in places}
        self._laws: list[_Law] = []
        groups = []
        for key, devices in compiled.devices.items():
            if key == "voltage_source":
                continue
            by_width: dict[int, list[int]] = {}
            for i, flat in enumerate(devices):
                by_width.setdefault(_terminals(key, flat), []).append(i)
            first = len(compiled.devices.get("behavioural_current", ()))
            offset = first if key == "behavioural_voltage" else 0
            for width, members in by_width.items():
                chosen = tuple(devices[i] for i in members)
                groups.append(self._group(chosen, width))
                rows = np.array(members, np.int64) + offset
                self._laws.append(_Law(*_linear(chosen, width), _nonlinear(key, rows)))
        self.groups: tuple[DeviceGroup, ...] = tuple(groups)

    @property
    def size(self) -> int:
        """Length of the vector of voltages: ground first, then held nodes, then unknown ones."""
        return len(self._work.voltage)

    @property
    def held(self) -> int:
        """Ground and the nodes that voltage sources hold are the first of so many places."""
        return self._compiled.program.first_unknown

    def place(self, node: str) -> int:
        """Returns a node's place in the vector of voltages."""
        return self._places[node]

    def vector(self, voltages: FloatArray) -> FloatArray:
        """Returns voltages in the order of places, from the session's node order, V."""
        vector = np.zeros(self.size)
        vector[self._compiled.places] = voltages
        return vector

    def at(self, vector: FloatArray, signals: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """Returns current (A) and charge (C) into every terminal, one pair per group.

        Args:
            vector: voltages by place, V, shape (size,).
            signals: of the circuit, in its order, V or A.

        Returns:
            arrays of shape (n, terminals), in the order of `groups`. The power that a device takes is
            the sum of voltage times current over its terminals, whether or not these sum to zero: parts
            with a return to ground take it at 0 V.
        """
        program, work = self._compiled.program, self._work
        work.voltage[:] = vector
        work.signal[: len(signals)] = signals
        limited = 1
        while limited:
            _, limited = nt.evaluate(program, work, _EXACT)
        found = []
        for group, law in zip(self.groups, self._laws, strict=True):
            across = vector[group.places]
            current = np.einsum("nij,nj->ni", law.conductances, across) + law.constants
            charge = np.einsum("nij,nj->ni", law.capacitances, across)
            if law.add is not None:
                law.add(program, work, current, charge)
            found.append((current, charge))
        return found

    def _group(self, devices: tuple[FlatDevice, ...], width: int) -> DeviceGroup:
        places = [[self._places[node] for node in flat.nodes[:width]] for flat in devices]
        return DeviceGroup(devices[0].device.kind, devices, np.array(places, np.int64))


def _terminals(key: str, flat: FlatDevice) -> int:
    return 3 if key in ("table", "square") else len(flat.nodes)


def _linear(devices: tuple[FlatDevice, ...], width: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns each device's own matrices G and C, shape (n, width, width), and its offset's currents."""
    constants = np.zeros((len(devices), width))
    matrices = np.zeros((2, len(devices), width, width))
    for i, flat in enumerate(devices):
        terminal = {node: flat.nodes.index(node) for node in flat.nodes}
        for matrix, stamps in zip(matrices, linear_stamps(flat), strict=True):
            for row, column, value in stamps:
                matrix[i, terminal[row], terminal[column]] += value
        for node, current in constant_currents(flat):
            constants[i, terminal[node]] += current
    return matrices[0], matrices[1], constants


def _nonlinear(
    key: str, rows: NDArray[np.int64]
) -> Callable[[pg.Program, pg.Work, FloatArray, FloatArray], None] | None:
    """Returns what adds the part of a law that is not linear, from the caches after an evaluation."""

    def branch(current: FloatArray, through: FloatArray) -> None:
        current[:, 0] += through
        current[:, 1] -= through

    def switch(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        ends = work.voltage[program.switches.nodes[rows, :2]]
        branch(current, work.switch_conductance[rows] * (ends[:, 0] - ends[:, 1]))

    def diode(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        branch(current, work.diode[rows, 1])

    def limiter(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        branch(current, work.limiter[rows, 1])

    def product(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        current[:, 0] -= program.products.scale[rows] * work.product[rows, 0] * work.product[rows, 1]

    def behavioural(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        branch(current, work.behavioural[rows, program.behavioural.nodes.shape[1] - 1])

    def source(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        signal = program.sources.signal[rows]
        scaled = program.sources.scale[rows] * work.signal[signal]
        branch(current, program.sources.dc[rows] + np.where(signal >= 0, scaled, 0.0))

    def bulk(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        cache = work.bulk_fet[rows]
        current[:, 0], current[:, 2] = cache[:, 3], cache[:, 7]
        charge[:, 0], charge[:, 1], charge[:, 2] = cache[:, 15], cache[:, 11], cache[:, 19]
        current[:, 3], charge[:, 3] = -current[:, :3].sum(axis=1), -charge[:, :3].sum(axis=1)

    def compact(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        current[:], charge[:] = work.compact_fet[rows, 4:8], work.compact_fet[rows, 8:12]

    def table(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        _three_terminal(work.table_fet[rows], current, charge)

    def square(program: pg.Program, work: pg.Work, current: FloatArray, charge: FloatArray) -> None:
        _three_terminal(work.square_fet[rows], current, charge)

    return {
        "switch": switch,
        "diode": diode,
        "soft_limiter": limiter,
        "product": product,
        "behavioural_current": behavioural,
        "behavioural_voltage": behavioural,
        "current_source": source,
        "bulk": bulk,
        "compact": compact,
        "table": table,
        "square": square,
    }.get(key)


def _three_terminal(cache: FloatArray, current: FloatArray, charge: FloatArray) -> None:
    current[:, 0], current[:, 1] = cache[:, 2], cache[:, 11]
    charge[:, 0], charge[:, 1] = cache[:, 8], cache[:, 5]
    current[:, 2], charge[:, 2] = -current[:, :2].sum(axis=1), -charge[:, :2].sum(axis=1)
