"""Device noise in compiled code: one random move of all nodes at the end of each accepted step.

A step of length h solves (alpha C + G) v = …; its factors then carry the noise, so that noise costs
one more solution and no iteration. Each noisy device between p and n, of conductance g and one-sided
density S, carries the current

    i = sqrt(S / 2h) xi + g (m_p - m_n)

The first part is white noise averaged over the step: all that a slow node sees. The second replaces
what the average leaves out on a node that is faster than the step: m is a fresh sample of the noise
voltage of each capacitance. With m of covariance kT C^-1, backward Euler then has the exact covariance
of equilibrium, kT C^-1, for any network of resistors and capacitors and any step: with M = (I + h C^-1
G)^-1 a step leaves M P M' + (I - M) P (I - M)' + 2 h M C^-1 kT G C^-1 M' = P for P = kT C^-1.

Away from equilibrium the variance of m_i is S_i / (4 G_i C_i), with density, conductance and
capacitance of all devices at node i: exact for a node by itself.

A node without capacitance shows the average over the step, and that as if it had STRAY_CAPACITANCE: a
line that floats for a while has no infinite noise.

Terminals that only sense (gates, inputs of voltage amplifiers) take m as it comes out: a node that
follows another through an amplifier is taken to follow it at once. A current source that senses a node
of time constant t into one of time constant T passes the share t / (t + T) of m: all of it into a node
that is far faster, none into one that is far slower.
"""

from __future__ import annotations

import math

import numpy as np

from eqspice.engines.native import newton as nt
from eqspice.engines.native.noise_sources import (
    FLICKER,
    THERMAL,
    four_terminal_sources,
    three_terminal_sources,
    two_terminal_sources,
)
from eqspice.engines.native.random import normal
from eqspice.engines.native.sparse import solve
from eqspice.jit import kernel

STRAY_CAPACITANCE = 1e-15  # F
_LEAST_CAPACITANCE = 1e-21  # F
_INSTANT = 1e30  # steps per time constant of a node without capacitance
_FROZEN = 1e-3  # steps per time constant below which a node shows nothing but the average
_SLOW = 0.01  # steps per time constant of a node that holds what it has
_WORTH_MOVING, _ANEW = 0.01, 6.0  # time constants of a section of flicker noise


@kernel()
def _advance_flicker(noise, h):  # type: ignore[no-untyped-def]
    """Moves the sections by h (Ornstein-Uhlenbeck, exactly) and turns steady into flicker currents.

    A section too slow to have moved by a seventh of its deviation waits. Those that have forgotten all
    before are drawn as one.
    """
    count = len(noise.rate)
    keep, fresh = np.ones(count), np.zeros(count)
    forgotten = count
    for s in range(count):
        noise.pending[s] += h
        gone = noise.rate[s] * noise.pending[s]
        if gone > _ANEW:
            forgotten = min(forgotten, s)
        elif gone > _WORTH_MOVING:
            keep[s] = math.exp(-gone)
            fresh[s] = math.sqrt(-math.expm1(-2.0 * gone))
            noise.pending[s] = 0.0
    for i in range(len(noise.steady)):
        total, variance = 0.0, 0.0
        for s in range(forgotten):
            if fresh[s] > 0.0:
                noise.sections[i, s] = keep[s] * noise.sections[i, s] + fresh[s] * normal(noise.generator)
            total += noise.amplitude[i, s] * noise.sections[i, s]
        for s in range(forgotten, count):
            variance += noise.amplitude[i, s] * noise.amplitude[i, s]
        if variance > 0.0:
            total += math.sqrt(variance) * normal(noise.generator)
        noise.steady[i] *= total


