"""When things happen: SET once, then FREE, NUDGED and UPDATE per cycle, as breakpoints of signals.

Times inside a phase, in steps, with period T, plateau width w, edge e and offset o:
an inner signal rises from w to w + e and falls from 2w + e to 2w + 2e = T; an outer one rises o
earlier and falls o later; an early one rises and falls o earlier; the word line of the update rises o
later and falls o earlier than the update signal, so that the bit line is driven before and after.
"""

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
            One cycle is free, nudged, update; most rules need one, "all rows" one per word line.
    """

    x: FloatArray
    y: FloatArray
    rows: IntArray

    def __post_init__(self) -> None:
        if len(self.x) == 0:
            raise InputError("presentations: there are none, at least one is needed.")
        if not (len(self.x) == len(self.y) == len(self.rows)) or self.rows.ndim != 3:
            raise InputError(
                f"presentations: x {self.x.shape}, y {self.y.shape} and rows {self.rows.shape} "
                "do not fit: (P, inputs), (P, outputs), (P, cycles, layers) are needed."
            )


@dataclass(frozen=True, eq=False)
class Schedule:
    """Signals of one chunk and the moments at which to read it.

    Attributes:
        stimulus: signals.
        free_ends: end of the free plateau of each presentation's last cycle, s, shape (P,).
        nudged_ends: the same for the nudged plateau.
        middles: middle of each phase of each presentation's last cycle, s, shape (P, 3).
    """

    stimulus: Stimulus
    free_ends: FloatArray
    nudged_ends: FloatArray
    middles: FloatArray


class _Signals:
    """Collects pulses per signal; all times in steps."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {}

    def constant(self, name: str, value: float, at: float) -> None:
        self.points.setdefault(name, []).append((at, value))

    def pulse(self, name: str, base: float, top: float, rise: float, fall: float, edge: float) -> None:
        """Adds base at rise, top from rise + edge to fall, base at fall + edge."""
        points = self.points.setdefault(name, [])
        points += [(rise, base), (rise + edge, top), (fall, top), (fall + edge, base)]

    def stimulus(self, origin: float, step: float, start: float, end: float) -> Stimulus:
        """Returns all signals from start to end (steps)."""
        axis = np.unique(np.array([start, end, *(t for p in self.points.values() for t, _ in p)]))
        axis = axis[(axis >= start) & (axis <= end)]
        columns = []
        for points in self.points.values():
            array = np.array(points)
            columns.append(np.interp(axis, array[:, 0], array[:, 1]))
        return Stimulus(origin + step * axis, tuple(self.points), np.stack(columns, axis=1))


def _idle(design: Design, at: float) -> _Signals:
    """All signals at rest from a time on (steps)."""
    signals = _Signals()
    for name in ("set", "free", "nudged", "nudged_early", "update"):
        signals.constant(name, 0.0, at)
    for row in range(design.widths[0]):
        signals.constant(f"x_{row}", 0.0, at)
    for output in range(design.widths[-1]):
        signals.constant(f"y_{output}", 0.0, at)
    for layer in range(design.layers):
        for word in range(design.word_lines(layer)):
            signals.constant(f"layer{layer}_wwl_{word}", 0.0, at)
        for bit in range(design.bit_lines(layer)):
            signals.constant(f"layer{layer}_level_{bit}", 0.0, at)
    return signals


def set_sequence(design: Design, weights: list[FloatArray], origin: float = 0.0) -> Stimulus:
    """Writes weights row by row, every crossbar in step; outputs are grounded meanwhile.

    Args:
        design: the network.
        weights: storage voltages per layer, V, shape (inputs, outputs) each.
        origin: start, s.

    Returns:
        signals for (most word lines + 2) periods and `settle` steps.

    Raises:
        InputError: weights do not have the network's shapes, or are not finite.
    """
    check_weights(design, weights)
    t = design.timing
    period, edge, offset, width = float(t.period), float(t.edge), float(t.offset), float(t.width)
    high = design.logic_high
    signals = _idle(design, 0.0)
    signals.points["set"] = [
        (0.0, high),
        ((design.most_word_lines + 1) * period, high),
        ((design.most_word_lines + 1) * period + edge, 0.0),
    ]
    for layer, matrix in enumerate(weights):
        values = matrix.T if design.transposed(layer) else matrix
        for word in range(design.word_lines(layer)):
            start = period * (word + 1)
            signals.pulse(f"layer{layer}_wwl_{word}", 0.0, high, start, start + edge + width, edge)
            for bit in range(design.bit_lines(layer)):
                name = f"layer{layer}_level_{bit}"
                fall = start + offset + edge + width
                signals.pulse(name, 0.0, float(values[word, bit]), start - offset, fall, edge)
    return signals.stimulus(origin, t.step, 0.0, (design.most_word_lines + 2) * period + settle(design))


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


