"""The figures of a run: which it has, what they show, and one sentence on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.report import plots, style
from eqspice.report.gradient_plot import gradient_figure
from eqspice.report.history import History, safe_nrmse
from eqspice.report.waveform_figure import waveform_figure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Picture:
    """A finished figure.

    Attributes:
        name: of its file, without ending.
        caption: one sentence on what one sees.
        image: the file's bytes.
        kind: "png" or "gif".
    """

    name: str
    caption: str
    image: bytes
    kind: str = "png"


Drawn = tuple[Figure, str] | None


def target_line(history: History) -> tuple[FloatArray, FloatArray]:
    """Returns the known targets of a task with one input, sorted: x in the user's unit, y in V."""
    task = history.task
    x = np.concatenate([task.x, task.x_test])
    values, first = np.unique(task.encoding.from_volts(x)[:, 0], return_index=True)
    return values, _distinct(np.concatenate([task.y, task.y_test])[first])


def _distinct(y: FloatArray) -> FloatArray:
    """Identical outputs share one line."""
    return np.unique(y, axis=1) if len(y) else y


def view_of(history: History) -> str:
    """Returns how a fit is shown: curve, surface, scatter, map or confusion."""
    columns = history.task.encoding.columns
    if history.task.kind == "classification":
        return "map" if columns == 2 and history.test is not None else "confusion"
    if columns == 1:
        return "curve"
    return "surface" if columns == 2 and history.test is not None else "scatter"


def fit(history: History) -> Drawn:
    """The fit of the first and the last epoch, and of the test set."""
    if not history.presentations:
        return None
    draw: dict[str, Callable[[History], tuple[Figure, str]]] = {
        "curve": _fit_curve,
        "surface": _fit_surface,
        "scatter": _fit_scatter,
        "map": _fit_map,
        "confusion": _fit_confusion,
    }
    return draw[view_of(history)](history)


def _ends(history: History) -> list[tuple[str, NDArray[np.bool_]]]:
    """Title and presentations of the first and the last epoch."""
    numbers = history.epoch_numbers()
    found = []
    for epoch in dict.fromkeys((int(numbers[0]), int(numbers[-1]))):
        error = history.nrmse(epoch)
        found.append((f"Epoch {epoch + 1}: NRMSE {error:.2f}", history.of_epoch(epoch)))
    return found


def _fit_curve(history: History) -> tuple[Figure, str]:
    line, task, test = target_line(history), history.task, history.test
    ends = _ends(history)
    count = len(ends) + (test is not None)
    figure = style.new_figure(3.4 * count + 0.4, 3.3)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, (title, chosen) in zip(panels, ends, strict=False):
        x = task.encoding.from_volts(history.x[chosen])[:, 0]
        plots.fit_curve(axes, x, history.free[chosen], history.nudged[chosen], line)
        axes.set_title(title)
    if test is not None:
        x = task.encoding.from_volts(test["x"])[:, 0]
        plots.fit_curve(panels[-1], x, test["predicted"], None, line)
        panels[-1].set_title(f"Test set: NRMSE {safe_nrmse(test['predicted'], test['y']):.2f}")
    for axes in panels:
        plots.frame_free(axes)
        axes.set_xlabel("input x")
        style.si_axis(axes.yaxis, "output voltage", "V")
    panels[0].legend(loc="best", handletextpad=0.4)
    many = f"all {task.y.shape[1]} outputs" if task.y.shape[1] > 1 else "the output"
    return figure, (
        f"Voltage of {many} at the end of the free and of the nudged phase against the input, point by point "
        "as presented and as far as it fits the frame, with the target as a line; the test set is answered "
        "by free phases alone."
    )


def _fit_scatter(history: History) -> tuple[Figure, str]:
    test, ends = history.test, _ends(history)
    count = len(ends) + (test is not None)
    figure = style.new_figure(3.4 * count + 0.4, 3.4)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, (title, chosen) in zip(panels, ends, strict=False):
        plots.fit_scatter(axes, history.y[chosen], history.nudged[chosen], style.NUDGED, "nudged")
        plots.fit_scatter(axes, history.y[chosen], history.free[chosen], style.FREE, "free")
        axes.set_title(title)
    if test is not None:
        plots.fit_scatter(panels[-1], test["y"], test["predicted"], style.TEST, "free, test set")
        panels[-1].set_title(f"Test set: NRMSE {safe_nrmse(test['predicted'], test['y']):.2f}")
    for axes in panels:
        style.si_axis(axes.xaxis, "target", "V")
        style.si_axis(axes.yaxis, "output voltage", "V")
    panels[0].legend(loc="best", handletextpad=0.4)
    return figure, "Output voltage against target for every presentation; a perfect fit lies on the line."


