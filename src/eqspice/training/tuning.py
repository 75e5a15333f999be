"""Searches settings on a validation split with Optuna; a study is kept on disk and goes on when run again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.errors import ConvergenceError, InputError
from eqspice.training import storage, trainer
from eqspice.training.build import task_of
from eqspice.training.dataset import Task
from eqspice.training.experiment import Experiment

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

_VALIDATION = 5  # key of the random stream that draws the validation split
_RANGE = re.compile(r"\A(?P<low>[^:]+):(?P<high>[^:]+?)(?P<log>:log)?\Z")
JOURNAL = "study.log"


@dataclass(frozen=True)
class Setting:
    """A setting that a search varies.

    Attributes:
        key: its place, for example "learning.lr" or "network.hidden".
        low, high: the range of a number, if there are no choices.
        log: whether the range is searched on a logarithmic axis.
        choices: values to choose from, as TOML text; empty for a range.
        whole: whether the number must be whole.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()
    whole: bool = False

    @classmethod
    def parse(cls, text: str) -> Setting:
        """Reads "key=low:high", "key=low:high:log" or "key=choice|choice|…".

        Raises:
            InputError: the text is none of these.
        """
        key, equals, values = text.partition("=")
        if not equals or not key.strip() or not values.strip():
            raise InputError(f"--vary: {text!r} is not allowed, it must be key=low:high[:log] or key=a|b|c.")
        if "|" in values:
            return cls(key.strip(), choices=tuple(value.strip() for value in values.split("|")))
        match = _RANGE.match(values.strip())
        try:
            low, high = (float(match[name]) for name in ("low", "high")) if match else (np.nan, np.nan)
        except ValueError:
            low = high = np.nan
        if match is None or not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"--vary: {text!r} is not allowed, a range is low:high with low < high.")
        if match["log"] and low <= 0:
            raise InputError(f"--vary: {text!r} is not allowed, a logarithmic range starts above zero.")
        whole = all(re.fullmatch(r"[+-]?\d+", match[name].strip()) for name in ("low", "high"))
        return cls(key.strip(), low, high, bool(match["log"]), whole=whole)

    def suggest(self, trial: Trial) -> str:
        """Returns the override "key=value" of a trial."""
        if self.choices:
            return f"{self.key}={trial.suggest_categorical(self.key, self.choices)}"
        if self.whole:
            return f"{self.key}={trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)}"
        return f"{self.key}={trial.suggest_float(self.key, self.low, self.high, log=self.log)!r}"


def validation_split(task: Task, seed: int, fraction: float = 0.2) -> Task:
    """Returns a task whose test set is a part of the training set; the real test set is not in it.

    Args:
        task: with training data.
        seed: of the split.
        fraction: of the training set that is held out, above 0 and below 1.

    Raises:
        InputError: too few points, or a fraction that is not allowed.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"validation: {fraction:g} is not allowed, it must lie between 0 and 1.")
    count = len(task.x)
    held = max(1, round(fraction * count))
    if count - held < 1:
        raise InputError(f"validation: a training set of {count} points cannot be split.")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_VALIDATION,)))
    order = rng.permutation(count)
    out, kept = np.sort(order[:held]), np.sort(order[held:])

    def part(values: NDArray[Any] | None, rows: NDArray[np.int64]) -> NDArray[Any] | None:
        return None if values is None else values[rows]

    return replace(
        task,
        x=task.x[kept],
        y=task.y[kept],
        x_test=task.x[out],
        y_test=task.y[out],
        labels=part(task.labels, kept),
        labels_test=part(task.labels, out),
    )


def validation_error(experiment: Experiment, fraction: float = 0.2) -> float:
    """Trains on the larger part of the training set and returns the NRMSE on the rest.

    Args:
        experiment: what to train.
        fraction: of the training set that is held out.
    """
    split = validation_split(task_of(experiment), experiment.seed, fraction)
    values = {name: getattr(experiment, name) for name in type(experiment).model_fields}
    bench = trainer.prepare(Experiment(**(values | {"task": split})))
    state, _ = trainer.train_in_memory(bench)
    return metrics.nrmse(trainer.evaluate(bench, state, split.x_test), split.y_test)


def tune(
    make: Callable[[list[str]], Experiment],
    vary: Sequence[Setting],
    trials: int,
    folder: str | Path,
    seeds: Sequence[int] = (0,),
    told: Callable[[int, float, float], None] = lambda trial, value, best: None,
) -> Study:
    """Searches until a study has a number of trials in all; an earlier study in the folder goes on.

    Args:
        make: returns the experiment with settings "section.key=value".
        vary: what is searched.
        trials: in all, those of an earlier start included.
        folder: where the study and the best settings are kept.
        seeds: of the runs whose mean validation NRMSE is minimised.
        told: is given trial number, its NRMSE and the best one so far, after each trial.

    Raises:
        InputError: a setting that is not allowed, or Optuna is not installed.
        StorageError: the folder cannot be written.
    """
    optuna = _optuna()
    if trials < 1:
        raise InputError(f"trials: {trials} is not allowed, at least 1 is needed.")
    if not vary:
        raise InputError("--vary: nothing to search, give at least one key=low:high or key=a|b.")
    storage.make_folder(Path(folder))
    journal = optuna.storages.journal.JournalFileBackend(str(Path(folder) / JOURNAL))
    study: Study = optuna.create_study(
        study_name="eqspice",
        storage=optuna.storages.JournalStorage(journal),
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seeds[0]),
    )

    def objective(trial: Trial) -> float:
        chosen = [setting.suggest(trial) for setting in vary]
        trial.set_user_attr("overrides", chosen)
        try:
            return float(np.mean([validation_error(make([*chosen, f"seed={seed}"])) for seed in seeds]))
        except ConvergenceError as error:
            trial.set_user_attr("failed", str(error))
            raise optuna.TrialPruned(str(error)) from error

    def after(study: Study, trial: FrozenTrial) -> None:
        finished = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        if finished:
            value = trial.value if trial.value is not None else float("nan")
            told(trial.number, value, study.best_value)
            best = {
                "validation_nrmse": study.best_value,
                "overrides": study.best_trial.user_attrs["overrides"],
            }
            storage.write_bytes(Path(folder) / "best.json", json.dumps(best, indent=1).encode() + b"\n")

    left = trials - len([trial for trial in study.trials if trial.state.is_finished()])
    if left > 0:
        study.optimize(objective, n_trials=left, callbacks=[after])
    return study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError(
            "tuning needs Optuna, which is not installed: python -m pip install 'eqspice[tuning]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
