"""Update gains by measurement: how much of a presentation's error does each layer's update correct?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eqspice.design import schedule as sc
from eqspice.design.network import Design
from eqspice.engines.base import Save, State
from eqspice.errors import InputError
from eqspice.training.bench import Bench, prepare, write_weights
from eqspice.training.build import initial_weights, learning_of
from eqspice.training.experiment import Experiment
from eqspice.training.sections import EngineChoice

FloatArray = NDArray[np.float64]
_CALIBRATION = 4  # key of the random stream of the points that calibration presents
PRESENTATIONS = 16
TRIAL_STEP = 2e-4  # V: weights move about this much in a trial update
SINGLE_OUTPUT = (0.3, 0.3)  # corrections of the layers before the last, and of the last
MANY_OUTPUTS = (0.15, 0.2)
MOST_STEP = 30e-3  # V: no weight moves farther in a presentation, however small the correction is then


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Attributes:
        correction: fraction of a presentation's error that each layer's update shall correct.
        measured: fraction that each layer's update corrects at an update gain of 1 / V.
        update_gains: correction / measured, or as much of it as moves no weight by more than MOST_STEP, 1/V.
    """

    correction: tuple[float, ...]
    measured: tuple[float, ...]
    update_gains: tuple[float, ...]

    @classmethod
    def restore(cls, plain: Mapping[str, Sequence[float]]) -> Calibration:
        """Returns the calibration that a manifest holds."""
        return cls(**{name: tuple(values) for name, values in plain.items()})


def usual_correction(design: Design) -> tuple[float, ...]:
    """Returns the fraction of the error that each layer's update shall correct."""
    hidden, last = SINGLE_OUTPUT if design.widths[-1] == 1 else MANY_OUTPUTS
    return (hidden,) * (design.layers - 1) + (last,)


def calibrate_experiment(experiment: Experiment) -> Calibration:
    """Calibrates an experiment from its initial weights, as training would.

    Raises:
        InputError: the update gains of its circuit cannot be set; a layer's update does not reduce the error.
    """
    if not learning_of(experiment).calibrate:
        raise InputError(
            f"learning.calibrate: preset {experiment.preset!r} has fixed update gains, or "
            "learning.update_gain is given; a differential preset such as 'reciprocal' can be calibrated."
        )
    bench = prepare(experiment)
    return calibrate(bench, write_weights(bench, initial_weights(bench.design, experiment)).state)


def calibrate(bench: Bench, state: State) -> Calibration:
    """Measures on some training points, each presented from the same state, one layer learning at a time.

    Device noise is off meanwhile: trial updates are so small that noise would drown what they change. On a
    chip one would take the mean of many presentations instead.

    Args:
        bench: prepared set-up.
        state: where the weights are.

    Raises:
        InputError: a layer's update does not reduce the error.
    """
    if bench.experiment.engine.noise:
        engine = EngineChoice(**bench.experiment.engine.model_dump() | {"noise": ()})
        bench, state = prepare(bench.experiment.changed(engine=engine)), replace(state, noise=None)
    design = bench.design
    wanted = bench.experiment.learning.correction or usual_correction(design)
    rng = np.random.default_rng(np.random.SeedSequence(bench.experiment.seed, spawn_key=(_CALIBRATION,)))
    points = rng.integers(len(bench.task.x), size=PRESENTATIONS)
    rows = sc.random_rows(design, PRESENTATIONS, learning_of(bench.experiment).rows, rng)
    measured, gains = [], []
    for layer in range(design.layers):
        gain = _trial_gain(bench, state, layer, points[:4], rows[:4])
        error, change, moved = _trial(bench, state, layer, gain, points, rows)
        fraction = float(np.sum(error * change) / np.sum(error * error)) / gain
        if not fraction > 0.0:
            raise InputError(
                f"learning.calibrate: the update of layer {layer} does not reduce the error "
                f"({fraction:.3g} of it per unit of gain); give learning.update_gain instead."
            )
        measured.append(fraction)
        gains.append(min(wanted[layer] / fraction, gain * MOST_STEP / moved))
    return Calibration(tuple(wanted), tuple(measured), tuple(gains))


def _trial_gain(
    bench: Bench, state: State, layer: int, points: NDArray[np.int64], rows: NDArray[np.int64]
) -> float:
    """Returns a gain at which the weights move by about TRIAL_STEP."""
    gain = 1e-3
    for _ in range(2):
        moved = _trial(bench, state, layer, gain, points, rows)[2]
        if not moved > 0.0:
            raise InputError(f"learning.calibrate: layer {layer} does not learn at all.")
        gain *= TRIAL_STEP / moved
    return gain


def _trial(
    bench: Bench,
    state: State,
    layer: int,
    gain: float,
    points: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> tuple[FloatArray, FloatArray, float]:
    """Presents each point from the same state with one layer learning.

    Returns:
        errors before, V, and what the update changed in the outputs, V, shape (P, outputs); and the
        largest change of a weight, V.
    """
    gains = [0.0] * bench.design.layers
    gains[layer] = gain
    design = replace(bench.design, update_gains=tuple(gains))
    before = bench.weights(state)[layer]
    errors, changes, moved = [], [], 0.0
    for point, row in zip(points, rows, strict=True):
        x, y = bench.task.x[[point]], bench.task.y[[point]]
        plan = sc.presentation_schedule(design, sc.Presentations(x, y, row[None]), state.time)
        solution = bench.session.run(plan.stimulus, state, Save(bench.outputs, plan.free_ends))
        free = bench.output_readout.of(solution.raise_for_status().waveforms.values)
        again = sc.presentation_schedule(
            design, sc.Presentations(x, y, row[None]), solution.state.time, ("free",)
        )
        after = bench.session.run(again.stimulus, solution.state, Save(bench.outputs, again.free_ends))
        errors.append(y - free)
        changes.append(bench.output_readout.of(after.raise_for_status().waveforms.values) - free)
        moved = max(moved, float(np.abs(bench.weights(solution.state)[layer] - before).max()))
    return np.concatenate(errors), np.concatenate(changes), moved
