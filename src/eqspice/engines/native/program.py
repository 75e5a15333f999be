"""Compiled circuit: plain arrays in named tuples, which compiled code can take.

Voltages stand in one vector: ground first, then the inputs (nodes held by a grounded voltage
source), then the unknowns in elimination order. A stamp on ground or on an input goes to a spare
place behind the last matrix entry.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
IndexArray = NDArray[np.uint32]


class Linear(NamedTuple):
    """Conductances and capacitances that do not change: I = G v, Q = C v.

    Rows are unknowns, columns are places in the voltage vector. matrix_g and matrix_c are the same
    numbers at their places in the LU pattern, shape (nnz + 1,). constant: current out of each unknown
    node that offsets of amplifiers drive, A.
    """

    g_start: IntArray
    g_column: IntArray
    g_value: FloatArray
    c_start: IntArray
    c_column: IntArray
    c_value: FloatArray
    matrix_g: FloatArray
    matrix_c: FloatArray
    constant: FloatArray


class CurrentSources(NamedTuple):
    """I = dc + scale * signal from nodes[:, 0] to nodes[:, 1]; signal -1 is none."""

    nodes: IndexArray
    signal: IntArray
    scale: FloatArray
    dc: FloatArray


class Switches(NamedTuple):
    """nodes: p, n, cp, cn. log conductances; an infinite off resistance has log_off = -inf."""

    nodes: IndexArray
    positions: IndexArray
    log_on: FloatArray
    log_off: FloatArray
    v_on: FloatArray
    v_off: FloatArray
    floating_control: NDArray[np.bool_]


class Diodes(NamedTuple):
    """nodes: p, n. v_line is the voltage at which the law goes on as a straight line."""

    nodes: IndexArray
    positions: IndexArray
    saturation_current: FloatArray
    thermal_voltage: FloatArray
    v_line: FloatArray


class Limiters(NamedTuple):
    """nodes: p, n."""

    nodes: IndexArray
    positions: IndexArray
    low: FloatArray
    high: FloatArray
    softness: FloatArray
    resistance: FloatArray


class Products(NamedTuple):
    """nodes: p, ap, an, bp, bn; scale is gain / output resistance."""

    nodes: IndexArray
    positions: IndexArray
    scale: FloatArray
    offset: FloatArray


class Behavioural(NamedTuple):
    """Sources that compute a formula. nodes: p, n, then sensed nodes, spare ones are ground.

    sensed: how many; scale: of the formula in I(p); start: first step of each formula, shape (N + 1,).
    """

    nodes: IndexArray
    positions: IndexArray
    sensed: IntArray
    scale: FloatArray
    start: IntArray
    operation: IntArray
    operand: FloatArray


class TableFets(NamedTuple):
    """FETs with bulk tied to source. nodes: d, g, s; table: index into the tables.

    shift: added to the gate's voltage, V, and multiplier: of currents and charges, hold its mismatch.
    """

    nodes: IndexArray
    positions: IndexArray
    table: IntArray
    multiplier: FloatArray
    shift: FloatArray
    coefficients: FloatArray
    meta: FloatArray


class BulkFets(NamedTuple):
    """FETs of three-axis tables. nodes: d, g, s, b.

    start: place of a FET's table in numbers. shift: as in TableFets. floating: whether the bulk is an
    unknown; if not, its row and column of the matrix need no stamps.
    """

    nodes: IndexArray
    positions: IndexArray
    start: NDArray[np.int64]
    multiplier: FloatArray
    shift: FloatArray
    floating: NDArray[np.bool_]
    numbers: FloatArray


class CompactFets(NamedTuple):
    """FETs evaluated by the compact model itself. nodes: d, g, s, b; context: row of contexts."""

    nodes: IndexArray
    positions: IndexArray
    context: IntArray
    multiplier: FloatArray
    contexts: NDArray[np.int64]


class SquareLawFets(NamedTuple):
    """Closed-form FETs for tests. nodes: d, g, s; parameters: one row per FET."""

    nodes: IndexArray
    positions: IndexArray
    parameters: FloatArray


class Program(NamedTuple):
    """A compiled circuit.

    Attributes:
        unknowns: number of unknown node voltages.
        first_unknown: place of the first unknown in the voltage vector.
        input_signal, input_scale, input_dc: signal index (-1: none), scale and offset of each input.
        storage: places of the storage nodes whose error controls the step.
        supplies: 1.0 for inputs that can carry current, 0.0 for those that only control switches, shape
            (first_unknown,).
        predicted: 1.0 for places that are extrapolated for a first guess, else 0.0.
        per_tolerance: one over Newton's tolerance of each place, 1/V; 0 where one solution is exact.
    """

    unknowns: int
    first_unknown: int
    start: IndexArray
    column: IndexArray
    diagonal: IndexArray
    input_signal: IntArray
    input_scale: FloatArray
    input_dc: FloatArray
    storage: IntArray
    supplies: FloatArray
    predicted: FloatArray
    per_tolerance: FloatArray
    linear: Linear
    sources: CurrentSources
    switches: Switches
    diodes: Diodes
    limiters: Limiters
    products: Products
    behavioural: Behavioural
    table_fets: TableFets
    bulk_fets: BulkFets
    compact_fets: CompactFets
    square_fets: SquareLawFets


class Work(NamedTuple):
    """Everything that changes during a run.

    cached_* hold each nonlinear device's last evaluation: its voltages and its currents, charges and
    derivatives there. A device whose voltages moved less than the bypass tolerance is linearised
    from them. counters: Newton iterations, factorisations, FET evaluations, gmin steps, worst place.
    """

    voltage: FloatArray
    signal: FloatArray
    current: FloatArray
    charge: FloatArray
    history: FloatArray
    values: FloatArray
    inverse_pivot: FloatArray
    scratch: FloatArray
    delta: FloatArray
    switch_control: FloatArray
    switch_conductance: FloatArray
    switch_slope: FloatArray
    diode: FloatArray
    limiter: FloatArray
    product: FloatArray
    behavioural: FloatArray
    table_fet: FloatArray
    bulk_fet: FloatArray
    compact_fet: FloatArray
    square_fet: FloatArray
    factored_alpha: FloatArray
    counters: NDArray[np.int64]


def new_work(program: Program) -> Work:
    """Returns fresh work arrays; no device counts as evaluated."""
    size = program.first_unknown + program.unknowns
    nnz = len(program.column)

    def cache(nodes: IndexArray, width: int) -> FloatArray:
        array = np.zeros((len(nodes), width))
        array[:, 0] = 1e30  # far from any voltage: the first evaluation is never bypassed
        return array

    signals = 1 + max(int(program.input_signal.max(initial=-1)), int(program.sources.signal.max(initial=-1)))
    floats: Any = np.zeros
    return Work(
        voltage=floats(size),
        signal=floats(max(signals, 1)),
        current=floats(size),
        charge=floats(size),
        history=floats(size),
        values=floats(nnz + 1),
        inverse_pivot=floats(program.unknowns),
        scratch=floats(program.unknowns),
        delta=floats(size),
        switch_control=np.full(len(program.switches.nodes), 1e30),
        switch_conductance=floats(len(program.switches.nodes)),
        switch_slope=floats(len(program.switches.nodes)),
        diode=cache(program.diodes.nodes, 3),
        limiter=cache(program.limiters.nodes, 3),
        product=cache(program.products.nodes, 2),
        behavioural=cache(program.behavioural.nodes, 2 * program.behavioural.nodes.shape[1] - 2),
        table_fet=cache(program.table_fets.nodes, 14),
        bulk_fet=cache(program.bulk_fets.nodes, 3 + 20 + 2),
        compact_fet=cache(program.compact_fets.nodes, 4 + 4 + 4 + 16 + 16),
        square_fet=cache(program.square_fets.nodes, 14),
        factored_alpha=np.full(2, np.nan),
        counters=np.zeros(8, np.int64),
    )
