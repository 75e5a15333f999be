"""Smooth switch: a smoothstep in log conductance between v_off and v_on."""

from __future__ import annotations

import math

from eqspice.jit import kernel


@kernel()
def evaluate_switches(group, voltage, current, control, conductance, slope):  # type: ignore[no-untyped-def]
    """Adds the currents; returns whether a conductance changed. Antisymmetric by construction."""
    changed = False
    for i in range(len(group.log_on)):
        u = voltage[group.nodes[i, 2]] - voltage[group.nodes[i, 3]]
        if u != control[i]:
            control[i] = u
            span = group.v_on[i] - group.v_off[i]
            x = min(1.0, max(0.0, (u - group.v_off[i]) / span))
            s = x * x * (3.0 - 2.0 * x)
            ds = 6.0 * x * (1.0 - x) / span
            if group.log_off[i] == -math.inf:
                g = s * math.exp(group.log_on[i])
                dg = ds * math.exp(group.log_on[i])
            else:
                ratio = group.log_on[i] - group.log_off[i]
                g = math.exp(group.log_off[i] + s * ratio)
                dg = g * ratio * ds
            if g != conductance[i] or dg != slope[i]:
                changed = True
                conductance[i] = g
                slope[i] = dg
        p, n = group.nodes[i, 0], group.nodes[i, 1]
        through = conductance[i] * (voltage[p] - voltage[n])
        current[p] += through
        current[n] -= through
        if group.floating_control[i] and slope[i] != 0.0:
            changed = True  # its control derivative carries the voltage across, which moves
    return changed


@kernel()
def assemble_switches(group, voltage, values, conductance, slope):  # type: ignore[no-untyped-def]
    """Adds dI/dv to the matrix values."""
    for i in range(len(group.log_on)):
        g = conductance[i]
        at = group.positions[i]
        values[at[0]] += g
        values[at[1]] -= g
        values[at[2]] -= g
        values[at[3]] += g
        if group.floating_control[i]:
            dg = slope[i] * (voltage[group.nodes[i, 0]] - voltage[group.nodes[i, 1]])
            values[at[4]] += dg
            values[at[5]] -= dg
            values[at[6]] -= dg
            values[at[7]] += dg
