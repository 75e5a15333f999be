"""Plots of training: each takes axes and arrays in SI units, draws, and returns the axes."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray
from scipy.interpolate import griddata

from eqspice.report import style

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST_POINTS = 6000  # drawn of a cloud; more would only blacken it
MOST_PATHS = 40  # drawn of a layer's weights


def fit_curve(
    axes: Axes,
    x: FloatArray,
    free: FloatArray,
    nudged: FloatArray | None,
    target: tuple[FloatArray, FloatArray],
) -> Axes:
    """Draws outputs against one input, and the target as a line.

    Args:
        axes: to draw on.
        x: input in the user's unit, shape (P,).
        free: outputs of the free phase, V, shape (P, outputs).
        nudged: outputs of the nudged phase, V, shape (P, outputs); None for none.
        target: x and y of the line, shapes (T,) and (T, outputs), y in V.
    """
    for k, column in enumerate(target[1].T):
        label = "target" if k == 0 else None
        axes.plot(target[0], column, color=style.TARGET, lw=1.3, alpha=0.85, zorder=2, label=label)
    for values, colour, name in ((nudged, style.NUDGED, "nudged"), (free, style.FREE, "free")):
        if values is None:
            continue
        for k, column in enumerate(values.T):
            label = name if k == 0 else None
            axes.plot(x, column, "o", ms=3.6, mew=0, color=colour, alpha=0.7, zorder=3, label=label)
    return axes


def frame_free(axes: Axes) -> Axes:
    """Sets the height of a fit by target and free outputs: a strong nudge would dwarf them."""
    lines = [line for line in axes.get_lines() if line.get_color() != style.NUDGED]
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines])
    room = max(0.07 * float(np.ptp(values)), 1e-9)
    axes.set_ylim(float(values.min()) - room, float(values.max()) + room)
    return axes


def fit_scatter(axes: Axes, target: FloatArray, found: FloatArray, colour: str, label: str) -> Axes:
    """Draws outputs against their targets, V, and the diagonal on which they should lie.

    Args:
        axes: to draw on.
        target: any shape.
        found: the same shape.
        colour: of the points.
        label: of the points.
    """
    chosen = _thinned(target.size)
    axes.plot(
        np.ravel(target)[chosen], np.ravel(found)[chosen], "o", ms=3.2, mew=0, color=colour, alpha=0.45,
        label=label,
    )  # fmt: skip
    low, high = float(target.min()), float(target.max())
    axes.plot([low, high], [low, high], color=style.TARGET, lw=1.1, zorder=2)
    return axes


def loss_curve(
    axes: Axes, free: FloatArray, nudged: FloatArray, window: int, test: float | None, scale: float
) -> Axes:
    """Draws the RMS error of the outputs over presentations: each one pale, and smoothed as a line.

    Args:
        axes: to draw on; its y axis becomes logarithmic.
        free: squared error of each presentation in the free phase, V², shape (P,).
        nudged: the same in the nudged phase.
        window: presentations over which the line averages.
        test: RMS error on the test set after training, V; None if it is not known.
        scale: RMS of the targets, V: where a network that always answers zero would be.
    """
    at = np.arange(1, len(free) + 1)
    chosen = _thinned(len(free))
    raw = np.sqrt(free[chosen])
    size = 2.4 if len(free) > 1000 else 4.5
    axes.plot(at[chosen], raw, ".", ms=size, mew=0, color=style.FREE, alpha=0.28)
    smooth = [np.sqrt(trailing_mean(values, window)) for values in (free, nudged)]
    for line, colour, name in zip(smooth, (style.FREE, style.NUDGED), ("free", "nudged"), strict=True):
        axes.plot(at, line, color=colour, label=f"{name} phase, mean of {window}")
    if scale > 0:
        axes.axhline(scale, color=style.MUTED, lw=1.0, ls=(0, (4, 3)))
        axes.annotate(
            "always answering zero", (0.6, scale), xycoords=("axes fraction", "data"), xytext=(0, 4),
            textcoords="offset points", ha="center", color=style.MUTED, fontsize=8,
        )  # fmt: skip
    if test is not None:
        axes.plot(
            [at[-1]], [test], "D", ms=7, mfc="white", mec=style.TEST, mew=1.8, zorder=5, clip_on=False,
            label="test set, after training",
        )  # fmt: skip
    axes.set_yscale("log")
    visible = raw[raw > 0]
    if len(visible):
        lows = [float(np.quantile(visible, 0.02)), *(float(line.min()) for line in smooth), test or np.inf]
        axes.set_ylim(
            0.7 * min(low for low in lows if low > 0), 1.6 * max(float(visible.max()), float(smooth[1].max()))
        )
    axes.set_xlim(0, len(free) * 1.015)
    return axes


def accuracy_curve(axes: Axes, at: IntArray, accuracy: FloatArray, test: float | None) -> Axes:
    """Draws the fraction classified right in the free phases of each epoch, and on the test set."""
    axes.plot(at, accuracy, "-", color=style.FREE, marker="o", ms=3, label="training, free phase, per epoch")
    if test is not None:
        axes.plot(
            [at[-1]], [test], "D", ms=7, mfc="white", mec=style.TEST, mew=1.8, zorder=5, clip_on=False,
            label="test set, after training",
        )  # fmt: skip
    axes.set_ylim(min(0.4, float(accuracy.min()) - 0.05), 1.02)
    return axes


def weight_paths(axes: Axes, at: IntArray, weights: FloatArray) -> Axes:
    """Draws stored voltages over presentations; the colour of a line is its value at the end.

    Args:
        axes: to draw on.
        at: presentations, shape (C,).
        weights: V, shape (C, weights).
    """
    order = np.argsort(weights[-1])
    chosen = order[np.unique(np.linspace(0, len(order) - 1, MOST_PATHS).round().astype(int))]
    colours = _paint(weights[-1, chosen])
    for index, colour in zip(chosen, colours, strict=True):
        axes.plot(at, weights[:, index], color=colour, lw=1.0, alpha=0.85)
    axes.set_xlim(0, max(1, int(at[-1])))
    return axes


def weight_histogram(axes: Axes, first: FloatArray, last: FloatArray) -> Axes:
    """Draws how stored voltages were distributed before and after, V, along a vertical axis."""
    both = np.concatenate([first, last])
    edges = np.linspace(
        both.min(), both.max() + 1e-9, 1 + int(min(30, max(6, 2 * len(first) ** 0.5)))
    ).tolist()
    axes.hist(last, edges, orientation="horizontal", color=style.FREE, alpha=0.75, label="at the end")
    axes.hist(
        first, edges, orientation="horizontal", histtype="step", color=style.INK, lw=1.2, label="at the start"
    )
    return axes


def confusion(axes: Axes, counts: IntArray, names: list[str]) -> Axes:
    """Draws how many points of each true class (rows) were given which class (columns)."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    if len(names) <= 12:
        for (row, column), number in np.ndenumerate(counts):
            ink = "white" if share[row, column] > 0.55 else style.INK if number else "#b6c0cc"
            axes.text(column, row, f"{number}", ha="center", va="center", color=ink, fontsize=9)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    style.class_axis(axes.xaxis, "answered", names)
    style.class_axis(axes.yaxis, "true class", names)
    return axes


