"""A run as an object: train one, or open an earlier one; predict, look, report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from eqspice.analysis.metrics import classify
from eqspice.engines.base import State
from eqspice.errors import InputError, StorageError
from eqspice.training import gradcheck, retention, trainer, usage
from eqspice.training.checkpoint import Exist, RunFolder
from eqspice.training.checks import matrix
from eqspice.training.energy import EnergyReport, measure_energy
from eqspice.training.experiment import Experiment
from eqspice.training.gradcheck import GradientCheck
from eqspice.training.retention import Line
from eqspice.training.usage import Use

FloatArray = NDArray[np.float64]


class Run:
    """A run folder with the experiment, results, weights and predictions of its network.

    Make one with `train` or `open_run`.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Takes a run folder that exists."""
        self.folder = folder

    @property
    def path(self) -> Path:
        """Where the run is kept."""
        return self.folder.path

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json as it is now."""
        return self.folder.read_manifest()

    @property
    def status(self) -> str:
        """One of created, running, finished, failed, interrupted."""
        return str(self.manifest.get("status"))

    @property
    def results(self) -> dict[str, Any]:
        """Results of the manifest; empty before the run has finished."""
        return self.manifest.get("results") or {}

    @cached_property
    def experiment(self) -> Experiment:
        """What was trained."""
        return self.folder.experiment()

    @property
    def metrics(self) -> pd.DataFrame:
        """Mean squared error (V²) and NRMSE of the free and the nudged phase per epoch, training data."""
        path = self.path / "metrics.csv"
        if not path.is_file():
            self.folder.write_metrics()
        return pd.read_csv(path)

    def waveforms(self, name: str = "last") -> xr.DataArray:
        """Returns saved node voltages of one presentation, V, dimensions (time, signal).

        Args:
            name: "first" or "last" epoch.

        Raises:
            StorageError: the run saved none of that name.
        """
        return self.folder.read_waveforms(name).to_xarray()

    @cached_property
    def _bench(self) -> trainer.Bench:
        bench = trainer.prepare(self.experiment)
        calibration = self.manifest.get("calibration")
        if calibration:
            bench.learn_with(tuple(calibration["update_gains"]))
        return bench

    @property
    def state(self) -> State:
        """The circuit's newest checkpoint.

        Raises:
            StorageError: the run has none yet.
        """
        found = self.folder.latest_checkpoint()
        if found is None:
            raise StorageError(f"{self.path}: has no checkpoint yet, the network has not been trained.")
        return trainer.unpack_state(found[1])

    @property
    def weights(self) -> list[FloatArray]:
        """Storage voltages after the last chunk, V, one (inputs, outputs) matrix per layer."""
        return self._bench.weights(self.state)

    def report(self, out: str | Path | None = None) -> Path:
        """Writes the report, one HTML file with everything inside, and returns its place.

        Args:
            out: of the file; None for report.html in the run folder. Pictures go to its figures/.
        """
        from eqspice.report.html import write_report

        return write_report(self.folder, None if out is None else Path(out))

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """Returns what the trained network answers, by free phases of its circuit.

        Args:
            x: inputs in the task's own units, shape (N, K).

        Returns:
            targets in the task's units, shape (N, outputs), for regression; names of classes, shape (N,),
            for classification.
        """
        task = self._bench.task
        volts = trainer.evaluate(self._bench, self.state, self._volts(x))
        if task.kind == "regression":
            return task.target_scaling.from_volts(volts)
        return np.array(task.classes)[classify(volts)]

    def outputs(self, x: ArrayLike) -> FloatArray:
        """Returns the output voltages for inputs in the task's own units, V, shape (N, outputs)."""
        return trainer.evaluate(self._bench, self.state, self._volts(x))

    def check_gradient(self, samples: int = 20, initial: bool = False) -> GradientCheck:
        """Compares the circuit's update with the true gradient; keeps the figures in the run folder.

        Args:
            samples: of the training set, evenly spread over it.
            initial: at the weights before training instead of the newest ones.
        """
        state = gradcheck.initial_state(self._bench) if initial else self.state
        check = gradcheck.check_gradient(self._bench, state, samples)
        gradcheck.save_check(self.folder, check, initial)
        return check

    def energy(self, samples: int = 3) -> EnergyReport:
        """Returns what presentations to the trained network cost: energy per phase and part, speed, area.

        Args:
            samples: of the training set, evenly spread over it.
        """
        return measure_energy(self._bench, self.state, samples)

    def use(
        self,
        changes: Sequence[str] = (),
        chips: Sequence[int] = (),
        idle: float = 0.0,
        line: Line = "low",
    ) -> list[Use]:
        """Writes the trained weights into the circuit under other conditions and tests it on held-out data.

        Args:
            changes: "pdk.corner=ss", "pdk.temperature=85", "mismatch.sigma=1" and their like, of the sections
                pdk, engine and mismatch.
            chips: seeds of chips to test, all on one preparation; empty for the experiment's own.
            idle: seconds for which the weights are left alone behind write transistors before the test.
            line: where bit lines are parked in that time, "low" or "centre".
        """
        calibration = self.manifest.get("calibration")
        gains = tuple(calibration["update_gains"]) if calibration else None
        weights = self.weights
        bench = usage.prepare_use(self.experiment, changes, gains)
        aged = retention.after(bench.design, idle, line) if idle else None
        return usage.use(bench, weights, chips, aged)

    def _volts(self, x: ArrayLike) -> FloatArray:
        encoding = self._bench.task.encoding
        return encoding.to_volts(matrix("x", x, encoding.columns))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, status={self.status!r})"


