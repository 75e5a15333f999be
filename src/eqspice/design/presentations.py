"""What is presented and when: data of a chunk, its schedule, and the signals as they are collected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import Stimulus
from eqspice.design.network import Design
from eqspice.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PHASES = ("free", "nudged", "update")
NO_ROW = -1


@dataclass(frozen=True, eq=False)
class Presentations:
    """Data points in the order of presentation, and the word line that each updates.

    Attributes:
        x: input row voltages, V, shape (P, inputs).
        y: target voltages, V, shape (P, outputs).
        rows: word line addressed per cycle, shape (P, cycles, layers); NO_ROW addresses none.
            In a single-ended circuit a cycle is free, nudged, update; a differential one addresses
            the word lines of all cycles in turn in one update phase.
        rate: factor on the update gains, shape (P,); ones if None.
        sign: +1 or -1 of the first nudge, shape (P,); +1 if None.
        strength: of the nudges as a multiple of the design's, shape (P,); ones if None.
    """

    x: FloatArray
    y: FloatArray
    rows: IntArray
    rate: FloatArray | None = None
    sign: FloatArray | None = None
    strength: FloatArray | None = None

    def __post_init__(self) -> None:
        if len(self.x) == 0:
            raise InputError("presentations: there are none, at least one is needed.")
        if not (len(self.x) == len(self.y) == len(self.rows)) or self.rows.ndim != 3:
            raise InputError(
                f"presentations: x {self.x.shape}, y {self.y.shape} and rows {self.rows.shape} "
                "do not fit: (P, inputs), (P, outputs), (P, cycles, layers) are needed."
            )
        for name in ("rate", "sign", "strength"):
            values = getattr(self, name)
            if values is not None and np.shape(values) != (len(self.x),):
                raise InputError(
                    f"presentations: {name} has shape {np.shape(values)}, ({len(self.x)},) is needed."
                )

    def first(self, count: int) -> Presentations:
        """Returns the first data points."""
        optional = (self.rate, self.sign, self.strength)
        cut = (None if values is None else values[:count] for values in optional)
        return Presentations(self.x[:count], self.y[:count], self.rows[:count], *cut)


@dataclass(frozen=True, eq=False)
class Schedule:
    """Signals of one chunk and the moments at which to read it.

    Attributes:
        stimulus: signals.
        free_ends: end of the free plateau of each presentation's last cycle, s, shape (P,).
        nudged_ends: the same for the nudged plateau.
        middles: middle of each phase of each presentation's last cycle, s, shape (P, 3).
        update_starts: when the update phase of each presentation's last cycle starts, s, shape (P,).
    """

    stimulus: Stimulus
    free_ends: FloatArray
    nudged_ends: FloatArray
    middles: FloatArray
    update_starts: FloatArray


class Signals:
    """Collects pulses per signal; all times in steps."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {}

    def constant(self, name: str, value: float, at: float) -> None:
        """Adds a point."""
        self.points.setdefault(name, []).append((at, value))

    def pulse(self, name: str, base: float, top: float, rise: float, fall: float, edge: float) -> None:
        """Adds base at rise, top from rise + edge to fall, base at fall + edge."""
        points = self.points.setdefault(name, [])
        points += [(rise, base), (rise + edge, top), (fall, top), (fall + edge, base)]

    def move(self, name: str, value: float, start: float, edge: float) -> None:
        """Moves a signal in an edge from its last value to another, where it stays."""
        points = self.points[name]
        points += [(start, points[-1][1]), (start + edge, value)]

    def stimulus(self, origin: float, step: float, start: float, end: float) -> Stimulus:
        """Returns all signals from start to end (steps)."""
        axis = np.unique(np.array([start, end, *(t for p in self.points.values() for t, _ in p)]))
        axis = axis[(axis >= start) & (axis <= end)]
        columns = []
        for points in self.points.values():
            array = np.array(points)
            columns.append(np.interp(axis, array[:, 0], array[:, 1]))
        return Stimulus(origin + step * axis, tuple(self.points), np.stack(columns, axis=1))


def check_weights(design: Design, weights: list[FloatArray]) -> None:
    """Checks shapes and finiteness of weight matrices.

    Raises:
        InputError: names the layer, what it has and what is needed.
    """
    if len(weights) != design.layers:
        raise InputError(f"weights: {len(weights)} layers were given, {design.layers} are needed.")
    for layer, matrix in enumerate(weights):
        if np.shape(matrix) != design.shape(layer):
            raise InputError(
                f"weights: layer {layer} has shape {np.shape(matrix)}, {design.shape(layer)} is needed."
            )
        if not np.isfinite(matrix).all():
            raise InputError(f"weights: layer {layer} has a value that is not finite.")


def check_data(design: Design, data: Presentations) -> None:
    """Checks that data fits a network.

    Raises:
        InputError: shapes that do not fit, a row that does not exist, a value not finite.
    """
    for name, array, width in (("x", data.x, design.widths[0]), ("y", data.y, design.widths[-1])):
        if array.shape[1] != width:
            raise InputError(f"presentations: {name} has {array.shape[1]} columns, {width} are needed.")
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise InputError(f"presentations: {name}[{row}, {column}] is {array[row, column]}, not finite.")
    if data.rows.shape[2] != design.layers:
        raise InputError(f"presentations: rows has {data.rows.shape[2]} layers, {design.layers} are needed.")
    for layer in range(design.layers):
        worst = int(data.rows[:, :, layer].max())
        if worst >= design.word_lines(layer) or int(data.rows[:, :, layer].min()) < NO_ROW:
            raise InputError(
                f"presentations: rows of layer {layer} must lie in -1 … {design.word_lines(layer) - 1}."
            )


def random_rows(
    design: Design, count: int, mode: str, rng: np.random.Generator, update: bool = True
) -> IntArray:
    """Draws which word lines the presentations update.

    Args:
        design: the network.
        count: presentations P.
        mode: "one" random word line per layer and presentation; "all" in random order, a cycle each; or
            "parallel", which addresses every cell at once (row 0 stands for all).
        rng: source of randomness.
        update: False addresses no row at all (the draws are made all the same).

    Returns:
        rows of Presentations, shape (P, cycles, layers).
    """
    if mode == "one":
        lines = [rng.integers(design.word_lines(layer), size=count) for layer in range(design.layers)]
        rows = np.stack(lines, axis=1)[:, None, :]
    elif mode == "all":
        rows = np.full((count, design.most_word_lines, design.layers), NO_ROW)
        for layer in range(design.layers):
            lines_of_layer = design.word_lines(layer)
            for p in range(count):
                rows[p, :lines_of_layer, layer] = rng.permutation(lines_of_layer)
    elif mode == "parallel":
        rows = np.zeros((count, 1, design.layers), np.int64)
    else:
        raise InputError(f"rows: {mode!r} is not allowed. Choose one of: one, all, parallel.")
    return np.asarray(rows if update else np.full_like(rows, NO_ROW), dtype=np.int64)
