"""First guesses of a time step: extrapolation, or a step remembered from similar inputs."""

from __future__ import annotations

from eqspice.engines.native.track import ORDER, REMEMBERED, SOLUTIONS, STEP
from eqspice.jit import kernel

SAME_INPUTS = 1e-8  # V^2: nearer than this the older solution is replaced
LARGE_CHANGE = 0.05  # V: an input that moves more in a step makes a remembered guess worth a look


@kernel()
def predict(program, work, track, h):  # type: ignore[no-untyped-def]
    """Extrapolates linearly the unknowns that may be; the others start where they were."""
    order = track.place[ORDER]
    first = program.first_unknown
    ratio = h / track.clock[STEP] if order >= 1 else 0.0
    for i in range(first, first + program.unknowns):
        guess = track.before_1[i]
        if order >= 1:
            guess += program.predicted[i] * ratio * (track.before_1[i] - track.before_2[i])
        work.voltage[i] = guess


@kernel()
def recall(program, work, track):  # type: ignore[no-untyped-def]
    """Starts from the remembered step whose inputs before and after are nearest, if near enough.

    A phase step may swing inputs by a volt, where Newton's iteration from the old solution is slow;
    a network that learns has mostly seen similar inputs before. Storage nodes keep what they hold.
    Returns the place to remember this step's solution at, or -1 if no input changes much.
    """
    first, voltage, before = program.first_unknown, work.voltage, track.before_1
    change, own = 0.0, 0.0
    for i in range(1, first):
        step = program.supplies[i] * (voltage[i] - before[i])
        own += step * step
        change = max(change, abs(step))
    if change < LARGE_CHANGE:
        return -1
    best, nearest = -1, own
    for m in range(min(track.place[SOLUTIONS], REMEMBERED)):
        distance = 0.0
        for i in range(1, first):
            step = program.supplies[i] * (voltage[i] - track.memory[m, i])
            old = program.supplies[i] * (before[i] - track.memory_inputs[m, i])
            distance += step * step + old * old
        if distance < nearest:
            best, nearest = m, distance
    if best >= 0:
        voltage[first:] = track.memory[best, first:]
        for k in range(len(program.storage)):
            voltage[program.storage[k]] = before[program.storage[k]]
        if nearest < SAME_INPUTS:
            return best
    return track.place[SOLUTIONS] % REMEMBERED
