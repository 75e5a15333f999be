"""Arithmetic in a SPICE netlist: parameters to numbers, behavioural sources to formulas. Nothing is run.

Only what all simulators read alike is read: `log` (natural in one, decimal in another), `^` (a power or
an exclusive or) and a chain `a**b**c` are refused with what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NoReturn, Protocol

from eqspice.circuit.formula import FUNCTIONS, MOST_STEPS, MOST_VARIABLES, Step, apply
from eqspice.circuit.spice_text import Field, Line, number

Value = float | tuple[Step, ...]


class Names(Protocol):
    """Parameters that an expression may use."""

    def lookup(self, name: str, line: Line, at: int, depth: int) -> float:
        """Returns the value of a parameter that is named at an index of a line."""

    def spend(self, line: Line, at: int, characters: int) -> None:
        """Counts the text that is worked on, and refuses too much of it."""


DEEPEST = 60
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_NODE = re.compile(r"\s*([a-z0-9_]+)\s*(?:,\s*([a-z0-9_]+)\s*)?\)")
_SPACE = re.compile(r"\s*")
_POWER = 30
_BINARY = {"+": ("add", 10), "-": ("sub", 10), "*": ("mul", 20), "/": ("div", 20), "**": ("power", _POWER)}
_KINKED: dict[str, tuple[Callable[..., float], int]] = {"abs": (abs, 1), "min": (min, 2), "max": (max, 2)}
_CONSTANTS = {"pi": math.pi}
_INSTEAD = {
    "log": "log is natural in some simulators and decimal in others, write ln or log10",
    "pow": "pow differs between simulators, write x**2 with a constant exponent",
    "pwr": "pwr differs between simulators, write x**2 with a constant exponent",
    "i": "the current of an element cannot be used, expected voltages V(node) or V(node,node)",
    "if": "a jump is not smooth, use tanh",
    "ternary_fcn": "a jump is not smooth, use tanh",
    "u": "a jump is not smooth, use tanh",
    "time": "a cell does not know the time",
    "temp": "a cell does not know the temperature, make it a parameter",
    "temper": "a cell does not know the temperature, make it a parameter",
}


class Expression:
    """Reads one expression.

    Args:
        line: where it stands.
        start: index of its first character.
        end: index behind its last character.
        names: parameters.
        sensed: receives the nodes whose voltages are used, in order of first use; None where voltages
            are not allowed.
        depth: how deep the reader is already.
    """

    def __init__(
        self, line: Line, start: int, end: int, names: Names, sensed: list[str] | None, depth: int = 0
    ) -> None:
        self._line = line
        self._at, self._end = start, end
        self._names = names
        self._sensed = sensed
        self._outer = depth

    def read(self) -> Value:
        """Returns a number, or the steps of a formula if voltages are used.

        Raises:
            NetlistError: with place and what was expected.
        """
        self._names.spend(self._line, self._at, self._end - self._at)
        value = self._expression(0, 0)
        if not self._finished():
            self._fail(f"{self._here()!r} is not expected, expected an operator or the end")
        return value

    def _finished(self) -> bool:
        self._at = self._skip()
        return self._at >= self._end

    def _skip(self) -> int:
        match = _SPACE.match(self._line.text, self._at, self._end)
        return match.end() if match else self._at

    def _here(self) -> str:
        return self._line.text[self._at : min(self._end, self._at + 1)]

    def _fail(self, message: str, at: int | None = None) -> NoReturn:
        self._line.fail(self._at if at is None else at, message)

    def _expression(self, least: int, depth: int) -> Value:
        """Reads operands joined by operators that bind at least as strongly."""
        if self._outer + depth > DEEPEST:
            self._fail(f"brackets, signs and parameters are nested too deeply, at most {DEEPEST}")
        left = self._operand(least, depth)
        while not self._finished():
            at = self._at
            symbol = "**" if self._line.text.startswith("**", at, self._end) else self._here()
            if symbol == "^":
                self._fail("^ is a power in some simulators and an exclusive or in others, write **")
            name, strength = _BINARY.get(symbol, ("", -1))
            if strength < least:
                break
            self._at += len(symbol)
            right = self._expression(strength + 1, depth + 1)
            if symbol == "**" and not self._finished() and self._line.text.startswith("**", self._at):
                self._fail("a chain of ** is read differently by simulators, write brackets")
            left = self._combine(name, left, right, at)
        return left

    def _operand(self, least: int, depth: int) -> Value:
        if self._finished():
            self._fail("expected a number, a name, a bracket or a sign")
        at, sign = self._at, self._here()
        if sign in "+-":
            self._at += 1
            inner = self._expression(max(_POWER, least), depth + 1)  # -x**2 is -(x**2)
            return self._one("neg", inner, at) if sign == "-" else inner
        if sign == "(":
            self._at += 1
            inner = self._expression(0, depth + 1)
            self._expect(")")
            return inner
        found = number(self._line, at)
        if found is not None and found[1] <= self._end:
            self._at = found[1]
            return found[0]
        match = _NAME.match(self._line.text, at, self._end)
        if match is None:
            self._fail(f"{sign!r} is not expected, expected a number, a name, a bracket or a sign")
        self._at = match.end()
        return self._named(match.group(), at, depth)

    def _named(self, name: str, at: int, depth: int) -> Value:
        called = not self._finished() and self._here() == "("
        if name in _INSTEAD and (called or name in ("time", "temp", "temper")):
            self._fail(_INSTEAD[name], at)
        if not called:
            if name in _CONSTANTS:
                return _CONSTANTS[name]
            return self._names.lookup(name, self._line, at, self._outer + depth + 1)
        self._at += 1
        if name == "v":
            return self._voltage(at)
        arguments = [self._expression(0, depth + 1)]
        while not self._finished() and self._here() == ",":
            self._at += 1
            arguments.append(self._expression(0, depth + 1))
        self._expect(")")
        return self._call(name, arguments, at)

    def _expect(self, closing: str) -> None:
        if self._finished() or self._here() != closing:
            self._fail(f"expected {closing!r}")
        self._at += 1

    def _voltage(self, at: int) -> Value:
        match = _NODE.match(self._line.text, self._at, self._end)
        if match is None:
            self._fail("expected a node or two nodes: V(node) or V(node,node)")
        if self._sensed is None:
            self._fail("a voltage is not expected, expected a constant", at)
        self._at = match.end()
        p, n = match.group(1), match.group(2) or "0"
        if p == n:
            return 0.0
        plus, minus = self._variable(p, at), self._variable(n, at)
        return self._combine("sub", plus, minus, at) if n != "0" else plus

    def _variable(self, node: str, at: int) -> Value:
        assert self._sensed is not None
        if node == "0":
            return 0.0
        if node not in self._sensed:
            if len(self._sensed) >= MOST_VARIABLES:
                self._fail(f"too many different voltages, at most {MOST_VARIABLES}", at)
            self._sensed.append(node)
        return (("variable", float(self._sensed.index(node))),)

    def _call(self, name: str, arguments: list[Value], at: int) -> Value:
        if name in _KINKED:
            function, count = _KINKED[name]
            constants = [value for value in arguments if isinstance(value, float)]
            if len(constants) < len(arguments):
                self._fail(f"{name} of voltages is not smooth; sqrt(x*x + 1e-6) is a smooth abs(x)", at)
            self._count(name, arguments, count, at)
            return float(function(*constants))
        if name not in FUNCTIONS:
            known = ", ".join([*FUNCTIONS, *_KINKED])
            self._fail(f"the function {name!r} is not known, expected one of {known} or V", at)
        self._count(name, arguments, 1, at)
        return self._one(name, arguments[0], at)

    def _count(self, name: str, arguments: list[Value], needed: int, at: int) -> None:
        if len(arguments) != needed:
            self._fail(f"{name} takes {needed} values, {len(arguments)} were given", at)

    def _combine(self, name: str, left: Value, right: Value, at: int) -> Value:
        if isinstance(right, float) and (isinstance(left, float) or name == "power"):
            return self._one(name, left, at, right)
        if name == "power":
            self._fail("the exponent must be a constant; x**y of voltages is exp(y*ln(x))", at)
        return self._checked((*_steps(left), *_steps(right), (name, 0.0)), at)

    def _one(self, name: str, value: Value, at: int, right: float = 0.0) -> Value:
        if not isinstance(value, float):
            return self._checked((*value, (name, right)), at)
        try:
            result = apply(name, value, right)
        except (ArithmeticError, ValueError):
            result = math.nan
        if not math.isfinite(result):
            self._fail(f"{name} of {value:g}" + (f", {right:g}" if right else "") + " is not finite", at)
        return result

    def _checked(self, steps: tuple[Step, ...], at: int) -> tuple[Step, ...]:
        if len(steps) > MOST_STEPS:
            self._fail(f"the formula is too long, at most {MOST_STEPS} operations and operands", at)
        return steps


def _steps(value: Value) -> tuple[Step, ...]:
    return (("number", value),) if isinstance(value, float) else value


def constant(field: Field, names: Names, depth: int = 0) -> float:
    """Returns the value of a field that holds a number, a parameter or an expression of both.

    Raises:
        NetlistError: with place and what was expected.
    """
    if field.kind not in ("word", "group"):
        field.fail(f"{field.text!r} is not expected, expected a value")
    end = field.at + len(field.text)
    value = Expression(field.line, field.at, end, names, None, depth).read()
    assert isinstance(value, float)
    return value
