"""The gradient oracle: a training circuit's free-phase loss and its true derivatives.

L = 1/2 sum (V_out - target)^2 at the end of the free plateau, as a function of the weights at rest. The
gradient comes from the engine's own Jacobian, or from differences that show the Jacobian right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from eqspice.analysis import gradient as gr
from eqspice.design import schedule as sc
from eqspice.design.families import architecture_of
from eqspice.design.network import Readout
from eqspice.engines.base import Save, State
from eqspice.engines.native.engine import NativeOptions, NativeSession
from eqspice.training.trainer import Bench

FloatArray = NDArray[np.float64]
# Steps on a plateau until every node has settled, Newton's iteration down to rounding, no bypass.
TIGHT = NativeOptions(fidelity="phase", points_per_plateau=20, bypass=1e-12)
Signal = tuple[tuple[str, float], ...]  # nodes whose voltages, times the numbers, add up to a signal


@dataclass(frozen=True)
class Places:
    """Where a circuit carries what learning is about, as signals.

    Attributes:
        outputs: voltages that the loss sees.
        weights: per layer, row by row of the (inputs, outputs) matrix.
        columns: per layer, what the next neurons take in.
        rows: per layer, what drives the crossbar.
        back_factors: per layer, how much its columns count in the circuit's total co-content. An
            amplifier with voltage gain g and backward current gain b is no two-terminal element, but
            a row of equations times g/b makes it symmetric: a factor per neuron up to the output.
    """

    outputs: tuple[Signal, ...]
    weights: tuple[tuple[Signal, ...], ...]
    columns: tuple[tuple[Signal, ...], ...]
    rows: tuple[tuple[Signal, ...], ...]
    back_factors: tuple[float, ...]


def places_of(bench: Bench) -> Places:
    """Returns the places of a training set-up."""
    design = bench.design
    family, layers = architecture_of(design), range(design.layers)
    return Places(
        _signals(bench.output_readout),
        tuple(_signals(readout) for readout in bench.weight_readouts),
        tuple(_signals(family.columns(design, k)) for k in layers),
        tuple(_signals(family.rows(design, k)) for k in layers),
        family.back_factors(design),
    )


def _signals(readout: Readout) -> tuple[Signal, ...]:
    if not readout.minus:
        return tuple(((node, readout.scale),) for node in readout.plus)
    pairs = zip(readout.plus, readout.minus, strict=True)
    return tuple(((plus, readout.scale), (minus, -readout.scale)) for plus, minus in pairs)


@dataclass(frozen=True, eq=False)
class Settled:
    """The circuit at the end of the plateaus of some presentations, no row addressed.

    Attributes:
        free, nudged: states, one per presentation.
    """

    free: tuple[State, ...]
    nudged: tuple[State, ...]


@dataclass(frozen=True, eq=False)
class SampleGradient:
    """What one free phase says.

    Attributes:
        weights: dL/dw, V²/V, one (inputs, outputs) matrix per layer.
        adjoint: dL per ampere into every column, V²/A, one array per layer.
        response: change of every column by a nudge of 1 S in the limit of small ones, V, likewise.
        clamped: part of a current into a column that the clamp takes, likewise.
    """

    weights: list[FloatArray]
    adjoint: list[FloatArray]
    response: list[FloatArray]
    clamped: list[FloatArray]


class Oracle:
    """Differentiates the free phase of a training set-up."""

    def __init__(self, bench: Bench) -> None:
        """Shares the bench's compiled circuit, with tight tolerances.

        Args:
            bench: prepared set-up.
        """
        self.bench = bench
        self.session = NativeSession(bench.session.compiled, TIGHT)
        self.places = places_of(bench)
        nodes = self.session.node_names
        unknown = {name: row for row, name in enumerate(self.session.unknown_names)}
        place = {name: index for index, name in enumerate(nodes)}
        self._order = np.array([place[name] for name in unknown], np.int64)
        self.outputs = _reader(self.places.outputs, unknown)
        self.weights = [_reader(signals, unknown) for signals in self.places.weights]
        self.columns = [_reader(signals, unknown) for signals in self.places.columns]
        self.rows = [_reader(rows, unknown) for rows in self.places.rows]

    def unknowns(self, state: State) -> FloatArray:
        """Returns the voltages of the unknown nodes of a state, V, shape (n,)."""
        return state.voltages[self._order]

    def settle(self, state: State, x: FloatArray, y: FloatArray) -> Settled:
        """Presents data without addressing a row and returns the plateaus' ends.

        Args:
            state: circuit at rest, with its weights.
            x: row voltages, V, shape (P, inputs).
            y: targets, V, shape (P, outputs).
        """
        plan = self.plan(state, x, y, [sc.NO_ROW] * self.bench.design.layers, ("free", "nudged"))
        times = np.stack([plan.free_ends, plan.nudged_ends], axis=1).ravel()
        solution = self.session.run(plan.stimulus, state, Save(self.session.node_names, times))
        values = solution.raise_for_status().waveforms.values
        states = [State(float(t), row) for t, row in zip(times, values, strict=True)]
        return Settled(tuple(states[::2]), tuple(states[1::2]))

    def plan(
        self,
        state: State,
        x: FloatArray,
        y: FloatArray,
        lines: list[int],
        phases: tuple[str, ...] = sc.PHASES,
    ) -> sc.Schedule:
        """Returns the schedule that presents data from a state on, always with the same word lines."""
        design = self.bench.design
        rows = np.tile(np.array(lines, np.int64), (len(x), 1, 1))
        data = sc.Presentations(np.asarray(x, float), np.asarray(y, float), rows)
        origin = state.time - sc.settle_time(design)
        return sc.presentation_schedule(design, data, origin, phases)

    def loss(self, state: State, x: FloatArray, target: FloatArray) -> float:
        """Returns L of one sample, V²: x of shape (inputs,), target of shape (outputs,)."""
        plan = self.plan(state, x[None], target[None], [sc.NO_ROW] * self.bench.design.layers, ("free",))
        save = Save(self.session.node_names, plan.free_ends)
        values = self.session.run(plan.stimulus, state, save).raise_for_status().waveforms.values[0]
        return 0.5 * float(np.sum((self.outputs @ values[self._order] - target) ** 2))

    def gradient(self, state: State, free: State, target: FloatArray) -> SampleGradient:
        """Returns the gradient of one sample's loss with respect to the weights at rest.

        Args:
            state: circuit at rest.
            free: the same circuit at the end of the sample's free plateau.
            target: V, shape (outputs,).
        """
        conductance, capacitance = self.session.matrices(free)
        design = self.bench.design
        floats = gr.floating(conductance, capacitance, architecture_of(design).phase_time(design))
        for weights in self.weights:
            floats[np.unique(weights.indices)] = True  # also where a limit of the weights conducts a little
        linear = gr.Linearisation(conductance, capacitance, floats)
        slope = self.outputs.T @ (self.outputs @ self.unknowns(free) - target)
        adjoint = linear.adjoint(slope)
        # What is stored is charge; at rest it is C times the storage voltage.
        per_volt = self.session.matrices(state)[1].T @ np.where(floats, adjoint, 0.0)
        response = linear.response(-slope)
        bare = gr.Linearisation(csr_array(conductance - self.session.junctions(free)), capacitance, floats)
        return SampleGradient(
            [
                _per_signal(weights, per_volt).reshape(design.shape(layer))
                for layer, weights in enumerate(self.weights)
            ],
            [columns @ adjoint for columns in self.columns],
            [columns @ response for columns in self.columns],
            [1.0 - _yield(linear, columns) / _yield(bare, columns) for columns in self.columns],
        )

    def differences(
        self, state: State, x: FloatArray, target: FloatArray, step: float = 1e-4
    ) -> list[FloatArray]:
        """Returns the same gradient by central differences: two free phases per weight.

        Args:
            state: circuit at rest.
            x: row voltages of one sample, V, shape (inputs,).
            target: V, shape (outputs,).
            step: of a weight, V.
        """
        found = []
        for layer, weights in enumerate(self.weights):
            losses = np.zeros((weights.shape[0], 2))
            for weight in range(weights.shape[0]):
                direction = weights[[weight]].toarray()[0]
                direction /= direction @ direction
                for k, sign in enumerate((1.0, -1.0)):
                    moved = state.voltages.copy()
                    moved[self._order] += sign * step * direction
                    losses[weight, k] = self.loss(State(state.time, moved), x, target)
            slopes = (losses[:, 0] - losses[:, 1]) / (2.0 * step)
            found.append(slopes.reshape(self.bench.design.shape(layer)))
        return found

    def co_content(self, free: State, nudged: State, beta: float) -> list[FloatArray]:
        """Returns the equilibrium-propagation estimate of the gradient by the exact co-content rule.

        (dG/dw(nudged) - dG/dw(free)) / beta, with G the co-content of the whole circuit, is the gradient
        in a reciprocal circuit as beta goes to zero: dL/dw, V²/V, one (inputs, outputs) matrix per layer.

        Args:
            free: state at the end of the free plateau; for the symmetric form, of the nudged plateau whose
                nudge pushed away from the target, and beta is then twice the conductance.
            nudged: state at the end of the nudged plateau.
            beta: nudge conductance, S.
        """
        before, after = (csc_array(self.session.matrices(state)[0]) for state in (free, nudged))
        change = self.unknowns(nudged) - self.unknowns(free)
        estimate = gr.contrastive(before, after, change)
        return [
            factor / beta * _per_signal(weights, estimate).reshape(self.bench.design.shape(layer))
            for layer, (weights, factor) in enumerate(
                zip(self.weights, self.places.back_factors, strict=True)
            )
        ]

    def transport(self, free: State, layer: int) -> tuple[FloatArray, FloatArray]:
        """Returns every cell's forward and backward sensitivity in a free phase, A/V, (inputs, outputs).

        Forward: column current per row voltage. Backward: row current per column voltage. NaN where
        rows are driven by sources.
        """
        rows, columns = self.rows[layer], self.columns[layer]
        conductance = self.session.matrices(free)[0]
        forward = (columns @ conductance @ rows.T).toarray().T
        backward = (rows @ conductance @ columns.T).toarray()
        driven = np.diff(rows.indptr) == 0
        if driven.all():
            forward[driven] = backward[driven] = np.nan
        return forward, backward


def _reader(signals: tuple[Signal, ...], unknown: dict[str, int]) -> csr_array:
    """Returns the matrix that takes the unknown voltages to the signals, shape (signals, n).

    A node that a source drives is none of them: it does not move.
    """
    entries = [
        (k, unknown[node], factor)
        for k, signal in enumerate(signals)
        for node, factor in signal
        if node in unknown
    ]
    row, column, value = zip(*entries, strict=True) if entries else ((), (), ())
    return csr_array((value, (row, column)), shape=(len(signals), len(unknown)), dtype=float)


def _per_signal(signals: csr_array, per_node: FloatArray) -> FloatArray:
    """Returns derivatives by signals from those by node voltages: a signal moves its nodes in proportion."""
    squares = np.asarray(signals.multiply(signals).sum(axis=1)).ravel()
    return np.asarray((signals @ per_node) / squares)


def _yield(linear: gr.Linearisation, signals: csr_array) -> FloatArray:
    """Change of every signal by a current into it, V/A."""
    return np.asarray((signals @ linear.response(signals.T.toarray())).diagonal())
