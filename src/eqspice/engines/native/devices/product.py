"""Multiplier: the product part of its output current; its linear part stands with the linear devices."""

from __future__ import annotations

from eqspice.jit import kernel


@kernel()
def evaluate_products(group, voltage, current, cache, bypass):  # type: ignore[no-untyped-def]
    """Adds -scale (a + offset) b to the output node; returns whether derivatives changed."""
    changed = False
    for i in range(len(group.scale)):
        a = voltage[group.nodes[i, 1]] - voltage[group.nodes[i, 2]] + group.offset[i]
        b = voltage[group.nodes[i, 3]] - voltage[group.nodes[i, 4]]
        if abs(a - cache[i, 0]) > bypass or abs(b - cache[i, 1]) > bypass:
            cache[i, 0] = a
            cache[i, 1] = b
            changed = True
        a0, b0 = cache[i, 0], cache[i, 1]
        # Bilinear, so the linearisation at (a0, b0) errs by (a - a0)(b - b0) only.
        current[group.nodes[i, 0]] -= group.scale[i] * (a0 * b + b0 * (a - a0))
    return changed


@kernel()
def assemble_products(group, values, cache):  # type: ignore[no-untyped-def]
    """Adds dI/dv to the matrix values."""
    for i in range(len(group.scale)):
        da = group.scale[i] * cache[i, 1]
        db = group.scale[i] * cache[i, 0]
        values[group.positions[i, 0]] -= da
        values[group.positions[i, 1]] += da
        values[group.positions[i, 2]] -= db
        values[group.positions[i, 3]] += db
