"""FETs: by characterised tables, two-axis where bulk is tied to source, or by the compact model itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eqspice.jit import kernel
from eqspice.pdk.ideal import square_law
from eqspice.pdk.osdi_kernel import osdi_evaluate
from eqspice.pdk.tables3_kernel import bulk_evaluate
from eqspice.pdk.tables_kernel import table_evaluate

_OUTSIDE, _FARTHEST = 23, 24  # places in the cache row of a FET of three-axis tables


@kernel(inline="always")
def _add_three_terminal(d, g, s, vgs, vds, row, current, charge):  # type: ignore[no-untyped-def]
    """Adds the linearised currents and charges kept in row."""
    dg = vgs - row[0]
    dd = vds - row[1]
    drain = row[2] + row[3] * dg + row[4] * dd
    gate_charge = row[5] + row[6] * dg + row[7] * dd
    drain_charge = row[8] + row[9] * dg + row[10] * dd
    gate = row[11] + row[12] * dg + row[13] * dd
    current[d] += drain
    current[g] += gate
    current[s] -= drain + gate
    charge[g] += gate_charge
    charge[d] += drain_charge
    charge[s] -= gate_charge + drain_charge


@kernel()
def evaluate_table_fets(group, voltage, current, charge, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds currents and charges of table FETs; returns how many were evaluated anew.

    A cache row is (vgs, vds, Id, dId/dvgs, dId/dvds), then the same three of Qg, of Qd and of Ig.
    """
    evaluated = 0
    for i in range(len(group.nodes)):
        d, g, s = group.nodes[i, 0], group.nodes[i, 1], group.nodes[i, 2]
        row = cache[i]
        vgs = voltage[g] - voltage[s]
        vds = voltage[d] - voltage[s]
        if abs(vgs - row[0]) > bypass or abs(vds - row[1]) > bypass:
            evaluated += 1
            row[0] = vgs
            row[1] = vds
            table = group.table[i]
            table_evaluate(group.coefficients[table], group.meta[table], vgs + group.shift[i], vds, row[2:14])
            m = group.multiplier[i]
            if m != 1.0:
                for k in range(2, 14):
                    row[k] *= m
        _add_three_terminal(d, g, s, vgs, vds, row, current, charge)
    return evaluated


