"""Evaluates three-axis device tables: FETs whose bulk is a node of its own.

A FET that is the same device with drain and source exchanged is looked up from its lower end: with
low and high the smaller and the larger of V_d and V_s, the axes are

    x = V_g - low,   y = low - V_b,   z = high - low >= 0.

A node holds (I_high, Q_g, Q_high, Q_low) side by side, 32 bytes, one AVX load. The splines are cubic
on knots of unequal spacing: per axis and cell, four basis functions as polynomials. 64 nodes and
about 200 vector multiply-adds give four values and their twelve derivatives. Two smaller parts are
kept apart: the impact ionisation current into the bulk (a tensor of its own, skipped where it is
zero) and the junction current, steep but of one voltage only.
"""

# mypy: disable-error-code="import-untyped,no-untyped-call,call-arg,var-annotated,type-arg"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

from eqspice.jit import kernel

NODES = (80, 34, 27)
"""Coefficients along x, y and z."""

BINS = 512
"""Equal parts of an axis, each of which knows the cell at its lower edge."""

JUNCTION_LOW, JUNCTION_STEP, JUNCTION_CELLS = -1.0, 0.0025, 1440
"""Grid of the junction current, volts: the end at a terminal against the bulk."""

POLARITY, IMPACT_FROM = 0, 1  # places in the header
_CELLS = max(NODES) - 3
BINS_AT = 8  # in the block of an axis: lowest value, bins per volt; bins; edges; polynomials
EDGES_AT = BINS_AT + BINS
POLYNOMIALS_AT = EDGES_AT + 8 * (_CELLS // 8 + 1)
AXIS_SIZE = POLYNOMIALS_AT + 16 * _CELLS + 8 * (_CELLS % 2)
AXES_AT = 8
JUNCTION_AT = AXES_AT + 3 * AXIS_SIZE
COEFFICIENTS_AT = JUNCTION_AT + 8 * ((JUNCTION_CELLS + 3) // 8 + 1)
IMPACT_AT = COEFFICIENTS_AT + 4 * NODES[0] * NODES[1] * NODES[2]
SIZE = 8 * ((IMPACT_AT + NODES[0] * NODES[1] * NODES[2]) // 8 + 1)
"""Doubles of one table. Every part starts on a cache line."""

LOW, HIGH, GATE_LOW, GATE_HIGH = -0.5, 2.0, -0.5, 2.4
"""Volts against the bulk (mirrored for p-channel): the characterised region of drain and source, and
of the gate. Beyond it the splines go on as straight lines along each axis."""

OUTPUTS = 20
"""I_d, I_s, Q_g, Q_d, Q_s, each with its derivatives by V_d, V_g and V_s."""

_LANES = 4


class _Vectors:
    """Builds vectors of four doubles in LLVM."""

    def __init__(self, context: Any, builder: Any, array_type: Any, array: Any) -> None:
        self.builder = builder
        self.data = context.make_array(array_type)(context, builder, array).data
        self.vector = ir.VectorType(ir.DoubleType(), _LANES)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v4f64")

    def load(self, where: Any, ahead: int) -> Any:
        place = self.builder.add(where, ir.Constant(ir.IntType(64), ahead))
        pointer = self.builder.gep(self.data, [place])
        loaded = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        loaded.align = 8
        return loaded

    def spread(self, value: Any) -> Any:
        lane = ir.IntType(32)
        nothing = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(nothing, value, lane(0))
        return self.builder.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(lane, _LANES), [0] * _LANES)
        )

    def lanes(self, vector: Any) -> list[Any]:
        return [self.builder.extract_element(vector, ir.IntType(32)(k)) for k in range(_LANES)]

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.call(self._fma, [a, b, c])

    def sum(self, weights: list[Any], terms: list[Any]) -> Any:
        total = self.builder.fmul(weights[0], terms[0])
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            total = self.fma(weight, term, total)
        return total

    def basis(self, where: Any, t: Any, outside: Any) -> tuple[Any, Any]:
        """Returns the four basis functions of a cell, straight lines outside, and their derivatives."""
        c0, c1, c2, c3 = (self.load(where, 4 * power) for power in range(4))
        t, outside = self.spread(t), self.spread(outside)
        constant = [ir.Constant(self.vector, [number] * _LANES) for number in (2.0, 3.0)]
        value = self.fma(t, self.fma(t, self.fma(t, c3, c2), c1), c0)
        bend = self.fma(t, self.builder.fmul(constant[1], c3), self.builder.fmul(constant[0], c2))
        slope = self.fma(t, bend, c1)
        return self.fma(outside, slope, value), slope


def _prepare(context: Any, builder: Any, signature: Any, arguments: Any) -> tuple[_Vectors, list[Any]]:
    """Returns the vector builder and [(basis, slopes) along x, y, z]."""
    make = _Vectors(context, builder, signature.args[0], arguments[0])
    return make, [make.basis(*arguments[2 + 3 * axis : 5 + 3 * axis]) for axis in range(3)]


_ARGUMENTS = (types.int64, *(types.int64, types.float64, types.float64) * 3)


@intrinsic
def _tensor(
    typingctx: Any, numbers: Any, start: Any, px: Any, tx: Any, ex: Any, py: Any, ty: Any, ey: Any,
    pz: Any, tz: Any, ez: Any,
) -> tuple[Any, Any]:  # fmt: skip # pragma: no cover - compiled
    """Sums 4 x 4 x 4 nodes of four numbers.

    Returns (value, d/dx, d/dy, d/dz) of the first, then of the second, third, fourth. start: place of
    the first node; p: place of the polynomials of the cell, t: volts into it, e: volts outside the axis.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        make, axes = _prepare(context, builder, signature, arguments)
        (wx, dx), (wy, dy), (wz, dz) = (
            tuple([make.spread(lane) for lane in make.lanes(part)] for part in axis) for axis in axes
        )
        along_x: list[list[Any]] = [[], [], []]
        for i in range(4):
            values, slopes = [], []
            for j in range(4):
                row = 4 * NODES[2] * (NODES[1] * i + j)
                nodes = [make.load(arguments[1], row + 4 * k) for k in range(4)]
                values.append(make.sum(wz, nodes))
                slopes.append(make.sum(dz, nodes))
            for part, (weights, terms) in enumerate(((wy, values), (dy, values), (wy, slopes))):
                along_x[part].append(make.sum(weights, terms))
        results = [make.sum(weights, along_x[part]) for weights, part in ((wx, 0), (dx, 0), (wx, 1), (wx, 2))]
        by_result = [make.lanes(result) for result in results]
        scalars = [by_result[d][q] for q in range(4) for d in range(4)]
        return context.make_tuple(builder, signature.return_type, scalars)

    return types.UniTuple(types.float64, 16)(numbers, *_ARGUMENTS), codegen


@intrinsic
def _impact(
    typingctx: Any, numbers: Any, start: Any, px: Any, tx: Any, ex: Any, py: Any, ty: Any, ey: Any,
    pz: Any, tz: Any, ez: Any,
) -> tuple[Any, Any]:  # fmt: skip # pragma: no cover - compiled
    """Sums 4 x 4 x 4 nodes of one number; returns (value, d/dx, d/dy, d/dz)."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        make, axes = _prepare(context, builder, signature, arguments)
        (wx, dx), (wy, dy) = (
            tuple([make.spread(lane) for lane in make.lanes(part)] for part in axis) for axis in axes[:2]
        )
        values, slopes = [], []
        for i in range(4):
            rows = [make.load(arguments[1], NODES[2] * (NODES[1] * i + j)) for j in range(4)]
            values.append(make.sum(wy, rows))
            slopes.append(make.sum(dy, rows))
        value, by_x, by_y = make.sum(wx, values), make.sum(dx, values), make.sum(wx, slopes)
        scalars = []
        for weights, terms in (
            (axes[2][0], value),
            (axes[2][0], by_x),
            (axes[2][0], by_y),
            (axes[2][1], value),
        ):
            a, b, c, d = make.lanes(builder.fmul(weights, terms))
            scalars.append(builder.fadd(builder.fadd(a, b), builder.fadd(c, d)))
        return context.make_tuple(builder, signature.return_type, scalars)

    return types.UniTuple(types.float64, 4)(numbers, *_ARGUMENTS), codegen


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy", inline="always")
def _locate(numbers: np.ndarray, block: int, cells: int, x: float) -> tuple[int, float, float]:
    """Returns the cell along an axis, volts into it, and volts outside the axis."""
    low, high = numbers[block], numbers[block + EDGES_AT + cells]
    inside = x if x > low else low
    inside = inside if inside < high else high
    bin_ = int((inside - low) * numbers[block + 1])
    cell = int(numbers[block + BINS_AT + (bin_ if bin_ < BINS else BINS - 1)])
    while cell < cells - 1 and inside >= numbers[block + EDGES_AT + cell + 1]:
        cell += 1
    return cell, inside - numbers[block + EDGES_AT + cell], x - inside


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy", inline="always")
def _junction(numbers: np.ndarray, start: int, v: float) -> tuple[float, float]:
    """Returns the junction current into a terminal at v against the bulk, and its derivative."""
    u = (v - JUNCTION_LOW) * (1.0 / JUNCTION_STEP)
    inside = u if u > 0.0 else 0.0
    inside = inside if inside < JUNCTION_CELLS else float(JUNCTION_CELLS)
    cell = int(inside)
    cell = cell if cell < JUNCTION_CELLS else JUNCTION_CELLS - 1
    t, at = inside - cell, start + cell
    c0, c1, c2, c3 = numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]
    linear, square, cube = 0.5 * (c2 - c0), 0.5 * (c0 + c2) - c1, (c3 - c0) / 6.0 + 0.5 * (c1 - c2)
    slope = linear + t * (2.0 * square + 3.0 * t * cube)
    value = (c0 + 4.0 * c1 + c2) / 6.0 + t * (linear + t * (square + t * cube))
    return value + (u - inside) * slope, slope * (1.0 / JUNCTION_STEP)


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy", inline="always")
def _store(out: np.ndarray, at: int, sign: float, part: tuple, swapped: bool) -> None:
    """Stores sign * value and the derivatives by V_d, V_g, V_s; part: value, d/dx, d/dy, d/dz."""
    low = part[2] - part[1] - part[3]
    out[at] = sign * part[0]
    out[at + 1] = low if swapped else part[3]
    out[at + 2] = part[1]
    out[at + 3] = part[3] if swapped else low


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy")
def bulk_evaluate(
    numbers: np.ndarray, start: int, drain: float, gate: float, source: float, out: np.ndarray
) -> float:
    """Looks a FET up; allocates nothing.

    Args:
        numbers: float64, tables one behind the other, `BulkTable.numbers`.
        start: place of the first number of this FET's table.
        drain: volts against the bulk, and so for gate and source.
        gate: see drain.
        source: see drain.
        out: receives I_d, dI_d/dV_d, dI_d/dV_g, dI_d/dV_s, then the same of I_s, Q_g, Q_d, Q_s, twenty
            numbers. Not-a-number in gives not-a-number out.

    Returns:
        how far a voltage lies outside the characterised region, V; 0 inside.
    """
    sign = numbers[start + POLARITY]
    drain, gate, source = sign * drain, sign * gate, sign * source
    swapped = drain < source
    low = drain if swapped else source
    high = source if swapped else drain
    x_block = start + AXES_AT
    y_block, z_block = x_block + AXIS_SIZE, x_block + 2 * AXIS_SIZE
    i, tx, ex = _locate(numbers, x_block, NODES[0] - 3, gate - low)
    j, ty, ey = _locate(numbers, y_block, NODES[1] - 3, low)
    k, tz, ez = _locate(numbers, z_block, NODES[2] - 3, high - low)
    px = x_block + POLYNOMIALS_AT + 16 * i
    py = y_block + POLYNOMIALS_AT + 16 * j
    pz = z_block + POLYNOMIALS_AT + 16 * k
    node = NODES[2] * (NODES[1] * i + j) + k
    r = _tensor(numbers, start + COEFFICIENTS_AT + 4 * node, px, tx, ex, py, ty, ey, pz, tz, ez)
    into_bulk = (0.0, 0.0, 0.0, 0.0)
    if k + 3 >= numbers[start + IMPACT_FROM]:
        into_bulk = _impact(numbers, start + IMPACT_AT + node, px, tx, ex, py, ty, ey, pz, tz, ez)
    at_high, high_slope = _junction(numbers, start + JUNCTION_AT, high)
    at_low, low_slope = _junction(numbers, start + JUNCTION_AT, low)
    current_high = (r[0] + at_high, r[1], r[2] + high_slope, r[3] + high_slope)
    current_low = (
        at_low - r[0] - into_bulk[0],
        -r[1] - into_bulk[1],
        low_slope - r[2] - into_bulk[2],
        -r[3] - into_bulk[3],
    )
    _store(out, 4 if swapped else 0, sign, current_high, swapped)
    _store(out, 0 if swapped else 4, sign, current_low, swapped)
    _store(out, 8, sign, (r[4], r[5], r[6], r[7]), swapped)
    _store(out, 16 if swapped else 12, sign, (r[8], r[9], r[10], r[11]), swapped)
    _store(out, 12 if swapped else 16, sign, (r[12], r[13], r[14], r[15]), swapped)
    return max(0.0, LOW - low, high - HIGH, GATE_LOW - gate, gate - GATE_HIGH)


@kernel(nogil=True)
def bulk_many(numbers: np.ndarray, v: np.ndarray, out: np.ndarray, outside: np.ndarray) -> None:
    """Looks N points up; v is (N, 3) against the bulk in the order d, g, s, out (N, 20), outside (N,)."""
    for k in range(v.shape[0]):
        outside[k] = bulk_evaluate(numbers, 0, v[k, 0], v[k, 1], v[k, 2], out[k])


@kernel(nogil=True)
def junction_many(coefficients: np.ndarray, v: np.ndarray, out: np.ndarray) -> None:
    """Looks N junction voltages up; coefficients (JUNCTION_CELLS + 3,), out (N, 2)."""
    for k in range(v.shape[0]):
        out[k, 0], out[k, 1] = _junction(coefficients, 0, v[k])