@kernel()
def _sample_voltages(program, noise, h, beta, multistep):  # type: ignore[no-untyped-def]
    """Fills at[3] and at[4]: steps per time constant, and m of each node as its devices shall see it."""
    density, conductance, capacitance = noise.at[0], noise.at[1], noise.at[2]
    speed, sample, shown = noise.at[3], noise.at[4], noise.at[5]
    first = program.first_unknown
    linear = program.linear
    k_t = 0.25 * noise.four_kt if noise.kinds[THERMAL] else 0.0
    speed[:] = conductance
    for i in range(len(noise.bare)):
        # Behind a node without capacitance stands what is beyond it, in series.
        k = noise.bare[i]
        p, n = noise.ends[k, 0], noise.ends[k, 1]
        if p >= first and capacitance[p] <= _LEAST_CAPACITANCE and conductance[p] > 0.0:
            speed[n] -= noise.into_n[k] * noise.into_p[k] / conductance[p]
        if n >= first and capacitance[n] <= _LEAST_CAPACITANCE and conductance[n] > 0.0:
            speed[p] -= noise.into_n[k] * noise.into_p[k] / conductance[n]
    for place in range(first, len(sample)):
        sample[place] = 0.0
        shown[place] = 1.0
        if capacitance[place] > _LEAST_CAPACITANCE:
            speed[place] = h * max(speed[place], 0.0) / capacitance[place]
        else:
            x = h * max(conductance[place], 0.0) / STRAY_CAPACITANCE
            shown[place] = x / (1.0 + x)
            speed[place] = _INSTANT
    for _sweep in range(noise.sweeps):
        for place in range(first, len(sample)):
            g, c = conductance[place], capacitance[place]
            if c > _LEAST_CAPACITANCE and (speed[place] > _FROZEN or noise.sweeps > 1):
                energy = 0.25 * density[place] / g if g > 0.0 else k_t
                pull = 0.0
                if noise.sweeps > 1:
                    row = place - first
                    for p in range(linear.c_start[row], linear.c_start[row + 1]):
                        if linear.c_column[p] != place:
                            pull += linear.c_value[p] * sample[linear.c_column[p]]
                sample[place] = math.sqrt(energy / c) * normal(noise.generator) - pull / c
    for place in range(first, len(sample)):
        x = speed[place]
        if 0.0 < x < _INSTANT:
            share = _share(x, multistep)
            if noise.highest < np.inf:
                band = 2.0 / math.pi * math.atan(2.0 * math.pi * noise.highest * h / x)
                share = max(0.0, share + (band - 1.0) * (1.0 + 2.0 / x))
            sample[place] *= math.sqrt(share) * (beta + x) / (1.0 + x)


@kernel()
def _share(x, multistep):  # type: ignore[no-untyped-def]
    """Returns the variance that the sampled part needs, over that of the node at rest.

    One for backward Euler. For BDF2 at equal steps, from the stationary covariance of the node and its
    last change u: v' = a v + b u + noise, u' = c v + b u, with x = h / tau.
    """
    if not multistep:
        return 1.0
    if x < 1e-3:  # nothing beside the white part, and lost to rounding
        return 0.0
    d = 1.5 + x
    a, b, c = 1.5 / d, 0.5 / d, -x / d
    # Var(v) = 1, r = Cov(v, u), w = Var(u): r = a c + b (a + c) r + b b w and w = c c + 2 b c r + b b w.
    determinant = (1.0 - b * (a + c)) * (1.0 - b * b) - 2.0 * b * b * b * c
    r = (a * c * (1.0 - b * b) + b * b * c * c) / determinant
    w = (c * c + 2.0 * b * c * r) / (1.0 - b * b)
    needed = 1.0 - a * a - 2.0 * a * b * r - b * b * w
    return max(0.0, (needed * (1.0 + x) * (1.0 + x) - 2.0 * x) / (x * x))


@kernel()
def _inject(noise, first, delta, h, beta):  # type: ignore[no-untyped-def]
    """Adds every device's noise current to the right-hand side delta."""
    speed, sample, shown = noise.at[3], noise.at[4], noise.at[5]
    flickering = len(noise.density) - len(noise.steady)
    per_step = 1.0 / (2.0 * h)
    for k in range(len(noise.density)):
        p, n = noise.ends[k, 0], noise.ends[k, 1]
        current = noise.into_p[k] * sample[p] - noise.into_n[k] * sample[n]
        slowest, share = _INSTANT, 1.0
        if p >= first:
            slowest, share = speed[p], shown[p]
        if n >= first:
            slowest, share = min(slowest, speed[n]), min(share, shown[n])
        held = 0.0
        if noise.density[k] > 0.0:
            held = share * math.sqrt(noise.density[k] * per_step) * normal(noise.generator)
        if k >= flickering:
            held += noise.steady[k - flickering]
        current += held * (beta + slowest) / (1.0 + slowest)
        if p >= first:
            delta[p] -= current
        if n >= first:
            delta[n] += current
        if k < len(noise.mirror) and noise.mirror[k] >= first:
            delta[noise.mirror[k]] += noise.mirror_gain[k] * current
    for k in range(len(noise.transconductance)):
        p, n = noise.sensed[k, 0], noise.sensed[k, 1]
        target = min(speed[p] if p >= first else _INSTANT, speed[n] if n >= first else _INSTANT)
        hidden = _hidden(noise, noise.sensed[k, 2], target) - _hidden(noise, noise.sensed[k, 3], target)
        if p >= first:
            delta[p] -= noise.transconductance[k] * hidden
        if n >= first:
            delta[n] += noise.transconductance[k] * hidden


@kernel()
def _hidden(noise, place, target):  # type: ignore[no-untyped-def]
    """Returns the part of a node's sampled voltage that is too fast for a node that senses it.

    Sources that sense share the sample of a node: what they do in common cancels where it should.
    """
    return noise.at[3, place] / (target + noise.at[3, place]) * noise.at[4, place]


