"""Analog networks as scikit-learn estimators: fit, predict and score in pipelines and searches.

`fit` trains the circuit as one continuous transient, `predict` settles its free phase. Inputs and targets
are scaled into voltages by the range of the training data.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from eqspice.analysis.metrics import classify
from eqspice.engines.base import State
from eqspice.training import tasks, trainer
from eqspice.training.dataset import Kind
from eqspice.training.experiment import Experiment, make_experiment

FloatArray = NDArray[np.float64]


@functools.lru_cache(maxsize=4)
def _bench(experiment: Experiment) -> trainer.Bench:
    """A prepared circuit is large and cannot be pickled, so that estimators do not hold it."""
    return trainer.prepare(experiment)


class _AnalogMLP(BaseEstimator):  # type: ignore[misc]
    """What regressor and classifier share."""

    def __init__(
        self,
        hidden: Sequence[int] = (32,),
        *,
        preset: str = "reciprocal",
        fidelity: Literal["phase", "transient"] = "phase",
        epochs: int = 30,
        input_volts: float = 0.25,
        settings: Sequence[str] = (),
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.preset = preset
        self.fidelity = fidelity
        self.epochs = epochs
        self.input_volts = input_volts
        self.settings = settings
        self.random_state = random_state

    def _train(self, x: FloatArray, y: NDArray[Any], kind: Kind) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        task = tasks.arrays(x, y, kind=kind, input_volts=self.input_volts)
        given = {
            "task": task,
            "preset": self.preset,
            "network": {"hidden": list(self.hidden)},
            "engine": {"fidelity": self.fidelity},
            "learning": {"epochs": self.epochs},
            "seed": seed,
        }
        experiment = make_experiment(given, tuple(self.settings))
        bench = _bench(experiment)
        self.state_, self.loss_curve_ = trainer.train_in_memory(bench)
        self.experiment_ = experiment
        self.n_iter_ = self.epochs
        self.weights_ = bench.weights(self.state_)

    def _outputs(self, x: ArrayLike) -> FloatArray:
        """Returns output voltages, V, shape (N, outputs)."""
        check_is_fitted(self)
        checked = validate_data(self, x, reset=False, dtype=np.float64)
        bench = _bench(self.experiment_)
        state: State = self.state_
        # Each input from the trained state: in a row, the last one would still show in the next, by some uV.
        return trainer.evaluate(bench, state, bench.task.encoding.to_volts(checked), chunk=1)


class AnalogMLPRegressor(RegressorMixin, _AnalogMLP):  # type: ignore[misc]
    """A regressor that is an analog network of transistors.

    Args:
        hidden: neurons of each hidden layer.
        preset: circuit, as in `eqspice presets`.
        fidelity: "phase" (quasi-static) or "transient".
        epochs: how often the training set is presented.
        input_volts: amplitude of the inputs and the bias row, V.
        settings: further settings as on the command line, "section.key=value".
        random_state: seed of weights, order and rows.

    Attributes:
        weights_: storage voltages after training, V, one (inputs, outputs) matrix per layer.
        loss_curve_: mean squared error per epoch in the free phase, V², training data.
        state_: state of the circuit after training.
        experiment_: what was trained.
        n_iter_: epochs trained.
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike) -> AnalogMLPRegressor:
        """Trains the circuit.

        Args:
            X: inputs, shape (N, K).
            y: targets, shape (N,) or (N, outputs).
        """
        x, target = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )
        self._single = target.ndim == 1
        self._train(x, target, "regression")
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """Returns predictions, shape (N,) or (N, outputs).

        Args:
            X: inputs, shape (N, K).
        """
        volts = self._outputs(X)
        found = _bench(self.experiment_).task.target_scaling.from_volts(volts)
        return found[:, 0] if self._single else found


class AnalogMLPClassifier(ClassifierMixin, _AnalogMLP):  # type: ignore[misc]
    """A classifier that is an analog network of transistors, with one output per class (one for two).

    Args:
        hidden: neurons of each hidden layer.
        preset: circuit, as in `eqspice presets`.
        fidelity: "phase" (quasi-static) or "transient".
        epochs: how often the training set is presented.
        input_volts: amplitude of the inputs and the bias row, V.
        settings: further settings as on the command line, "section.key=value".
        random_state: seed of weights, order and rows.

    Attributes:
        classes_: names of the classes.
        weights_: storage voltages after training, V, one (inputs, outputs) matrix per layer.
        loss_curve_: mean squared error per epoch in the free phase, V², training data.
        state_: state of the circuit after training.
        experiment_: what was trained.
        n_iter_: epochs trained.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> AnalogMLPClassifier:
        """Trains the circuit.

        Args:
            X: inputs, shape (N, K).
            y: classes, shape (N,).
        """
        x, labels = validate_data(self, X, y, dtype=np.float64, multi_output=True, ensure_min_samples=2)
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        self.classes_, encoded = np.unique(labels, return_inverse=True)
        self._train(x, encoded, "classification")
        return self

    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Returns output voltages, V: shape (N,) for two classes, else (N, classes).

        Args:
            X: inputs, shape (N, K).
        """
        volts = self._outputs(X)
        return volts[:, 0] if volts.shape[1] == 1 else volts

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Returns classes, shape (N,).

        Args:
            X: inputs, shape (N, K).
        """
        volts = self._outputs(X)
        return np.asarray(self.classes_[classify(volts)])
