"""Between a user's numbers and volts, in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """One affine map per column: volts = (value - centre) * gain.

    Attributes:
        centre: values that become 0 V, shape (K,).
        gain: volts per unit, not zero, shape (K,).
    """

    centre: FloatArray
    gain: FloatArray

    def __post_init__(self) -> None:
        if self.centre.ndim != 1 or self.centre.shape != self.gain.shape:
            raise InputError(
                f"scaling: centre {self.centre.shape} and gain {self.gain.shape} must be equally long."
            )
        if not np.isfinite(self.centre).all() or not np.isfinite(self.gain).all() or not self.gain.all():
            raise InputError("scaling: centre and gain must be finite, and no gain may be zero.")

    @classmethod
    def fit(cls, values: FloatArray, volts: float, common: bool = False) -> Scaling:
        """Returns the map of the values' range onto -volts … +volts; a constant column becomes 0 V.

        Args:
            values: shape (N, K).
            volts: amplitude, V.
            common: one range for all columns instead of one for each.
        """
        low, high = values.min(axis=0), values.max(axis=0)
        if common:
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        half = 0.5 * (high - low)
        return cls(0.5 * (high + low), volts / np.where(half > 0, half, 1.0))

    @classmethod
    def identity(cls, columns: int) -> Scaling:
        """Returns the map for values that are volts already."""
        return cls(np.zeros(columns), np.ones(columns))

    def to_volts(self, values: FloatArray) -> FloatArray:
        """Returns volts, shape (N, K), for values of that shape."""
        return (np.asarray(values, float) - self.centre) * self.gain

    def from_volts(self, volts: FloatArray) -> FloatArray:
        """Returns values, shape (N, K), for volts of that shape."""
        return np.asarray(volts, float) / self.gain + self.centre


@dataclass(frozen=True, eq=False)
class Encoding:
    """What is fed to the input rows for a data point: scaled columns, their complements, a bias row.

    Attributes:
        scaling: of the K columns.
        complement: if given, K more rows carry complement - v for every scaled column v, V.
        bias: if given, one more row carries it, V.
    """

    scaling: Scaling
    complement: float | None = None
    bias: float | None = None

    @property
    def columns(self) -> int:
        """Number of columns K of a user's data."""
        return len(self.scaling.centre)

    @property
    def rows(self) -> int:
        """Number of input rows of the first crossbar."""
        return self.columns * (1 if self.complement is None else 2) + (self.bias is not None)

    def to_volts(self, values: FloatArray) -> FloatArray:
        """Returns row voltages, V, shape (N, rows), for values of shape (N, K)."""
        volts = self.scaling.to_volts(values)
        parts = [volts]
        if self.complement is not None:
            parts.append(self.complement - volts)
        if self.bias is not None:
            parts.append(np.full((len(volts), 1), self.bias))
        return np.concatenate(parts, axis=1)

    def from_volts(self, volts: FloatArray) -> FloatArray:
        """Returns values, shape (N, K), for row voltages of shape (N, rows)."""
        return self.scaling.from_volts(np.asarray(volts, float)[:, : self.columns])