def settle(design: Design) -> int:
    """Returns the steps after a period's end at which chunks meet: the last moment of rest.

    It is the breakpoint at which the next presentation's data rise, so that a run cut there takes the
    same time points as one that is not. Columns have had the rest to relax in.
    """
    return design.timing.width - design.timing.offset


def set_period(design: Design) -> float:
    """Returns the time from the start of SET to the origin of the first presentation in seconds."""
    return (design.most_word_lines + 2) * design.timing.period * design.timing.step


def sample_period(design: Design, cycles: int = 1) -> float:
    """Returns the time of one presentation in seconds."""
    return 3 * cycles * design.timing.period * design.timing.step


def _check_data(design: Design, data: Presentations) -> None:
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


def presentation_schedule(
    design: Design, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
) -> Schedule:
    """Returns the signals that present the data points one after another.

    Args:
        design: the network.
        data: what to present.
        origin: start of the first presentation's period, s. The signals run from `settle` steps
            after it to `settle` steps after the end of the last period, so that chunks join.
        phases: phases whose signals are driven. ("free",) evaluates without nudge or update; the
            times stay the same.

    Raises:
        InputError: shapes that do not fit the network, a row that does not exist, a value not finite.
    """
    _check_data(design, data)
    t = design.timing
    period, edge, offset, width = float(t.period), float(t.edge), float(t.offset), float(t.width)
    high = design.logic_high
    rise, fall = width, 2 * width + edge
    signals = _idle(design, -float(offset))
    count, cycles, _ = data.rows.shape
    ends = np.zeros((2, count))
    middles = np.zeros((count, 3))
    for p in range(count):
        for cycle in range(cycles):
            start = 3 * period * (p * cycles + cycle)
            outer, last = start + rise - offset, start + 2 * period + fall + offset
            for row, value in enumerate(data.x[p]):
                signals.pulse(f"x_{row}", 0.0, float(value), outer, last, edge)
            for output, value in enumerate(data.y[p]):
                signals.pulse(f"y_{output}", 0.0, float(value), outer, last, edge)
            nudged, update = start + period, start + 2 * period
            if "free" in phases:
                signals.pulse("free", 0.0, high, start + rise, start + fall, edge)
            if "nudged" in phases:
                signals.pulse("nudged", 0.0, high, nudged + rise - offset, nudged + fall + offset, edge)
                signals.pulse("nudged_early", 0.0, high, nudged + rise - offset, nudged + fall - offset, edge)
            if "update" in phases:
                signals.pulse("update", 0.0, high, update + rise, update + fall, edge)
                for layer, word in enumerate(data.rows[p, cycle]):
                    if word == NO_ROW:
                        continue
                    name = f"layer{layer}_wwl_{word}"
                    for at in (start, nudged):
                        signals.pulse(name, 0.0, high, at + rise - offset, at + fall + offset, edge)
                    signals.pulse(name, 0.0, high, update + rise + offset, update + fall - offset, edge)
        ends[:, p] = start + fall, nudged + fall - offset
        middle = rise + edge + 0.5 * width
        middles[p] = start + middle, nudged + middle - offset, update + middle
    rest = settle(design)
    stimulus = signals.stimulus(origin, t.step, rest, 3 * period * count * cycles + rest)
    return Schedule(stimulus, origin + t.step * ends[0], origin + t.step * ends[1], origin + t.step * middles)


def random_rows(
    design: Design, count: int, mode: str, rng: np.random.Generator, update: bool = True
) -> IntArray:
    """Draws which word lines the presentations update.

    Args:
        design: the network.
        count: presentations P.
        mode: "one" random word line per layer and presentation, or "all" in random order, a cycle each.
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
    else:
        raise InputError(f"rows: {mode!r} is not allowed. Choose one of: one, all.")
    return np.asarray(rows if update else np.full_like(rows, NO_ROW), dtype=np.int64)
