"""Pictures of a study: how its results are distributed, and the yield against a threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from eqspice.report import style
from eqspice.training import storage

RESULTS = {
    "train_nrmse": "NRMSE, training data",
    "test_nrmse": "NRMSE, test data",
    "test_accuracy": "accuracy",
}
MOST_GROUPS = 8  # more values of a setting than this are not told apart
FloatArray = NDArray[np.float64]


def plot_study(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """Writes distribution.png and yield.png and returns their paths; none if no member has results.

    Args:
        dataset: results over the varied settings, NaN for members that failed.
        folder: where to write.
    """
    shown = [name for name in RESULTS if name in dataset and dataset[name].notnull().any()]
    paths = []
    for file, draw in (("distribution.png", distribution), ("yield.png", yield_curve)):
        if not shown:
            break
        with style.styled():
            figure = style.new_figure(3.6 * len(shown) + 1.0, 3.4)
            panels = figure.subplots(1, len(shown), squeeze=False)[0]
            for axes, name in zip(panels, shown, strict=True):
                draw(axes, groups(dataset[name]), name)
            storage.write_bytes(folder / file, style.png(figure))
        paths.append(folder / file)
    return paths


def groups(values: xr.DataArray) -> dict[str, FloatArray]:
    """Returns the results by the setting other than the seed that moves them most; "all" if there is none.

    Args:
        values: a result over the varied settings.

    Returns:
        results by "setting = value", members that failed included as NaN.
    """
    spread = {}
    for key in values.dims:
        if key != "seed" and 1 < values.sizes[key] <= MOST_GROUPS:
            medians = [
                np.nanmedian(part) if np.isfinite(part).any() else np.nan for part in _parts(values, key)
            ]
            spread[key] = np.nanmax(medians) - np.nanmin(medians)
    if not spread:
        return {"all": values.values.ravel()}
    key = max(spread, key=lambda name: spread[name])
    names = [f"{key} = {value}" for value in values[key].values]
    return dict(zip(names, _parts(values, key), strict=True))


def _parts(values: xr.DataArray, key: object) -> list[FloatArray]:
    axis = values.dims.index(str(key))
    return [part.ravel() for part in np.moveaxis(values.values, axis, 0)]


def distribution(axes: Axes, found: dict[str, FloatArray], name: str) -> Axes:
    """Draws every member as a point and the quartiles as a box, one row per group."""
    for row, (values, colour) in enumerate(zip(found.values(), style.CLASSES, strict=False)):
        there = np.sort(values[np.isfinite(values)])
        shift = 0.18 * np.sin(2.4 * np.arange(len(there)))
        axes.plot(there, row + shift, "o", color=colour, markersize=4, alpha=0.6, markeredgewidth=0)
        if len(there):
            low, middle, high = np.quantile(there, (0.25, 0.5, 0.75))
            axes.barh(row, high - low, 0.5, left=low, color=colour, alpha=0.15)
            axes.plot([middle, middle], [row - 0.25, row + 0.25], color=colour)
    labels = [
        text + (f"\n{np.isnan(part).sum()} failed" if np.isnan(part).any() else "")
        for text, part in found.items()
    ]
    axes.set_yticks(range(len(found)), labels)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel(RESULTS[name])
    return axes


def yield_curve(axes: Axes, found: dict[str, FloatArray], name: str) -> Axes:
    """Draws the share of members that are at least as good as a threshold; failed members never are."""
    accuracy = name == "test_accuracy"
    for (text, values), colour in zip(found.items(), style.CLASSES, strict=False):
        at, share = yields(values, accuracy)
        axes.step(at, 100 * share, where="pre" if accuracy else "post", color=colour, label=text)
        axes.plot(at, 100 * share, "o", color=colour, markersize=3)
    axes.set_ylim(-3, 103)
    axes.set_xlabel(f"{RESULTS[name]} at {'least' if accuracy else 'most'}")
    axes.set_ylabel("yield (%)")
    if len(found) > 1:
        axes.legend()
    return axes


def yields(values: FloatArray, more_is_better: bool) -> tuple[FloatArray, FloatArray]:
    """Returns thresholds in ascending order and the share of members that are as good or better.

    Args:
        values: results, NaN for members that failed, shape (members,).
        more_is_better: as accuracy is; errors are not.
    """
    at = np.unique(values[np.isfinite(values)])
    good = values[:, None] >= at if more_is_better else values[:, None] <= at
    return at, good.mean(axis=0)
