"""Places of nodes and matrix positions: what stamps of devices become in a compiled program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    GROUND,
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    Diode,
    FlatDevice,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.native import program as pg
from eqspice.engines.native import sparse
from eqspice.engines.native.fets import PAIRS, Kind
from eqspice.errors import InputError

FloatArray = NDArray[np.float64]
Stamp = tuple[str, str, float]


def linear_stamps(flat: FlatDevice) -> tuple[list[Stamp], list[Stamp]]:
    """Returns the (row, column, value) entries of G and of C of one device, by node name."""
    device, nodes = flat.device, flat.nodes
    match device:
        case Resistor(resistance=r):
            return _branch(nodes[0], nodes[1], 1.0 / r), []
        case Capacitor(capacitance=c):
            return [], _branch(nodes[0], nodes[1], c)
        case VoltageControlledCurrentSource(transconductance=gm):
            return _transfer(nodes[0], nodes[1], nodes[2], nodes[3], gm), []
        case VoltageControlledVoltageSource(gain=k, output_resistance=r):
            own = _branch(nodes[0], nodes[1], 1.0 / r)
            return own + _transfer(nodes[0], nodes[1], nodes[2], nodes[3], -k / r), []
        case BehaviouralVoltageSource(output_resistance=r):
            return _branch(nodes[0], nodes[1], 1.0 / r), []
        case Product(output_resistance=r):
            return [(nodes[0], nodes[0], 1.0 / r), (nodes[0], nodes[1], -1.0 / r)], []
        case BidirectionalAmplifier(gain=k, back_gain=b, output_resistance=r):
            a, p, n = nodes
            return [
                (p, p, 1.0 / r),
                (p, a, -k / r),
                (n, n, 1.0 / r),
                (n, a, k / r),
                (a, a, 2.0 * b * k / r),
                (a, p, -b / r),
                (a, n, b / r),
            ], []
    return [], []


def constant_currents(flat: FlatDevice) -> list[tuple[str, float]]:
    """Returns (node, current into the device) of what an amplifier's offset drives, A."""
    device, nodes = flat.device, flat.nodes
    match device:
        case VoltageControlledVoltageSource(gain=k, output_resistance=r, offset=offset) if offset:
            return [(nodes[0], -k * offset / r), (nodes[1], k * offset / r)]
        case BidirectionalAmplifier(gain=k, back_gain=b, output_resistance=r, offset=offset) if offset:
            into, p, n = nodes
            return [(p, -k * offset / r), (n, k * offset / r), (into, 2.0 * b * k * offset / r)]
    return []


def _branch(p: str, n: str, value: float) -> list[Stamp]:
    return [(p, p, value), (p, n, -value), (n, p, -value), (n, n, value)]


def _transfer(p: str, n: str, cp: str, cn: str, value: float) -> list[Stamp]:
    return [(p, cp, value), (p, cn, -value), (n, cp, -value), (n, cn, value)]


# Pairs (row terminal, column terminal) that a nonlinear kind stamps, in the order of its positions.
DEVICE_PAIRS: dict[type, tuple[tuple[int, int], ...]] = {
    Switch: ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)),
    Diode: ((0, 0), (0, 1), (1, 0), (1, 1)),
    SoftLimiter: ((0, 0), (0, 1), (1, 0), (1, 1)),
    Product: ((0, 2), (0, 3), (0, 4), (0, 5)),
}


def pairs(flat: FlatDevice, kinds: Mapping[str, Kind]) -> tuple[tuple[int, int], ...]:
    """Returns the terminal pairs that a device stamps into the matrix."""
    if flat.name in kinds:
        return PAIRS[kinds[flat.name]]
    if isinstance(flat.device, BehaviouralCurrentSource | BehaviouralVoltageSource):
        return tuple((row, 2 + k) for k in range(flat.device.formula.variables) for row in (0, 1))
    return DEVICE_PAIRS.get(type(flat.device), ())


