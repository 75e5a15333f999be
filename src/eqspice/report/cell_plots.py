"""Figures of parts: a transistor, a synapse, an optimiser."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from eqspice.report import style
from eqspice.report.benches import SynapseCurves, TransistorCurves, UpdateMap
from eqspice.training.retention import Retention

FloatArray = NDArray[np.float64]
FAMILY = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, 256)))  # of a family of lines
V_GS, V_DS = r"$V_\mathrm{gs}$", r"$V_\mathrm{ds}$"
DASHED = (0, (3, 1.5))
SMALLEST = 1e-13  # A: below it a logarithmic current axis ends


def transistor(figure: Figure, curves: TransistorCurves) -> Figure:
    """Draws output and transfer characteristics of a transistor; p-channel axes run to the left."""
    output, transfer, log = figure.subplots(1, 3)
    steps = curves.gates[:: max(1, (len(curves.gates) - 1) // 9)]
    for gate, current in zip(curves.gates, curves.current, strict=True):
        if gate in steps:
            output.plot(curves.drains, current, color=_colour(abs(gate), abs(curves.gates)), lw=1.4)
    for share in (0.05, 0.5, 1.0):
        at = int(np.argmin(np.abs(curves.drains - share * curves.drains[-1])))
        label = f"{V_DS} = {style.si(float(curves.drains[at]), 'V')}"
        colour = _colour(np.abs(curves.drains[at]), np.abs(curves.drains))
        transfer.plot(curves.gates, curves.current[:, at], color=colour, label=label)
        log.plot(curves.gates, np.abs(curves.current[:, at]), color=colour, label=label)
    low, high = _without_diode(curves)
    output.set_ylim(low, high)
    _family_bar(figure, output, curves.gates, f"{V_GS} (V)")
    log.set_yscale("log")
    log.set_ylim(bottom=SMALLEST)
    transfer.legend(loc="best")
    for axes, title in ((output, "Output"), (transfer, "Transfer"), (log, "Transfer, logarithmic")):
        axes.set_title(title)
    style.si_axis(output.xaxis, V_DS, "V")
    for axes in (transfer, log):
        style.si_axis(axes.xaxis, V_GS, "V")
    for axes in (output, transfer):
        style.si_axis(axes.yaxis, "drain current", "A")
    style.si_log_axis(log.yaxis, "|drain current|", "A")
    return figure


def synapse(figure: Figure, curves: SynapseCurves) -> Figure:
    """Draws current, voltage, transfer in both directions and loading of a synapse against the row."""
    (current, voltage), (transfer, loading) = figure.subplots(2, 2)
    for k, weight in enumerate(curves.weights):
        colour = _colour(weight, curves.weights)
        current.plot(curves.rows, curves.column[k], color=colour)
        voltage.plot(curves.rows, curves.unloaded[k], color=colour)
        loading.plot(curves.rows, curves.loading[k], color=colour)
    for k in sorted({0, len(curves.weights) // 2, len(curves.weights) - 1}):
        colour = _colour(curves.weights[k], curves.weights)
        transfer.plot(curves.rows, curves.forward[k], color=colour)
        transfer.plot(curves.rows, curves.backward[k], color=colour, ls=DASHED)
    styles = [Line2D([], [], color=style.MUTED, ls=dashes) for dashes in ("-", DASHED)]
    names = ["forward, to the column", "backward"]
    transfer.legend(styles, names, loc="lower right", bbox_to_anchor=(1.01, 0.99), ncols=2, columnspacing=1.0)
    titles = (
        "Current into a held column",
        "Unloaded column",
        "Transfer",
        "Column loading",
    )
    labels = (("current", "A"), ("column voltage", "V"), ("transconductance", "S"), ("conductance", "S"))
    for axes, title, (label, unit) in zip((current, voltage, transfer, loading), titles, labels, strict=True):
        axes.set_title(title)
        if axes is not voltage:
            _show_used_range(axes, curves.rows)
        style.si_axis(axes.xaxis, "row voltage", "V")
        style.si_axis(axes.yaxis, label, unit)
    bar = ScalarMappable(Normalize(curves.weights.min(), curves.weights.max()), FAMILY)
    figure.colorbar(bar, ax=[current, voltage, transfer, loading], label="weight (V)", aspect=40, pad=0.015)
    return figure


def _show_used_range(axes: Axes, rows: FloatArray) -> None:
    """Sets the height by the rows above half of the lowest: below, body diodes may conduct far more."""
    used = rows >= 0.5 * rows.min()
    lines = [np.asarray(line.get_ydata(), float)[used] for line in axes.get_lines()]
    low, high = min(0.0, *(y.min() for y in lines)), max(0.0, *(y.max() for y in lines))
    room = 0.07 * (high - low)
    axes.set_ylim(low - room, high + room)


def update(figure: Figure, found: UpdateMap) -> Figure:
    """Draws what an optimiser writes, how far that is from its formula, and cuts through both."""
    written, deviation, cuts = figure.subplots(1, 3)
    difference = found.written - found.formula
    for axes, values, title in (
        (written, found.written, "Written into the cell"),
        (deviation, difference, "Less the formula"),
    ):
        limit = float(np.abs(values).max()) or 1e-9
        unit, name = style.scale_of(limit, "V")
        image = axes.pcolormesh(
            found.rows, found.changes, values / unit, cmap=style.SIGNED, vmin=-limit / unit,
            vmax=limit / unit, shading="nearest", rasterized=True,
        )  # fmt: skip
        figure.colorbar(image, ax=axes, label=f"ΔW ({name})", pad=0.02)
        axes.set_title(title)
        axes.grid(False)
        style.si_axis(axes.xaxis, "row voltage", "V")
        style.si_axis(axes.yaxis, "column change", "V")
    middle = len(found.rows) // 2
    for k in sorted({0, middle // 2, middle, (middle + len(found.rows) - 1) // 2, len(found.rows) - 1}):
        colour = _colour(found.rows[k], found.rows)
        label = f"row {style.si(float(found.rows[k]), 'V')}"
        cuts.plot(found.changes, found.written[:, k], "o", ms=3.2, mew=0, color=colour, label=label)
        cuts.plot(found.changes, found.formula[:, k], color=colour, lw=1.0)
    cuts.set_title("Cuts at five rows")
    cuts.legend(loc="best", fontsize=7.5, handletextpad=0.2)
    style.si_axis(cuts.xaxis, "column change", "V")
    style.si_axis(cuts.yaxis, "ΔW", "V")
    return figure


def retention(figure: Figure, found: list[Retention]) -> Figure:
    """Draws storage voltages against idle time, and the largest change of each."""
    voltage, change = figure.subplots(1, 2)
    degrees = np.array([each.temperature for each in found])
    for each in found:
        colour = _colour(each.temperature, degrees) if np.ptp(degrees) else _colour(0.0, np.zeros(1))
        dashes = "-" if each.line == "low" else DASHED
        label = f"{each.temperature:g} °C, bit line at {style.si(each.rest, 'V')}"
        voltage.plot(each.times, each.voltage, color=colour, ls=dashes)
        change.plot(
            each.times, np.abs(each.voltage - each.start).max(axis=1), color=colour, ls=dashes, label=label
        )
    change.set_yscale("log")
    change.set_ylim(1e-4, 3.0)
    change.legend(loc="lower right", fontsize=7.5)
    for axes, title in ((voltage, "Storage voltages"), (change, "Largest change")):
        axes.set_xscale("log")
        axes.set_title(title)
        style.si_log_axis(axes.xaxis, "idle time", "s")
    style.si_axis(voltage.yaxis, "storage voltage", "V")
    style.si_log_axis(change.yaxis, "change", "V")
    return figure


def _colour(value: float, family: FloatArray) -> tuple[float, float, float, float]:
    low, high = float(family.min()), float(family.max())
    place = (float(value) - low) / (high - low) if high > low else 0.5
    red, green, blue, alpha = FAMILY(place)
    return float(red), float(green), float(blue), float(alpha)


def _family_bar(figure: Figure, axes: Axes, family: FloatArray, label: str) -> None:
    colours: Colormap = FAMILY if family[-1] > family[0] else FAMILY.reversed()
    bar = ScalarMappable(Normalize(family.min(), family.max()), colours)
    figure.colorbar(bar, ax=axes, label=label, pad=0.02)


def _without_diode(curves: TransistorCurves) -> tuple[float, float]:
    """Returns current limits that show the channel, however much the body diode takes below 0 V."""
    wanted = curves.current[:, curves.drains * curves.mosfet.card.polarity >= -0.05]
    reach = 1.06 * float(np.abs(curves.current[:, -1]).max())
    back = float(np.abs(wanted).max())
    low = -0.6 * back
    return (low, reach) if curves.mosfet.card.polarity > 0 else (-reach, -low)