@kernel()
def evaluate_square_fets(group, voltage, current, charge, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds currents and charges of square-law FETs; returns how many were evaluated anew."""
    evaluated = 0
    for i in range(len(group.nodes)):
        d, g, s = group.nodes[i, 0], group.nodes[i, 1], group.nodes[i, 2]
        row = cache[i]
        vgs = voltage[g] - voltage[s]
        vds = voltage[d] - voltage[s]
        if abs(vgs - row[0]) > bypass or abs(vds - row[1]) > bypass:
            evaluated += 1
            row[0] = vgs
            row[1] = vds
            square_law(group.parameters[i], vgs, vds, row[2:14])
        _add_three_terminal(d, g, s, vgs, vds, row, current, charge)
    return evaluated


@kernel()
def assemble_three_terminal(positions, values, cache, alpha):  # type: ignore[no-untyped-def]
    """Adds dI/dv + alpha dQ/dv; positions: rows d, g, s by columns d, g, s."""
    for i in range(len(positions)):
        row = cache[i]
        at = positions[i]
        d_g = row[3] + alpha * row[9]
        d_d = row[4] + alpha * row[10]
        g_g = row[12] + alpha * row[6]
        g_d = row[13] + alpha * row[7]
        values[at[0]] += d_d
        values[at[1]] += d_g
        values[at[2]] -= d_d + d_g
        values[at[3]] += g_d
        values[at[4]] += g_g
        values[at[5]] -= g_d + g_g
        values[at[6]] -= d_d + g_d
        values[at[7]] -= d_g + g_g
        values[at[8]] += d_d + d_g + g_d + g_g


@kernel()
def book_three_terminal(nodes, delta, charge, cache):  # type: ignore[no-untyped-def]
    """Adds dQ/dv delta to charge; delta has zeros for ground and inputs."""
    for i in range(len(nodes)):
        d, g, s = nodes[i, 0], nodes[i, 1], nodes[i, 2]
        dg = delta[g] - delta[s]
        dd = delta[d] - delta[s]
        row = cache[i]
        gate = row[6] * dg + row[7] * dd
        drain = row[9] * dg + row[10] * dd
        charge[g] += gate
        charge[d] += drain
        charge[s] -= gate + drain


@kernel()
def _moved(voltage, nodes, row, bypass):  # type: ignore[no-untyped-def]
    for k in range(4):
        if abs(voltage[nodes[k]] - row[k]) > bypass:
            return True
    return math.isnan(row[4])


@kernel()
def _add_four_terminal(nodes, voltage, current, charge, row):  # type: ignore[no-untyped-def]
    """Adds the linearised currents and charges kept in row: v(4), I(4), Q(4), G(4, 4), C(4, 4)."""
    for k in range(4):
        i_k = row[4 + k]
        q_k = row[8 + k]
        for j in range(4):
            step = voltage[nodes[j]] - row[j]
            i_k += row[12 + 4 * k + j] * step
            q_k += row[28 + 4 * k + j] * step
        current[nodes[k]] += i_k
        charge[nodes[k]] += q_k


@kernel()
def evaluate_compact_fets(group, voltage, current, charge, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds currents and charges of compact-model FETs; returns how many were evaluated anew."""
    evaluated = 0
    for i in range(len(group.context)):
        row = cache[i]
        if _moved(voltage, group.nodes[i], row, bypass):
            evaluated += 1
            for k in range(4):
                row[k] = voltage[group.nodes[i, k]]
            calls = osdi_evaluate(
                group.contexts[group.context[i]],
                row[0:4],
                row[4:8],
                row[8:12],
                row[12:28].reshape(4, 4),
                row[28:44].reshape(4, 4),
            )
            for k in range(4, 44):
                row[k] *= group.multiplier[i]
            if calls < 0:  # the model failed here: not finite, and looked at again next time
                row[4] = math.nan
        _add_four_terminal(group.nodes[i], voltage, current, charge, row)
    return evaluated


@kernel()
def assemble_four_terminal(positions, values, cache, alpha):  # type: ignore[no-untyped-def]
    """Adds dI/dv + alpha dQ/dv of four-terminal FETs."""
    for i in range(len(positions)):
        for k in range(16):
            values[positions[i, k]] += cache[i, 12 + k] + alpha * cache[i, 28 + k]


@kernel()
def book_four_terminal(nodes, delta, charge, cache):  # type: ignore[no-untyped-def]
    """Adds dQ/dv delta to charge; delta has zeros for ground and inputs."""
    for i in range(len(nodes)):
        for k in range(4):
            for j in range(4):
                charge[nodes[i, k]] += cache[i, 28 + 4 * k + j] * delta[nodes[i, j]]


@kernel()
def evaluate_bulk_fets(group, voltage, current, charge, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds currents and charges of three-axis table FETs; returns how many were evaluated anew.

    A cache row is V_d, V_g, V_s against the bulk; I_d, I_s, Q_g, Q_d, Q_s, each with its derivatives by
    those three; volts outside the table now, and the largest at any solution. The bulk takes minus
    the sum of the others.
    """
    evaluated = 0
    for i in range(len(group.nodes)):
        d, g, s, b = group.nodes[i, 0], group.nodes[i, 1], group.nodes[i, 2], group.nodes[i, 3]
        row = cache[i]
        drain, gate, source = voltage[d] - voltage[b], voltage[g] - voltage[b], voltage[s] - voltage[b]
        x, y, z = drain - row[0], gate - row[1], source - row[2]
        if not (abs(x) <= bypass and abs(y) <= bypass and abs(z) <= bypass):
            evaluated += 1
            row[0], row[1], row[2] = drain, gate, source
            x = y = z = 0.0
            row[_OUTSIDE] = bulk_evaluate(
                group.numbers, group.start[i], drain, gate + group.shift[i], source, row[3:23]
            )
            m = group.multiplier[i]
            if m != 1.0:
                for k in range(3, 23):
                    row[k] *= m
        i_d = row[3] + row[4] * x + row[5] * y + row[6] * z
        i_s = row[7] + row[8] * x + row[9] * y + row[10] * z
        q_g = row[11] + row[12] * x + row[13] * y + row[14] * z
        q_d = row[15] + row[16] * x + row[17] * y + row[18] * z
        q_s = row[19] + row[20] * x + row[21] * y + row[22] * z
        current[d] += i_d
        current[s] += i_s
        current[b] -= i_d + i_s
        charge[g] += q_g
        charge[d] += q_d
        charge[s] += q_s
        charge[b] -= q_g + q_d + q_s
    return evaluated


@kernel()
def assemble_bulk_fets(group, values, cache, alpha):  # type: ignore[no-untyped-def]
    """Adds dI/dv + alpha dQ/dv; positions: d, g, s by d, g, s, then column b, then row b."""
    for i in range(len(group.positions)):
        row = cache[i]
        at = group.positions[i]
        for k in range(3):
            d = row[4 + k] + alpha * row[16 + k]
            g = alpha * row[12 + k]
            s = row[8 + k] + alpha * row[20 + k]
            values[at[k]] += d
            values[at[3 + k]] += g
            values[at[6 + k]] += s
            if group.floating[i]:
                values[at[9]] -= d
                values[at[10]] -= g
                values[at[11]] -= s
                values[at[12 + k]] -= d + g + s
                values[at[15]] += d + g + s


@kernel()
def book_bulk_fets(nodes, delta, charge, cache):  # type: ignore[no-untyped-def]
    """Adds dQ/dv delta to charge; delta has zeros for ground and inputs."""
    for i in range(len(nodes)):
        d, g, s, b = nodes[i, 0], nodes[i, 1], nodes[i, 2], nodes[i, 3]
        row = cache[i]
        x, y, z = delta[d] - delta[b], delta[g] - delta[b], delta[s] - delta[b]
        q_g = row[12] * x + row[13] * y + row[14] * z
        q_d = row[16] * x + row[17] * y + row[18] * z
        q_s = row[20] * x + row[21] * y + row[22] * z
        charge[g] += q_g
        charge[d] += q_d
        charge[s] += q_s
        charge[b] -= q_g + q_d + q_s


@kernel()
def outside(cache):  # type: ignore[no-untyped-def]
    """Returns how far outside its table that three-axis FET is now which is farthest, V."""
    farthest = 0.0
    for i in range(len(cache)):
        farthest = max(farthest, cache[i, _OUTSIDE])
    return farthest


@kernel()
def note_outside(cache):  # type: ignore[no-untyped-def]
    """Notes how far outside its table each three-axis FET is at a solution; returns the most, V."""
    farthest = 0.0
    for i in range(len(cache)):
        cache[i, _FARTHEST] = max(cache[i, _FARTHEST], cache[i, _OUTSIDE])
        farthest = max(farthest, cache[i, _OUTSIDE])
    return farthest


def farthest_outside(cache: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns how far outside its table each three-axis FET has been at a solution, V."""
    return cache[:, _FARTHEST]