def decision_map(
    axes: Axes, x: FloatArray, outputs: FloatArray, chosen: IntArray, labels: IntArray, names: list[str]
) -> Axes:
    """Draws classified points over the plane, above the class that the outputs between them suggest.

    Args:
        axes: to draw on.
        x: points in the user's unit, shape (N, 2).
        outputs: V, shape (N, outputs).
        chosen: class that the network gave, shape (N,).
        labels: true class, shape (N,).
        names: of the classes.
    """
    grid, mesh = _mesh(x)
    between = np.stack([_between(x, column, grid) for column in outputs.T], axis=-1)
    if outputs.shape[1] == 1:
        areas = np.where(np.isnan(between[..., 0]), np.nan, between[..., 0] > 0)
    else:
        areas = np.where(np.isnan(between[..., 0]), np.nan, np.argmax(np.nan_to_num(between), axis=-1))
    for k in range(len(names)):
        share = np.where(areas == k, 1.0, np.nan)
        axes.pcolormesh(
            *mesh, share, cmap=_flat(style.CLASSES[k % len(style.CLASSES)]), alpha=0.16, lw=0, rasterized=True
        )
    for k, name in enumerate(class_names(names)):
        own = labels == k
        colour = style.CLASSES[k % len(style.CLASSES)]
        axes.plot(*x[own].T, "o", ms=4.2, mew=0.5, mec="white", color=colour, label=name)
    wrong = chosen != labels
    if wrong.any():
        axes.plot(*x[wrong].T, "o", ms=9, mfc="none", mec=style.WRONG, mew=1.2, label="answered wrong")
    return axes


