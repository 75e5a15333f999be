"""Resistors, capacitors, linear controlled sources, amplifiers: I = G v, Q = C v; and current sources."""

from __future__ import annotations

from eqspice.jit import kernel


@kernel()
def evaluate_linear(linear, first, voltage, current, charge):  # type: ignore[no-untyped-def]
    """Adds G v and the currents of offsets to current and C v to charge, unknown rows only."""
    for row in range(len(linear.g_start) - 1):
        total = linear.constant[row]
        for p in range(linear.g_start[row], linear.g_start[row + 1]):
            total += linear.g_value[p] * voltage[linear.g_column[p]]
        current[first + row] += total
        total = 0.0
        for p in range(linear.c_start[row], linear.c_start[row + 1]):
            total += linear.c_value[p] * voltage[linear.c_column[p]]
        charge[first + row] += total


@kernel()
def book_linear(linear, first, delta, charge):  # type: ignore[no-untyped-def]
    """Adds C delta to charge; delta has zeros for ground and inputs."""
    for row in range(len(linear.c_start) - 1):
        for p in range(linear.c_start[row], linear.c_start[row + 1]):
            charge[first + row] += linear.c_value[p] * delta[linear.c_column[p]]


@kernel()
def evaluate_sources(sources, signal, current):  # type: ignore[no-untyped-def]
    """Adds the currents of the independent sources."""
    for i in range(len(sources.dc)):
        value = sources.dc[i]
        if sources.signal[i] >= 0:
            value += sources.scale[i] * signal[sources.signal[i]]
        current[sources.nodes[i, 0]] += value
        current[sources.nodes[i, 1]] -= value
