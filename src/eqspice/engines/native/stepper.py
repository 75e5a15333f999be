"""Time steps in compiled code: variable-step BDF2 with error control, or backward Euler at given times.

One call runs a whole chunk. The step is controlled on the storage nodes: all else follows them and
the inputs almost at once. Every breakpoint restarts with backward Euler; if the second step shows
that this first step was too long, the breakpoint is taken again with a shorter one. What is over in
ten of the shortest steps is a jump, and not resolved.
"""

from __future__ import annotations

import numpy as np

from eqspice.engines.native import newton as nt
from eqspice.engines.native import noise_excursion, noise_kernel
from eqspice.engines.native.devices import mosfet
from eqspice.engines.native.guess import predict, recall
from eqspice.engines.native.track import (
    KEPT,
    KEPT_AT_MARK,
    MARK,
    NEXT_RECORD,
    NEXT_STEP,
    NOW,
    ORDER,
    RECORD_AT_MARK,
    REMEMBERED,
    SEGMENT,
    SOLUTIONS,
    STEP,
    STEP_BEFORE,
    STRAYED,
)
from eqspice.jit import kernel

DONE = 0
RECORD_FULL = 1
FAILED = 2
STEP_LIMIT = 3
ERROR_LIMIT = 4

FIRST_FRACTION = 0.125  # first step after a breakpoint, as a fraction of the segment
GROWTH = 10.0
JUMP = 10.0  # shortest steps after a mark, in which what is faster than those is a jump
GMIN_START = 1e-6
STRAY = 1.0  # V outside the tables of transistors, where no circuit is meant to be
MOST_CUTS = 64.0  # a given step is cut to no less than this part of its segment, to come back from there


@kernel()
def set_inputs(program, work, times, values, segment, time):  # type: ignore[no-untyped-def]
    """Puts signals and inputs at a time inside the given segment of the stimulus."""
    t0, t1 = times[segment], times[segment + 1]
    x = (time - t0) / (t1 - t0)
    for k in range(values.shape[1]):
        work.signal[k] = values[segment, k] + x * (values[segment + 1, k] - values[segment, k])
    for i in range(len(program.input_dc)):
        value = program.input_dc[i]
        if program.input_signal[i] >= 0:
            value += program.input_scale[i] * work.signal[program.input_signal[i]]
        work.voltage[1 + i] = value


@kernel()
def _discretise(work, track, first, h):  # type: ignore[no-untyped-def]
    """Sets the history for backward Euler or variable-step BDF2 and returns alpha."""
    if track.place[ORDER] == 0:
        for i in range(first, len(work.history)):
            work.history[i] = -track.charge_1[i] / h
        return 1.0 / h
    ratio = h / track.clock[STEP]
    a0 = (1.0 + 2.0 * ratio) / ((1.0 + ratio) * h)
    a2 = ratio * ratio / ((1.0 + ratio) * h)
    a1 = -(a0 + a2)
    for i in range(first, len(work.history)):
        work.history[i] = a1 * track.charge_1[i] + a2 * track.charge_2[i]
    return a0


@kernel()
def _error(program, work, track, now, before_1, before_2, before_3, usual, lte, h):  # type: ignore[no-untyped-def]
    """Returns the largest local error of a storage node, and of the first step after the mark, in volts.

    Backward Euler errs by h^2 x''/2, BDF2 by h^2 (h + h1)^2 / (6 (2h + h1)) x''', with the
    derivatives from divided differences (Hairer & Wanner, Solving ODEs I, III.5). The second step has
    too short a history for x''': it is charged with x''' ~ x''/(h + h1). The node that errs most is
    left in the counters. now, before_1 …: voltages at this step and at those before; usual: noise of
    each place, below twice of which an error counts less.
    """
    order = track.place[ORDER]
    if order == 0:
        return 0.0, 0.0
    h1, h2 = track.clock[STEP], track.clock[STEP_BEFORE]
    of_step = h * h * (h + h1) * (h + h1) / (6.0 * (2.0 * h + h1))
    worst, first_worst = 0.0, 0.0
    for k in range(len(program.storage)):
        i = program.storage[k]
        slope = (now[i] - before_1[i]) / h
        slope_1 = (before_1[i] - before_2[i]) / h1
        second = 2.0 * (slope - slope_1) / (h + h1)
        counts = lte / (lte + 2.0 * usual[i])
        if order == 1:
            third = second / (h + h1)
            first_worst = max(first_worst, counts * 0.5 * h1 * h1 * abs(second))
        else:
            slope_2 = (before_2[i] - before_3[i]) / h2
            second_1 = 2.0 * (slope_1 - slope_2) / (h1 + h2)
            third = 3.0 * (second - second_1) / (h + h1 + h2)
        error = counts * of_step * abs(third)
        if error > worst:
            worst = error
            work.counters[nt.WORST] = i
    return worst, first_worst


