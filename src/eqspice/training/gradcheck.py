"""A training circuit's real update against the true gradient of its free-phase loss.

The update is what the circuit writes when a data point is presented to it as a whole, once for every
word line, each time from the same state.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import gradient as gr
from eqspice.analysis.diagnosis import LayerCheck, diagnose
from eqspice.design.schedule import NO_ROW
from eqspice.engines.base import Save, State
from eqspice.errors import InputError
from eqspice.training.build import initial_weights
from eqspice.training.checkpoint import RunFolder
from eqspice.training.oracle import Oracle, SampleGradient, Settled
from eqspice.training.trainer import Bench, write_weights

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
OFF = 0.5  # a neuron is off if its clamp takes more than this part of a current into its column


@dataclass(frozen=True, eq=False)
class Written:
    """What a presentation does to the weights.

    Attributes:
        update: what addressing every row adds, V, one (inputs, outputs) matrix per layer.
        drift: what the weights do anyway, by leakage, V, likewise.
    """

    update: list[FloatArray]
    drift: list[FloatArray]


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Updates and gradients of some samples, per layer, and what they amount to.

    Attributes:
        points: samples of the training set, shape (S,).
        layers: figures per layer.
        verdict: in words.
        updates: change of the weights, V, one (S, inputs, outputs) array per layer.
        gradients: dL/dw, V, likewise.
    """

    points: IntArray
    layers: tuple[LayerCheck, ...]
    verdict: tuple[str, ...]
    updates: tuple[FloatArray, ...]
    gradients: tuple[FloatArray, ...]

    def cosines(self, layer: int) -> FloatArray:
        """Returns the cosine of update and descent direction of every sample, shape (S,)."""
        return gr.sample_cosines(self.updates[layer], -self.gradients[layer])

    def summary(self) -> dict[str, object]:
        """Returns the figures as plain values, fit for JSON; what is not defined is None."""
        return {
            "samples": len(self.points),
            "points": self.points.tolist(),
            "layers": [
                {key: value if value == value else None for key, value in asdict(check).items()}
                for check in self.layers
            ],
            "sample_cosines": [
                [value if value == value else None for value in self.cosines(layer).tolist()]
                for layer in range(len(self.layers))
            ],
            "verdict": list(self.verdict),
        }


def written(oracle: Oracle, state: State, x: FloatArray, y: FloatArray) -> Written:
    """Returns what the circuit writes for one sample, simulated as the run is.

    Args:
        oracle: of the prepared set-up.
        state: circuit at rest.
        x: row voltages, V, shape (inputs,).
        y: targets, V, shape (outputs,).
    """
    bench, design = oracle.bench, oracle.bench.design
    no_line = [NO_ROW] * design.layers

    def after(start: State, lines: list[int]) -> State:
        plan = oracle.plan(start, x[None], y[None], lines)
        save = Save(bench.outputs[:1], plan.free_ends)
        return bench.session.run(plan.stimulus, start, save).raise_for_status().state

    idle = after(state, no_line)
    unchanged = bench.weights(idle)
    update = [np.zeros(design.shape(layer)) for layer in range(design.layers)]
    for word in range(design.most_word_lines):
        lines = [word if word < design.word_lines(layer) else NO_ROW for layer in range(design.layers)]
        reached = bench.weights(after(state, lines))
        for layer, line in enumerate(lines):
            if line != NO_ROW:
                at = np.s_[:, line] if design.transposed(layer) else np.s_[line]
                update[layer][at] = (reached[layer] - unchanged[layer])[at]
    # From one rest to the next: columns that have not wholly discharged move the weights by their gates.
    later = bench.weights(after(idle, no_line))
    return Written(update, [end - start for start, end in zip(unchanged, later, strict=True)])


def initial_state(bench: Bench) -> State:
    """Returns the circuit at rest with the experiment's initial weights."""
    return write_weights(bench, initial_weights(bench.design, bench.experiment)).state


def check_points(bench: Bench, samples: int) -> IntArray:
    """Returns samples of the training set, evenly spread over it.

    Raises:
        InputError: fewer than one sample is wanted.
    """
    if samples < 1:
        raise InputError(f"samples: {samples} is not allowed, it must be at least 1.")
    count = len(bench.task.x)
    return np.unique(np.linspace(0, count - 1, min(samples, count)).astype(np.int64))


