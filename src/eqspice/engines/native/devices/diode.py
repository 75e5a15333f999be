"""Shockley diode with a straight line above 1 A, and the two-sided soft limiter.

Both are two-terminal laws I(v) kept as (v0, I0, G0): I = I0 + G0 (v - v0).
"""

from __future__ import annotations

import math

from eqspice.jit import kernel

KNEE_CONDUCTANCE = 1e-3  # S


@kernel()
def diode_law(v, saturation_current, thermal_voltage, v_line):  # type: ignore[no-untyped-def]
    """Returns current and conductance at v."""
    if v > v_line:
        top = saturation_current * math.exp(v_line / thermal_voltage)
        g = top / thermal_voltage
        return top - saturation_current + g * (v - v_line), g
    if v < -40.0 * thermal_voltage:
        return -saturation_current, 0.0
    e = saturation_current * math.exp(v / thermal_voltage)
    return e - saturation_current, e / thermal_voltage


@kernel()
def limit_junction(v, old, thermal_voltage, saturation_current):  # type: ignore[no-untyped-def]
    """Limits a junction's voltage between iterations.

    Above the knee (where the conductance is 1 mS) the diode is evaluated where it carries the
    current that its last linearisation asked for; from below it goes to the knee first (after
    Nagel 1975, SPICE2, whose steps from zero are shorter).
    """
    knee = thermal_voltage * math.log(KNEE_CONDUCTANCE * thermal_voltage / saturation_current)
    if v > knee and v > old + 2.0 * thermal_voltage:
        base = max(old, knee)
        if v <= base:
            return v
        return base + thermal_voltage * math.log1p((v - base) / thermal_voltage)
    return v


@kernel()
def evaluate_diodes(group, voltage, current, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds the currents; returns (derivatives changed, number of junctions still limited)."""
    changed = False
    limited = 0
    for i in range(len(group.v_line)):
        p, n = group.nodes[i, 0], group.nodes[i, 1]
        v = voltage[p] - voltage[n]
        vt = group.thermal_voltage[i]
        if abs(v - cache[i, 0]) > bypass * min(1.0, vt / 0.026):
            old = cache[i, 0] if cache[i, 0] < 1e29 else 0.0
            at = limit_junction(v, old, vt, group.saturation_current[i])
            if at != v:
                limited += 1
            cache[i, 0] = at
            cache[i, 1], g = diode_law(at, group.saturation_current[i], vt, group.v_line[i])
            if g != cache[i, 2]:
                changed = True
            cache[i, 2] = g
        through = cache[i, 1] + cache[i, 2] * (v - cache[i, 0])
        current[p] += through
        current[n] -= through
    return changed, limited


@kernel()
def softplus(x):  # type: ignore[no-untyped-def]
    """Returns ln(1 + e^x) and its derivative."""
    if x > 40.0:
        return x, 1.0
    if x < -40.0:
        return 0.0, 0.0
    e = math.exp(x)
    return math.log1p(e), e / (1.0 + e)


@kernel()
def evaluate_limiters(group, voltage, current, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds the currents; returns whether derivatives changed."""
    changed = False
    for i in range(len(group.low)):
        p, n = group.nodes[i, 0], group.nodes[i, 1]
        v = voltage[p] - voltage[n]
        if abs(v - cache[i, 0]) > bypass * min(1.0, group.softness[i] / 0.026):
            up, d_up = softplus((v - group.high[i]) / group.softness[i])
            down, d_down = softplus((group.low[i] - v) / group.softness[i])
            cache[i, 0] = v
            cache[i, 1] = group.softness[i] / group.resistance[i] * (up - down)
            g = (d_up + d_down) / group.resistance[i]
            if g != cache[i, 2]:
                changed = True
            cache[i, 2] = g
        through = cache[i, 1] + cache[i, 2] * (v - cache[i, 0])
        current[p] += through
        current[n] -= through
    return changed


@kernel()
def assemble_two_terminal(positions, values, cache):  # type: ignore[no-untyped-def]
    """Adds dI/dv of diodes or limiters to the matrix values."""
    for i in range(len(positions)):
        g = cache[i, 2]
        values[positions[i, 0]] += g
        values[positions[i, 1]] -= g
        values[positions[i, 2]] -= g
        values[positions[i, 3]] += g
