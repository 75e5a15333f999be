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

The noise of an edge with a plateau behind it, in phase fidelity, is added with that of the plateau: no
switch opens in between, so that nothing holds it. Of the white part of node charges, 2 h / tau kT C, it
then takes what the edge would have left, (1 - (1 + h / tau)^-2) kT C.

Terminals that only sense (gates, inputs of voltage amplifiers) take m as it comes out: a node that
follows another through an amplifier is taken to follow it at once. A current source that senses a node
of time constant t into one of time constant T passes the share t / (t + T) of m: all of it into a node
that is far faster, none into one that is far slower.
"""

from __future__ import annotations

import math

import numpy as np

from eqspice.engines.native.noise_excursion import book
from eqspice.engines.native.noise_sources import (
    FLICKER,
    SAME_STATE,
    THERMAL,
    four_terminal_sources,
    three_terminal_sources,
    two_terminal_sources,
)
from eqspice.engines.native.random import reserve, word
from eqspice.engines.native.sparse import solve
from eqspice.jit import kernel

STRAY_CAPACITANCE = 1e-15  # F
_LEAST_CAPACITANCE = 1e-21  # F
_INSTANT = 1e30  # steps per time constant of a node without capacitance
_FROZEN = 1e-3  # steps per time constant below which a node shows nothing but the average
_OPEN = 1e-12  # S: a conductance below is no path to what is behind it
_STRONG = 1e-12  # F: what a node without capacitance must conduct in a step to show all of its noise
_WORTH_MOVING, _ANEW = 0.1, 4.0  # time constants of a section of flicker noise
_RARE = 15  # one step in sixteen
_LEAKING = 1e-18  # F: what charges less of a capacitance in a step is looked at one step in sixteen


@kernel(inline="always")
def _advance_flicker(noise, h):  # type: ignore[no-untyped-def]
    """Moves the sections by h (Ornstein-Uhlenbeck, exactly) and fills the flicker currents.

    A section too slow to have moved by half of its deviation waits. Of those that have forgotten all
    before, rapid gets the variance.
    """
    count = len(noise.rate)
    keep, fresh = np.ones(count), np.zeros(count)
    forgotten = count
    for s in range(count):
        noise.pending[s] += h
        gone = noise.rate[s] * noise.pending[s]
        if gone > _ANEW:
            forgotten = min(forgotten, s)
            noise.pending[s] = 0.0
        elif gone > _WORTH_MOVING:
            keep[s] = math.exp(-gone)
            fresh[s] = math.sqrt(-math.expm1(-2.0 * gone))
            noise.pending[s] = 0.0
    unit, steady, rapid, numbers = noise.unit, noise.steady, noise.rapid, noise.numbers
    at = reserve(noise.words, numbers, noise.used, noise.sections.size)
    steady[:] = 0.0
    rapid[:] = 0.0
    for s in range(count):
        amplitude, section = noise.amplitude[s], noise.sections[s]
        if s >= forgotten:
            for i in range(len(unit)):
                rapid[i] += amplitude[i] * amplitude[i]
            continue
        if fresh[s] > 0.0:
            drawn = numbers[at : at + len(unit)]
            at += len(unit)
            for i in range(len(unit)):
                section[i] = keep[s] * section[i] + fresh[s] * drawn[i]
        for i in range(len(unit)):
            steady[i] += amplitude[i] * section[i]
    noise.used[0] = at
    for i in range(len(unit)):
        steady[i] *= unit[i]
        rapid[i] *= unit[i] * unit[i]


@kernel(inline="always")
def _gather(noise):  # type: ignore[no-untyped-def]
    """Adds up densities and conductances at the nodes."""
    density, conductance, rapid = noise.at[6], noise.at[7], noise.at[8]
    density[:] = 0.0
    conductance[:] = 0.0
    rapid[:] = 0.0
    flickering = len(noise.density) - len(noise.steady)
    alone, alone_at, alone_p = noise.alone, noise.alone_at, noise.alone_p
    pairs, ends = noise.pairs, noise.ends
    of_device, into_p, into_n = noise.density, noise.into_p, noise.into_n
    for j in range(len(alone)):
        k, place = alone[j], alone_at[j]
        density[place] += of_device[k]
        conductance[place] += into_p[k] if alone_p[j] else into_n[k]
        if k >= flickering:
            rapid[place] += noise.rapid[k - flickering]
    at_node, of_node = noise.at[0], noise.at[1]
    at_node[:] = density
    of_node[:] = conductance
    for j in range(len(pairs)):
        k = pairs[j]
        p, n = ends[k, 0], ends[k, 1]
        at_node[p] += of_device[k]
        at_node[n] += of_device[k]
        of_node[p] += into_p[k]
        of_node[n] += into_n[k]


@kernel(inline="always")
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
        if noise.into_p[k] < _OPEN:
            continue
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
            speed[place] = _INSTANT
            if conductance[place] < _STRONG / h:
                x = h * max(conductance[place], 0.0) / STRAY_CAPACITANCE
                shown[place] = x / (1.0 + x)
    numbers = noise.numbers
    for _sweep in range(noise.sweeps):
        at = reserve(noise.words, numbers, noise.used, len(sample))
        for place in range(first, len(sample)):
            g, c = conductance[place], capacitance[place]
            if c > _LEAST_CAPACITANCE and (speed[place] > _FROZEN or noise.sweeps > 1):
                power = 0.25 * density[place] / (g * c) if g > 0.0 else k_t / c
                pull = 0.0
                if noise.sweeps > 1:
                    row = place - first
                    for p in range(linear.c_start[row], linear.c_start[row + 1]):
                        if linear.c_column[p] != place:
                            pull += linear.c_value[p] * sample[linear.c_column[p]]
                sample[place] = math.sqrt(power) * numbers[at]
                if pull != 0.0:
                    sample[place] -= pull / c
                at += 1
        noise.used[0] = at
    if not multistep and noise.highest == np.inf:
        return  # backward Euler takes the sample as it is
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


@kernel(inline="always")
def _inject(noise, first, delta, h, beta):  # type: ignore[no-untyped-def]
    """Adds every device's noise current to the right-hand side delta.

    Devices so weak that their noise charges next to nothing in a step, open switches say, are looked at
    one step in sixteen, at random, with sixteen times the variance.
    """
    _inject_alone(noise, first, delta, h, beta)
    speed, sample, shown = noise.at[3], noise.at[4], noise.at[5]
    flickering = len(noise.density) - len(noise.steady)
    per_step, leaking, owed = (1.0 / (2.0 * h), noise.four_kt * _LEAKING / h, noise.owed[0] / h)
    turn = word(noise.words) >> np.uint64(60)
    numbers = noise.numbers
    at = reserve(noise.words, numbers, noise.used, len(noise.pairs))
    for j in range(len(noise.pairs)):
        k = noise.pairs[j]
        white, steady, rapid = noise.density[k] * per_step, 0.0, 0.0
        if k >= flickering:
            steady, rapid = noise.steady[k - flickering], noise.rapid[k - flickering]
        if noise.density[k] < leaking:
            if (turn + k) & np.uint64(_RARE):
                continue
            white *= 16.0
        p, n = noise.ends[k, 0], noise.ends[k, 1]
        slowest, share = _INSTANT, 1.0
        if p >= first:
            slowest, share = speed[p], shown[p]
        if n >= first:
            slowest, share = min(slowest, speed[n]), min(share, shown[n])
        if owed > 0.0:
            white *= 1.0 + _still_felt(slowest, owed)
        held = steady
        if white + rapid > 0.0:
            held += math.sqrt(share * share * white + rapid) * numbers[at]
            at += 1
        current = noise.into_p[k] * sample[p] - noise.into_n[k] * sample[n]
        current += held * (beta + slowest) / (1.0 + slowest)
        if p >= first:
            delta[p] -= current
        if n >= first:
            delta[n] += current
        if k < len(noise.mirror) and noise.mirror[k] >= first:
            delta[noise.mirror[k]] += noise.mirror_gain[k] * current
    noise.used[0] = at
    for k in range(len(noise.transconductance)):
        p, n = noise.sensed[k, 0], noise.sensed[k, 1]
        target = min(speed[p] if p >= first else _INSTANT, speed[n] if n >= first else _INSTANT)
        above, below = noise.sensed[k, 2], noise.sensed[k, 3]
        hidden = _hidden(speed[above], target, sample[above]) - _hidden(speed[below], target, sample[below])
        if p >= first:
            delta[p] -= noise.transconductance[k] * hidden
        if n >= first:
            delta[n] += noise.transconductance[k] * hidden


@kernel(inline="always")
def _still_felt(speed, owed):  # type: ignore[no-untyped-def]
    """Returns the white noise that a step without noise has left out, over that of this step.

    Args:
        speed: steps of this length per time constant.
        owed: length of the step without noise, over that of this one.
    """
    x = speed * owed
    return owed * (1.0 + 0.5 * x) / ((1.0 + x) * (1.0 + x))


@kernel(inline="always")
def _inject_alone(noise, first, delta, h, beta):  # type: ignore[no-untyped-def]
    """The part of the devices with one unknown end: one random number per node."""
    speed, sample, shown = noise.at[3], noise.at[4], noise.at[5]
    density, conductance, rapid = noise.at[6], noise.at[7], noise.at[8]
    flickering = len(noise.density) - len(noise.steady)
    per_step, leaking, owed = (1.0 / (2.0 * h), noise.four_kt * _LEAKING / h, noise.owed[0] / h)
    turn = word(noise.words) >> np.uint64(60)
    numbers = noise.numbers
    at = reserve(noise.words, numbers, noise.used, len(delta))
    if noise.kinds[FLICKER]:
        for j in range(len(noise.alone)):
            if noise.alone[j] >= flickering:
                delta[noise.alone_at[j]] += noise.steady[noise.alone[j] - flickering]
    for place in range(first, len(delta)):
        white = density[place] * per_step
        if density[place] < leaking:
            white *= 16.0 if (turn + place) & np.uint64(_RARE) == 0 else 0.0
        if owed > 0.0:
            white *= 1.0 + _still_felt(speed[place], owed)
        held = delta[place]
        if white + rapid[place] > 0.0:
            held += math.sqrt(shown[place] * shown[place] * white + rapid[place]) * numbers[at]
            at += 1
        if beta != 1.0:
            held *= (beta + speed[place]) / (1.0 + speed[place])
        delta[place] = held - conductance[place] * sample[place]
    noise.used[0] = at


@kernel(inline="always")
def _hidden(speed, target, sample):  # type: ignore[no-untyped-def]
    """Returns the part of a node's sampled voltage that is too fast for a node that senses it.

    Sources that sense share the sample of a node: what they do in common cancels where it should.
    """
    return speed / (target + speed) * sample


@kernel()
def _elsewhere(voltage, looked_at):  # type: ignore[no-untyped-def]
    """Whether a node has left the voltage at which the transistors were looked at."""
    farthest = 0.0
    for place in range(len(voltage)):
        farthest = max(farthest, abs(voltage[place] - looked_at[place]))
    return farthest > SAME_STATE


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
    k = two_terminal_sources(program, work, noise)
    if _elsewhere(work.voltage, noise.looked_at):
        noise.looked_at[:] = work.voltage
        noise.at[2] = noise.capacitance
        k = three_terminal_sources(program, work, noise, k)
        four_terminal_sources(program, work, noise, k)
    if noise.kinds[FLICKER]:
        _advance_flicker(noise, h + noise.owed[0])
    _gather(noise)
    _sample_voltages(program, noise, h, beta, multistep)
    work.delta[:] = 0.0
    _inject(noise, first, work.delta, h, beta)
    work.delta[:] *= noise.level
    solve(
        program.start, program.column, program.diagonal, work.values, work.inverse_pivot, work.delta[first:]
    )
    noise.owed[0] = 0.0
    book(program, work, noise.moved)
    for place in range(first, len(work.voltage)):
        before = work.voltage[place]
        work.voltage[place] += work.delta[place]
        work.charge[place] += noise.moved[place]
        noise.guess[place] = before if noise.at[3, place] > 1.0 else work.voltage[place]


@kernel()
def put_off(work, noise, h):  # type: ignore[no-untyped-def]
    """Leaves the noise of a step to the next one: for a step after which nothing is let go before."""
    noise.owed[0] += h
    noise.guess[:] = work.voltage
