"""The gradient panel: what the circuit writes against the true gradient, and where the chain breaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eqspice.analysis.diagnosis import GOOD, LayerCheck
from eqspice.report import style
from eqspice.training.gradcheck import GradientCheck

FloatArray = NDArray[np.float64]
MOST_POINTS = 4000  # drawn of a layer; more would only blacken it
LINKS = (
    ("cosine", "update", style.UPDATE),
    ("signal_cosine", "signal that comes back", style.FREE),
    ("nudge_cosine", "finite nudge", style.NUDGED),
    ("rule_cosine", "exact co-content rule", style.TEST),
)


def update_scatter(axes: Axes, descent: FloatArray, update: FloatArray) -> Axes:
    """Draws updates against descent directions, and the line through zero that fits them best.

    Args:
        axes: to draw on.
        descent: -dL/dw, V, any shape.
        update: change of the weights, V, the same shape.
    """
    x, y = np.ravel(descent), np.ravel(update)
    chosen = np.unique(np.linspace(0, x.size - 1, min(x.size, MOST_POINTS)).astype(int))
    axes.axhline(0.0, color=style.MUTED, lw=0.7, zorder=1)
    axes.axvline(0.0, color=style.MUTED, lw=0.7, zorder=1)
    axes.plot(x[chosen], y[chosen], "o", ms=2.6, mew=0, color=style.UPDATE, alpha=0.35, zorder=2)
    if np.any(x):
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, ends * (x @ y) / (x @ x), color=style.TARGET, lw=1.2, zorder=3)
    return axes


def link_bars(axes: Axes, layers: tuple[LayerCheck, ...], samples: list[FloatArray]) -> Axes:
    """Draws the cosines of every link of the chain as bars per layer, those of each sample as dots.

    Args:
        axes: to draw on.
        layers: figures per layer.
        samples: cosine of update and descent of every sample, per layer.
    """
    width = 0.8 / len(LINKS)
    at = np.arange(len(layers))
    for k, (field, label, colour) in enumerate(LINKS):
        values = np.array([getattr(check, field) for check in layers])
        axes.bar(at + (k - 0.5 * (len(LINKS) - 1)) * width, values, 0.9 * width, color=colour, label=label)
    for layer, cosines in enumerate(samples):
        place = layer - 0.5 * (len(LINKS) - 1) * width
        spread = place + 0.3 * width * np.linspace(-1.0, 1.0, len(cosines)) * (len(cosines) > 1)
        axes.plot(spread, cosines, "o", ms=2.6, mew=0, color=style.INK, alpha=0.5, zorder=3)
    axes.axhline(GOOD, color=style.MUTED, lw=0.8, ls="--", zorder=0)
    low = min(0.0, *(float(np.nanmin(cosines, initial=0.0)) for cosines in samples))
    axes.set_ylim(low - 0.02, 1.03)
    style.class_axis(axes.xaxis, "", [f"layer {check.layer}" for check in layers])
    axes.set_ylabel("cosine")
    return axes


def gradient_figure(check: GradientCheck) -> tuple[Figure, str]:
    """Returns the panel and one sentence on what it shows."""
    count = len(check.layers)
    figure = style.new_figure(3.6 * count + 4.6, 3.7)
    panels = figure.subplots(1, count + 1, squeeze=False, width_ratios=(1.0,) * count + (1.3,))[0]
    for axes, layer, update, gradient in zip(
        panels, check.layers, check.updates, check.gradients, strict=False
    ):
        update_scatter(axes, -gradient, update)
        axes.set_title(f"Layer {layer.layer}: cosine {layer.cosine:.2f}".replace("nan", "–"))
        style.si_axis(axes.xaxis, "descent, −∂L/∂w", "V")
        style.si_axis(axes.yaxis, "update", "V")
    link_bars(panels[-1], check.layers, [check.cosines(layer) for layer in range(count)])
    panels[-1].set_title("From gradient to update")
    panels[-1].legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)
    samples = f"{len(check.points)} sample{'s' if len(check.points) > 1 else ''}"
    return figure, (
        f"What the circuit writes into each weight against the true gradient of its loss, for {samples}; "
        "on the right the cosine of the update with the gradient (dots: single samples), and of each link "
        "on the way: how the nudge's signal comes back to the columns, what the nudge's finite size does "
        "to that, and what the exact co-content rule would make of it."
    )


def draw_check(check: GradientCheck, path: Path) -> None:
    """Writes the panel as a PNG file."""
    with style.styled():
        path.write_bytes(style.png(gradient_figure(check)[0]))
