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
    Subcircuit,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.design import schedule as sc
from eqspice.design.differential import array
from eqspice.design.differential.network import Differential, column_nodes, drive_nodes
from eqspice.design.elaborate import elaborate
from eqspice.design.families import architecture_of
from eqspice.design.network import Design
from eqspice.design.parts import fet_factory
from eqspice.design.single_ended.elaborate import synapse
from eqspice.design.single_ended.network import SingleEnded, column_node
from eqspice.engines.base import Save, State
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.errors import InputError
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
        weights: storage voltages, or half their differences, V, shape (W,).
        rows: row voltages a, V, shape (A,).
        column: current that flows into a column held at rest, A, shape (W, A); of a pair of wires, the
            difference.
        forward: d(column current)/da, S, shape (W, A).
        backward: how far the current into the row (negative rail's minus positive rail's) follows the
            voltage v of the column (±v on a pair of wires), S, shape (W, A). A reciprocal cell has
            forward = backward.
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


def transistors(design: Design) -> list[Mosfet]:
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


def _source(node: str, signal: str, scale: float = 1.0, dc: float = 0.0) -> Instance:
    return Instance(f"drive_{node}", VoltageSource(dc, signal, scale), (node, GROUND), ORIGIN)


def _meter(node: str, level: str) -> list[Instance]:
    """Holds a node at a level's voltage by a current of (V(node_force) - V(node)) / METER_RESISTANCE."""
    amplifier = VoltageControlledVoltageSource(gain=METER_GAIN, output_resistance=1.0)
    return [
        Instance(f"hold_{node}", amplifier, (f"{node}_force", GROUND, level, node), ORIGIN),
        Instance(f"sense_{node}", Resistor(METER_RESISTANCE), (f"{node}_force", node), ORIGIN),
    ]


@dataclass(frozen=True)
class Wiring:
    """How one synapse of a family of circuits is connected.

    Attributes:
        cell: the synapse with its storage.
        weight: (port of a bit line, sign of the weight on it) pairs.
        weight_centre: voltage of the bit lines at weight 0, V.
        rows: (port of a rail, sign of the row on it) pairs.
        columns: (port of a wire, sign of the column on it) pairs.
        common: voltage of rails and columns at rest, V.
    """

    cell: Subcircuit
    weight: tuple[tuple[str, float], ...]
    weight_centre: float
    rows: tuple[tuple[str, float], ...]
    columns: tuple[tuple[str, float], ...]
    common: float


def wiring(design: Design) -> Wiring:
    """Returns the synapse of a design's first layer and what its ports mean."""
    fets = fet_factory(design)
    if isinstance(design, Differential):
        lines, rows, columns = (tuple(zip(pair, (1.0, -1.0), strict=True)) for pair in _DIFFERENTIAL_PORTS)
        design = replace(design, multiplied_in="line", write="switch")  # no charge pump in the cell
        return Wiring(
            array.cell(design, 0, fets), lines, design.gate_common, rows, columns, design.common_mode
        )
    if not isinstance(design, SingleEnded):
        raise InputError(f"preset: {design.preset!r} is of a family ({design.family}) without test circuits.")
    rows = (("inp", 1.0), ("inn", -1.0))
    return Wiring(synapse(design, 0, fets)[0], (("wbl", 1.0),), 0.0, rows, (("out", 1.0),), 0.0)


_DIFFERENTIAL_PORTS = (("blp", "bln"), ("rp", "rn"), ("cp", "cn"))


def synapse_circuit(of: Wiring, open_column: bool) -> Circuit:
    """Returns one synapse, its weight and rails driven by signals, its column held at a voltage or open."""
    instances = [Instance("cell", of.cell, of.cell.ports, ORIGIN), _source("wwl", "word")]
    instances += [_source(port, "weight", sign, of.weight_centre) for port, sign in of.weight]
    if "common" in of.cell.ports:
        instances.append(Instance("v_common", VoltageSource(of.common), ("common", GROUND), ORIGIN))
    held = [(port, "row", sign) for port, sign in of.rows]
    if open_column:
        for port, _ in of.columns:
            instances += [Instance(f"open_{port}", Resistor(UNLOADED), (port, GROUND), ORIGIN)]
    else:
        held += [(port, "column", sign) for port, sign in of.columns]
    for port, signal, sign in held:
        instances += [_source(f"level_{port}", signal, sign, of.common), *_meter(port, f"level_{port}")]
    return Circuit("synapse", tuple(instances))


def row_reach(design: Design) -> float:
    """Returns the largest row voltage of a design's curves, V: 1 V at its scale, or its common mode."""
    return design.input_scale * (design.common_mode if isinstance(design, Differential) else 1.0)


def wires(design: Design) -> float:
    """Returns how many times the row voltage an optimiser sees: 2 where it is the difference of two wires."""
    return 2.0 if isinstance(design, Differential) else 1.0


