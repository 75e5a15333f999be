"""Cases of device kinds other than transistors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conformance.cases import (
    RAMP,
    SLOW,
    UP_AND_DOWN,
    US,
    Case,
    FloatArray,
    Part,
    Points,
    circuit,
    driven,
    interpolated,
    low_pass,
    solved,
)
from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    BidirectionalAmplifier,
    Capacitor,
    CurrentSource,
    Diode,
    Formula,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)


def _linear() -> list[Case]:
    tau = 1e3 * 1e-9
    cases = [
        Case(
            "rc_low_pass",
            circuit(
                "rc",
                [*driven("u"), ("r", Resistor(1e3), "u x"), ("c", Capacitor(1e-9), "x 0")],
                ("x",),
            ),
            {"u": UP_AND_DOWN},
            exact={"x": low_pass(UP_AND_DOWN, tau)},
        ),
        Case(
            "floating_divider",
            circuit(
                "capacitive divider",
                [*driven("u"), ("c1", Capacitor(1e-13), "u x"), ("c2", Capacitor(3e-13), "x 0")],
                ("x",),
            ),
            {"u": UP_AND_DOWN},
            start={"x": 0.3},
            exact={"x": lambda t: 0.3 + 0.25 * interpolated(UP_AND_DOWN)(t)},
        ),
        Case(
            "scaled_sources",
            circuit(
                "sources",
                [
                    ("v", VoltageSource(dc=0.2, signal="u", scale=-1.5), "a 0"),
                    ("r1", Resistor(1e3), "a b"),
                    ("r2", Resistor(3e3), "b 0"),
                    ("i", CurrentSource(dc=1e-4, signal="u", scale=1e-4), "0 b"),
                    ("c", Capacitor(1e-15), "b 0"),
                ],
                ("b",),
            ),
            {"u": UP_AND_DOWN},
            start={"a": 0.2, "b": 0.225},
            exact={"b": lambda t: _scaled(interpolated(UP_AND_DOWN)(t))},
        ),
        Case(
            "current_into_capacitor",
            circuit(
                "integrator",
                [("i", CurrentSource(signal="u", scale=1e-7), "0 x"), ("c", Capacitor(1e-12), "x 0")],
                ("x",),
            ),
            {"u": RAMP},
            exact={"x": lambda t: 1e5 * (0.5 * _ramp(t - US, US) + np.maximum(t - 2 * US, 0))},
        ),
        Case(
            "vccs",
            circuit(
                "vccs",
                [
                    *driven("u"),
                    ("g", VoltageControlledCurrentSource(2e-4), "x 0 0 u"),
                    ("r", Resistor(2e3), "x 0"),
                    ("c", Capacitor(1e-15), "x 0"),
                ],
                ("x",),
            ),
            {"u": UP_AND_DOWN},
            exact={"x": lambda t: 0.4 * interpolated(UP_AND_DOWN)(t)},
        ),
        Case(
            "vcvs",
            circuit(
                "vcvs",
                [
                    *driven("u"),
                    ("e", VoltageControlledVoltageSource(-1.5, 100.0, 0.1), "x y 0 u"),
                    ("r", Resistor(200.0), "x y"),
                    ("r0", Resistor(1e3), "y 0"),
                    ("c", Capacitor(1e-15), "x 0"),
                ],
                ("x",),
            ),
            {"u": UP_AND_DOWN},
            exact={"x": lambda t: interpolated(UP_AND_DOWN)(t) - 0.1, "y": lambda t: 0 * t},
        ),
        Case(
            "product",
            circuit(
                "product",
                [
                    *driven("u", "w"),
                    ("r1", Resistor(1e3), "w r"),
                    ("r2", Resistor(1e3), "r 0"),
                    ("m", Product(2.0, 0.25, 1.0), "x r u 0 0 w"),
                    ("load", Resistor(1.0), "x 0"),
                    ("c", Capacitor(1e-15), "x 0"),
                ],
                ("x",),
            ),
            {"u": UP_AND_DOWN, "w": RAMP},
            exact={
                "x": lambda t: (
                    0.5 * interpolated(RAMP)(t) * (0.5 - 2.0 * (interpolated(UP_AND_DOWN)(t) + 0.25))
                )
            },
        ),
        Case(
            "bidirectional_amplifier",
            circuit(
                "amplifier",
                [
                    *driven("u"),
                    ("rin", Resistor(1e3), "u a"),
                    ("cin", Capacitor(1e-15), "a 0"),
                    ("amp", BidirectionalAmplifier(2.5, 0.4, 10.0, 0.02), "a p n"),
                    ("rp", Resistor(5e3), "p 0"),
                    ("rn", Resistor(1e4), "n 0"),
                ],
                ("a",),
            ),
            {"u": UP_AND_DOWN},
            exact={node: _amplifier(node) for node in "apn"},
        ),
    ]
    return cases


def _formulas() -> list[Case]:
    """Behavioural sources: i = 1 mA tanh(2 u) (1 - w^2 / 4), and e = exp(u / 2) - 1 + w behind 1 kohm."""
    u, w = ("variable", 0.0), ("variable", 1.0)
    tanh = (u, ("number", 2.0), ("mul", 0.0), ("tanh", 0.0), ("number", 1e-3), ("mul", 0.0))
    factor = (("number", 1.0), w, ("power", 2.0), ("number", 0.25), ("mul", 0.0), ("sub", 0.0))
    growth = (u, ("number", 0.5), ("mul", 0.0), ("exp", 0.0), ("number", 1.0), ("sub", 0.0), w, ("add", 0.0))
    current = BehaviouralCurrentSource(Formula((*tanh, *factor, ("mul", 0.0))))
    voltage = BehaviouralVoltageSource(Formula(growth), 1e3)
    parts: list[Part] = [
        *driven("u", "w"),
        ("i", current, "0 x u w"),
        ("rx", Resistor(1e3), "x 0"),
        ("e", voltage, "y 0 u w"),
        ("ry", Resistor(1e3), "y 0"),
        ("c", Capacitor(1e-15), "x y"),
    ]

    def x(t: FloatArray) -> FloatArray:
        return np.tanh(2 * interpolated(UP_AND_DOWN)(t)) * (1 - 0.25 * interpolated(RAMP)(t) ** 2)

    def y(t: FloatArray) -> FloatArray:
        return 0.5 * (np.exp(0.5 * interpolated(UP_AND_DOWN)(t)) - 1 + interpolated(RAMP)(t))

    signals = {"u": UP_AND_DOWN, "w": RAMP}
    built = circuit("formulas", parts, ("x", "y"))
    return [Case("behavioural_sources", built, signals, exact={"x": x, "y": y})]


def _scaled(u: FloatArray) -> FloatArray:
    return ((0.2 - 1.5 * u) / 1e3 + 1e-4 + 1e-4 * u) / (1 / 1e3 + 1 / 3e3)


def _ramp(t: FloatArray, length: float) -> FloatArray:
    """Twice the integral of a ramp from 0 to 1 that then goes down to nothing: t^2 / length, then length."""
    return np.clip(t, 0.0, length) ** 2 / length


def _amplifier(node: str) -> Callable[[FloatArray], FloatArray]:
    """Linear equations of the amplifier between its resistors."""
    g, b, r = 2.5, 0.4, 10.0
    matrix = np.array(
        [
            [1e-3 + 2 * b * g / r, -b / r, b / r],
            [-g / r, 1 / r + 1 / 5e3, 0.0],
            [g / r, 0.0, 1 / r + 1 / 1e4],
        ]
    )
    offset = 0.02 * g / r * np.array([-2 * b, 1.0, -1.0])
    factor, constant = np.linalg.solve(matrix, np.column_stack([[1e-3, 0.0, 0.0], offset]))["apn".index(node)]
    return lambda t: constant + factor * interpolated(UP_AND_DOWN)(t)


def shockley(v: float, diode: Diode) -> float:
    vt = diode.emission * 8.617333262e-5 * (diode.temperature + 273.15)
    top = vt * np.log(1.0 / diode.saturation_current)
    if v > top:
        return 1.0 - diode.saturation_current + (v - top) / vt
    return diode.saturation_current * np.expm1(v / vt)


def _diode_case(name: str, diode: Diode, resistance: float, points: Points) -> Case:
    def current(v: float, u: float) -> float:
        return (v - u) / resistance + shockley(v, diode)

    parts: list[Part] = [
        *driven("u"),
        ("r", Resistor(resistance), "u x"),
        ("d", diode, "x 0"),
        ("c", Capacitor(1e-16), "x 0"),
    ]
    return Case(name, circuit(name, parts, ("x",)), {"u": points}, exact={"x": solved(current, points)})


def softplus(x: float) -> float:
    return max(x, 0.0) + float(np.log1p(np.exp(-abs(x))))


def _limiter() -> Case:
    part = SoftLimiter(-0.25, 0.4, 0.02, 1e3)

    def current(v: float, u: float) -> float:
        clamp = softplus((v - 0.4) / 0.02) - softplus((-0.25 - v) / 0.02)
        return (v - u) / 2e3 + 0.02 / 1e3 * clamp

    parts: list[Part] = [
        *driven("u"),
        ("r", Resistor(2e3), "u x"),
        ("clamp", part, "x 0"),
        ("c", Capacitor(1e-15), "x 0"),
    ]
    exact = {"x": solved(current, UP_AND_DOWN)}
    return Case("soft_limiter", circuit("limiter", parts, ("x",)), {"u": UP_AND_DOWN}, exact=exact)


def _nonlinear() -> list[Case]:
    big: Points = [(0, 0), (10, 0), (50, 5), (60, 5), (90, -2), (100, -2)]
    return [
        _diode_case("diode", Diode(), 1e3, SLOW),
        _diode_case("diode_hot", Diode(temperature=125.0), 1e3, SLOW),
        _diode_case("diode_above_1_ampere", Diode(), 1.0, big),
        _diode_case("diode_near_ideal", Diode(1e-9, 0.02), 1e3, SLOW),
        _limiter(),
    ]


def _switch(name: str, part: Switch, gate: Points, **more: object) -> Case:
    """A switch that charges a capacitor towards 1 V."""
    parts: list[Part] = [
        *driven("gate"),
        ("supply", VoltageSource(dc=1.0), "vdd 0"),
        ("r", Resistor(1e6), "vdd a"),
        ("s", part, "a x gate 0"),
        ("c", Capacitor(1e-12), "x 0"),
        ("ca", Capacitor(1e-13), "a 0"),
    ]
    return Case(
        name, circuit(name, parts, ("x", "a")), {"gate": gate}, {"vdd": 1.0, "a": 1.0}, points=20_000, **more
    )  # type: ignore[arg-type]


def _switches() -> list[Case]:
    pulse: Points = [(0, 0), (1, 0), (2, 1.95), (2.2, 1.95), (3.2, 0), (6, 0)]
    inverse: Points = [(t, 1.95 - v) for t, v in pulse]
    middle = Switch(1.0, 1e14, 0.5, 0.4)
    at_threshold: list[Part] = [
        *driven("u"),
        ("gate", VoltageSource(dc=0.45), "gate 0"),
        ("s", middle, "u x gate 0"),
        ("r", Resistor(1e7), "x 0"),
        ("c", Capacitor(1e-18), "x 0"),
    ]
    floating: list[Part] = [
        *driven("u"),
        ("supply", VoltageSource(dc=1.0), "vdd 0"),
        ("rg", Resistor(1e4), "u g"),
        ("cg", Capacitor(1e-10), "g 0"),
        ("s", Switch(1e5, 1e12, 0.6, 0.3), "vdd x g 0"),
        ("c", Capacitor(1e-12), "x 0"),
        ("r", Resistor(1e5), "x 0"),
    ]
    return [
        _switch("switch", middle, pulse),
        _switch("switch_inverted", Switch(1e6, 1e12, 0.4, 0.5), inverse),
        _switch("switch_blocking", Switch(100.0, np.inf, 0.5, 0.4), pulse),
        Case(
            "switch_at_threshold",
            circuit("threshold", at_threshold, ("x",)),
            {"u": SLOW},
            start={"gate": 0.45},
            exact={"x": lambda t: 0.5 * interpolated(SLOW)(t)},
        ),
        Case(
            "switch_with_floating_control",
            circuit("floating control", floating, ("g", "x")),
            {"u": RAMP},
            start={"vdd": 1.0},
            points=20_000,
        ),
    ]


def device_cases() -> list[Case]:
    """Returns the cases of this file."""
    return [*_linear(), *_formulas(), *_nonlinear(), *_switches()]
