"""What noise has moved and the circuit not yet forgotten: the error control looks at all else."""

from __future__ import annotations

import math

from eqspice.engines.native import newton as nt
from eqspice.engines.native.sparse import solve
from eqspice.jit import kernel

_SLOW = 0.01  # steps per time constant of a node that holds what it has


@kernel()
def book(program, work, moved):  # type: ignore[no-untyped-def]
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
    book(program, work, noise.excursion[2])


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
