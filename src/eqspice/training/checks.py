"""Checks of the numbers that make a task, and the random streams of its data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]
TRAIN, TEST, SPLIT = 0, 1, 2
_DATA = 3  # key of the random streams of data; 1 and 2 are those of weights and of presentation order


def matrix(field: str, values: Any, columns: int | None = None, empty: bool = False) -> FloatArray:
    """Returns a copy as a matrix of finite floats.

    Args:
        field: what to call it in a message.
        values: anything that numpy reads as a matrix of numbers.
        columns: how many it must have; None for any number but zero.
        empty: whether zero rows are allowed.

    Raises:
        InputError: names the field, what it is and what is allowed.
    """
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{field}: not a matrix of numbers ({error}).") from None
    if array.ndim != 2:
        raise InputError(f"{field}: has shape {array.shape}; two dimensions (rows, columns) are needed.")
    if array.shape[1] == 0 or (columns is not None and array.shape[1] != columns):
        needed = "at least 1 is" if columns is None else f"{columns} are"
        raise InputError(f"{field}: has {array.shape[1]} columns, {needed} needed.")
    if len(array) == 0 and not empty:
        raise InputError(f"{field}: is empty (shape {array.shape}), at least one row is needed.")
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(f"{field}[{row}, {column}]: {array[row, column]} is not allowed, it must be finite.")
    return array


def positive(field: str, value: Any) -> float:
    """Returns a finite float above zero.

    Raises:
        InputError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{field}: {value!r} is not allowed, it must be a positive number.")
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"{field}: {value!r} is not allowed, it must be a positive number.")
    return float(value)


def data_rng(seed: int, stream: int) -> np.random.Generator:
    """Returns the source of randomness of one stream of a task's data.

    Args:
        seed: of the experiment.
        stream: TRAIN, TEST or SPLIT.

    Raises:
        InputError: the seed is not a whole number, 0 or more.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: {seed!r} is not allowed, it must be a whole number, 0 or more.")
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(_DATA, stream)))


def count(field: str, value: Any, least: int = 1) -> int:
    """Returns a whole number.

    Raises:
        InputError: it is none, or less than the least that is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{field}: {value!r} is not allowed, it must be a whole number, {least} or more.")
    return int(value)


def amount(field: str, value: Any) -> float:
    """Returns a finite float, zero or more.

    Raises:
        InputError: it is not.
    """
    return 0.0 if value == 0 and not isinstance(value, bool) else positive(field, value)
