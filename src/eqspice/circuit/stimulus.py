"""Signals as piecewise-linear functions of time on common breakpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Piecewise-linear signals for one chunk of time.

    Attributes:
        times: breakpoints in seconds, strictly increasing, shape (T,).
        names: signal names, length S.
        values: signal values at the breakpoints in volts or amperes, shape (T, S).
    """

    times: FloatArray
    names: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or len(self.times) < 2:
            raise InputError(f"stimulus: times has shape {self.times.shape}, at least two are needed.")
        if self.values.shape != (len(self.times), len(self.names)):
            raise InputError(
                f"stimulus: values has shape {self.values.shape}, "
                f"({len(self.times)}, {len(self.names)}) is needed."
            )
        if not (np.isfinite(self.times).all() and np.all(np.diff(self.times) > 0)):
            raise InputError("stimulus: times must be finite and strictly increasing.")
        if not np.isfinite(self.values).all():
            row, column = np.argwhere(~np.isfinite(self.values))[0]
            raise InputError(
                f"stimulus: signal {self.names[column]} is {self.values[row, column]} "
                f"at {self.times[row]:.6g} s, it must be finite."
            )
        if len(set(self.names)) != len(self.names):
            raise InputError("stimulus: a signal name stands twice.")

    @classmethod
    def from_signals(cls, signals: Mapping[str, tuple[FloatArray, FloatArray]]) -> Stimulus:
        """Merges signals with breakpoints of their own into one time axis.

        Args:
            signals: name -> (times in seconds, values), each time axis non-decreasing. Before its first
                and after its last breakpoint a signal is constant. Equal times are a jump and are
                refused: a signal has a slope in any real circuit.

        Raises:
            InputError: a signal is empty, has shapes that differ, or jumps.
        """
        if not signals:
            raise InputError("stimulus: signals is empty, at least one is needed.")
        for name, (times, values) in signals.items():
            if len(times) == 0 or len(times) != len(values):
                raise InputError(f"stimulus: signal {name} has {len(times)} times and {len(values)} values.")
            if np.any(np.diff(times) <= 0):
                raise InputError(f"stimulus: signal {name}: times must strictly increase.")
        merged = np.unique(np.concatenate([np.asarray(times, float) for times, _ in signals.values()]))
        # Breakpoints that differ by rounding only are one breakpoint.
        keep = np.concatenate([[True], np.diff(merged) > 1e-12 * max(1e-9, abs(merged[-1]))])
        merged = merged[keep]
        columns = [np.interp(merged, times, values) for times, values in signals.values()]
        return cls(merged, tuple(signals), np.stack(columns, axis=1))

    def at(self, times: FloatArray) -> FloatArray:
        """Returns the signals at the given times in seconds, shape (len(times), S)."""
        return np.stack([np.interp(times, self.times, column) for column in self.values.T], axis=1)

    def shifted(self, offset: float) -> Stimulus:
        """Returns the same signals, offset seconds later."""
        return Stimulus(self.times + offset, self.names, self.values)
