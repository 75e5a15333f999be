"""Evaluates an OSDI compact model from compiled code, with its internal nodes eliminated.

A device is one row of int64 numbers (addresses of functions and memory, and sizes), so kernels
carry no Python objects and can be cached on disk. Speed: BSIM4 itself takes 1.3 to 1.5 us for
each Newton step, and one step suffices unless a body diode conducts or drain and source lie
behind sheet resistance (the continuous Sky130 cards: two or three); the rest adds 0.2 us. A call
writes to the memory of the instance: two threads must not evaluate the same row at once.

Internal nodes x (body network, drain and source behind sheet resistance) satisfy f_x(v, x) = 0,
solved by Newton from the potential of the terminal each belongs to. With G = df/d(v, x) and
C = dq/d(v, x), S = dx/dv = -Gxx^-1 Gxv:

    I = f_v,   dI/dv = Gvv + Gvx S,   Q = L q,   dQ/dv = L (C.v + C.x S)

L adds the charge of an internal node to that of its terminal: the quasi-static limit of the
resistances in between (their RC is below a picosecond). Currents and charges sum to zero.
"""

# mypy: disable-error-code="import-untyped,no-untyped-call,call-arg,attr-defined,type-arg"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core.extending import intrinsic

from eqspice.jit import kernel

EVAL, RESIDUAL_RESIST, RESIDUAL_REACT, JACOBIAN_RESIST, JACOBIAN_REACT = range(5)
INSTANCE, MODEL, INFO, WORK, MAPS, UNKNOWNS, RESISTIVE, REACTIVE = range(5, 13)
CONTEXT_SIZE = 16
"""Length of a context row."""

TERMINALS = 4
_TOLERANCE = 1e-6  # volts; leaves an error of (1e-6 / Vt)^2 in a current, 1e-6 / Vt in a conductance
_ASIDE = 1e-12
"""Volts by which internal nodes start apart. BSIM4 has a branch for a junction at exactly 0 V in which
compiled derivatives lose the capacitance; bulk tied to source would always hit it. The correction
after the last call takes the offset out again."""
_ITERATIONS = 200
_FATAL = 2 | 4  # EVAL_RET_FLAG_FATAL, EVAL_RET_FLAG_FINISH


def work_size(unknowns: int, resistive: int, reactive: int) -> int:
    """Returns the doubles of scratch memory that one device needs."""
    internal = unknowns - TERMINALS
    return 1 + 3 * (unknowns + 1) + resistive + reactive + 2 * (unknowns + 1) ** 2 + internal * (internal + 5)


@intrinsic
def _call4(
    typingctx: Any, function: Any, a: Any, b: Any, c: Any, d: Any
) -> tuple[Any, Any]:  # pragma: no cover - compiled
    """Calls uint32 f(void*, void*, void*, void*); every argument is an address in an int64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.IntType(32), [word] * 4)
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(pointer, arguments[1:])

    return types.int32(*(types.int64,) * 5), codegen


@intrinsic
def _call3(typingctx: Any, function: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:  # pragma: no cover
    """Calls void f(void*, void*, double*); every argument is an address in an int64."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 3)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4), codegen


