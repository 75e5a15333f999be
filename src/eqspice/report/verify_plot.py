"""Two simulations of the same nodes, one over the other, and their difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eqspice.report import style
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]
LEAST = 1e-9  # V: smaller differences are drawn here, a logarithm has no zero
INSTANTS = 6000


def traces(axes: Axes, ours: Waveforms, other: Waveforms, node: str, label: str) -> Axes:
    """Draws a node of both simulations over time.

    Args:
        axes: to draw on.
        ours: the native engine's.
        other: the other engine's.
        node: name.
        label: name of the other engine.
    """
    axes.plot(1e6 * ours.times, ours[node], color=style.FREE, lw=2.4, alpha=0.55, label="native")
    axes.plot(1e6 * other.times, other[node], color=style.NUDGED, lw=0.9, ls="--", label=label)
    axes.set_ylabel(f"{node}\nV")
    return axes


def difference(axes: Axes, times: FloatArray, volts: FloatArray, plateaus: FloatArray, limit: float) -> Axes:
    """Draws |difference| over time on a logarithmic scale, plateaus as dots, the tolerance as a line.

    Args:
        axes: to draw on.
        times: s, shape (T,).
        volts: differences, shape (T,).
        plateaus: times of plateaus, s.
        limit: tolerance on plateaus, V.
    """
    size = np.maximum(np.abs(volts), LEAST)
    axes.semilogy(1e6 * times, size, color=style.UPDATE, lw=0.8)
    axes.semilogy(1e6 * plateaus, np.interp(plateaus, times, size), "o", ms=3.5, mew=0, color=style.INK)
    axes.axhline(limit, color=style.WRONG, lw=0.9, ls=":")
    axes.set_ylabel("difference\nV")
    return axes


def draw_verification(
    ours: Waveforms, other: Waveforms, nodes: dict[str, float], plateaus: FloatArray, label: str, path: Path
) -> None:
    """Writes a picture: for each node both traces, and below them their difference.

    Args:
        ours: the native engine's.
        other: the other engine's.
        nodes: name -> tolerance on plateaus, V.
        plateaus: times, s.
        label: name of the other engine.
        path: of the PNG file.
    """
    times = np.linspace(ours.times[0], ours.times[-1], INSTANTS)
    times = np.unique(np.concatenate([times, plateaus]))
    with style.styled():
        figure = Figure(figsize=(9.0, 2.2 * len(nodes) + 0.6), layout="constrained")
        panels = figure.subplots(2 * len(nodes), 1, sharex=True, height_ratios=[2, 1] * len(nodes))
        for k, (node, limit) in enumerate(nodes.items()):
            traces(panels[2 * k], ours, other, node, label)
            volts = ours.select((node,)).at(times).values - other.select((node,)).at(times).values
            difference(panels[2 * k + 1], times, volts[:, 0], plateaus, limit)
        panels[0].legend(loc="upper right", ncols=2)
        panels[-1].set_xlabel("time, µs")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=style.DPI)
