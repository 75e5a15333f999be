"""What a run did, read from its folder as whole arrays. A run that failed or goes on has less of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.design.network import Design
from eqspice.errors import StorageError
from eqspice.training.build import design_of, initial_weights, task_of
from eqspice.training.checkpoint import RunFolder
from eqspice.training.dataset import Task
from eqspice.training.experiment import Experiment
from eqspice.training.gradcheck import GradientCheck, load_check
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST_WEIGHT_PICTURES = 600  # moments at which all weights are kept: bounds memory


@dataclass(frozen=True, eq=False)
class History:
    """A run as arrays over its P presentations.

    Attributes:
        manifest: of the run.
        experiment, task, design: what was run.
        epochs: epoch of each presentation, shape (P,); P may be 0.
        x: input voltages, V, shape (P, inputs).
        y: target voltages, V, shape (P, outputs).
        free: outputs at the end of the free phase, V, shape (P, outputs).
        nudged: outputs at the end of the nudged phase, V, shape (P, outputs).
        points: index of each presentation in the training set, shape (P,).
        moments: presentations before each picture of the weights, shape (C,).
        weights: per layer, V, shape (C, weights of the layer).
        test: x, y and predicted of the test set, V; None if it was not evaluated.
        waveforms: by name, "first" and "last" as far as they exist.
        checks: gradient checks by "initial" and "trained" weights, as far as they were made.
        baseline: NRMSE or accuracy on the test set of a network trained by backpropagation, and what it is,
            as studies/baseline.py leaves them in the run folder (baseline.npz); None if it was not made.
        work: CPU seconds and counts as far as they are known.
    """

    manifest: dict[str, Any]
    experiment: Experiment
    task: Task
    design: Design
    epochs: IntArray
    x: FloatArray
    y: FloatArray
    free: FloatArray
    nudged: FloatArray
    points: IntArray
    moments: IntArray
    weights: list[FloatArray]
    test: dict[str, FloatArray] | None
    waveforms: dict[str, Waveforms]
    checks: dict[str, GradientCheck]
    baseline: tuple[float, str] | None
    work: dict[str, float]

    @property
    def status(self) -> str:
        """Status of the manifest: created, running, failed or finished."""
        return str(self.manifest.get("status", "unknown"))

    @property
    def presentations(self) -> int:
        """Number of presentations P."""
        return len(self.epochs)

    def epoch_numbers(self) -> IntArray:
        """Returns the epochs that have presentations, sorted."""
        return np.unique(self.epochs)

    def of_epoch(self, epoch: int) -> NDArray[np.bool_]:
        """Returns which presentations belong to an epoch, shape (P,)."""
        return np.asarray(self.epochs == epoch)

    def labels(self, points: IntArray) -> IntArray:
        """Returns the classes of training points."""
        if self.task.labels is None:
            raise ValueError("a regression task has no labels")
        return self.task.labels[points]

    def nrmse(self, epoch: int) -> float:
        """Returns the NRMSE of the free outputs over an epoch; not a number if all targets are zero."""
        chosen = self.of_epoch(epoch)
        return safe_nrmse(self.free[chosen], self.y[chosen])


def safe_nrmse(found: FloatArray, target: FloatArray) -> float:
    """Returns the NRMSE, or not a number where it is not defined."""
    return metrics.nrmse(found, target) if np.any(target) else float("nan")


def read_history(folder: RunFolder) -> History:
    """Reads a run, whatever its status.

    Raises:
        StorageError: the manifest or a record is damaged.
        InputError: the experiment's data cannot be had again (a csv file that is gone).
    """
    manifest = folder.read_manifest()
    experiment = folder.experiment()
    task = task_of(experiment)
    design = design_of(experiment, task)
    records = folder.read_records()
    moments, weights = _weights(experiment, design, records)
    return History(
        manifest=manifest,
        experiment=experiment,
        task=task,
        design=design,
        epochs=_joined([np.full(len(r["points"]), int(r["epoch"])) for r in records], (0,), np.int64),
        x=_joined([r["x"] for r in records], (0, task.x.shape[1])),
        y=_joined([r["y"] for r in records], (0, task.y.shape[1])),
        free=_joined([r["free"] for r in records], (0, task.y.shape[1])),
        nudged=_joined([r["nudged"] for r in records], (0, task.y.shape[1])),
        points=_joined([r["points"] for r in records], (0,), np.int64),
        moments=moments,
        weights=weights,
        test=_test(folder),
        waveforms=_waveforms(folder),
        checks=_checks(folder),
        baseline=_baseline(folder),
        work=_work(folder, manifest),
    )


def _joined(parts: list[Any], shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(shape, dtype)


def _weights(
    experiment: Experiment, design: Design, records: list[dict[str, NDArray[Any]]]
) -> tuple[IntArray, list[FloatArray]]:
    """Weights before the first presentation, then after chunks, evenly thinned to what memory allows."""
    ends = np.cumsum([0, *(len(record["points"]) for record in records)])
    keep = np.unique(np.linspace(0, len(records), MOST_WEIGHT_PICTURES).round().astype(int))
    start = initial_weights(design, experiment)
    layers = []
    for layer in range(design.layers):
        pictures = [np.ravel(start[layer])]
        pictures += [np.ravel(records[k - 1][f"weights_{layer}"]) for k in keep if k > 0]
        layers.append(np.stack(pictures))
    return np.asarray(ends[keep], np.int64), layers


def _test(folder: RunFolder) -> dict[str, FloatArray] | None:
    try:
        return folder.read_arrays("test")
    except StorageError:
        return None


def _waveforms(folder: RunFolder) -> dict[str, Waveforms]:
    found = {}
    for name in ("first", "last"):
        try:
            found[name] = folder.read_waveforms(name)
        except StorageError:
            continue
    return found


def _checks(folder: RunFolder) -> dict[str, GradientCheck]:
    found = {}
    for name in ("initial", "trained"):
        try:
            found[name] = load_check(folder, initial=name == "initial")
        except StorageError:
            continue
    return found


def _baseline(folder: RunFolder) -> tuple[float, str] | None:
    try:
        found = folder.read_arrays("baseline")
    except StorageError:
        return None
    return float(found["test"]), str(found["text"])


def _work(folder: RunFolder, manifest: dict[str, Any]) -> dict[str, float]:
    """Counts of the manifest's results, or, before they are there, of the newest checkpoint."""
    results = manifest.get("results")
    if results:
        return {name: float(v) for name, v in results.items() if isinstance(v, int | float)}
    found = folder.latest_checkpoint()
    if found is None:
        return {}
    meta = found[2]
    work = {name: float(value) for name, value in meta.get("statistics", {}).items()}
    return work | ({"wall_s": float(meta["wall_s"])} if "wall_s" in meta else {})