@kernel()
def _gmin_stepping(program, work, track, alpha, control):  # type: ignore[no-untyped-def]
    """Solves with conductances to ground, taken away decade by decade."""
    for i in range(program.first_unknown, len(work.voltage)):
        work.voltage[i] = track.before_1[i]
    gmin = GMIN_START
    while True:
        work.counters[nt.GMIN_STEPS] += 1
        status = nt.newton(
            program, work, alpha, gmin, 4 * control.newton_limit, control.bypass, control.max_change
        )
        if status != nt.CONVERGED:
            return status
        if gmin == 0.0:
            return status
        gmin = gmin * 0.1 if gmin > 1e-16 else 0.0


@kernel()
def _record(work, track, probes, record_times, times_out, values_out, t_new, h):  # type: ignore[no-untyped-def]
    """Keeps the probes at this step, or at the wanted times inside it.

    In between a parabola through the last three steps is read, as exact as BDF2 itself. Where a node
    has jumped the parabola would overshoot: it leaves the chord by no more than a quarter of its rise.
    """
    if len(record_times) == 0:
        at = track.place[KEPT]
        times_out[at] = t_new
        for k in range(len(probes)):
            values_out[at, k] = work.voltage[probes[k]]
        track.place[KEPT] += 1
        return
    slack = 1e-9 * h
    while (
        track.place[NEXT_RECORD] < len(record_times)
        and record_times[track.place[NEXT_RECORD]] <= t_new + slack
    ):
        at = track.place[NEXT_RECORD]
        before = t_new - record_times[at]
        times_out[at] = record_times[at]
        for k in range(len(probes)):
            new, old = work.voltage[probes[k]], track.before_1[probes[k]]
            bend = 0.0
            if track.place[ORDER] >= 1:
                slope = (old - track.before_2[probes[k]]) / track.clock[STEP]
                bend = before * (before - h) * ((new - old) / h - slope) / (h + track.clock[STEP])
                most = 0.25 * abs(new - old)
                bend = min(most, max(-most, bend))
            values_out[at, k] = new - before / h * (new - old) + bend
        track.place[NEXT_RECORD] += 1


@kernel()
def _accept(work, track, t_new, h):  # type: ignore[no-untyped-def]
    track.before_3[:] = track.before_2
    track.before_2[:] = track.before_1
    track.before_1[:] = work.voltage
    track.charge_2[:] = track.charge_1
    track.charge_1[:] = work.charge
    track.clock[STEP_BEFORE] = track.clock[STEP]
    track.clock[STEP] = h
    track.clock[NOW] = t_new
    track.place[ORDER] += 1
    track.place[STRAYED] = mosfet.note_outside(work.bulk_fet) > STRAY
    work.counters[nt.STEPS] += 1


@kernel()
def _shift_history(work, track, noise):  # type: ignore[no-untyped-def]
    """Moves what came before by what noise has added, so that no difference in time ever sees noise.

    The error control then does not chase it, and BDF2 goes on as if from a node that had always stood there.
    """
    track.before_1[:] += work.delta
    track.before_2[:] += work.delta
    track.before_3[:] += work.delta
    track.charge_1[:] += noise.moved
    track.charge_2[:] += noise.moved


