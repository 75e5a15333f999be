"""Named signals on one time axis: what every engine returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Node voltages (and other named signals) on one time axis.

    Attributes:
        times: seconds, non-decreasing, shape (T,).
        names: signal names, length S.
        values: volts unless the name says otherwise, shape (T, S).
    """

    times: FloatArray
    names: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.times), len(self.names)):
            raise InputError(
                f"waveforms: values has shape {self.values.shape}, "
                f"({len(self.times)}, {len(self.names)}) is needed."
            )

    def __getitem__(self, name: str) -> FloatArray:
        """Returns one signal, shape (T,)."""
        if name not in self.names:
            raise InputError(f"waveforms: no signal {name!r}; there are {', '.join(self.names[:20])} …")
        return self.values[:, self.names.index(name)]

    def at(self, times: FloatArray) -> Waveforms:
        """Returns the signals interpolated linearly at the given times in seconds."""
        columns = [np.interp(times, self.times, column) for column in self.values.T]
        return Waveforms(np.asarray(times, float), self.names, np.stack(columns, axis=1))

    def select(self, names: tuple[str, ...]) -> Waveforms:
        """Returns only the named signals, in that order."""
        return Waveforms(self.times, names, np.stack([self[name] for name in names], axis=1))

    def to_xarray(self) -> xr.DataArray:
        """Returns an array with dimensions (time, signal)."""
        return xr.DataArray(
            self.values,
            dims=("time", "signal"),
            coords={"time": self.times, "signal": list(self.names)},
            name="voltage",
            attrs={"units": "V", "time_units": "s", "signals": list(self.names)},
        )

    def save(self, path: Path) -> None:
        """Writes a zarr group with one variable per signal over the coordinate time."""
        self.to_xarray().to_dataset(dim="signal").to_zarr(path, mode="w", consolidated=False)

    @classmethod
    def load(cls, path: Path) -> Waveforms:
        """Reads what save wrote."""
        with xr.open_zarr(path, consolidated=False) as data:
            names = tuple(str(name) for name in data.attrs["signals"])
            values = np.stack([np.asarray(data[name].values, float) for name in names], axis=1)
            return cls(np.asarray(data["time"].values, float), names, values)


@dataclass(frozen=True)
class Comparison:
    """Differences of one signal between two simulations, in volts."""

    name: str
    max_abs: float
    rms: float
    at_time: float


def compare(first: Waveforms, second: Waveforms, times: FloatArray | None = None) -> list[Comparison]:
    """Compares the signals that both have, at the given times or at all times of the first.

    Args:
        first: one simulation.
        second: the other; its signals are interpolated linearly.
        times: seconds, shape (T,). Give plateau times to leave edges out.

    Returns:
        One Comparison per common signal, worst first.
    """
    axis = first.times if times is None else np.asarray(times, float)
    common = tuple(name for name in first.names if name in second.names)
    one, two = first.select(common).at(axis), second.select(common).at(axis)
    result = []
    for index, name in enumerate(common):
        difference = np.abs(one.values[:, index] - two.values[:, index])
        worst = int(np.argmax(difference))
        rms = float(np.sqrt(np.mean(difference**2)))
        result.append(Comparison(name, float(difference[worst]), rms, float(axis[worst])))
    return sorted(result, key=lambda item: -item.max_abs)
