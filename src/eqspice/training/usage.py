"""A trained network under other conditions: its weights on another chip, at another corner or temperature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.engines.base import State
from eqspice.errors import InputError, unknown
from eqspice.training.bench import Bench, evaluate, prepare, write_weights
from eqspice.training.build import chip_seed
from eqspice.training.experiment import Experiment, override
from eqspice.training.sections import EngineChoice, MismatchChoice, ProcessChoice

FloatArray = NDArray[np.float64]
_CONDITIONS = {"pdk": ProcessChoice, "engine": EngineChoice, "mismatch": MismatchChoice}


@dataclass(frozen=True)
class Use:
    """Held-out figures on one chip.

    Attributes:
        chip: seed of its mismatch; None without mismatch.
        test_nrmse: RMS error over RMS of target.
        test_accuracy: fraction classified right; None for regression.
    """

    chip: int | None
    test_nrmse: float
    test_accuracy: float | None


def conditions(experiment: Experiment, changes: Sequence[str]) -> Experiment:
    """Returns the experiment under other conditions.

    Args:
        experiment: what was trained.
        changes: "section.key=value", of the sections pdk, engine and mismatch only: the rest made the
            weights.

    Raises:
        InputError: another section, or a value that is not allowed.
    """
    values = {name: getattr(experiment, name).model_dump() for name in _CONDITIONS}
    for change in changes:
        if change.partition(".")[0] not in _CONDITIONS:
            raise unknown("--set: section", change.partition("=")[0].partition(".")[0], tuple(_CONDITIONS))
        override(values, change)
    return experiment.changed(**{name: kind(**values[name]) for name, kind in _CONDITIONS.items()})


def use(
    bench: Bench,
    weights: list[FloatArray],
    chips: Sequence[int] = (),
    idle: Callable[[FloatArray], FloatArray] | None = None,
) -> list[Use]:
    """Writes weights by the circuit's own lines and presents the test set, free phases only.

    Args:
        bench: prepared set-up in the conditions of use; all chips share its preparation.
        weights: V, one (inputs, outputs) matrix per layer.
        chips: seeds of chips to write them to; empty for the one of the experiment.
        idle: what the voltages of the storage nodes, V, have become in the time between; None for no time.

    Raises:
        InputError: the task has no test set, or chips are given and the experiment has no mismatch.
    """
    task, mismatch = bench.task, bench.experiment.mismatch
    if task.x_test is None or task.y_test is None or not len(task.x_test):
        raise InputError(f"task {task.name}: has no test set to use the network on.")
    if chips and mismatch.sigma == 0.0:
        raise InputError("mismatch.sigma: is 0, all chips are the same; set it to draw chips.")
    found = []
    for chip in chips or (None,):
        here = bench if chip is None else bench.on_chip(chip)
        state = write_weights(here, weights).state
        if idle is not None:
            state = _aged(here, state, idle)
        predicted = evaluate(here, state, task.x_test)
        labels = task.labels_test
        found.append(
            Use(
                chip_seed(here.experiment) if mismatch.sigma > 0.0 else None,
                metrics.nrmse(predicted, task.y_test),
                None if labels is None else metrics.accuracy(predicted, labels),
            )
        )
    return found


def summary(uses: Sequence[Use]) -> dict[str, float]:
    """Returns mean, standard deviation and worst of each figure over chips."""
    found: dict[str, float] = {}
    for name, worst in (("test_nrmse", max), ("test_accuracy", min)):
        values = [asdict(each)[name] for each in uses]
        if None not in values:
            found[name] = float(np.mean(values))
            found[f"{name}_sigma"] = float(np.std(values))
            found[f"{name}_worst"] = float(worst(values))
    return found


def prepare_use(experiment: Experiment, changes: Sequence[str], gains: tuple[float, ...] | None) -> Bench:
    """Returns the set-up of an experiment under other conditions.

    Args:
        experiment: what was trained.
        changes: as `conditions` takes them.
        gains: update gains that it was trained with, if they were calibrated.
    """
    bench = prepare(conditions(experiment, changes))
    if gains is not None:
        bench.learn_with(gains)
    return bench


def _aged(bench: Bench, state: State, idle: Callable[[FloatArray], FloatArray]) -> State:
    voltages = state.voltages.copy()
    for places in bench.weight_places:
        voltages[places] = idle(voltages[places])
    return State(state.time, voltages, None, state.noise)
