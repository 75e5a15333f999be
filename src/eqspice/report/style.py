"""How pictures look: colours, type, axes with SI prefixes, files."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from eqspice.units import format_si, parse_si

INK = "#1d2733"
MUTED = "#66758a"
GRID = "#e6eaf0"
FREE = "#1769aa"
NUDGED = "#e07a2d"
UPDATE = "#2a9d70"
TARGET = "#1d2733"
TEST = "#9b3fa0"
WRONG = "#c62f3b"
CLASSES = (
    *("#1769aa", "#e07a2d", "#2a9d70", "#9b3fa0", "#c9a227"),
    *("#c62f3b", "#4db6c9", "#7a5c45", "#8a94a3", "#3b4d8f"),
)
PHASES = {"free": FREE, "nudged": NUDGED, "nudge 1": NUDGED, "nudge 2": "#c9a227", "update": UPDATE}
# Phase, the signal that says when it is, and one that must be low; signals of both families of circuits.
PHASE_SIGNALS = (
    ("free", "free", ""),
    ("nudged", "nudged", ""),
    ("nudge 1", "first", "free"),
    ("nudge 2", "second", "free"),
    ("update", "update", ""),
    ("update", "layer0_rate", ""),
)
SIGNED = "RdBu_r"  # colour map of quantities with a sign
DPI = 150

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa7b8",
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def styled() -> Iterator[None]:
    """Within it, figures are made and saved in the house style."""
    with matplotlib.rc_context(RC):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of a size in inches that places its parts by itself."""
    return Figure(figsize=(width, height), layout="constrained")


def png(figure: Figure) -> bytes:
    """Returns a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def si(value: float, unit: str, digits: int = 3) -> str:
    """Returns a number in engineering notation as it is printed: with µ, and a true minus sign."""
    text = format_si(value, unit, digits)
    number, space, symbol = text.partition(" ")
    if symbol.startswith("u") and len(symbol) > 1:
        symbol = "µ" + symbol[1:]
    return number.replace("-", "\N{MINUS SIGN}") + space + symbol


def scale_of(largest: float, unit: str) -> tuple[float, str]:
    """Returns (value of one, its symbol) of the prefixed unit that suits numbers up to the largest."""
    if not (math.isfinite(largest) and largest > 0):
        return 1.0, unit
    symbol = format_si(largest, unit).partition(" ")[2]
    return parse_si("1" + symbol.removesuffix(unit)), "µ" + symbol[1:] if symbol[:1] == "u" else symbol


def si_axis(axis: Axis, label: str, unit: str) -> None:
    """Labels a linear axis with a quantity and the prefixed unit that suits its range; call it last."""
    low, high = axis.get_view_interval()
    one, symbol = scale_of(max(abs(low), abs(high)), unit)
    axis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / one:.6g}".replace("-", "\u2212")))
    axis.set_label_text(f"{label} ({symbol})" if symbol else label)


def si_log_axis(axis: Axis, label: str, unit: str) -> None:
    """Labels a logarithmic axis; each tick has its own prefix. Call it last."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if low > 0 else 1.0
    subs = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(10.0, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: si(value, unit, 1) if unit else f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_label_text(label)


def whole_axis(axis: Axis, label: str) -> None:
    """Labels an axis of counts."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}".replace(",", "\u2009")))
    axis.set_label_text(label)


def class_axis(axis: Axis, label: str, names: list[str]) -> None:
    """Labels an axis of classes at 0, 1 and so on."""
    axis.set_major_locator(FixedLocator(list(range(len(names)))))
    axis.set_major_formatter(FuncFormatter(lambda value, _: names[round(value)] if names else ""))
    axis.set_label_text(label)


def no_data(axes: Axes, text: str) -> Axes:
    """Says in an empty panel why there is nothing to see."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=axes.transAxes)
    return axes
