"""Behavioural sources: a stack machine that carries the derivatives with the value (forward mode)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import BehaviouralCurrentSource, BehaviouralVoltageSource, FlatDevice
from eqspice.engines.native.program import Behavioural, IndexArray
from eqspice.jit import kernel

NUMBER, VARIABLE = 0, 1
ADD, SUB, MUL, DIV = 2, 3, 4, 5
NEG, POWER = 6, 7
EXP, LN, LOG10, SQRT, SIN, COS, ATAN, SINH, COSH, TANH = 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
OPERATIONS = {
    "number": NUMBER, "variable": VARIABLE, "add": ADD, "sub": SUB, "mul": MUL, "div": DIV, "neg": NEG,
    "power": POWER, "exp": EXP, "ln": LN, "log10": LOG10, "sqrt": SQRT, "sin": SIN, "cos": COS,
    "atan": ATAN, "sinh": SINH, "cosh": COSH, "tanh": TANH,
}  # fmt: skip
"""Number of each step of an eqspice.circuit.Formula. A change of a number belongs in this file."""

STACK = 33  # one more than a formula may need
SAME_SLOPE = 1e-3  # relative change of a derivative below which the matrix is kept


def behavioural_group(
    group: Sequence[FlatDevice],
    places: Callable[[Sequence[str]], list[int]],
    positions: Callable[[NDArray[np.int64], NDArray[np.int64]], IndexArray],
) -> Behavioural:
    """Returns the arrays of all behavioural sources.

    Args:
        group: the sources.
        places: node names -> places in the voltage vector.
        positions: rows and columns, both as places -> positions in the matrix.
    """
    most = max((len(flat.nodes) - 2 for flat in group), default=0)
    nodes = np.zeros((len(group), 2 + most), np.uint32)
    count, scale, start = np.zeros(len(group), np.int32), np.ones(len(group)), [0]
    steps: list[tuple[str, float]] = []
    for i, flat in enumerate(group):
        assert isinstance(flat.device, BehaviouralCurrentSource | BehaviouralVoltageSource)
        nodes[i, : len(flat.nodes)] = places(flat.nodes)
        count[i] = len(flat.nodes) - 2
        if isinstance(flat.device, BehaviouralVoltageSource):
            scale[i] = -1.0 / flat.device.output_resistance
        steps += flat.device.formula.code
        start.append(len(steps))
    rows = np.tile(nodes[:, :2], most).astype(np.int64)
    columns = np.repeat(nodes[:, 2:], 2, axis=1).astype(np.int64)
    return Behavioural(
        nodes,
        positions(rows, columns),
        count,
        scale,
        np.array(start, np.int32),
        np.array([OPERATIONS[name] for name, _ in steps], np.int32),
        np.array([operand for _, operand in steps], float),
    )


@kernel(error_model="numpy")
def _function(operation, x, operand):  # type: ignore[no-untyped-def]
    """Returns value and derivative of an operation on one number."""
    if operation == NEG:
        return -x, -1.0
    if operation == POWER:
        return x**operand, operand * x ** (operand - 1.0)
    if operation == EXP:
        e = math.exp(x)
        return e, e
    if operation == LN:
        return math.log(x), 1.0 / x
    if operation == LOG10:
        return math.log10(x), 1.0 / (x * math.log(10.0))
    if operation == SQRT:
        root = math.sqrt(x)
        return root, 0.5 / root
    if operation == SIN:
        return math.sin(x), math.cos(x)
    if operation == COS:
        return math.cos(x), -math.sin(x)
    if operation == ATAN:
        return math.atan(x), 1.0 / (1.0 + x * x)
    if operation == SINH:
        return math.sinh(x), math.cosh(x)
    if operation == COSH:
        return math.cosh(x), math.sinh(x)
    t = math.tanh(x)
    return t, 1.0 - t * t


@kernel(error_model="numpy")
def _execute(group, first, last, count, voltage, stack):  # type: ignore[no-untyped-def]
    """Runs steps first … last; the value and its derivatives end in stack[0, 0 : 1 + count].

    Derivatives of u v and of u / v by the product and the quotient rule, of f(u) by the chain rule.
    """
    top = -1
    for step in range(first, last):
        operation, operand = group.operation[step], group.operand[step]
        if operation <= VARIABLE:
            top += 1
            stack[top, 0] = operand
            stack[top, 1 : 1 + count] = 0.0
            if operation == VARIABLE:
                stack[top, 0] = voltage[int(operand)]
                stack[top, 1 + int(operand)] = 1.0
        elif operation <= DIV:
            top -= 1
            u, v = stack[top, 0], stack[top + 1, 0]
            if operation == ADD:
                value, du, dv = u + v, 1.0, 1.0
            elif operation == SUB:
                value, du, dv = u - v, 1.0, -1.0
            elif operation == MUL:
                value, du, dv = u * v, v, u
            else:
                value, du, dv = u / v, 1.0 / v, -u / (v * v)
            stack[top, 0] = value
            for k in range(1, 1 + count):
                stack[top, k] = du * stack[top, k] + dv * stack[top + 1, k]
        else:
            value, slope = _function(operation, stack[top, 0], operand)
            stack[top, 0] = value
            for k in range(1, 1 + count):
                if stack[top, k] != 0.0:  # an infinite slope of a constant is no slope
                    stack[top, k] *= slope


@kernel(error_model="numpy")
def evaluate_behavioural(group, voltage, current, cache):  # type: ignore[no-untyped-def]
    """Adds the currents; returns whether derivatives changed enough for a new matrix.

    A cache row is: sensed voltages, then the current, then the derivatives that the matrix has. Formulas
    may be steep at any scale: unlike transistors they are evaluated whenever a voltage moves at all.
    """
    changed = False
    most = group.nodes.shape[1] - 2
    if len(group.sensed) == 0:
        return changed
    stack = np.empty((STACK, 1 + most))
    at = np.empty(max(most, 1))
    for i in range(len(group.sensed)):
        count, row = group.sensed[i], cache[i]
        moved = row[0] == 1e30
        for k in range(count):
            at[k] = voltage[group.nodes[i, 2 + k]]
            moved |= at[k] != row[1 + k]
        if moved:
            row[0] = 0.0
            _execute(group, group.start[i], group.start[i + 1], count, at, stack)
            row[1 + most] = group.scale[i] * stack[0, 0]
            worst, largest = 0.0, 0.0
            for k in range(count):
                row[1 + k] = at[k]
                slope = group.scale[i] * stack[0, 1 + k]
                worst = max(worst, abs(slope - row[2 + most + k]))
                largest = max(largest, abs(slope))
            if not worst <= SAME_SLOPE * largest:
                changed = True
                for k in range(count):
                    row[2 + most + k] = group.scale[i] * stack[0, 1 + k]
        current[group.nodes[i, 0]] += row[1 + most]
        current[group.nodes[i, 1]] -= row[1 + most]
    return changed


@kernel()
def assemble_behavioural(group, values, cache):  # type: ignore[no-untyped-def]
    """Adds dI/dv to the matrix values; positions: rows p, n of each sensed node's column."""
    most = group.nodes.shape[1] - 2
    for i in range(len(group.sensed)):
        for k in range(group.sensed[i]):
            slope = cache[i, 2 + most + k]
            values[group.positions[i, 2 * k]] += slope
            values[group.positions[i, 2 * k + 1]] -= slope
