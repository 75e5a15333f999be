"""A task as data: points in volts, and the way back to the user's numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError, unknown
from eqspice.training.checks import matrix, positive
from eqspice.training.encoding import Encoding, Scaling

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Kind = Literal["regression", "classification"]
KINDS = ("regression", "classification")
TARGET_VOLTS = 0.1  # V
CLASS_VOLTS = 0.3  # V, with one output per class: its weights are then as large as those of other layers


@dataclass(frozen=True, eq=False)
class Task:
    """Training and test data of one problem.

    Attributes:
        name: of the task.
        kind: "regression" or "classification".
        x: input row voltages of the training set, V, shape (N, rows).
        y: their targets, V, shape (N, outputs).
        x_test: the same for the test set, shape (M, rows); M may be 0.
        y_test: the same for the test set, shape (M, outputs).
        encoding: user's inputs -> row voltages, and back.
        target_scaling: user's targets -> volts, and back; of a class, the target is +1 or -1.
        labels: class of each training point, 0 … K - 1, shape (N,); None for regression.
        labels_test: the same for the test set, shape (M,).
        classes: names of the classes in the order of the labels.
        description: one line.
    """

    name: str
    kind: Kind
    x: FloatArray
    y: FloatArray
    x_test: FloatArray
    y_test: FloatArray
    encoding: Encoding
    target_scaling: Scaling
    labels: IntArray | None = None
    labels_test: IntArray | None = None
    classes: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("kind", self.kind, KINDS)
        _check_pair("x", self.x, "y", self.y, self.encoding.rows, len(self.target_scaling.centre))
        rows, outputs = self.x.shape[1], self.y.shape[1]
        _check_pair("x_test", self.x_test, "y_test", self.y_test, rows, outputs, empty=True)
        for field, labels, points in (
            ("labels", self.labels, self.x),
            ("labels_test", self.labels_test, self.x_test),
        ):
            if labels is not None and labels.shape != (len(points),):
                raise InputError(f"{field}: has shape {labels.shape}, ({len(points)},) is needed.")
        if self.kind == "classification" and (self.labels is None or self.labels_test is None):
            raise InputError("labels: a classification task needs labels and labels_test.")

    def sample(self, epoch: int, n: int, rng: np.random.Generator) -> IntArray:
        """Draws which training points an epoch presents, and in which order.

        Every point comes once, in random order, before any comes again.

        Args:
            epoch: counts from zero. The tasks of this package draw every epoch alike.
            n: presentations.
            rng: the epoch's own source of randomness.

        Returns:
            indices into x, shape (n,).
        """
        if n < 1:
            raise InputError(f"samples: {n} is not allowed, at least 1 is needed.")
        rounds = [rng.permutation(len(self.x)) for _ in range(-(-n // len(self.x)))]
        return np.asarray(np.concatenate(rounds)[:n], np.int64)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays, from which `from_arrays` makes the task again."""
        found: dict[str, NDArray[Any]] = {
            "text": np.array([self.name, self.kind, self.description]),
            "x": self.x,
            "y": self.y,
            "x_test": self.x_test,
            "y_test": self.y_test,
            "input_centre": self.encoding.scaling.centre,
            "input_gain": self.encoding.scaling.gain,
            "target_centre": self.target_scaling.centre,
            "target_gain": self.target_scaling.gain,
        }
        optional = {
            "complement": self.encoding.complement,
            "bias": self.encoding.bias,
            "labels": self.labels,
            "labels_test": self.labels_test,
            "classes": self.classes or None,
        }
        return found | {name: np.array(value) for name, value in optional.items() if value is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Task:
        """Returns the task whose `to_arrays` gave these."""
        name, kind, description = (str(text) for text in arrays["text"])
        complement, bias = arrays.get("complement"), arrays.get("bias")
        encoding = Encoding(
            Scaling(arrays["input_centre"], arrays["input_gain"]),
            None if complement is None else float(complement),
            None if bias is None else float(bias),
        )
        return cls(
            name,
            "classification" if kind == "classification" else "regression",
            arrays["x"],
            arrays["y"],
            arrays["x_test"],
            arrays["y_test"],
            encoding,
            Scaling(arrays["target_centre"], arrays["target_gain"]),
            arrays.get("labels"),
            arrays.get("labels_test"),
            tuple(str(text) for text in arrays.get("classes", ())),
            description,
        )

    @property
    def digest(self) -> str:
        """SHA-256 over all data."""
        return digest(self.to_arrays())


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Returns the SHA-256 over names, types, shapes and values of arrays."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {np.shape(arrays[name])}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _check_pair(
    x_field: str, x: Any, y_field: str, y: Any, rows: int | None, outputs: int | None, empty: bool = False
) -> tuple[FloatArray, FloatArray]:
    inputs, targets = matrix(x_field, x, rows, empty), matrix(y_field, y, outputs, empty)
    if len(inputs) != len(targets):
        raise InputError(
            f"{y_field}: has {len(targets)} rows, {x_field} has {len(inputs)}; they must be equally many."
        )
    return inputs, targets


