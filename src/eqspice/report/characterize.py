"""Curves of a preset's transistors, synapse and optimiser: pictures, tables and a page that shows them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eqspice.design.families import architecture_of
from eqspice.design.network import Design
from eqspice.design.presets import Preset, get_preset
from eqspice.design.retarget import retarget
from eqspice.design.single_ended.network import SingleEnded
from eqspice.errors import InputError, unknown
from eqspice.pdk import get_kit
from eqspice.report import benches, cell_plots, html, style
from eqspice.report.figures import Picture
from eqspice.training import retention as rt
from eqspice.training import storage

FloatArray = NDArray[np.float64]
WIDTHS = (2, 2, 1)  # the smallest network that has a hidden and an output layer
COLUMN_CHANGE = 10e-3  # V: largest change of a column in an update map
MAP_POINTS = 21
IDLE_TIMES = np.geomspace(1e-6, 1e3, 73)  # s
HOT = 85.0  # degrees Celsius
LOSS = 10e-3  # V

Table = tuple[tuple[str, ...], list[tuple[object, ...]]]
Characterised = tuple[Picture, Table]


def characterize(
    what: str,
    preset: str,
    out: Path,
    *,
    kit: str | None = None,
    corner: str | None = None,
    temperature: float | None = None,
) -> Path:
    """Draws the curves of a preset's parts and writes them as PNG, CSV and one HTML page.

    Args:
        what: "transistor", "synapse", "update", "retention", or "all".
        preset: name of the design, or a preset file (.toml).
        out: folder for the files.
        kit: process kit; None for the preset's.
        corner: of the process; None for the preset's.
        temperature: degrees Celsius; None for the preset's.

    Returns:
        the page, <what>.html in the folder.

    Raises:
        InputError: a name or number is not allowed, or the preset has no such part.
        StorageError: a file cannot be written.
        ConvergenceError: a test circuit was not solved.
    """
    if what not in (*PARTS, "all"):
        raise unknown("what", what, (*PARTS, "all"))
    chosen = get_preset(preset)
    design = design_at(chosen, kit, corner, temperature)
    if what == "transistor" and not benches.transistors(design):
        raise InputError(f"what: preset {preset!r} has no transistors; choose another part.")
    storage.make_folder(out)
    made: list[Characterised] = []
    with style.styled():
        for name in PARTS if what == "all" else (what,):
            made += PARTS[name](design)
    for picture, table in made:
        storage.write_bytes(out / f"{picture.name}.png", picture.image)
        storage.write_bytes(out / f"{picture.name}.csv", _csv(table).encode())
    page = out / f"{what}.html"
    text = _page(design, chosen.description, what, [picture for picture, _ in made])
    storage.write_bytes(page, text.encode())
    return page


def design_at(preset: Preset, kit: str | None, corner: str | None, temperature: float | None) -> Design:
    """Returns a preset's smallest network in a kit, at a corner and a temperature.

    Raises:
        InputError: one is not known or out of range.
    """
    design = preset.build(WIDTHS)
    design = design if kit is None else retarget(design, kit)
    process = design.process
    if corner is not None:
        process = replace(process, corner=corner)
    if temperature is not None:
        process = replace(process, temperature=temperature)
    module = get_kit(process.kit)
    if process.corner not in module.CORNERS:
        raise unknown("corner", process.corner, module.CORNERS)
    low, high = module.TEMPERATURES
    if not low <= process.temperature <= high:
        raise InputError(
            f"temperature: {process.temperature:g} is not allowed, the kit's range is {low:g} to {high:g} °C."
        )
    return replace(design, process=process)


def _transistors(design: Design) -> list[Characterised]:
    supply = get_kit(design.process.kit).SUPPLY
    made = []
    for number, mosfet in enumerate(benches.transistors(design), 1):
        curves = benches.transistor_curves(mosfet, supply)
        kind = "n" if mosfet.card.polarity > 0 else "p"
        largest = float(np.abs(curves.current[-1, -1]))
        caption = (
            f"{kind}-channel transistor {number}, W {style.si(mosfet.width, 'm')}, "
            f"L {style.si(mosfet.length, 'm')} ({mosfet.card.name}), bulk at source: "
            f"{style.si(largest, 'A')} with gate and drain {supply:g} V from the source; with the drain "
            "beyond the source it conducts backward."
        )
        figure = style.new_figure(10.6, 3.5)
        cell_plots.transistor(figure, curves)
        grid = np.meshgrid(curves.gates, curves.drains, indexing="ij")
        columns = (*(axis.ravel() for axis in grid), curves.current.ravel())
        made.append(
            _part(f"transistor_{number}_{kind}fet", figure, caption, ("vgs_V", "vds_V", "id_A"), columns)
        )
    return made


def _synapse(design: Design) -> list[Characterised]:
    curves = benches.synapse_curves(design)
    figure = style.new_figure(10.6, 6.6)
    cell_plots.synapse(figure, curves)
    caption = (
        f"The synapse ({_synapse_name(design)}) between a row at ± its voltage and a column, "
        f"for weights over their range. At rows above half of the largest, the forward transfer is "
        f"{forward_over_backward(curves):.3g} times the backward one (median); in a reciprocal cell, which "
        "equilibrium propagation needs, solid and dashed lines coincide."
    )
    grid = np.meshgrid(curves.weights, curves.rows, indexing="ij")
    values = (curves.column, curves.unloaded, curves.forward, curves.backward, curves.loading)
    names = ("weight_V", "row_V", "column_A", "unloaded_V", "forward_S", "backward_S", "loading_S")
    return [_part("synapse", figure, caption, names, tuple(axis.ravel() for axis in (*grid, *values)))]


def _synapse_name(design: Design) -> str:
    own = design.cells.synapse if isinstance(design, SingleEnded) else None
    if own is not None:
        return f"{own.subckt} of {own.file}"
    return dict(architecture_of(design).facts(design))["synapse"]


def forward_over_backward(curves: benches.SynapseCurves) -> float:
    """Returns the median ratio of forward to backward transfer at rows above half of the largest.

    Where a cell passes next to nothing, below a thousandth of its best, the ratio says nothing.
    """
    driven = curves.rows > 0.5 * curves.rows.max()
    forward, backward = np.abs(curves.forward[:, driven]), np.abs(curves.backward[:, driven])
    strong = np.maximum(forward, backward) > 1e-3 * max(forward.max(), backward.max())
    return float(np.median(forward[strong] / backward[strong]))


def _update(design: Design) -> list[Characterised]:
    changes = COLUMN_CHANGE * np.linspace(-1.0, 1.0, MAP_POINTS)
    rows = benches.wires(design) * benches.row_reach(design) * np.linspace(-1.0, 1.0, MAP_POINTS)
    made = []
    for number, gain in enumerate(dict.fromkeys(design.update_gains), 1):
        found = benches.update_map(design, gain, changes, rows)
        error = float(np.abs(found.written - found.formula).max())
        largest = float(np.abs(found.formula).max())
        caption = (
            f"What the optimiser of gain {gain:g} per volt writes into a cell at {design.weight_centre:g} V, "
            "for each change of the column between the phases and each row voltage (dots), against the "
            f"formula ± gain × change × row (lines): the difference is at most {style.si(error, 'V')} "
            f"({error / largest:.2%} of the largest step)."
        )
        figure = style.new_figure(10.6, 3.5)
        cell_plots.update(figure, found)
        grid = np.meshgrid(changes, rows, indexing="ij")
        columns = tuple(axis.ravel() for axis in (*grid, found.written, found.formula))
        names = ("column_change_V", "row_V", "written_V", "formula_V")
        made.append(_part(f"update_{number}", figure, caption, names, columns))
    return made


def _at(design: Design, degrees: float) -> Design:
    return replace(design, process=replace(design.process, temperature=degrees))


def _retention(design: Design) -> list[Characterised]:
    found = [
        rt.retention(_at(design, degrees), IDLE_TIMES, None, line)
        for degrees in dict.fromkeys((design.process.temperature, HOT))
        for line in rt.LINES
    ]
    lasts = ", ".join(
        f"{style.si(each.lasts(LOSS), 's')} at {each.temperature:g} °C with the bit line at {each.rest:g} V"
        for each in found
    )
    caption = (
        f"Storage voltages on {style.si(design.storage_capacitance, 'F')} behind a write transistor of the "
        f"kit that is off, left alone. The first of them has moved by {style.si(LOSS, 'V')} after {lasts}. "
        "Leakage is the compact model's, of channel and junctions; Sky130's cards have no gate current and "
        "no tunnelling at the drain."
    )
    figure = style.new_figure(10.6, 3.5)
    cell_plots.retention(figure, found)
    names = ("temperature_C", "line_V", "start_V", "time_s", "storage_V")
    columns = []
    for each in found:
        start, time = np.meshgrid(each.start, each.times)
        same = (np.full(start.size, value) for value in (each.temperature, each.rest))
        columns.append(np.stack([*same, start.ravel(), time.ravel(), each.voltage.ravel()]))
    return [_part("retention", figure, caption, names, tuple(np.concatenate(columns, axis=1)))]


PARTS: dict[str, Callable[[Design], list[Characterised]]] = {
    "transistor": _transistors,
    "synapse": _synapse,
    "update": _update,
    "retention": _retention,
}
TITLES = {
    "transistor": "Transistors",
    "synapse": "Synapse",
    "update": "Weight update",
    "retention": "Retention",
}


def _part(
    name: str, figure: Figure, caption: str, names: tuple[str, ...], columns: tuple[FloatArray, ...]
) -> Characterised:
    return Picture(name, caption, style.png(figure)), (names, list(zip(*columns, strict=True)))


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table[0])
    writer.writerows([f"{value:.9g}" for value in row] for row in table[1])
    return text.getvalue()


def _page(design: Design, description: str, what: str, pictures: list[Picture]) -> str:
    process = design.process
    sections = ""
    for part, title in TITLES.items():
        shown = [html.figure(picture) for picture in pictures if picture.name.startswith(part)]
        if shown:
            sections += f'<section id="{part}"><h2>{title}</h2>{"".join(shown)}</section>'
        elif what == "all":
            sections += f"<section><h2>{title}</h2><p class='note'>This preset has none.</p></section>"
    tags = (
        process.kit,
        f"corner {process.corner}",
        f"{process.temperature:g} °C",
        f"{process.junctions} junctions",
    )
    head = (
        f'<header><p class="tags">{"".join(f"<span>{escape(tag)}</span>" for tag in tags)}</p>'
        f"<h1>Parts of preset {escape(design.preset)}</h1>"
        f'<p class="lead">{escape(description)}</p></header>'
    )
    note = "Simulated by the native engine in test circuits of one cell; numbers are in the CSV files beside."
    return html.document(f"{design.preset} – eqspice", head + sections, note)