@kernel()
def _pass_mark(work, track, marks, control):  # type: ignore[no-untyped-def]
    """Starts the segment behind a mark."""
    track.place[MARK] += 1
    track.place[ORDER] = 0
    track.place[RECORD_AT_MARK] = track.place[NEXT_RECORD]
    track.place[KEPT_AT_MARK] = track.place[KEPT]
    track.mark_voltage[:] = track.before_1
    track.mark_charge[:] = track.charge_1
    if track.place[MARK] < len(marks):
        segment = marks[track.place[MARK]] - track.clock[NOW]
        track.clock[NEXT_STEP] = segment if control.fixed > 0.0 else FIRST_FRACTION * segment


@kernel()
def _back_to_mark(work, track, marks, first_error, control):  # type: ignore[no-untyped-def]
    """Takes the segment again with a shorter first step."""
    track.place[NEXT_RECORD] = track.place[RECORD_AT_MARK]
    track.place[KEPT] = track.place[KEPT_AT_MARK]
    track.before_1[:] = track.mark_voltage
    track.charge_1[:] = track.mark_charge
    track.clock[NOW] = marks[track.place[MARK] - 1]
    shorter = track.clock[STEP] * max(0.02, 0.5 * np.sqrt(control.lte / first_error))
    track.clock[NEXT_STEP] = max(shorter, control.min_step)
    track.place[ORDER] = 0
    work.counters[nt.REJECTED] += 1


@kernel()
def _choose_step(track, marks, control):  # type: ignore[no-untyped-def]
    """Returns the next step and whether it ends on the mark."""
    left = marks[track.place[MARK]] - track.clock[NOW]
    h = min(track.clock[NEXT_STEP], control.max_step)
    if control.exact_step > 0.0:
        h = control.exact_step
    if h >= 0.999999 * left:
        return left, True
    if h > 0.6 * left and control.exact_step == 0.0 and control.fixed == 0.0:
        h = 0.5 * left  # two equal steps rather than a long and a tiny one
    return h, False


@kernel()
def _jumped(work, track, marks, h):  # type: ignore[no-untyped-def]
    """Whether a given step ends far outside the tables though it began inside.

    Long steps have more than one solution where an amplifier closes a loop, and Newton's iteration may go
    over to one that the circuit does not. In shorter steps it is out of reach.
    """
    if track.place[STRAYED] or mosfet.outside(work.bulk_fet) <= STRAY:
        return False
    segment = marks[track.place[MARK]] - marks[track.place[MARK] - 1]
    return MOST_CUTS * h > segment


@kernel()
def _before_plateau(track, times, values, t_new):  # type: ignore[no-untyped-def]
    """Whether a step ends an edge with a plateau behind it."""
    segment = track.place[SEGMENT]
    if segment + 2 >= len(times) or t_new < times[segment + 1]:
        return False
    edge = False
    for k in range(values.shape[1]):
        if values[segment + 1, k] != values[segment + 2, k]:
            return False
        edge |= values[segment, k] != values[segment + 1, k]
    return edge