def _check_test(test: tuple[Any, Any] | None, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Checks a test set against its training set; none becomes an empty one."""
    if test is None:
        return np.zeros((0, x.shape[1])), np.zeros((0, y.shape[1]))
    return _check_pair("x_test", test[0], "y_test", test[1], x.shape[1], y.shape[1], empty=True)


def regression(
    name: str,
    description: str,
    train: tuple[Any, Any],
    test: tuple[Any, Any] | None,
    input_volts: float,
    target_volts: float | None,
    common: bool = False,
) -> Task:
    """Returns a task that maps the ranges of the training set onto ±volts, with a bias row.

    Args:
        name: of the task.
        description: one line.
        train: inputs (N, K) and targets (N, outputs), any unit.
        test: the same for the test set; None for none.
        input_volts: amplitude of the inputs and the bias row, V.
        target_volts: amplitude of the targets, V; None for TARGET_VOLTS.
        common: whether all columns of x share one range.

    Raises:
        InputError: names the array at fault.
    """
    x, y = _check_pair("x", train[0], "y", train[1], None, None)
    x_test, y_test = _check_test(test, x, y)
    volts = TARGET_VOLTS if target_volts is None else positive("target_volts", target_volts)
    encoding, scaling = _fit(x, input_volts, common), Scaling.fit(y, volts)
    return Task(
        name,
        "regression",
        encoding.to_volts(x),
        scaling.to_volts(y),
        encoding.to_volts(x_test),
        scaling.to_volts(y_test),
        encoding,
        scaling,
        description=description,
    )


def classification(
    name: str,
    description: str,
    train: tuple[Any, Any],
    test: tuple[Any, Any] | None,
    input_volts: float,
    target_volts: float | None,
    common: bool = False,
) -> Task:
    """Returns a task with one output per class (one in all for two classes), at ± target_volts.

    Args:
        name: of the task.
        description: one line.
        train: inputs (N, K) and class names or numbers (N,).
        test: the same for the test set; None for none.
        input_volts: amplitude of the inputs and the bias row, V.
        target_volts: amplitude of the targets, V; None for CLASS_VOLTS, or TARGET_VOLTS with two classes.
        common: whether all columns of x share one range.

    Raises:
        InputError: names the array at fault; fewer than two classes; a class that only the test set has.
    """
    classes = np.unique(_names("y", train[1]))
    if len(classes) < 2:
        raise InputError(
            f"y: has {len(classes)} class ({', '.join(map(str, classes))}), at least 2 are needed."
        )
    x = matrix("x", train[0])
    labels = _labels("y", train[1], classes, len(x))
    x_test = matrix("x_test", test[0], x.shape[1], empty=True) if test else np.zeros((0, x.shape[1]))
    labels_test = _labels("y_test", test[1] if test else classes[:0], classes, len(x_test))
    encoding = _fit(x, input_volts, common)
    outputs = 1 if len(classes) == 2 else len(classes)
    if target_volts is None:
        target_volts = TARGET_VOLTS if outputs == 1 else CLASS_VOLTS
    scaling = Scaling(np.zeros(outputs), np.full(outputs, positive("target_volts", target_volts)))
    signs = np.array([[-1.0], [1.0]]) if outputs == 1 else 2.0 * np.eye(outputs) - 1.0
    return Task(
        name,
        "classification",
        encoding.to_volts(x),
        scaling.to_volts(signs[labels]),
        encoding.to_volts(x_test),
        scaling.to_volts(signs[labels_test]),
        encoding,
        scaling,
        labels,
        labels_test,
        tuple(str(name) for name in classes),
        description,
    )


def _fit(x: FloatArray, input_volts: float, common: bool) -> Encoding:
    volts = positive("input_volts", input_volts)
    return Encoding(Scaling.fit(x, volts, common), bias=volts)


def _names(field: str, values: Any) -> NDArray[Any]:
    names = np.asarray(values)
    if names.ndim != 1:
        raise InputError(f"{field}: has shape {names.shape}; class names need one dimension.")
    if names.dtype == object:
        names = names.astype(str)
    if np.issubdtype(names.dtype, np.floating) and not np.isfinite(names).all():
        row = int(np.argmin(np.isfinite(names)))
        raise InputError(f"{field}[{row}]: {names[row]} is not allowed, a class must be finite.")
    return names


def _labels(field: str, values: Any, classes: NDArray[Any], count: int) -> IntArray:
    names = _names(field, values)
    if len(names) != count:
        raise InputError(
            f"{field}: has {len(names)} rows, the inputs have {count}; they must be equally many."
        )
    if count == 0:
        return np.zeros(0, np.int64)
    strange = ~np.isin(names, classes)
    if strange.any():
        raise InputError(
            f"{field}: class {names[strange][0]} is not in the training set, "
            f"which has {', '.join(map(str, classes))}."
        )
    return np.asarray(np.searchsorted(classes, names), np.int64)


def arrays(
    x: Any,
    y: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    kind: Kind = "regression",
    scale: bool = True,
    input_volts: float = 0.4,
    target_volts: float | None = None,
    name: str = "arrays",
    description: str = "given arrays",
) -> Task:
    """Returns a task from explicit arrays.

    Args:
        x: inputs, shape (N, K).
        y: targets, shape (N,) or (N, outputs); class names or numbers, shape (N,), for classification.
        x_test: inputs of the test set, shape (M, K).
        y_test: its targets.
        kind: "regression" or "classification".
        scale: map the training set's ranges onto ±input_volts and ±target_volts and add a bias row.
            False: x and y are the volts at the input rows and outputs (regression only).
        input_volts: amplitude of the inputs and the bias row, V.
        target_volts: amplitude of the targets, V; None for CLASS_VOLTS with more than two classes, and
            for TARGET_VOLTS else.
        name: of the task.
        description: one line.

    Raises:
        InputError: a value not finite, an empty array, shapes that do not fit; names field and value.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if (x_test is None) != (y_test is None):
        raise InputError("x_test, y_test: give both or neither.")
    if kind == "classification":
        if not scale:
            raise InputError(
                "scale: False is not allowed for classification, give the targets in volts instead."
            )
        test = None if x_test is None else (x_test, y_test)
        return classification(name, description, (x, y), test, input_volts, target_volts)
    train = (x, _column(y))
    test = None if x_test is None else (x_test, _column(y_test))
    if scale:
        return regression(name, description, train, test, input_volts, target_volts)
    inputs, targets = _check_pair("x", train[0], "y", train[1], None, None)
    rest = _check_test(test, inputs, targets)
    encoding, scaling = Encoding(Scaling.identity(inputs.shape[1])), Scaling.identity(targets.shape[1])
    return Task(name, "regression", inputs, targets, *rest, encoding, scaling, description=description)


def _column(values: Any) -> Any:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y: not numbers ({error}).") from None
    return array[:, None] if array.ndim == 1 else array
