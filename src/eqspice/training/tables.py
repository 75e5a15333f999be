"""Tasks from fixed tables of points: those that come with scikit-learn, and CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError, unknown
from eqspice.training.checks import SPLIT, amount, data_rng
from eqspice.training.dataset import CLASS_VOLTS, KINDS, Kind, Task, classification, regression

FloatArray = NDArray[np.float64]


def _split(
    labels: NDArray[Any] | None, count: int, fraction: Any, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and the test set; every class gives its share."""
    fraction = amount("test_fraction", fraction)
    if fraction >= 1.0:
        raise InputError(
            f"test_fraction: {fraction:g} is not allowed, it must be at least 0 and less than 1."
        )
    rng = data_rng(seed, SPLIT)
    groups = (
        [np.arange(count)] if labels is None else [np.flatnonzero(labels == c) for c in np.unique(labels)]
    )
    train, test = [], []
    for group in groups:
        shuffled = rng.permutation(group)
        held_out = min(round(fraction * len(group)), len(group) - 1)
        test.append(shuffled[:held_out])
        train.append(shuffled[held_out:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def _held(
    name: str,
    description: str,
    x: FloatArray,
    y: NDArray[Any],
    kind: Kind,
    seed: int,
    test_fraction: float,
    volts: tuple[float, float | None],
    common: bool = False,
) -> Task:
    """A task from a fixed set of points. volts: of inputs and targets."""
    train, test = _split(y if kind == "classification" else None, len(x), test_fraction, seed)
    make = classification if kind == "classification" else regression
    return make(name, description, (x[train], y[train]), (x[test], y[test]), *volts, common)


def _from_sklearn(
    name: str, text: str, seed: int, fraction: float, volts: tuple[float, float | None], common: bool = False
) -> Task:
    from sklearn import datasets  # takes a second to import, and few runs need it

    bunch = getattr(datasets, f"load_{name}")()
    labels = np.asarray([str(label) for label in bunch.target_names])[bunch.target]
    x = np.asarray(bunch.data, float)
    return _held(name, text, x, labels, "classification", seed, fraction, volts, common)


def iris(
    seed: int = 0, test_fraction: float = 0.25, input_volts: float = 0.4, target_volts: float = CLASS_VOLTS
) -> Task:
    """Fisher's iris flowers: 150 points, 4 features, 3 classes."""
    text = "Fisher's iris flowers, 4 features, 3 classes"
    return _from_sklearn("iris", text, seed, test_fraction, (input_volts, target_volts))


def wine(
    seed: int = 0, test_fraction: float = 0.25, input_volts: float = 0.25, target_volts: float = CLASS_VOLTS
) -> Task:
    """Chemical analyses of wine: 178 points, 13 features, 3 classes."""
    text = "chemical analyses of wine, 13 features, 3 classes"
    return _from_sklearn("wine", text, seed, test_fraction, (input_volts, target_volts))


def breast_cancer(
    seed: int = 0, test_fraction: float = 0.25, input_volts: float = 0.25, target_volts: float = 0.1
) -> Task:
    """Wisconsin breast cancer: 569 points, 30 features, 2 classes."""
    text = "Wisconsin breast cancer, 30 features, 2 classes"
    return _from_sklearn("breast_cancer", text, seed, test_fraction, (input_volts, target_volts))


def digits(
    seed: int = 0, test_fraction: float = 0.25, input_volts: float = 0.25, target_volts: float = CLASS_VOLTS
) -> Task:
    """Handwritten digits of 8 × 8 pixels: 1797 points, 64 features with a common scale, 10 classes."""
    text = "handwritten digits of 8 x 8 pixels, 10 classes"
    return _from_sklearn("digits", text, seed, test_fraction, (input_volts, target_volts), common=True)


def csv(
    path: str | Path,
    seed: int = 0,
    targets: str | list[str] | None = None,
    kind: str | None = None,
    test_fraction: float = 0.25,
    input_volts: float = 0.25,
    target_volts: float | None = None,
) -> Task:
    """A table with a header line.

    Args:
        path: of the file.
        seed: of the split into training and test set.
        targets: columns to learn; the last one if not given. All others are inputs.
        kind: "regression" or "classification"; if not given, classification when a target is not a number.
        test_fraction: part of the rows that is held out.
        input_volts: amplitude of the inputs and the bias row, V.
        target_volts: amplitude of the targets, V; if not given 0.1, or 0.3 with more than two classes.

    Raises:
        InputError: no such file, no such column, a value missing or not a number; names it.
    """
    table, chosen = _read(path, [targets] if isinstance(targets, str) else targets)
    inputs = [name for name in table.columns if name not in chosen]
    numeric = {name: _is_numeric(table[name]) for name in table.columns}
    for name in inputs:
        if not numeric[name]:
            raise InputError(f"path: {str(path)!r}, column {name}: inputs must be numbers.")
    text = [name for name in chosen if not numeric[name]]
    found = kind or ("classification" if text else "regression")
    if found not in KINDS:
        raise unknown("kind", found, KINDS)
    about = f"table {Path(path).name}: {', '.join(chosen)} from {len(inputs)} columns"
    x, volts = table[inputs].to_numpy(float), (input_volts, target_volts)
    if found == "classification":
        if len(chosen) != 1:
            raise InputError(f"targets: {chosen} is not allowed, classification needs exactly one column.")
        y = table[chosen[0]].to_numpy()
        return _held("csv", about, x, y, "classification", seed, test_fraction, volts)
    if text:
        raise InputError(f"targets: column {text[0]} is not numeric, regression needs numbers.")
    return _held("csv", about, x, table[chosen].to_numpy(float), "regression", seed, test_fraction, volts)


def _is_numeric(column: Any) -> bool:
    return bool(np.issubdtype(column.to_numpy().dtype, np.number))


def _read(path: str | Path, targets: list[str] | None) -> tuple[Any, list[str]]:
    """A table without gaps, and the names of its target columns."""
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"path: {str(path)!r} cannot be read as a table ({error}).") from None
    names = [str(name) for name in table.columns]
    chosen = names[-1:] if targets is None else list(targets)
    for name in chosen:
        if name not in names:
            raise unknown("targets", name, names)
    if not chosen or len(chosen) == len(names) or len(table) == 0:
        raise InputError(
            f"path: {str(path)!r} needs at least one input column, one target column and one row."
        )
    for name in names:
        gaps = table[name].isna().to_numpy()
        if gaps.any():
            raise InputError(
                f"path: {str(path)!r}, column {name}, data row {gaps.argmax() + 1}: a value is missing."
            )
    return table, chosen
