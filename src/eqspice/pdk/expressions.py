"""Evaluates the arithmetic of SPICE parameter expressions, and nothing else.

Model libraries write parameters as formulas of the geometry, `{0.14/w}` or
`{sw_vth0*(0.008*8/l + 0.992)}`. Only numbers, names, + - * / ** and a few functions are
understood; everything else is refused, so text from a file can never run code.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from eqspice.errors import ModelError

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "abs": abs,
    "max": max,
    "min": min,
}


def evaluate(text: str, symbols: Mapping[str, float], gauss: float = 0.0) -> float:
    """Returns the value of a SPICE expression.

    Args:
        text: the expression; braces and quotes around (parts of) it are brackets.
        symbols: values of the names, in lower case.
        gauss: what `agauss(...)` and `gauss(...)` draw, in standard deviations of one.

    Raises:
        ModelError: the expression holds something unknown or does not compute.
    """
    plain = text.lower().replace("{", "(").replace("}", ")").replace("'", "").strip()
    try:
        return _value(ast.parse(plain, mode="eval").body, symbols, gauss)
    except (SyntaxError, ArithmeticError, ValueError, TypeError) as error:
        raise ModelError(f"expression {text!r} does not compute: {error}.") from error


def _value(node: ast.expr, symbols: Mapping[str, float], gauss: float) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            if name not in symbols:
                raise ModelError(f"expression: the name {name!r} has no value.")
            return symbols[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, symbols, gauss)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, symbols, gauss)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, symbols, gauss), _value(right, symbols, gauss))
        case ast.Call(func=ast.Name(id="agauss" | "gauss")):
            return gauss
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(argument, symbols, gauss) for argument in args))
    raise ModelError(f"expression: {ast.dump(node)[:80]} is not allowed.")
