"""From an experiment to a design, a circuit and a prepared engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import Circuit
from eqspice.design.changes import changed
from eqspice.design.families import architecture_of
from eqspice.design.learning import LearningPlan
from eqspice.design.network import Design
from eqspice.design.presets import Preset, get_preset
from eqspice.design.retarget import retarget
from eqspice.engines.native.engine import NativeOptions
from eqspice.errors import InputError
from eqspice.pdk.mismatch import Deviations, MismatchLaw, draw_deviations
from eqspice.training.experiment import Experiment
from eqspice.training.tasks import Task, get_task

FloatArray = NDArray[np.float64]
_WEIGHTS = 1  # keys of the independent random streams of a seed


def preset_of(experiment: Experiment) -> Preset:
    """Returns the experiment's preset."""
    files = experiment.preset_files
    return get_preset(experiment.preset) if files is None else files.preset()


def task_of(experiment: Experiment) -> Task:
    """Returns the experiment's task with its data; options that it does not give are the preset's."""
    chosen = experiment.task
    if chosen.data is not None:
        return chosen.data
    usual = preset_of(experiment).task_options.get(chosen.name, {})
    return get_task(chosen.name, experiment.seed, **{**usual, **chosen.options})


def learning_of(experiment: Experiment) -> LearningPlan:
    """Returns how the experiment learns: its own settings, else the preset's."""
    usual, own = preset_of(experiment).learning, experiment.learning
    return LearningPlan(
        rows=own.rows or usual.rows,
        decay=usual.decay if own.decay is None else own.decay,
        anneal=usual.anneal if own.anneal is None else own.anneal,
        nudge_growth=usual.nudge_growth if own.nudge_growth is None else own.nudge_growth,
        calibrate=own.update_gain is None and (usual.calibrate if own.calibrate is None else own.calibrate),
    )


def design_of(experiment: Experiment, task: Task) -> Design:
    """Returns the preset's design with the experiment's changes.

    Raises:
        InputError: unknown preset, or numbers that a design cannot have.
    """
    widths = (task.x.shape[1], *experiment.network.hidden, task.y.shape[1])
    design = preset_of(experiment).build(widths)
    changes: dict[str, Any] = {}
    learning = experiment.learning
    if design.bias is not None and task.encoding.bias is not None:
        changes["bias"] = task.encoding.bias
    if learning.lr is not None:
        changes["nudge_conductance"] = learning.lr
    if learning.update_gain is not None:
        changes["update_gains"] = tuple(learning.update_gain)
    process = {name: value for name, value in experiment.pdk.model_dump().items() if value is not None}
    if kit := process.pop("kit", None):
        design = retarget(design, kit)
    if process:
        changes["process"] = replace(design.process, **process)
    design = architecture_of(design).for_learning(replace(design, **changes), learning_of(experiment))
    found: Design = changed("design", design, experiment.design)
    return found


def engine_options(experiment: Experiment, design: Design) -> NativeOptions:
    """Returns the native engine's options of an experiment with that design."""
    engine = experiment.engine
    return NativeOptions(
        fidelity=engine.fidelity,
        lte=engine.lte,
        points_per_plateau=engine.points_per_plateau,
        fets=engine.fets,
        noise=engine.noise,
        noise_seed=experiment.seed,
        noise_band=engine.noise_band or NativeOptions.noise_band,
        noise_temperature=design.process.temperature,
        noise_level=engine.noise_level,
    )


def chip_of(experiment: Experiment, circuit: Circuit) -> Deviations:
    """Returns how the experiment's chip deviates from its circuit; nothing without mismatch."""
    chosen = experiment.mismatch
    law = MismatchLaw(
        chosen.sigma,
        chosen.parts,
        chosen.capacitor_slope,
        chosen.amplifier_offset,
        chosen.multiplier_offset,
    )
    return draw_deviations(circuit, law, chip_seed(experiment))


def chip_seed(experiment: Experiment) -> int:
    """Returns the seed of the experiment's chip."""
    chosen = experiment.mismatch.seed
    return experiment.seed if chosen is None else chosen


def initial_weights(design: Design, experiment: Experiment) -> list[FloatArray]:
    """Returns the storage voltages to start from, V, one (inputs, outputs) matrix per layer.

    Uniform: centre + spread (u - 1/2) / (1 + layer), from the experiment's seed; or the experiment's
    own matrices.
    """
    if experiment.weights is not None:
        weights = [np.asarray(matrix, float) for matrix in experiment.weights]
        if len(weights) != design.layers:
            raise InputError(f"weights: {len(weights)} layers were given, {design.layers} are needed.")
        return weights
    rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_WEIGHTS,)))
    return [
        design.weight_centre + design.weight_spread * (rng.random(design.shape(layer)) - 0.5) / (1 + layer)
        for layer in range(design.layers)
    ]