@kernel()
def run(  # type: ignore[no-untyped-def]
    program, work, track, control, noise, times, values, marks, probes, record_times, times_out, values_out
):
    """Steps from track to the last mark.

    Args:
        program: compiled circuit.
        work: its work arrays.
        track: where the run stands.
        control: numbers that set accuracy and cost.
        noise: noise sources.
        times: breakpoints of the stimulus, s, shape (T,).
        values: signals there, V or A, shape (T, S).
        marks: times at which the stepper must stop and restart, marks[0] is the start.
        probes: places to record, shape (P,).
        record_times: times to record at; empty records every step.
        times_out: room for the times of the records, shape (R,).
        values_out: room for the records, shape (R, P).

    Returns:
        (DONE, RECORD_FULL, FAILED, STEP_LIMIT or ERROR_LIMIT, Newton's status).
    """
    first = program.first_unknown
    noisy = noise.kinds.any()
    while track.place[MARK] < len(marks):
        # Never between the first step after a mark and its check: that step may be taken back.
        if len(record_times) == 0 and track.place[ORDER] != 1 and track.place[KEPT] >= len(times_out) - 2:
            return RECORD_FULL, nt.CONVERGED
        if work.counters[nt.STEPS] + work.counters[nt.REJECTED] >= control.max_steps:
            return STEP_LIMIT, nt.CONVERGED
        h, ends = _choose_step(track, marks, control)
        t_new = marks[track.place[MARK]] if ends else track.clock[NOW] + h
        while track.place[SEGMENT] < len(times) - 2 and times[track.place[SEGMENT] + 1] < t_new:
            track.place[SEGMENT] += 1
        while track.place[SEGMENT] > 0 and times[track.place[SEGMENT]] >= t_new:
            track.place[SEGMENT] -= 1
        set_inputs(program, work, times, values, track.place[SEGMENT], t_new)
        predict(program, work, track, h)
        if noisy:
            for place in range(first, len(work.voltage)):
                work.voltage[place] += noise.guess[place] - track.before_1[place]
        whole = ends and track.clock[NOW] == marks[track.place[MARK] - 1]
        remember = recall(program, work, track) if control.fixed > 0.0 and whole else -1
        alpha = _discretise(work, track, first, h)
        status = nt.newton(
            program, work, alpha, 0.0, control.newton_limit, control.bypass, control.max_change
        )
        jumped = status == nt.CONVERGED and control.fixed > 0.0 and _jumped(work, track, marks, h)
        if status != nt.CONVERGED or jumped:
            work.counters[nt.REJECTED] += 1
            if 0.25 * h > control.min_step and control.exact_step == 0.0:
                track.clock[NEXT_STEP] = 0.25 * h
                continue
            status = _gmin_stepping(program, work, track, alpha, control)
            if status != nt.CONVERGED:
                track.clock[STEP] = h
                return FAILED, status
        if remember >= 0:
            track.memory[remember] = work.voltage
            track.memory_inputs[remember] = track.before_1[:first]
            if remember == track.place[SOLUTIONS] % REMEMBERED:
                track.place[SOLUTIONS] += 1
        grow = GROWTH
        if control.fixed == 0.0 and control.exact_step == 0.0:
            now, past = work.voltage, (track.before_1, track.before_2, track.before_3)
            if noisy:
                ratio = h / track.clock[STEP] if track.place[ORDER] > 0 else 0.0
                noise_excursion.forget(program, work, noise, h, alpha, ratio)
                now, past = noise.smooth[0], (noise.smooth[1], noise.smooth[2], noise.smooth[3])
            error, first_error = _error(
                program, work, track, now, past[0], past[1], past[2], noise.usual, control.lte, h
            )
            if first_error > control.lte and track.clock[STEP] > control.min_step:
                _back_to_mark(work, track, marks, first_error, control)
                if noisy:
                    noise_excursion.go_back(noise)
                    noise.guess[:] = track.before_1
                continue
            if error > control.lte and h <= control.min_step:
                if t_new - marks[track.place[MARK] - 1] > JUMP * control.min_step:
                    track.clock[STEP] = h
                    return ERROR_LIMIT, nt.CONVERGED
            elif error > control.lte:
                work.counters[nt.REJECTED] += 1
                shorter = h * max(0.1, 0.8 * (control.lte / error) ** (1.0 / 3.0))
                track.clock[NEXT_STEP] = max(shorter, control.min_step)
                continue
            grow = min(GROWTH, 0.8 * (control.lte / max(error, 1e-12)) ** (1.0 / 3.0))
        if noisy and control.fixed > 0.0 and _before_plateau(track, times, values, t_new):
            noise_kernel.put_off(work, noise, h)
        elif noisy:
            noise_kernel.perturb(program, work, noise, h, alpha, track.place[ORDER] > 0)
        _record(work, track, probes, record_times, times_out, values_out, t_new, h)
        if noisy and control.fixed == 0.0:
            _shift_history(work, track, noise)
            noise_excursion.remember(work, noise)
        _accept(work, track, t_new, h)
        if control.fixed > 0.0:
            track.place[ORDER] = 0  # always backward Euler
            track.clock[NEXT_STEP] = marks[track.place[MARK]] - t_new if not ends else h
        else:
            track.clock[NEXT_STEP] = max(h * grow, control.min_step)
        if ends:
            _pass_mark(work, track, marks, control)
            if noisy and control.fixed == 0.0:  # given steps are never taken back
                noise_excursion.pass_mark(work, noise)
    return DONE, nt.CONVERGED