def class_names(names: list[str]) -> list[str]:
    """Returns names that say what they are: numbers become "class 0" and so on."""
    return [f"class {name}" if name.lstrip("-").isdigit() else name for name in names]


def surface_map(axes: Axes, x: FloatArray, values: FloatArray, limit: float, colour_map: str) -> Axes:
    """Draws a quantity with a sign over the plane, interpolated between the points where it is known.

    Args:
        axes: to draw on.
        x: points in the user's unit, shape (N, 2).
        values: V, shape (N,).
        limit: value of full colour, V.
        colour_map: name of a matplotlib colour map.
    """
    grid, mesh = _mesh(x)
    between = _between(x, values, grid)
    axes.pcolormesh(*mesh, between, cmap=colour_map, vmin=-limit, vmax=limit, rasterized=True)
    axes.scatter(
        x[:, 0],
        x[:, 1],
        c=values,
        cmap=colour_map,
        vmin=-limit,
        vmax=limit,
        s=9,
        linewidths=0.4,
        edgecolors="#1d273366",
    )
    axes.grid(False)
    return axes


def shade_phases(axes: Axes, phases: list[tuple[str, float, float]], name_them: bool = False) -> Axes:
    """Shades the time of each phase, s; on request with its name above."""
    for name, start, end in phases:
        axes.axvspan(start, end, color=style.PHASES[name], alpha=0.11, lw=0, zorder=0)
        if name_them:
            axes.annotate(
                name, (0.5 * (start + end), 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", color=style.PHASES[name], weight="bold",
            )  # fmt: skip
    return axes


def waveform_lines(
    axes: Axes, times: FloatArray, signals: dict[str, FloatArray], colours: dict[str, str] | None = None
) -> Axes:
    """Draws signals, V, over time, s.

    Args:
        axes: to draw on.
        times: shape (T,).
        signals: by name, shape (T,) each.
        colours: by the word that a name begins with; such names share a legend entry. None gives each
            signal a colour of its own and no legend.
    """
    marker = "." if len(times) < 60 else ""  # few time points: say where they are
    named: set[str] = set()
    for k, (name, values) in enumerate(signals.items()):
        group = next((word for word in colours or () if name.startswith(word)), None)
        colour = style.CLASSES[k % len(style.CLASSES)] if colours is None or group is None else colours[group]
        label = None if group is None or group in named else group
        named |= {group} if group else set()
        dashes = (0, (4, 2)) if group == "target" else "-"
        axes.plot(times, values, color=colour, lw=1.3, ls=dashes, marker=marker, ms=3.5, mew=0, label=label)
    return axes


def trailing_mean(values: FloatArray, window: int) -> FloatArray:
    """Returns the mean of each value and those up to window - 1 before it, shape (P,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return np.asarray(np.maximum(total[end] - total[start], 0.0) / (end - start))


def _thinned(count: int) -> IntArray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(np.int64))


def _paint(values: FloatArray) -> FloatArray:
    """Colours from dark over green to yellow by value."""
    low, high = float(values.min()), float(values.max())
    place = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.asarray(matplotlib.colormaps["viridis"](0.05 + 0.8 * place))


def _flat(colour: str) -> ListedColormap:
    return ListedColormap([colour])


def _mesh(x: FloatArray, count: int = 260) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Returns points over the bounding box, shape (count, count, 2), and the two axes."""
    low, high = x.min(axis=0), x.max(axis=0)
    low, high = low - 0.02 * (high - low), high + 0.02 * (high - low)
    ends = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*ends), axis=-1)
    return grid, (ends[0], ends[1])


def _between(x: FloatArray, values: FloatArray, grid: FloatArray) -> FloatArray:
    """Interpolates linearly between points; outside their hull not a number."""
    return np.asarray(griddata(x, values, grid, method="linear", rescale=True))
