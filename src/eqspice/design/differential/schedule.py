"""When things happen in a differential circuit: SET once, then four phases per presentation.

FREE: the data moves in, all holds follow, the error is stored; FIRST and SECOND: the stored error nudges
with one sign and then the other, and the holds of that phase follow; UPDATE: the nudge ends, the rates
pulse, and with multipliers on lines the word lines take turns. A hold opens before the next phase moves
anything: the held values do the update. The nudge is gone before the error is stored again: a nudge by an
error that is being stored is a loop, and with a negative nudge one that runs away. The data stays until the
next presentation moves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqspice.circuit import Stimulus
from eqspice.design.differential.array import limit_rails
from eqspice.design.differential.network import Differential
from eqspice.design.presentations import (
    NO_ROW,
    PHASES,
    FloatArray,
    IntArray,
    Presentations,
    Schedule,
    Signals,
    check_data,
    check_weights,
)

NUDGE = 1.0  # V: the nudge voltage that means beta
TOGETHER = 1.0  # V: the rails of the gates' clamps stand at the limits


@dataclass(frozen=True)
class _Moments:
    """Times of one presentation after its start, steps: start and end of each plateau."""

    free: tuple[float, float]
    first: tuple[float, float]
    second: tuple[float, float]
    update: float
    end: float


def _moments(design: Differential, cycles: int) -> _Moments:
    t = design.timing
    e, w, u = float(t.edge), float(t.plateau), float(t.update)
    free = (e, e + w)
    first = (free[1] + 2 * e, free[1] + 2 * e + w)
    second = (first[1] + 2 * e, first[1] + 2 * e + w) if design.nudges == "symmetric" else first
    update = second[1] + e
    turn = 2 * e + u if design.multiplied_in == "cell" else cycles * (4 * e + u)
    return _Moments(free, first, second, update, update + turn)


def _idle(design: Differential, at: float) -> Signals:
    """All signals at rest from a time on (steps)."""
    signals = Signals()
    names = ["set", "free", "first", "second", "nudge"] + ["limit"] * bool(limit_rails(design))
    names += [f"x_{row}" for row in range(design.widths[0])]
    names += [f"y_{output}" for output in range(design.widths[-1])]
    for layer in range(design.layers):
        names.append(f"layer{layer}_rate")
        names += [f"layer{layer}_wwl_{word}" for word in range(design.word_lines(layer))]
        names += [f"layer{layer}_level_{bit}" for bit in range(design.bit_lines(layer))]
    for name in names:
        signals.constant(name, 0.0, at)
    return signals


def set_sequence(design: Differential, weights: list[FloatArray], origin: float = 0.0) -> Stimulus:
    """Writes weights word line by word line, every crossbar in step, columns at the common mode.

    Args:
        design: the network.
        weights: V, shape (inputs, outputs) each.
        origin: start, s.

    Raises:
        InputError: weights do not have the network's shapes, or are not finite.
    """
    check_weights(design, weights)
    t = design.timing
    e, w = float(t.edge), float(t.plateau)
    signals = _idle(design, 0.0)
    signals.move("set", design.logic_high, 0.0, e)
    for layer, matrix in enumerate(weights):
        values = matrix.T if design.transposed(layer) else matrix
        for word in range(design.word_lines(layer)):
            start = 2 * e + word * (3 * e + w)
            for bit in range(design.bit_lines(layer)):
                signals.move(f"layer{layer}_level_{bit}", float(values[word, bit]), start, e)
            name = f"layer{layer}_wwl_{word}"
            signals.move(name, design.logic_high, start + e, e)
            signals.move(name, 0.0, start + 2 * e + w, e)
    last = 2 * e + design.most_word_lines * (3 * e + w)
    for layer in range(design.layers):
        for bit in range(design.bit_lines(layer)):
            signals.move(f"layer{layer}_level_{bit}", 0.0, last, e)
    signals.move("set", 0.0, last + e, e)
    return signals.stimulus(origin, t.step, 0.0, _set_steps(design))


def _set_steps(design: Differential) -> float:
    e, w = float(design.timing.edge), float(design.timing.plateau)
    return 4 * e + design.most_word_lines * (3 * e + w) + w


def set_period(design: Differential) -> float:
    """Returns the time from the start of SET to the origin of the first presentation in seconds."""
    return _set_steps(design) * design.timing.step


def sample_period(design: Differential, cycles: int = 1) -> float:
    """Returns the time of one presentation in seconds."""
    return _moments(design, cycles).end * design.timing.step


def presentation_schedule(
    design: Differential, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
) -> Schedule:
    """Returns the signals that present the data points one after another; see `Architecture`."""
    check_data(design, data)
    count, cycles, _ = data.rows.shape
    at = _moments(design, cycles)
    signals = _idle(design, 0.0)
    signs = np.ones(count) if data.sign is None or not design.chop else np.asarray(data.sign, float)
    rates = np.ones(count) if data.rate is None else np.asarray(data.rate, float)
    strengths = np.ones(count) if data.strength is None else np.asarray(data.strength, float)
    for p in range(count):
        start = p * at.end
        _present(design, signals, start, data.x[p], data.y[p])
        if phases == ("free",):
            signals.constant("free", 0.0, start + at.free[1])  # a step ends where the outputs are read
            continue
        _sample(design, signals, start, at, strengths[p] * signs[p] if "nudged" in phases else 0.0)
        if "update" in phases:
            _update(design, signals, start + at.update, data.rows[p], rates[p] * signs[p])
    edge, step = float(design.timing.edge), design.timing.step
    _present(design, signals, count * at.end - edge, 0.0 * data.x[0], 0.0 * data.y[0])
    starts = origin + step * at.end * np.arange(count, dtype=np.float64)
    nudged: FloatArray = np.where(signs > 0, at.first[1], at.second[1])
    middles = np.empty((count, 3))
    middles[:, 0] = 0.5 * sum(at.free)
    middles[:, 1] = nudged - 0.5 * design.timing.plateau
    middles[:, 2] = 0.5 * (at.update + at.end)
    return Schedule(
        signals.stimulus(origin, step, 0.0, count * at.end),
        starts + step * at.free[1],
        starts + step * nudged,
        starts[:, None] + step * middles,
        starts + step * at.update,
    )


def _present(design: Differential, signals: Signals, start: float, x: FloatArray, y: FloatArray) -> None:
    """Moves the data in."""
    e = float(design.timing.edge)
    for name, values in (("x", x), ("y", y)):
        for index, value in enumerate(values):
            signals.move(f"{name}_{index}", float(value), start, e)


def _sample(design: Differential, signals: Signals, start: float, at: _Moments, nudge: float) -> None:
    """Closes the holds in their phases and nudges by a signed multiple of beta; by zero not at all."""
    e, high = float(design.timing.edge), design.logic_high
    for name in ("free", "first", "second"):
        signals.pulse(name, 0.0, high, start, start + at.free[1], e)
    if nudge == 0.0:
        return
    nudges = [("first", at.first, nudge), ("second", at.second, -nudge)]
    for name, (rise, fall), of in nudges[: 2 if design.nudges == "symmetric" else 1]:
        signals.move("nudge", NUDGE * of, start + rise - e, e)
        signals.pulse(name, 0.0, high, start + rise - e, start + fall, e)
    signals.move("nudge", 0.0, start + at.update, e)


def _update(design: Differential, signals: Signals, start: float, rows: IntArray, rate: float) -> None:
    e, u = float(design.timing.edge), float(design.timing.update)
    if limit_rails(design):
        last = e + u if design.multiplied_in == "cell" else len(rows) * (4 * e + u) - e
        signals.pulse("limit", 0.0, TOGETHER, start, start + last, e)
    for layer in range(design.layers):
        volts = rate * design.update_gains[layer] / design.rate_unit
        for cycle, word in enumerate(rows[:, layer]):
            if word == NO_ROW:
                continue
            if design.multiplied_in == "cell":
                signals.pulse(f"layer{layer}_rate", 0.0, volts, start, start + e + u, e)
                continue
            rise = start + cycle * (4 * e + u)
            name = f"layer{layer}_wwl_{word}"
            signals.pulse(name, 0.0, design.logic_high, rise, rise + 3 * e + u, e)
            signals.pulse(f"layer{layer}_rate", 0.0, volts, rise + e, rise + 2 * e + u, e)
