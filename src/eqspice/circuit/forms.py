"""Recognises formulas that simpler device kinds compute: linear ones and products of two differences."""

from __future__ import annotations

from dataclasses import dataclass

from eqspice.circuit.devices import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Device,
    Product,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
)
from eqspice.circuit.formula import Formula

Linear = dict[int, float]
"""Factor of each variable; -1 stands for the constant."""
_CONSTANT = -1


@dataclass(frozen=True)
class _Form:
    """linear + factor * left * right, the product perhaps missing."""

    linear: Linear
    factor: float = 1.0
    left: Linear | None = None
    right: Linear | None = None

    @property
    def number(self) -> float | None:
        """The value, if it depends on nothing."""
        plain = self.left is None and set(self.linear) <= {_CONSTANT}
        return self.linear.get(_CONSTANT, 0.0) if plain else None

    def scaled(self, factor: float) -> _Form:
        """Returns it times a number."""
        linear = _without_zeros({key: value * factor for key, value in self.linear.items()})
        if self.factor * factor == 0.0:
            return _Form(linear)
        return _Form(linear, self.factor * factor, self.left, self.right)


def _without_zeros(linear: Linear) -> Linear:
    return {key: value for key, value in linear.items() if value != 0.0}


def _sum(left: _Form, right: _Form) -> _Form | None:
    if left.left is not None and right.left is not None:
        return None
    linear = dict(left.linear)
    for key, value in right.linear.items():
        linear[key] = linear.get(key, 0.0) + value
    of = left if left.left is not None else right
    return _Form(_without_zeros(linear), of.factor, of.left, of.right)


def _product(left: _Form, right: _Form) -> _Form | None:
    for one, other in ((left, right), (right, left)):
        if one.number is not None:
            return other.scaled(one.number)
    if left.left is not None or right.left is not None:
        return None
    return _Form({}, 1.0, left.linear, right.linear)


def _form(formula: Formula) -> _Form | None:
    stack: list[_Form] = []
    for name, operand in formula.code:
        if name in ("number", "variable"):
            key = _CONSTANT if name == "number" else int(operand)
            stack.append(_Form({key: operand if name == "number" else 1.0}))
            continue
        last = stack.pop()
        found: _Form | None = None
        if name == "neg":
            found = last.scaled(-1.0)
        elif name in ("add", "sub"):
            found = _sum(stack.pop(), last if name == "add" else last.scaled(-1.0))
        elif name == "mul":
            found = _product(stack.pop(), last)
        elif name == "div" and last.number:
            found = stack.pop().scaled(1.0 / last.number)
        if found is None:
            return None
        stack.append(found)
    return stack[0]


def _difference(linear: Linear, nodes: list[str]) -> tuple[float, str, str] | None:
    """Returns (factor, node, node) of factor (V(node) - V(node)), None for anything else."""
    terms = [(key, value) for key, value in linear.items() if key != _CONSTANT]
    if len(terms) == 1:
        return terms[0][1], nodes[terms[0][0]], "0"
    if len(terms) == 2 and terms[0][1] == -terms[1][1]:
        return terms[0][1], nodes[terms[0][0]], nodes[terms[1][0]]
    return None


def simplest(
    p: str, n: str, formula: Formula, nodes: list[str], resistance: float | None
) -> tuple[Device, tuple[str, ...]]:
    """Returns the device and its nodes that compute a formula: linear, product, or behavioural.

    Args:
        p: output node.
        n: output node.
        formula: a current in A, or a voltage in V.
        nodes: node of each variable.
        resistance: behind which a voltage stands, ohm; None for a current.
    """
    form = _form(formula)
    if form is not None and form.left is None and form.linear and _CONSTANT not in form.linear:
        found = _difference(form.linear, nodes)
        if found is not None:
            factor, cp, cn = found
            if resistance is None:
                return VoltageControlledCurrentSource(factor), (p, n, cp, cn)
            return VoltageControlledVoltageSource(factor, resistance), (p, n, cp, cn)
    if form is not None and form.left is not None and resistance is not None and n == "0":
        multiplier = _multiplier(form, nodes, resistance)
        if multiplier is not None:
            device, inputs = multiplier
            return device, (p, *inputs)
    if resistance is None:
        return BehaviouralCurrentSource(formula), (p, n, *nodes)
    return BehaviouralVoltageSource(formula, resistance), (p, n, *nodes)


def _multiplier(form: _Form, nodes: list[str], resistance: float) -> tuple[Product, tuple[str, ...]] | None:
    """Recognises V(r) + gain (V(ap, an) + offset) V(bp, bn)."""
    assert form.left is not None and form.right is not None
    reference = "0"
    if form.linear:
        only = [nodes[key] for key, value in form.linear.items() if key != _CONSTANT and value == 1.0]
        if len(only) != len(form.linear) or len(only) != 1:
            return None
        reference = only[0]
    for a, b in ((form.left, form.right), (form.right, form.left)):
        first, second = _difference(a, nodes), _difference(b, nodes)
        if first and second and _CONSTANT not in b:
            offset = a.get(_CONSTANT, 0.0) / first[0]
            device = Product(form.factor * first[0] * second[0], offset, resistance)
            return device, (reference, first[1], first[2], second[1], second[2])
    return None