class Layout:
    """Numbers the places and finds matrix positions."""

    def __init__(self, circuit: Circuit, held: dict[str, VoltageSource], kinds: Mapping[str, Kind]) -> None:
        unknown = [node for node in circuit.nodes if node not in held]
        if not unknown:
            raise InputError(f"circuit {circuit.name}: every node is held by a source, nothing to solve.")
        self.first = 1 + len(held)
        self.place = {GROUND: 0} | {node: 1 + i for i, node in enumerate(held)}
        number = {node: i for i, node in enumerate(unknown)}
        rows: list[int] = []
        columns: list[int] = []
        for flat in circuit.devices:
            g, c = linear_stamps(flat)
            entries = [(row, column) for row, column, _ in g + c]
            entries += [(flat.nodes[a], flat.nodes[b]) for a, b in pairs(flat, kinds)]
            for row, column in entries:
                if row in number and column in number:
                    rows.append(number[row])
                    columns.append(number[column])
        rows += range(len(unknown))
        columns += range(len(unknown))
        row_array, column_array = np.array(rows, np.int32), np.array(columns, np.int32)
        self.size = len(unknown)
        permutation = sparse.order(self.size, row_array, column_array)
        self.pattern = sparse.symbolic(self.size, permutation[row_array], permutation[column_array])
        for node, i in number.items():
            self.place[node] = self.first + int(permutation[i])
        filled_rows = np.repeat(np.arange(self.size), np.diff(self.pattern.start))
        self._keys = filled_rows.astype(np.int64) * self.size + self.pattern.column

    def places(self, nodes: Sequence[str]) -> list[int]:
        """Returns the places of nodes in the vector of voltages."""
        return [self.place[node] for node in nodes]

    def positions(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> pg.IndexArray:
        """Returns matrix positions of entries given by place; the spare place where one is no unknown."""
        r, c = rows - self.first, columns - self.first
        inside = (r >= 0) & (c >= 0)
        found = np.searchsorted(self._keys, np.where(inside, r * self.size + c, 0))
        return np.where(inside, found, len(self._keys)).astype(np.uint32)

    def device_arrays(
        self, group: list[FlatDevice], device_pairs: tuple[tuple[int, int], ...], width: int
    ) -> tuple[pg.IndexArray, pg.IndexArray]:
        """Returns nodes (n, width) and positions (n, pairs) of devices of one kind."""
        nodes = np.array([self.places(flat.nodes)[:width] for flat in group], np.uint32).reshape(-1, width)
        rows = nodes[:, [a for a, _ in device_pairs]].astype(np.int64)
        columns = nodes[:, [b for _, b in device_pairs]].astype(np.int64)
        return nodes, self.positions(rows, columns)


def _csr(layout: Layout, stamps: list[Stamp]) -> tuple[pg.IntArray, pg.IntArray, FloatArray, FloatArray]:
    """Returns (start, column, value) over unknown rows, and the values in the LU pattern."""
    rows = np.array([layout.place[row] for row, _, _ in stamps], np.int64)
    columns = np.array([layout.place[column] for _, column, _ in stamps], np.int64)
    values = np.array([value for _, _, value in stamps], float)
    keep = (rows >= layout.first) & (columns > 0)
    rows, columns, values = rows[keep], columns[keep], values[keep]
    matrix = np.zeros(len(layout.pattern.column) + 1)
    np.add.at(matrix, layout.positions(rows, columns), values)
    matrix[-1] = 0.0
    by_row = np.argsort(rows, kind="stable")
    start = np.searchsorted(rows[by_row] - layout.first, np.arange(layout.size + 1)).astype(np.int32)
    return start, columns[by_row].astype(np.int32), values[by_row], matrix


def linear(devices: Iterable[FlatDevice], layout: Layout) -> pg.Linear:
    """Returns the linear part of a circuit's devices, given in the circuit's order."""
    g: list[Stamp] = []
    c: list[Stamp] = []
    constant = np.zeros(layout.first + layout.size)
    for flat in devices:
        own_g, own_c = linear_stamps(flat)
        g += own_g
        c += own_c
        for node, current in constant_currents(flat):
            constant[layout.place[node]] += current
    g_start, g_column, g_value, matrix_g = _csr(layout, g)
    c_start, c_column, c_value, matrix_c = _csr(layout, c)
    held = layout.first
    return pg.Linear(
        g_start, g_column, g_value, c_start, c_column, c_value, matrix_g, matrix_c, constant[held:]
    )