def check_gradient(bench: Bench, state: State, samples: int = 20) -> GradientCheck:
    """Compares the circuit's update with the true gradient at the weights of a state.

    Args:
        bench: prepared set-up.
        state: circuit at rest.
        samples: how many of the training set.
    """
    oracle = Oracle(bench)
    points = check_points(bench, samples)
    x, y = bench.task.x[points], bench.task.y[points]
    settled = oracle.settle(state, x, y)
    free = np.stack([oracle.outputs @ oracle.unknowns(one) for one in settled.free])
    measured = _Measured(
        oracle,
        settled,
        oracle.settle(state, x, free),  # target = output: what moves now is no nudge
        [oracle.gradient(state, one, target) for one, target in zip(settled.free, y, strict=True)],
        [written(oracle, state, a, b) for a, b in zip(x, y, strict=True)],
        0.5 * float(np.sum((free - y) ** 2)),
    )
    layers = range(bench.design.layers)
    checks = measured.checks()
    return GradientCheck(
        points,
        checks,
        tuple(diagnose(checks)),
        tuple(measured.updates(layer) for layer in layers),
        tuple(measured.gradients(layer) for layer in layers),
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """Everything that the figures are made of, one entry per sample."""

    oracle: Oracle
    settled: Settled
    idle: Settled
    samples: list[SampleGradient]
    written: list[Written]
    loss: float

    def updates(self, layer: int) -> FloatArray:
        return np.stack([one.update[layer] for one in self.written])

    def gradients(self, layer: int) -> FloatArray:
        return np.stack([one.weights[layer] for one in self.samples])

    def _moved(self, settled: Settled, layer: int) -> FloatArray:
        read, unknowns = self.oracle.columns[layer], self.oracle.unknowns
        pairs = zip(settled.free, settled.nudged, strict=True)
        return np.stack([read @ (unknowns(nudged) - unknowns(free)) for free, nudged in pairs])

    def checks(self) -> tuple[LayerCheck, ...]:
        pairs = zip(self.settled.free, self.settled.nudged, strict=True)
        beta = self.oracle.bench.design.nudge_conductance
        estimates = [self.oracle.co_content(free, nudged, beta) for free, nudged in pairs]
        return tuple(
            self._check(layer, np.stack([estimate[layer] for estimate in estimates]))
            for layer in range(self.oracle.bench.design.layers)
        )

    def _check(self, layer: int, estimate: FloatArray) -> LayerCheck:
        update, gradient = self.updates(layer), self.gradients(layer)
        drift = np.stack([one.drift[layer] for one in self.written])
        adjoint = np.stack([one.adjoint[layer] for one in self.samples])
        response = np.stack([one.response[layer] for one in self.samples])
        clamped = np.stack([one.clamped[layer] for one in self.samples])
        moved = self._moved(self.settled, layer)
        back = -self.oracle.places.back_factors[layer] * response
        ways = [self.oracle.transport(free, layer) for free in self.settled.free]
        forward, backward = (np.stack([way[k] for way in ways]) for k in (0, 1))
        hidden = layer < self.oracle.bench.design.layers - 1
        return LayerCheck(
            layer=layer,
            cosine=gr.mean_cosine(update, -gradient),
            batch_cosine=gr.cosine(update.sum(axis=0), -gradient.sum(axis=0)),
            ratio=gr.size_ratio(update, gradient),
            correction=float(-np.sum(update * gradient)) / (2.0 * self.loss) if self.loss > 0.0 else math.nan,
            signal_cosine=gr.mean_cosine(back, adjoint),
            signal_fraction=gr.received(back, adjoint),
            nudge_cosine=gr.mean_cosine(moved, response),
            nudge_drift=gr.size_ratio(self._moved(self.idle, layer), moved),
            rule_cosine=gr.mean_cosine(estimate, gradient),
            weight_drift=gr.size_ratio(drift, update),
            forward_backward=gr.size_ratio(forward, backward),
            transport_cosine=gr.cosine(forward, backward),
            clamped=float(np.mean(clamped > OFF)) if hidden else math.nan,
        )


def save_check(folder: RunFolder, check: GradientCheck, initial: bool) -> None:
    """Writes gradcheck.npz, or gradcheck_initial.npz, into a run folder: summary as JSON text, arrays."""
    arrays: dict[str, object] = {"summary": np.array(json.dumps(check.summary()))}
    for layer, (update, gradient) in enumerate(zip(check.updates, check.gradients, strict=True)):
        arrays |= {f"updates_{layer}": update, f"gradients_{layer}": gradient}
    folder.write_arrays("gradcheck_initial" if initial else "gradcheck", arrays)


def load_check(folder: RunFolder, initial: bool = False) -> GradientCheck:
    """Returns what `save_check` wrote.

    Raises:
        StorageError: it is missing or damaged.
    """
    arrays = folder.read_arrays("gradcheck_initial" if initial else "gradcheck")
    summary: dict[str, Any] = json.loads(str(arrays["summary"]))
    layers = tuple(_layer(values) for values in summary["layers"])
    return GradientCheck(
        np.array(summary["points"], np.int64),
        layers,
        tuple(summary["verdict"]),
        tuple(arrays[f"updates_{layer}"] for layer in range(len(layers))),
        tuple(arrays[f"gradients_{layer}"] for layer in range(len(layers))),
    )


def _layer(values: dict[str, Any]) -> LayerCheck:
    known: dict[str, Any] = {key: math.nan if value is None else value for key, value in values.items()}
    return LayerCheck(**known)
