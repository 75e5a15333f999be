"""The fit over the epochs as an animated GIF."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from eqspice.analysis import metrics
from eqspice.report import plots, style
from eqspice.report.figures import Picture, target_line, view_of
from eqspice.report.history import History

FloatArray = NDArray[np.float64]
MOST_FRAMES = 60
FRAME_MS = 90
LAST_FRAME_MS = 2500
DPI = 110
COLOURS = 64

Draw = Callable[[Axes, NDArray[np.bool_]], None]


def animate(history: History) -> Picture | None:
    """Returns the fit of the free phase, epoch by epoch; None if there are fewer than two epochs."""
    if len(history.epoch_numbers()) < 2:
        return None
    frames = []
    draw, caption = _drawing(history)
    with style.styled():
        for epoch in frame_epochs(history.epoch_numbers()):
            figure = Figure(figsize=(5.2, 3.5), dpi=DPI)
            axes = figure.add_axes((0.14, 0.15, 0.83, 0.74))
            chosen = history.of_epoch(int(epoch))
            draw(axes, chosen)
            if history.task.kind == "classification":
                labels = history.labels(history.points[chosen])
                quality = f"{metrics.accuracy(history.free[chosen], labels):.1%} right"
            else:
                quality = f"NRMSE {history.nrmse(int(epoch)):.2f}"
            axes.set_title(f"Epoch {epoch + 1}: {quality}")
            frames.append(_frame(figure))
    return Picture("fit_over_epochs", caption, _gif(frames), "gif")


def frame_epochs(epochs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the epochs that are shown: all, or more of the early ones, where most happens."""
    if len(epochs) <= MOST_FRAMES:
        return epochs
    spread = np.geomspace(1, len(epochs), MOST_FRAMES)
    even = np.linspace(1, len(epochs), MOST_FRAMES)
    return np.asarray(epochs[np.unique((0.5 * (spread + even)).round().astype(int)) - 1])


def _drawing(history: History) -> tuple[Draw, str]:
    """Returns what draws the presentations of an epoch, and the caption."""
    view = view_of(history)
    task = history.task
    if view == "curve":
        return _curve(history), "Free outputs against the input, epoch by epoch, with the target as a line."
    if task.kind == "classification" and task.encoding.columns == 2:
        return _answers(history), (
            "Training points of each epoch, coloured by the class that the free phase answered and ringed "
            "where that was wrong."
        )
    if task.kind == "classification":
        return _confusion(history), "Answers (columns) by true class (rows) in the free phases of each epoch."
    return _scatter(history), "Free outputs against their targets, epoch by epoch; a perfect fit is the line."


def _limits(history: History) -> tuple[float, float]:
    """Output range that shows the targets well and most of the early outputs."""
    low, high = float(history.y.min()), float(history.y.max())
    room = max(0.6 * (high - low), 1e-6)
    low_free, high_free = np.quantile(history.free, (0.01, 0.99))
    return max(low - room, min(low, low_free) - 0.1 * room), min(
        high + room, max(high, high_free) + 0.1 * room
    )


def _curve(history: History) -> Draw:
    line, limits = target_line(history), _limits(history)

    def draw(axes: Axes, chosen: NDArray[np.bool_]) -> None:
        x = history.task.encoding.from_volts(history.x[chosen])[:, 0]
        plots.fit_curve(axes, x, history.free[chosen], None, line)
        axes.set_ylim(limits)
        axes.set_xlabel("input x")
        style.si_axis(axes.yaxis, "output voltage", "V")

    return draw


def _scatter(history: History) -> Draw:
    limits = _limits(history)

    def draw(axes: Axes, chosen: NDArray[np.bool_]) -> None:
        plots.fit_scatter(axes, history.y[chosen], history.free[chosen], style.FREE, "free")
        axes.set_ylim(limits)
        style.si_axis(axes.xaxis, "target", "V")
        style.si_axis(axes.yaxis, "output voltage", "V")

    return draw


def _answers(history: History) -> Draw:
    places = history.task.encoding.from_volts(history.x)

    def draw(axes: Axes, chosen: NDArray[np.bool_]) -> None:
        found = metrics.classify(history.free[chosen])
        wrong = found != history.labels(history.points[chosen])
        x = places[chosen]
        for k in range(len(history.task.classes)):
            axes.plot(*x[found == k].T, "o", ms=4, mew=0, color=style.CLASSES[k % len(style.CLASSES)])
        axes.plot(*x[wrong].T, "o", ms=8, mfc="none", mec=style.WRONG, mew=0.9)
        margin = 0.05 * np.ptp(places, axis=0)
        axes.set_xlim(places[:, 0].min() - margin[0], places[:, 0].max() + margin[0])
        axes.set_ylim(places[:, 1].min() - margin[1], places[:, 1].max() + margin[1])
        axes.set(xlabel="input x₁", ylabel="input x₂")

    return draw


def _confusion(history: History) -> Draw:
    names = list(history.task.classes)

    def draw(axes: Axes, chosen: NDArray[np.bool_]) -> None:
        labels = history.labels(history.points[chosen])
        counts = metrics.confusion(metrics.classify(history.free[chosen]), labels, len(names))
        plots.confusion(axes, counts, names)

    return draw


def _frame(figure: Figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return Image.open(buffer).convert("RGB")


def _gif(frames: list[Image.Image]) -> bytes:
    """One palette for all frames, so that only what moves is stored again; nearly white is white."""
    palette = frames[-1].quantize(COLOURS)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[colours.min(axis=1) > 245] = 255
    palette.putpalette(colours.ravel().tolist())
    reduced = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    reduced[0].save(
        buffer, "GIF", save_all=True, append_images=reduced[1:], duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()