def open_run(path: str | Path) -> Run:
    """Returns an earlier run.

    Raises:
        StorageError: there is no run at the path.
    """
    return Run(RunFolder.open(path))


def new_run_path(experiment: Experiment, root: str | Path = "runs") -> Path:
    """Returns a free path: <root>/<task>-<preset>-<fidelity>-s<seed>-<date>-<time>."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    preset = Path(experiment.preset).stem
    name = f"{experiment.task.name}-{preset}-{experiment.engine.fidelity}-s{experiment.seed}-{stamp}"
    path, count = Path(root) / name, 1
    while path.exists():
        count += 1
        path = Path(root) / f"{name}-{count}"
    return path


def train(
    experiment: Experiment,
    epochs: int | None = None,
    *,
    out: str | Path | None = None,
    exist: Exist = "error",
    progress: bool = False,
) -> Run:
    """Trains a network as one continuous transient and returns its run.

    Args:
        experiment: what to train.
        epochs: instead of the experiment's.
        out: run folder; None makes a new one below runs/.
        exist: what to do when there is a run at `out`: "error", "resume" or "overwrite".
        progress: draw a progress bar on standard error.

    Raises:
        InputError: a setting is not allowed.
        StorageError: the folder cannot be used.
        ConvergenceError: the simulation stopped; what was learned until then is in the folder.
    """
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"experiment: a {type(experiment).__name__} is not allowed, it must be an Experiment."
        )
    chosen = experiment if epochs is None else experiment.with_epochs(epochs)
    trainer.check(chosen)
    folder = RunFolder.create(new_run_path(chosen) if out is None else out, chosen, exist)
    trainer.train_into(chosen, folder, progress)
    return Run(folder)


def resume(path: str | Path, epochs: int | None = None, *, progress: bool = False) -> Run:
    """Goes on with an interrupted run, to the same bits as if it had not been interrupted.

    Args:
        path: of the run folder.
        epochs: to train longer than the run was started for; None for its own number.
        progress: draw a progress bar on standard error.
    """
    experiment = RunFolder.open(path).experiment()
    return train(experiment, epochs, out=path, exist="resume", progress=progress)