@intrinsic
def _pointer(typingctx: Any, address: Any) -> tuple[Any, Any]:  # pragma: no cover - compiled
    """Returns an int64 address as a void pointer."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@kernel(nogil=True, error_model="numpy")
def _solve(a: np.ndarray, b: np.ndarray, n: int, columns: int) -> bool:
    """Solves a x = b in place (x ends up in b) by elimination with row pivoting."""
    for k in range(n):
        best, size = k, abs(a[k, k])
        for i in range(k + 1, n):
            if abs(a[i, k]) > size:
                best, size = i, abs(a[i, k])
        if not size > 0.0:
            return False
        if best != k:
            for j in range(k, n):
                a[k, j], a[best, j] = a[best, j], a[k, j]
            for j in range(columns):
                b[k, j], b[best, j] = b[best, j], b[k, j]
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            if factor != 0.0:
                for j in range(k + 1, n):
                    a[i, j] -= factor * a[k, j]
                for j in range(columns):
                    b[i, j] -= factor * b[k, j]
    for k in range(n - 1, -1, -1):
        for j in range(columns):
            total = b[k, j]
            for i in range(k + 1, n):
                total -= a[k, i] * b[i, j]
            b[k, j] = total / a[k, k]
    return True


@kernel(nogil=True, error_model="numpy")
def osdi_evaluate(
    context: np.ndarray,
    v: np.ndarray,
    out_i: np.ndarray,
    out_q: np.ndarray,
    out_g: np.ndarray,
    out_c: np.ndarray,
) -> int:
    """Evaluates one device; returns the calls of the model it took, or -1 when that failed.

    Args:
        context: int64 (CONTEXT_SIZE,), `CompactModel.context`.
        v: terminal voltages in volts (4,), order d, g, s, b.
        out_i: currents into the terminals in amperes (4,).
        out_q: terminal charges in coulombs (4,).
        out_g: d out_i[row] / d v[column] in siemens (4, 4).
        out_c: d out_q[row] / d v[column] in farads (4, 4).
    """
    n, resistive, reactive = context[UNKNOWNS], context[RESISTIVE], context[REACTIVE]
    size, internal = n + 1, n - TERMINALS
    work = carray(
        _pointer(context[WORK]),
        (1 + 3 * size + resistive + reactive + 2 * size * size + internal * (internal + 5),),
        np.float64,
    )
    maps = carray(_pointer(context[MAPS]), (2 * (resistive + reactive) + n,), np.int32)
    multiplier = work[0]
    at_x, at_f, at_q = 1, 1 + size, 1 + 2 * size
    at_jr = 1 + 3 * size
    at_jx = at_jr + resistive
    x, f, q = work[at_x:at_f], work[at_f:at_q], work[at_q:at_jr]
    at_g = at_jx + reactive
    g = work[at_g : at_g + size * size].reshape((size, size))
    c = work[at_g + size * size : at_g + 2 * size * size].reshape((size, size))
    at_a = at_g + 2 * size * size
    a = work[at_a : at_a + internal * internal].reshape((internal, internal))
    b = work[at_a + internal * internal : at_a + internal * (internal + 5)].reshape((internal, 5))
    home = maps[2 * (resistive + reactive) :]
    base = context[WORK]
    for k in range(TERMINALS):
        x[k] = v[k]
    for k in range(TERMINALS, n):
        x[k] = (v[home[k]] if home[k] >= 0 else 0.0) + (k - TERMINALS + 1) * _ASIDE
    x[n] = 0.0
    calls = 0
    for _ in range(_ITERATIONS):
        calls += 1
        flags = _call4(context[EVAL], 0, context[INSTANCE], context[MODEL], context[INFO])
        if flags & _FATAL:
            return -1
        for k in range(size):
            f[k] = 0.0
        g[:, :] = 0.0
        _call3(context[RESIDUAL_RESIST], context[INSTANCE], context[MODEL], base + 8 * at_f)
        _call3(context[JACOBIAN_RESIST], context[INSTANCE], context[MODEL], base + 8 * at_jr)
        for k in range(resistive):
            g[maps[2 * k], maps[2 * k + 1]] += work[at_jr + k]
        for i in range(internal):
            for j in range(internal):
                a[i, j] = g[TERMINALS + i, TERMINALS + j]
            for j in range(TERMINALS):
                b[i, j] = -g[TERMINALS + i, j]
            b[i, 4] = -f[TERMINALS + i]
        if not _solve(a, b, internal, 5):
            return -1
        step = 0.0
        for i in range(internal):
            if not abs(b[i, 4]) <= step:  # also true for not-a-number
                step = abs(b[i, 4])
        if step <= _TOLERANCE:
            break
        if not step < 1e6:
            return -1
        for i in range(internal):
            x[TERMINALS + i] += b[i, 4]
    else:
        return -1
    for k in range(size):
        q[k] = 0.0
    c[:, :] = 0.0
    _call3(context[RESIDUAL_REACT], context[INSTANCE], context[MODEL], base + 8 * at_q)
    _call3(context[JACOBIAN_REACT], context[INSTANCE], context[MODEL], base + 8 * at_jx)
    for k in range(reactive):
        row, column = maps[2 * (resistive + k)], maps[2 * (resistive + k) + 1]
        c[row, column] += work[at_jx + k]
    for i in range(TERMINALS):
        out_i[i] = 0.0
        out_q[i] = 0.0
        for j in range(TERMINALS):
            out_c[i, j] = 0.0
    for i in range(TERMINALS):
        total = f[i]
        for k in range(internal):
            total += g[i, TERMINALS + k] * b[k, 4]
        out_i[i] = multiplier * total
        for j in range(TERMINALS):
            total = g[i, j]
            for k in range(internal):
                total += g[i, TERMINALS + k] * b[k, j]
            out_g[i, j] = multiplier * total
    for i in range(n):
        where = home[i]
        if where < 0:
            continue
        total = q[i]
        for k in range(internal):
            total += c[i, TERMINALS + k] * b[k, 4]
        out_q[where] += multiplier * total
        for j in range(TERMINALS):
            total = c[i, j]
            for k in range(internal):
                total += c[i, TERMINALS + k] * b[k, j]
            out_c[where, j] += multiplier * total
    return calls


@kernel(nogil=True)
def evaluate_many(
    context: np.ndarray, v: np.ndarray, i: np.ndarray, q: np.ndarray, g: np.ndarray, c: np.ndarray
) -> int:
    """Evaluates one device at many points; returns the index of the first that failed, or -1."""
    for k in range(v.shape[0]):
        if osdi_evaluate(context, v[k], i[k], q[k], g[k], c[k]) < 0:
            return k
    return -1
