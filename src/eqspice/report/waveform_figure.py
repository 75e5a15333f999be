"""Node voltages over one presentation, with shaded phases."""

from __future__ import annotations

import re

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eqspice.report import plots, style
from eqspice.report.history import History
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]


def waveform_figure(history: History) -> tuple[Figure, str] | None:
    """One presentation of the first and of the last epoch, with shaded phases."""
    if not history.waveforms:
        return None
    rows = ["data", "hidden", "outputs", "weights"]
    if len(history.design.widths) == 2:
        rows.remove("hidden")
    columns = list(history.waveforms)
    figure = style.new_figure(5.2 * len(columns) + 0.3, 1.75 * len(rows) + 0.6)
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex="col")
    for column, name in enumerate(columns):
        wave = history.waveforms[name]
        times = wave.times - wave.times[0]
        phases = [(phase, a - wave.times[0], b - wave.times[0]) for phase, a, b in phases_of(wave)]
        for k, row in enumerate(rows):
            axes = grid[k, column]
            label, signals = _signals(wave, row, history.design.layers)
            plots.shade_phases(axes, phases, name_them=k == 0)
            plots.waveform_lines(axes, times, signals, _colours(row, history.design.layers))
            axes.set_xlim(0.0, float(times[-1]))
            style.si_axis(axes.yaxis, label, "V")
        grid[0, column].set_title(f"First presentation of the {name} epoch", pad=18)
        style.si_axis(grid[-1, column].xaxis, "time", "s")
    entries = {
        label: handle
        for axes in grid[:, 0]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=len(entries))
    return figure, (
        "Node voltages over one presentation, up to four neurons of each kind: gate capacitance moves the "
        "stored weights while data is applied, but only the addressed word line keeps what the update "
        "phase writes."
    )


def _colours(row: str, layers: int) -> dict[str, str] | None:
    if row == "data":
        return {"input": style.MUTED, "target": style.TARGET}
    if row == "weights":
        return {
            f"weights of layer {layer}": style.CLASSES[layer % len(style.CLASSES)] for layer in range(layers)
        }
    return {"target": style.TARGET} if row == "outputs" else None


def _signals(wave: Waveforms, row: str, layers: int) -> tuple[str, dict[str, FloatArray]]:
    """Returns the axis label and the signals of a row of panels; of pairs of wires, the differences."""
    target = {"target 1": wave["target_0"]} if "target_0" in wave.names else {}
    if row == "data":
        return "data", {"input 1": wave["neuron0_0_p"] - wave["neuron0_0_p"][0]} | target
    if row == "weights":
        found = {}
        for node in wave.names:
            match = re.match(r"layer(\d+)\.(cell_.*)", node)
            if match and not node.endswith("_n"):
                weight = _difference(wave, node) * (0.5 if node.endswith("_p") else 1.0)
                found[f"weights of layer {match[1]} {match[2]}"] = weight - weight[0]
        return "weight change", found
    neurons = [node for node in wave.names if re.match(r"neuron[1-9]\d*_\d+_p$", node)]
    wanted = [node for node in neurons if node.startswith(f"neuron{layers}_") == (row == "outputs")]
    signals = {node: _difference(wave, node) for node in wanted}
    return ("outputs", signals | target) if row == "outputs" else ("hidden neurons", signals)


def _difference(wave: Waveforms, node: str) -> FloatArray:
    """Returns a wire's voltage, less that of the wire that runs with it if it was kept."""
    other = node.removesuffix("_p") + "_n"
    return wave[node] - wave[other] if node.endswith("_p") and other in wave.names else wave[node]


def phases_of(wave: Waveforms) -> list[tuple[str, float, float]]:
    """Returns (phase, start, end) as the phase signals say, s; update pulses count as one phase."""
    found = []
    for phase, name, unless in style.PHASE_SIGNALS:
        if name not in wave.names or not np.any(wave[name]):
            continue
        level = np.abs(wave[name]) / np.abs(wave[name]).max() - 0.5
        if unless in wave.names:
            level = level - wave[unless] / wave[unless].max()
        crossing = np.flatnonzero(level[:-1] * level[1:] < 0)
        share = level[crossing] / (level[crossing] - level[crossing + 1])
        at = wave.times[crossing] + share * (wave.times[crossing + 1] - wave.times[crossing])
        edges = np.concatenate([wave.times[:1][level[:1] > 0], at, wave.times[-1:][level[-1:] > 0]])
        if phase == "update" and len(edges):
            edges = edges[[0, -1]]
        found += [(phase, float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    return found