def _fit_surface(history: History) -> tuple[Figure, str]:
    test = history.test
    assert test is not None
    x = history.task.encoding.from_volts(test["x"])
    outputs = _distinct(test["y"]).shape[1]
    figure = style.new_figure(10.6, 3.3 * outputs)
    rows = figure.subplots(outputs, 3, squeeze=False, sharex=True, sharey=True)
    for k, row in enumerate(rows):
        target, found = test["y"][:, k], test["predicted"][:, k]
        limit = float(max(np.abs(target).max(), 1e-12))
        one, symbol = style.scale_of(limit, "V")
        for axes, values, title in zip(
            row, (target, found, found - target), ("Target", "Network, free phase", "Error"), strict=True
        ):
            plots.surface_map(axes, x, values / one, limit / one, style.SIGNED)
            axes.set_title(title)
            axes.set_xlabel("input x₁")
        row[0].set_ylabel("input x₂")
        figure.colorbar(row[-1].collections[0], ax=list(row), label=f"voltage ({symbol})", pad=0.01)
    error = safe_nrmse(test["predicted"], test["y"])
    return figure, (
        f"Target, answer and error on the test set over the two inputs, with linear interpolation between "
        f"the {len(x)} points shown as dots; NRMSE {error:.2f}."
    )


def _fit_map(history: History) -> tuple[Figure, str]:
    test, task = history.test, history.task
    assert test is not None and task.labels_test is not None
    names = list(task.classes)
    figure = style.new_figure(10.0, 4.4)
    panels = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    x = task.encoding.from_volts(test["x"])
    chosen = metrics.classify(test["predicted"])
    plots.decision_map(panels[0], x, test["predicted"], chosen, task.labels_test, names)
    right = float(np.mean(chosen == task.labels_test))
    panels[0].set(title=f"Test set: {right:.1%} right", xlabel="input x₁", ylabel="input x₂")
    panels[0].legend(loc="upper left", bbox_to_anchor=(0.0, -0.13), ncols=4, handletextpad=0.2)
    plots.confusion(panels[1], metrics.confusion(chosen, task.labels_test, len(names)), names)
    panels[1].set_title("Test set: answers by true class")
    return figure, (
        "Test points over the two inputs, coloured by true class and ringed where the answer was wrong; the "
        "background is the class that the outputs suggest, interpolated between the points."
    )


def _fit_confusion(history: History) -> tuple[Figure, str]:
    task, test = history.task, history.test
    names = list(task.classes)
    panels_of = []
    for title, chosen in _ends(history):
        labels = history.labels(history.points[chosen])
        found = metrics.classify(history.free[chosen])
        panels_of.append((f"{title.partition(':')[0]}, training", labels, found))
    if test is not None and task.labels_test is not None:
        panels_of.append(("Test set", task.labels_test, metrics.classify(test["predicted"])))
    size = 3.5 if len(names) <= 5 else 4.4
    figure = style.new_figure(size * len(panels_of), size + 0.3)
    for axes, (title, labels, found) in zip(
        figure.subplots(1, len(panels_of), squeeze=False)[0], panels_of, strict=True
    ):
        plots.confusion(axes, metrics.confusion(found, labels, len(names)), names)
        axes.set_title(f"{title}: {np.mean(labels == found):.1%} right")
    return figure, (
        "How many points of each true class (row) the free phase answered with which class (column), "
        "shaded by the share of the row."
    )


