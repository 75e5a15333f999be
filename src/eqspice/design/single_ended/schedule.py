"""When things happen in a single-ended circuit: SET once, then FREE, NUDGED and UPDATE per cycle.

Times inside a phase, in steps, with period T, plateau width w, edge e and offset o:
an inner signal rises from w to w + e and falls from 2w + e to 2w + 2e = T; an outer one rises o
earlier and falls o later; an early one rises and falls o earlier; the word line of the update rises o
later and falls o earlier than the update signal, so that the bit line is driven before and after.
"""

from __future__ import annotations

import numpy as np

from eqspice.circuit import Stimulus
from eqspice.design.presentations import (
    NO_ROW,
    PHASES,
    FloatArray,
    Presentations,
    Schedule,
    Signals,
    check_data,
    check_weights,
)
from eqspice.design.single_ended.network import SingleEnded


def _idle(design: SingleEnded, at: float) -> Signals:
    """All signals at rest from a time on (steps)."""
    signals = Signals()
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


def set_sequence(design: SingleEnded, weights: list[FloatArray], origin: float = 0.0) -> Stimulus:
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


def settle(design: SingleEnded) -> int:
    """Returns the steps after a period's end at which chunks meet: the last moment of rest.

    It is the breakpoint at which the next presentation's data rise, so that a run cut there takes the
    same time points as one that is not. Columns have had the rest to relax in.
    """
    return design.timing.width - design.timing.offset


def set_period(design: SingleEnded) -> float:
    """Returns the time from the start of SET to the origin of the first presentation in seconds."""
    return (design.most_word_lines + 2) * design.timing.period * design.timing.step


def sample_period(design: SingleEnded, cycles: int = 1) -> float:
    """Returns the time of one presentation in seconds."""
    return 3 * cycles * design.timing.period * design.timing.step


def presentation_schedule(
    design: SingleEnded, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
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
    check_data(design, data)
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
    of_presentation = 3 * period * cycles * np.arange(1, count + 1) - period + offset
    return Schedule(
        stimulus,
        origin + t.step * ends[0],
        origin + t.step * ends[1],
        origin + t.step * middles,
        origin + t.step * of_presentation,
    )
