"""Small test circuits for transistors, synapses and optimisers of a design, for the native engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    GROUND,
    Circuit,
    Instance,
    Mosfet,
    Resistor,
    Stimulus,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.design.parts import fet_factory
from eqspice.design.single_ended.elaborate import CONTROLS, crossbar, synapse
from eqspice.design.single_ended.network import SingleEnded
from eqspice.engines.base import Save, State
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.pdk import ideal, osdi

FloatArray = NDArray[np.float64]
ORIGIN = "report.benches"
METER_RESISTANCE = 1e3  # ohm: 1 uA is 1 mV
METER_GAIN = 1e8
UNLOADED = 1e12  # ohm, from an open column to ground
DWELL = 1.0  # s between points of a sweep: no displacement current is left
PROBE = 5e-3  # V by which a column is moved to measure conductances


@dataclass(frozen=True, eq=False)
class TransistorCurves:
    """A transistor with bulk at source.

    Attributes:
        mosfet: the device, with multiplier 1.
        gates: gate-source voltages, V, shape (G,).
        drains: drain-source voltages, V, shape (D,).
        current: into the drain, A, shape (G, D).
    """

    mosfet: Mosfet
    gates: FloatArray
    drains: FloatArray
    current: FloatArray


@dataclass(frozen=True, eq=False)
class SynapseCurves:
    """A synapse between a row at ±a and a column.

    Attributes:
        weights: storage voltages, V, shape (W,).
        rows: row voltages a, V, shape (A,).
        column: current that flows into a column held at 0 V, A, shape (W, A).
        forward: d(column current)/da, S, shape (W, A).
        backward: how far the current into the row (negative rail's minus positive rail's) follows the
            column's voltage, S, shape (W, A). A reciprocal cell has forward = backward.
        loading: conductance of the cell at the column, S, shape (W, A).
        unloaded: voltage of a column that nothing else loads, V, shape (W, A).
    """

    weights: FloatArray
    rows: FloatArray
    column: FloatArray
    forward: FloatArray
    backward: FloatArray
    loading: FloatArray
    unloaded: FloatArray


@dataclass(frozen=True, eq=False)
class UpdateMap:
    """What the optimiser adds to a stored voltage.

    Attributes:
        gain: of the optimiser, 1/V.
        changes: of the column between free and nudged phase, V, shape (C,).
        rows: row voltages, V, shape (A,).
        written: change of the storage voltage, V, shape (C, A).
        formula: sign * gain * change * row, V, shape (C, A).
    """

    gain: float
    changes: FloatArray
    rows: FloatArray
    written: FloatArray
    formula: FloatArray


def transistors(design: SingleEnded) -> list[Mosfet]:
    """Returns the different transistors of a design, each with multiplier 1."""
    found = [flat.device for flat in elaborate(design).devices if isinstance(flat.device, Mosfet)]
    return list(dict.fromkeys(replace(device, multiplier=1.0) for device in found))


def transistor_curves(mosfet: Mosfet, supply: float, gates: int = 37, drains: int = 126) -> TransistorCurves:
    """Evaluates the compact model from below 0 V to the supply (p-channel: with both signs turned).

    Args:
        mosfet: the device.
        supply: V.
        gates: number of gate voltages, from 0 V.
        drains: number of drain voltages, from a quarter of the supply below 0 V.
    """
    sign = mosfet.card.polarity
    vgs = sign * np.linspace(0.0, supply, gates)
    vds = sign * np.linspace(-0.25 * supply, supply, drains)
    g, d = np.meshgrid(vgs, vds, indexing="ij")
    points = np.stack([d, g, 0.0 * d, 0.0 * d], axis=-1).reshape(-1, 4)
    square = mosfet.card.level == "square_law"
    found = ideal.evaluate(mosfet, points) if square else osdi.compact_model(mosfet).evaluate(points)
    return TransistorCurves(mosfet, vgs, vds, found.current[:, 0].reshape(g.shape))


def _source(node: str, signal: str, scale: float = 1.0) -> Instance:
    return Instance(f"drive_{node}", VoltageSource(signal=signal, scale=scale), (node, GROUND), ORIGIN)


def _meter(node: str, level: str) -> list[Instance]:
    """Holds a node at a level's voltage by a current of (V(node_force) - V(node)) / METER_RESISTANCE."""
    amplifier = VoltageControlledVoltageSource(gain=METER_GAIN, output_resistance=1.0)
    return [
        Instance(f"hold_{node}", amplifier, (f"{node}_force", GROUND, level, node), ORIGIN),
        Instance(f"sense_{node}", Resistor(METER_RESISTANCE), (f"{node}_force", node), ORIGIN),
    ]