@kernel()
def perturb(program, work, noise, h, alpha, multistep):  # type: ignore[no-untyped-def]
    """Adds the noise of a step to work.voltage and work.charge; work.delta and moved hold what it added.

    Args:
        program: compiled circuit.
        work: its work arrays, right after Newton's iteration has converged.
        noise: sources.
        h: length of the step, s.
        alpha: factor of the charges in the factorised matrix, 1/s.
        multistep: whether the step was one of BDF2.
    """
    first = program.first_unknown
    beta = alpha * h
    noise.at[:2] = 0.0
    noise.at[2] = noise.capacitance
    k = two_terminal_sources(program, work, noise)
    k = three_terminal_sources(program, work, noise, k)
    four_terminal_sources(program, work, noise, k)
    if noise.kinds[FLICKER]:
        _advance_flicker(noise, h)
    for k in range(len(noise.density)):
        p, n = noise.ends[k, 0], noise.ends[k, 1]
        noise.at[0, p] += noise.density[k]
        noise.at[0, n] += noise.density[k]
        noise.at[1, p] += noise.into_p[k]
        noise.at[1, n] += noise.into_n[k]
    _sample_voltages(program, noise, h, beta, multistep)
    work.delta[:] = 0.0
    _inject(noise, first, work.delta, h, beta)
    solve(
        program.start, program.column, program.diagonal, work.values, work.inverse_pivot, work.delta[first:]
    )
    _book(program, work, noise.moved)
    for place in range(first, len(work.voltage)):
        before = work.voltage[place]
        work.voltage[place] += work.delta[place]
        work.charge[place] += noise.moved[place]
        noise.guess[place] = before if noise.at[3, place] > 1.0 else work.voltage[place]


@kernel()
def _book(program, work, moved):  # type: ignore[no-untyped-def]
    """Fills moved with the charges that work.delta moves, at the devices' last evaluation."""
    noise_free = work.history  # not needed any more after Newton's iteration
    noise_free[:] = work.charge
    nt.book_charge(program, work)
    for place in range(len(moved)):
        moved[place] = work.charge[place] - noise_free[place]
    work.charge[:] = noise_free


@kernel()
def forget(program, work, noise, h, alpha, ratio):  # type: ignore[no-untyped-def]
    """Fills smooth[0], the solution of this step without what is left of earlier noise.

    The error control looks at that and does not chase the noise.

    Args:
        program: compiled circuit.
        work: its work arrays, right after Newton's iteration has converged.
        noise: sources.
        h: length of the step, s.
        alpha: factor of the charges in the factorised matrix, 1/s.
        ratio: of the step to the one before; 0 for backward Euler.
    """
    first, delta = program.first_unknown, work.delta
    before = ratio * ratio / ((1.0 + ratio) * h)
    for place in range(first, len(delta)):
        moved_1, moved_2 = noise.excursion[0, place], noise.excursion[1, place]
        delta[place] = alpha * moved_1 + before * (moved_1 - moved_2)
    solve(program.start, program.column, program.diagonal, work.values, work.inverse_pivot, delta[first:])
    for place in range(len(delta)):
        noise.smooth[0, place] = work.voltage[place] - delta[place]
    _book(program, work, noise.excursion[2])


@kernel()
def remember(work, noise):  # type: ignore[no-untyped-def]
    """After an accepted step and its noise: the excursion goes on from here, its past moved along."""
    noise.excursion[1] = noise.excursion[0] + noise.moved
    noise.excursion[0] = noise.excursion[2] + noise.moved
    for k in range(3, 0, -1):
        noise.smooth[k] = noise.smooth[k - 1]
    for place in range(len(noise.usual)):
        old, new = noise.usual[place], work.delta[place]
        noise.usual[place] = math.sqrt(0.8 * old * old + 0.2 * new * new)


@kernel()
def pass_mark(work, noise):  # type: ignore[no-untyped-def]
    """Takes what slow nodes remember of noise as given, and keeps what a segment taken again needs."""
    for place in range(len(noise.usual)):
        if noise.at[3, place] < _SLOW:
            noise.excursion[:, place] = 0.0
            noise.smooth[:, place] = work.voltage[place]
    noise.sections_at_mark[:] = noise.sections
    noise.excursion_at_mark[:] = noise.excursion
    noise.smooth_at_mark[:] = noise.smooth


@kernel()
def go_back(noise):  # type: ignore[no-untyped-def]
    """Takes slow noise and excursion back to the last mark."""
    noise.sections[:] = noise.sections_at_mark
    noise.excursion[:] = noise.excursion_at_mark
    noise.smooth[:] = noise.smooth_at_mark
