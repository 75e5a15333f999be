"""Smooth arithmetic of voltages, as data: what a behavioural source computes.

A formula is a program for a stack machine (postfix): it has no depth to recurse into, two equal formulas
are equal tuples, and whoever evaluates it needs no parser. Only operations with continuous derivatives
exist, so that Newton's iteration works on every formula.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from eqspice.errors import CircuitError

Step = tuple[str, float]

MOST_STEPS = 256
MOST_VARIABLES = 16
DEEPEST_STACK = 32

BINARY: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "ln": math.log,
    "log10": math.log10,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
}
SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@dataclass(frozen=True)
class Formula:
    """A function of some voltages.

    Attributes:
        code: steps in the order of execution. ("number", x) pushes x, ("variable", k) pushes the k-th
            voltage; "add", "sub", "mul", "div" take two values and push one; "neg", ("power", x) with a
            constant exponent x, and the names of FUNCTIONS take one and push one. The operand of a step
            that has none is 0.
    """

    code: tuple[Step, ...]

    def __post_init__(self) -> None:
        if len(self.code) > MOST_STEPS:
            raise CircuitError(f"formula: {len(self.code)} steps are too many, at most {MOST_STEPS}.")
        depth = 0
        for name, operand in self.code:
            if name in ("number", "variable"):
                depth += 1
            elif name in BINARY:
                depth -= 1
            elif name not in FUNCTIONS and name not in ("neg", "power"):
                raise CircuitError(f"formula: step {name!r} is not known.")
            if not math.isfinite(operand):
                raise CircuitError(f"formula: {name} {operand} is not finite.")
            if depth < 1 or depth > DEEPEST_STACK:
                raise CircuitError(f"formula: the stack holds {depth} values, allowed are 1 to 32.")
        if depth != 1:
            raise CircuitError(f"formula: {depth} values are left, one is needed.")
        if self.variables > MOST_VARIABLES:
            raise CircuitError(f"formula: {self.variables} voltages are too many, at most {MOST_VARIABLES}.")

    @cached_property
    def variables(self) -> int:
        """Number of voltages that it takes."""
        return 1 + max((int(operand) for name, operand in self.code if name == "variable"), default=-1)

    def value(self, voltages: Sequence[float]) -> float:
        """Returns the value at some voltages, V.

        Raises:
            ArithmeticError, ValueError: it has no value there.
        """
        stack: list[float] = []
        for name, operand in self.code:
            if name == "number":
                stack.append(operand)
            elif name == "variable":
                stack.append(voltages[int(operand)])
            elif name in BINARY:
                right = stack.pop()
                stack.append(apply(name, stack.pop(), right))
            else:
                stack.append(apply(name, stack.pop(), operand))
        return stack[0]

    def text(self, voltages: Sequence[str], power: Callable[[str, float], str] | None = None) -> str:
        """Returns it in the usual notation, every operation in brackets.

        Args:
            voltages: text of each variable.
            power: text of (base, exponent), for simulators whose power is not the mathematical one;
                None writes base**exponent.
        """
        stack: list[str] = []
        for name, operand in self.code:
            if name == "number":
                stack.append(_number(operand))
            elif name == "variable":
                stack.append(voltages[int(operand)])
            elif name in BINARY:
                right = stack.pop()
                stack.append(f"({stack.pop()}{SYMBOLS[name]}{right})")
            elif name == "neg":
                stack.append(f"(-{stack.pop()})")
            elif name == "power":
                base = stack.pop()
                stack.append(power(base, operand) if power else f"({base}**{_number(operand)})")
            else:
                stack.append(f"{name}({stack.pop()})")
        return stack[0]


def _number(value: float) -> str:
    return repr(value) if value >= 0.0 else f"({value!r})"


def apply(name: str, left: float, right: float = 0.0) -> float:
    """Returns one operation on numbers.

    Args:
        name: of a step that takes one or two values.
        left: the first or only value.
        right: the second value; of "power" the exponent.

    Raises:
        ArithmeticError, ValueError: it has no value there.
    """
    if name in BINARY:
        return BINARY[name](left, right)
    if name == "neg":
        return -left
    if name == "power":
        return math.pow(left, right)
    return FUNCTIONS[name](left)