def synapse_circuit(design: SingleEnded, open_column: bool) -> Circuit:
    """Returns one synapse, its weight and rails driven by signals, its column held at a voltage or open."""
    cell, _ = synapse(design, 0, fet_factory(design))
    instances = [
        Instance("cell", cell, cell.ports, ORIGIN),
        _source("wwl", "word"),
        _source("wbl", "weight"),
        _source("level_inp", "row"),
        _source("level_inn", "row", -1.0),
        *_meter("inp", "level_inp"),
        *_meter("inn", "level_inn"),
    ]
    if open_column:
        instances.append(Instance("open", Resistor(UNLOADED), ("out", GROUND), ORIGIN))
    else:
        instances += [_source("level_out", "column"), *_meter("out", "level_out")]
    return Circuit(f"synapse of {design.preset}", tuple(instances))


def synapse_curves(design: SingleEnded, weights: int = 9, rows: int = 81) -> SynapseCurves:
    """Sweeps stored weight and row voltage over the range that the design uses.

    Args:
        design: whose first layer's synapse is measured.
        weights: number of stored voltages, over the range in which weights start.
        rows: number of row voltages, up to ±1 V at the design's scale.
    """
    stored = design.weight_centre + design.weight_spread * np.linspace(-1.0, 1.0, weights)
    drive = design.input_scale * np.linspace(-1.0, 1.0, rows)
    w, a, c = (axis.ravel() for axis in np.meshgrid(stored, drive, [-PROBE, 0.0, PROBE], indexing="ij"))
    nodes = tuple(f"{node}{end}" for node in ("out", "inp", "inn") for end in ("_force", ""))
    found = _sweep(synapse_circuit(design, False), design, {"weight": w, "row": a, "column": c}, nodes)
    currents = (found[:, ::2] - found[:, 1::2]) / METER_RESISTANCE  # into the cell at out, inp, inn
    out, into_p, into_n = currents.T.reshape(3, weights, rows, 3)
    into_row = into_p - into_n
    w, a = (axis.ravel() for axis in np.meshgrid(stored, drive, indexing="ij"))
    free = _sweep(synapse_circuit(design, True), design, {"weight": w, "row": a}, ("out",))
    return SynapseCurves(
        weights=stored,
        rows=drive,
        column=-out[:, :, 1],
        forward=-np.gradient(out[:, :, 1], drive, axis=1),
        backward=-(into_row[:, :, 2] - into_row[:, :, 0]) / (2 * PROBE),
        loading=(out[:, :, 2] - out[:, :, 0]) / (2 * PROBE),
        unloaded=free[:, 0].reshape(weights, rows),
    )


def _sweep(
    circuit: Circuit, design: SingleEnded, signals: dict[str, FloatArray], nodes: tuple[str, ...]
) -> FloatArray:
    """Returns node voltages at quasi-static points, V, shape (points, nodes); all word lines are high."""
    count = len(signals["row"])
    times = DWELL * np.arange(
        count + 1, dtype=np.float64
    )  # the first point twice: the engine starts from rest
    columns = {"word": np.full(count, design.logic_high)} | signals
    values = np.stack([np.concatenate([column[:1], column]) for column in columns.values()], axis=1)
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(circuit)
    solution = session.run(Stimulus(times, tuple(columns), values), None, Save(nodes, times[1:]))
    return solution.raise_for_status().waveforms.values


