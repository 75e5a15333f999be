"""Checks of what a kit's functions are given, and the file its numbers stand in."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from eqspice.errors import InputError, ModelError, unknown


def read_data(kit: str) -> dict[str, Any]:
    """Returns the numbers of a kit.

    Raises:
        ModelError: the file has a format that this version does not read.
    """
    packed = resources.files("eqspice.pdk").joinpath(f"data/{kit}.json.gz").read_bytes()
    data: dict[str, Any] = json.loads(gzip.decompress(packed))
    if data["format"] != 1:
        raise ModelError(f"{kit} data file has format {data['format']}, this version reads format 1.")
    return data


def check_choices(given: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    """Checks names against those that a kit knows.

    Args:
        given: {argument: (its value, what it can be)}.

    Raises:
        InputError: with the argument, its value and the names that are known.
    """
    for argument, (value, allowed) in given.items():
        if value not in allowed:
            raise unknown(argument, value, allowed)


def check_temperature(temperature: float, limits: tuple[float, float]) -> None:
    """Raises InputError unless a temperature lies in the range of the library, degrees Celsius."""
    if not limits[0] <= temperature <= limits[1]:
        raise InputError(
            f"temperature: {temperature:g} degrees Celsius is outside the range of the library, "
            f"{limits[0]:g} to {limits[1]:g}."
        )


def check_multiplier(multiplier: float) -> None:
    """Raises InputError unless a number of parallel devices is positive."""
    if not (math.isfinite(multiplier) and multiplier > 0):
        raise InputError(f"multiplier: {multiplier:g} is not allowed, it must be positive.")