def synapse_curves(design: Design, weights: int = 9, rows: int = 81) -> SynapseCurves:
    """Sweeps stored weight and row voltage over the range that the design uses.

    Args:
        design: whose first layer's synapse is measured.
        weights: number of weights, over the range in which they start.
        rows: number of row voltages, over `row_reach` to both sides.
    """
    stored = design.weight_centre + design.weight_spread * np.linspace(-1.0, 1.0, weights)
    drive = row_reach(design) * np.linspace(-1.0, 1.0, rows)
    of, high = wiring(design), design.logic_high
    w, a, c = (axis.ravel() for axis in np.meshgrid(stored, drive, [-PROBE, 0.0, PROBE], indexing="ij"))
    circuit = synapse_circuit(of, open_column=False)
    shape = (weights, rows, 3)

    def taken(ports: tuple[tuple[str, float], ...]) -> FloatArray:
        """Current into the cell, with the signs of the ports."""
        nodes = tuple(f"{port}{end}" for port, _ in ports for end in ("_force", ""))
        found = _sweep(circuit, high, {"weight": w, "row": a, "column": c}, nodes)
        currents = (found[:, ::2] - found[:, 1::2]) / METER_RESISTANCE
        return np.asarray(currents @ [sign for _, sign in ports]).reshape(shape)

    into_column, into_row = taken(of.columns), taken(of.rows)
    w, a = (axis.ravel() for axis in np.meshgrid(stored, drive, indexing="ij"))
    open_circuit = synapse_circuit(of, open_column=True)
    free = _sweep(open_circuit, high, {"weight": w, "row": a}, tuple(port for port, _ in of.columns))
    signs = np.array([sign for _, sign in of.columns]) / len(of.columns)
    return SynapseCurves(
        weights=stored,
        rows=drive,
        column=-into_column[:, :, 1],
        forward=-np.gradient(into_column[:, :, 1], drive, axis=1),
        backward=-(into_row[:, :, 2] - into_row[:, :, 0]) / (2 * PROBE),
        loading=(into_column[:, :, 2] - into_column[:, :, 0]) / (2 * PROBE),
        unloaded=(free @ signs).reshape(weights, rows),
    )


def _sweep(
    circuit: Circuit, high: float, signals: dict[str, FloatArray], nodes: tuple[str, ...]
) -> FloatArray:
    """Returns node voltages at quasi-static points, V, shape (points, nodes); the word line is high."""
    count = len(signals["row"])
    times = DWELL * np.arange(count + 1, dtype=np.float64)  # the first point twice: it starts from rest
    columns = {"word": np.full(count, high)} | signals
    values = np.stack([np.concatenate([column[:1], column]) for column in columns.values()], axis=1)
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(circuit)
    solution = session.run(Stimulus(times, tuple(columns), values), None, Save(nodes, times[1:]))
    return solution.raise_for_status().waveforms.values


def update_circuit(design: Design) -> Circuit:
    """Returns the circuit of a network of one synapse, with a driven column in place of neuron and loss."""
    kept = [i for i in elaborate(design).instances if not i.name.startswith(("amplifier", "hold", "loss"))]
    driven, common = [(column_node(0, 0), 1.0)], 0.0
    if isinstance(design, Differential):
        pairs = (column_nodes(0, 0), drive_nodes(1, 0))  # what the column has, and what is sensed of it
        driven = [(node, sign) for pair in pairs for node, sign in zip(pair, (0.5, -0.5), strict=True)]
        common = design.common_mode
    kept += [_source(node, "column", scale, common) for node, scale in driven]
    return Circuit(f"update of {design.preset}", tuple(kept))


class UpdateBench:
    """One cell and its optimiser, with the schedule of training; every point starts from the same weight.

    Row and column are what the optimiser sees: voltages, or in a differential circuit the differences of
    two wires.
    """

    def __init__(self, design: Design, gain: float) -> None:
        """Builds the circuit and writes the weight in the middle of its range.

        Args:
            design: whose cell and optimiser are taken.
            gain: of the optimiser, 1/V.
        """
        small = {"widths": (1, 1), "update_gains": (gain,)}
        differential = isinstance(design, Differential)
        if isinstance(design, SingleEnded):
            small |= {"multipliers": design.multipliers[:1], "column_pulls": design.column_pulls[:1]}
        self.design: Design = replace(design, **small)  # type: ignore[arg-type]
        self.expected = gain
        if isinstance(self.design, SingleEnded):
            self.expected *= synapse(self.design, 0, fet_factory(design))[1]
        self.per_row = design.input_scale * wires(design)  # row voltage per volt of data
        # The signal that changes from phase to phase, and by how much.
        self.nudge, self.swing = ("nudge", 2.0) if differential else ("nudged", design.logic_high)
        self.session: NativeSession = NativeEngine(NativeOptions(fidelity="phase")).prepare(
            update_circuit(self.design)
        )
        sequence = sc.set_sequence(self.design, [np.full((1, 1), design.weight_centre)])
        self.start = self._run(sequence, 0.0, None)

    def written(self, change: float, row: float) -> float:
        """Returns what one presentation adds to the weight, V.

        Args:
            change: of the column: free to nudged phase, or second to first nudge, V.
            row: voltage of the row, V.
        """
        rows = np.zeros((1, 1, 1), np.int64)
        data = sc.Presentations(np.array([[row / self.per_row]]), np.zeros((1, 1)), rows)
        origin = self.start.time - sc.settle_time(self.design)
        plan = sc.presentation_schedule(self.design, data, origin)
        return self._weight(self._run(plan.stimulus, change, self.start)) - self._weight(self.start)

    def _weight(self, state: State) -> float:
        readout = architecture_of(self.design).weights(self.design, 0)
        places = [self.session.node_names.index(node) for node in readout.nodes]
        return float(readout.of(state.voltages[places])[0])

    def _run(self, stimulus: Stimulus, change: float, state: State | None) -> State:
        """Simulates with the column moving by a change between the phases."""
        shape = stimulus.values[:, stimulus.names.index(self.nudge)] / self.swing
        values = np.column_stack([stimulus.values, change * shape])
        driven = Stimulus(stimulus.times, (*stimulus.names, "column"), values)
        save = Save(self.session.node_names[:1], stimulus.times[-1:])
        return self.session.run(driven, state, save).raise_for_status().state


def update_map(design: Design, gain: float, changes: FloatArray, rows: FloatArray) -> UpdateMap:
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