def loss(history: History) -> Drawn:
    """The error over presentations, and for classes the accuracy."""
    if not history.presentations:
        return None
    free = np.mean((history.free - history.y) ** 2, axis=1)
    nudged = np.mean((history.nudged - history.y) ** 2, axis=1)
    scale = float(np.sqrt(np.mean(history.y**2)))
    numbers = history.epoch_numbers()
    window = max(1, round(len(free) / len(numbers)))
    test = None if history.test is None else metrics.rmse(history.test["predicted"], history.test["y"])
    classified = history.task.kind == "classification"
    figure = style.new_figure(10.0, 3.6)
    panels = figure.subplots(1, 2 if classified else 1, squeeze=False)[0]
    plots.loss_curve(panels[0], free, nudged, window, test, scale)
    panels[0].legend(loc="best")
    style.whole_axis(panels[0].xaxis, "presentations")
    style.si_log_axis(panels[0].yaxis, "RMS error of the outputs", "V")
    if scale > 0:
        right = panels[0].secondary_yaxis("right", functions=(lambda v: v / scale, lambda v: v * scale))
        right.set_yscale("log")
        right.spines["right"].set_visible(False)
        right.set_ylim(*(value / scale for value in panels[0].get_ylim()))
        style.si_log_axis(right.yaxis, "NRMSE", "")
    if classified:
        at = np.array([history.of_epoch(int(e)).nonzero()[0][-1] + 1 for e in numbers])
        right_share = np.array([_accuracy(history, int(epoch)) for epoch in numbers])
        known = None
        if history.test is not None and history.task.labels_test is not None:
            known = metrics.accuracy(history.test["predicted"], history.task.labels_test)
        plots.accuracy_curve(panels[1], at, right_share, known)
        panels[1].legend(loc="best")
        style.whole_axis(panels[1].xaxis, "presentations")
        panels[1].set_ylabel("share classified right")
    return figure, (
        f"Error of the outputs while the network learns, each presentation as a dot and the mean of the last "
        f"{window} (one epoch) as a line; the nudged phase shows how far the nudge moves the outputs."
    )


def _accuracy(history: History, epoch: int) -> float:
    chosen = history.of_epoch(epoch)
    return metrics.accuracy(history.free[chosen], history.labels(history.points[chosen]))


def weights(history: History) -> Drawn:
    """Paths of the stored voltages and their distribution, a row per layer."""
    layers = len(history.weights)
    if len(history.moments) < 2:
        return None
    figure = style.new_figure(10.0, 2.5 * layers + 0.4)
    grid = figure.subplots(layers, 2, squeeze=False, width_ratios=(3.2, 1.0), sharex="col", sharey="row")
    for layer, (paths, histogram) in enumerate(grid):
        values = history.weights[layer]
        plots.weight_paths(paths, history.moments, values)
        plots.weight_histogram(histogram, values[0], values[-1])
        moved = float(np.sqrt(np.mean((values[-1] - values[0]) ** 2)))
        rows, columns = history.design.shape(layer)
        title = f"Layer {layer} ({rows} × {columns}): moved by {style.si(moved, 'V')} RMS"
        paths.set_title(title)
        style.si_axis(paths.yaxis, "stored voltage", "V")
        histogram.tick_params(labelleft=False)
    style.whole_axis(grid[-1, 0].xaxis, "presentations")
    style.whole_axis(grid[-1, 1].xaxis, "weights")
    grid[0, 1].legend(loc="upper right", fontsize=7.5)
    return figure, (
        f"Voltages on the storage capacitors over training (at most {plots.MOST_PATHS} of a layer, coloured "
        "by where they end), and all of them as a histogram before and after."
    )


def gradient(history: History, weights: str) -> Drawn:
    """The gradient check at the "initial" or the "trained" weights, if it was made."""
    check = history.checks.get(weights)
    return None if check is None else gradient_figure(check)


FIGURES: dict[str, Callable[[History], Drawn]] = {
    "fit": fit,
    "loss": loss,
    "weights": weights,
    "waveforms": waveform_figure,
    "gradient_initial": partial(gradient, weights="initial"),
    "gradient_trained": partial(gradient, weights="trained"),
}


def make_pictures(history: History) -> dict[str, Picture]:
    """Returns the pictures that the run has data for, by name."""
    made = {}
    with style.styled():
        for name, draw in FIGURES.items():
            drawn = draw(history)
            if drawn is not None:
                made[name] = Picture(name, drawn[1], style.png(drawn[0]))
    return made
