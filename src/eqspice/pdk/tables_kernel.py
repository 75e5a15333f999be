"""Evaluates device tables: the innermost loop of the native engine.

A table holds cubic B-spline coefficients of (I_d, Q_g, Q_d, I_g) on a uniform grid over V_gs and
V_ds, in two sheets that meet at V_ds = 0 (BSIM4 has a kink there). The four numbers of a node lie
side by side, 32 bytes, so that one AVX load takes them all: 16 loads and 44 vector
multiply-adds give the four values and their eight derivatives. The arithmetic is written as LLVM
vectors of four because the vectoriser of numba does not find it by itself; on a machine without
AVX the compiler splits them in two.
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

X_LOW, X_INVERSE, X_CELLS, Y_SPAN, Y_INVERSE, Y_CELLS = range(6)
META_SIZE = 8
"""Length of `meta`: lowest V_gs, 1/step, cells; largest |V_ds|, 1/step, cells of one sheet; 0; 0."""

OUTPUTS = 12
_LANES = 4


@intrinsic
def _tensor(
    typingctx: Any, coefficients: Any, offset: Any, stride: Any, wx: Any, dx: Any, wy: Any, dy: Any
) -> tuple[Any, Any]:  # pragma: no cover - compiled
    """Sums 4 x 4 nodes of four numbers; returns (value, d/dx, d/dy) of each of them.

    coefficients: float64 array; offset: of the first node, stride: between rows, in doubles;
    wx, dx, wy, dy: the weights and their derivatives along both axes, tuples of four.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        double, word = ir.DoubleType(), ir.IntType(64)
        vector, lane = ir.VectorType(double, _LANES), ir.IntType(32)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.fmuladd.v4f64"
        )

        def spread(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, lane(0))
            mask = ir.Constant(ir.VectorType(lane, _LANES), [0] * _LANES)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)

        def weighted(weights: list[Any], terms: list[Any]) -> Any:
            total = builder.fmul(weights[0], terms[0])
            for weight, term in zip(weights[1:], terms[1:], strict=True):
                total = builder.call(fma, [weight, term, total])
            return total

        wx, dx, wy, dy = (
            [spread(builder.extract_value(argument, k)) for k in range(4)] for argument in arguments[3:]
        )
        values, slopes = [], []
        for row in range(4):
            start = builder.add(arguments[1], builder.mul(arguments[2], word(row)))
            nodes = []
            for column in range(4):
                where = builder.gep(array.data, [builder.add(start, word(_LANES * column))])
                node = builder.load(builder.bitcast(where, vector.as_pointer()))
                node.align = 8
                nodes.append(node)
            values.append(weighted(wy, nodes))
            slopes.append(weighted(dy, nodes))
        results = [weighted(wx, values), weighted(dx, values), weighted(wx, slopes)]
        scalars = [builder.extract_element(results[d], lane(q)) for q in range(_LANES) for d in range(3)]
        return context.make_tuple(builder, signature.return_type, scalars)

    signature = types.UniTuple(types.float64, OUTPUTS)(coefficients, types.int64, types.int64, wx, dx, wy, dy)
    return signature, codegen


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy", inline="always")
def _weights(t: float, e: float, inverse: float) -> tuple[Any, Any]:
    """Returns the four B-spline weights at t in a cell and their derivatives.

    e is how far outside the grid the point lies, in cells: there every weight goes on as a straight
    line, so that the table is linear outside and its derivatives stay exact.
    """
    s = 1.0 - t
    d0 = -0.5 * s * s
    d1 = t * (1.5 * t - 2.0)
    d3 = 0.5 * t * t
    d2 = -(d0 + d1 + d3)
    w0 = s * s * s * (1.0 / 6.0) + d0 * e
    w1 = (2.0 / 3.0) + t * t * (0.5 * t - 1.0) + d1 * e
    w3 = t * t * t * (1.0 / 6.0) + d3 * e
    w2 = 1.0 - (w0 + w1 + w3)
    return (w0, w1, w2, w3), (d0 * inverse, d1 * inverse, d2 * inverse, d3 * inverse)


@kernel(nogil=True, fastmath={"contract"}, error_model="numpy")
def table_evaluate(
    coefficients: np.ndarray, meta: np.ndarray, vgs: float, vds: float, out: np.ndarray
) -> None:
    """Looks a device up; allocates nothing.

    Args:
        coefficients: float64 (2, X_CELLS + 3, Y_CELLS + 3, 4), `DeviceTable.coefficients`.
        meta: float64 (META_SIZE,), `DeviceTable.meta`.
        vgs: gate to source voltage in volts. Outside the grid the table goes on as a straight line.
        vds: drain to source voltage in volts.
        out: receives I_d, dI_d/dV_gs, dI_d/dV_ds (A, S), then Q_g and Q_d with their derivatives
            (C, F), then I_g with its (A, S), twelve numbers. Not-a-number in gives not-a-number out.
    """
    x_cells, y_cells = int(meta[X_CELLS]), int(meta[Y_CELLS])
    u = (vgs - meta[X_LOW]) * meta[X_INVERSE]
    inside = u if u > 0.0 else 0.0
    inside = inside if inside < meta[X_CELLS] else meta[X_CELLS]
    i = int(inside)
    i = i if i < x_cells else x_cells - 1
    wx, dx = _weights(inside - i, u - inside, meta[X_INVERSE])
    sheet = 0 if vds < 0.0 else 1
    u = (vds + (meta[Y_SPAN] if sheet == 0 else 0.0)) * meta[Y_INVERSE]
    inside = u if u > 0.0 else 0.0
    inside = inside if inside < meta[Y_CELLS] else meta[Y_CELLS]
    j = int(inside)
    j = j if j < y_cells else y_cells - 1
    wy, dy = _weights(inside - j, u - inside, meta[Y_INVERSE])
    stride = _LANES * (y_cells + 3)
    offset = (sheet * (x_cells + 3) + i) * stride + _LANES * j
    result = _tensor(coefficients, offset, stride, wx, dx, wy, dy)
    for k in range(OUTPUTS):
        out[k] = result[k]


@kernel(nogil=True)
def table_many(
    coefficients: np.ndarray, meta: np.ndarray, vgs: np.ndarray, vds: np.ndarray, out: np.ndarray
) -> None:
    """Looks N points up; out is (N, 12)."""
    for k in range(vgs.shape[0]):
        table_evaluate(coefficients, meta, vgs[k], vds[k], out[k])
