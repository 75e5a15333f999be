"""Measures of fit. Pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]


def _same_shape(predicted: FloatArray, target: FloatArray) -> None:
    if np.shape(predicted) != np.shape(target) or np.size(target) == 0:
        raise InputError(
            f"metrics: predicted {np.shape(predicted)} and target {np.shape(target)} must have "
            "equal shapes and must not be empty."
        )


def rmse(predicted: FloatArray, target: FloatArray) -> float:
    """Returns the RMS error over all outputs, in the unit of the arrays."""
    _same_shape(predicted, target)
    return float(np.sqrt(np.mean((predicted - target) ** 2)))


def nrmse(predicted: FloatArray, target: FloatArray) -> float:
    """Returns RMS error / RMS of target over all outputs; 1 is as good as answering zero.

    Raises:
        InputError: shapes differ, or the target is zero everywhere.
    """
    scale = float(np.sqrt(np.mean(np.square(target)))) if np.size(target) else 0.0
    error = rmse(predicted, target)
    if scale == 0.0:
        raise InputError("metrics: the target is zero everywhere, its NRMSE is not defined.")
    return error / scale


def classify(outputs: FloatArray) -> NDArray[np.int64]:
    """Returns the class that outputs name, shape (N,).

    Args:
        outputs: shape (N, K). With K = 1 the sign decides between classes 0 and 1, else the largest
            output names the class.
    """
    return np.asarray(outputs[:, 0] > 0 if outputs.shape[1] == 1 else np.argmax(outputs, axis=1), np.int64)


def accuracy(predicted: FloatArray, labels: NDArray[np.int64]) -> float:
    """Returns the fraction of rows classified right.

    Args:
        predicted: outputs as `classify` takes them, shape (N, K).
        labels: classes 0 … K - 1, shape (N,).
    """
    if len(predicted) != len(labels) or len(labels) == 0:
        raise InputError(f"metrics: {len(predicted)} predictions for {len(labels)} labels.")
    return float(np.mean(classify(predicted) == labels))


def confusion(found: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Returns how often each class (row) was answered with each class (column), shape (classes, classes).

    Args:
        found: classes answered, shape (N,).
        labels: true classes, shape (N,).
        classes: number of classes.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, found), 1)
    return counts
