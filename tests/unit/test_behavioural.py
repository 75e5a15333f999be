"""Behavioural sources in the native engine: values and derivatives of every operation, in circuits."""

import math

import numpy as np
import pytest

from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Capacitor,
    Circuit,
    Formula,
    Instance,
    Resistor,
    Stimulus,
    VoltageSource,
)
from eqspice.circuit.formula import BINARY, FUNCTIONS
from eqspice.circuit.spice_reader import read_subcircuit
from eqspice.engines.native.devices import behavioural
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.errors import CircuitError

A, B = ("variable", 0.0), ("variable", 1.0)
ONE = [*FUNCTIONS, "neg", ("power", 2.0), ("power", 3.0), ("power", -1.0), ("power", 0.5), ("power", 0.0)]


def evaluated(formula, voltages):
    """Value and derivatives by the engine's stack machine."""
    flat = Circuit(
        "formula",
        (
            *(Instance(f"v{k}", VoltageSource(1.0), (f"n{k}", "0")) for k in range(formula.variables)),
            Instance(
                "b",
                BehaviouralCurrentSource(formula),
                ("o", "0", *(f"n{k}" for k in range(formula.variables))),
            ),
            Instance("r", Resistor(1.0), ("o", "0")),
        ),
    ).devices[-2]
    place = {"0": 0, "o": 1, "n0": 2, "n1": 3}
    group = behavioural.behavioural_group(
        [flat], lambda nodes: [place[node] for node in nodes], lambda rows, columns: rows.astype(np.uint32)
    )
    voltage, current = np.array([0.0, 0.0, *voltages, 0.0]), np.zeros(5)
    most = formula.variables
    cache = np.zeros((1, 2 + 2 * most))
    cache[:, 0] = 1e30
    behavioural.evaluate_behavioural(group, voltage, current, cache)
    assert current[1] == -current[0]
    return current[1], cache[0, 2 + most :]


def check(formula, voltages):
    value, slopes = evaluated(formula, voltages)
    assert value == pytest.approx(formula.value(voltages), rel=1e-13)
    for k, slope in enumerate(slopes):
        h = 1e-5
        up, down = ([v + sign * h * (j == k) for j, v in enumerate(voltages)] for sign in (1, -1))
        expected = (formula.value(up) - formula.value(down)) / (2 * h)
        assert slope == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("step", ONE, ids=str)
def test_value_and_derivative_of_one_operand(step):
    step = (step, 0.0) if isinstance(step, str) else step
    check(Formula((A, step)), [0.7])
    # Inside another function, so that the chain rule is used with an inner slope that is not one.
    check(Formula((A, A, ("mul", 0.0), B, ("add", 0.0), step, ("sin", 0.0))), [0.7, 0.4])


@pytest.mark.parametrize("name", BINARY)
def test_value_and_derivative_of_two_operands(name):
    check(Formula((A, B, (name, 0.0))), [0.7, -0.4])
    check(Formula((A, B, ("mul", 0.0), A, B, ("sub", 0.0), (name, 0.0))), [0.7, -0.4])


def test_a_long_formula():
    code = (A, B, ("mul", 0.0), ("tanh", 0.0), ("number", 3.0), ("add", 0.0), A, ("exp", 0.0), ("div", 0.0))
    check(Formula(code), [0.3, -1.2])


@pytest.mark.parametrize(
    "code, message",
    [
        ((), "0 values are left"),
        ((A, B), "2 values are left"),
        ((("add", 0.0),), "the stack holds -1"),
        ((A, ("eval", 0.0)), "step 'eval' is not known"),
        ((("number", math.inf),), "is not finite"),
        ((("variable", 16.0),), "17 voltages are too many"),
        ((A,) * 40 + (("add", 0.0),) * 39, "the stack holds 33 values"),
        ((A,) + (("neg", 0.0),) * 256, "257 steps are too many"),
    ],
)
def test_a_formula_that_cannot_be_is_refused(code, message):
    with pytest.raises(CircuitError, match=message):
        Formula(code)


def test_a_nonlinear_resistor_finds_its_operating_point():
    """1 mA sinh(V / 0.1 V) from a volt behind 1 kohm, solved by bisection for comparison."""
    text = ".subckt s in out\nR1 in out 1k\nB1 out 0 I={1m*sinh(V(out)/0.1)}\n.ends"
    parts = Instance("x", read_subcircuit(text), ("in", "out"))
    circuit = Circuit("sinh", (Instance("v", VoltageSource(1.0), ("in", "0")), parts))
    state = NativeEngine().prepare(circuit).operating_point()
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if 1e-3 * math.sinh(middle / 0.1) > (1.0 - middle) / 1e3 else (middle, high)
    assert dict(zip(circuit.nodes, state.voltages, strict=True))["out"] == pytest.approx(low, abs=1e-9)


def test_a_voltage_formula_stands_behind_its_resistance():
    formula = Formula((A, A, ("mul", 0.0)))
    circuit = Circuit(
        "square",
        (
            Instance("v", VoltageSource(3.0), ("in", "0")),
            Instance("b", BehaviouralVoltageSource(formula, 100.0), ("out", "0", "in")),
            Instance("r", Resistor(200.0), ("out", "0")),
        ),
    )
    state = NativeEngine().prepare(circuit).operating_point()
    assert dict(zip(circuit.nodes, state.voltages, strict=True))["out"] == pytest.approx(6.0, rel=1e-12)


def test_a_quadratic_discharge_follows_its_closed_form():
    """C dv/dt = -k v^2 gives v = v0 / (1 + k v0 t / C)."""
    formula = Formula((A, A, ("mul", 0.0), ("number", 1e-6), ("mul", 0.0)))
    circuit = Circuit(
        "discharge",
        (
            Instance("b", BehaviouralCurrentSource(formula), ("out", "0", "out")),
            Instance("c", Capacitor(1e-12), ("out", "0")),
            Instance("v", VoltageSource(signal="s"), ("s", "0")),
            Instance("r", Resistor(1.0), ("s", "0")),
            Instance("r2", Resistor(1e15), ("out", "0")),
        ),
        storage_nodes=("out",),
    )
    session = NativeEngine(NativeOptions(lte=1e-6)).prepare(circuit)
    stimulus = Stimulus.from_signals({"s": (np.array([0.0, 5e-6]), np.array([0.0, 1.0]))})
    solution = session.run(stimulus, session.initial_state({"out": 2.0})).raise_for_status()
    times = solution.waveforms.times
    out = solution.waveforms["out"]
    expected = 2.0 / (1.0 + 1e6 * 2.0 * times)
    assert np.max(np.abs(out - expected)) < 1e-4
    assert expected[-1] < 0.2