def update_circuit(design: SingleEnded) -> Circuit:
    """Returns a crossbar of one cell with its optimiser; row and column are driven."""
    ports = crossbar(design, 0, fet_factory(design)).ports
    names = {"inp_0": "row_p", "inn_0": "row_n", "out_0": "column"}
    names |= {"wwl_0": "layer0_wwl_0", "level_0": "layer0_level_0"}
    instances = [
        Instance(f"drive_{name}", VoltageSource(signal=name), (name, GROUND), ORIGIN) for name in CONTROLS
    ]
    instances += [
        _source("row_p", "x_0", design.input_scale),
        _source("row_n", "x_0", -design.input_scale),
        _source("column", "column"),
        _source("layer0_wwl_0", "layer0_wwl_0"),
        _source("layer0_level_0", "layer0_level_0"),
        Instance(
            "layer0", crossbar(design, 0, fet_factory(design)), tuple(names.get(p, p) for p in ports), ORIGIN
        ),
    ]
    return Circuit(f"update {design.preset}", tuple(instances))


class UpdateBench:
    """One cell and its optimiser, with the schedule of training; every point starts from the same weight."""

    def __init__(self, design: SingleEnded, gain: float) -> None:
        """Builds the circuit and writes the weight in the middle of its range.

        Args:
            design: whose cell and optimiser are taken.
            gain: of the optimiser, 1/V.
        """
        self.design = replace(design, widths=(1, 1), multipliers=design.multipliers[:1], update_gains=(gain,))
        self.session: NativeSession = NativeEngine(NativeOptions(fidelity="phase")).prepare(
            update_circuit(self.design)
        )
        self.place = self.session.node_names.index("layer0.cell_0_0.mem")
        sequence = self._with_column(
            sc.set_sequence(self.design, [np.full((1, 1), design.weight_centre)]), 0.0
        )
        save = Save(("column",), sequence.times[-1:])
        self.start: State = self.session.run(sequence, None, save).raise_for_status().state
        self.expected = synapse(self.design, 0, fet_factory(self.design))[1] * gain

    def written(self, change: float, row: float) -> float:
        """Returns what one presentation adds to the stored voltage, V.

        Args:
            change: of the column from the free to the nudged phase, V.
            row: voltage of the row, V.
        """
        data = sc.Presentations(
            np.array([[row / self.design.input_scale]]), np.zeros((1, 1)), np.zeros((1, 1, 1), np.int64)
        )
        origin = self.start.time - sc.settle_time(self.design)
        plan = sc.presentation_schedule(self.design, data, origin)
        stimulus = self._with_column(plan.stimulus, change)
        state = (
            self.session.run(stimulus, self.start, Save(("column",), plan.free_ends)).raise_for_status().state
        )
        return float(state.voltages[self.place] - self.start.voltages[self.place])

    def _with_column(self, stimulus: Stimulus, change: float) -> Stimulus:
        """Adds the column's signal: 0 V, and the change while the nudge is on."""
        nudged = stimulus.values[:, stimulus.names.index("nudged")] / self.design.logic_high
        values = np.column_stack([stimulus.values, change * nudged])
        return Stimulus(stimulus.times, (*stimulus.names, "column"), values)


def update_map(design: SingleEnded, gain: float, changes: FloatArray, rows: FloatArray) -> UpdateMap:
    """Simulates what the optimiser writes for every change of the column and every row voltage.

    Args:
        design: whose cell and optimiser are taken.
        gain: of the optimiser, 1/V.
        changes: V, shape (C,).
        rows: V, shape (A,).
    """
    bench = UpdateBench(design, gain)
    written = np.array([[bench.written(float(c), float(a)) for a in rows] for c in changes])
    return UpdateMap(gain, changes, rows, written, bench.expected * np.outer(changes, rows))
