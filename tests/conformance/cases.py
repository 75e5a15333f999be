"""What a case of the suite is, and what cases are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from eqspice.circuit import Circuit, Device, Instance, Stimulus, Subcircuit, VoltageSource

FloatArray = NDArray[np.float64]
Points = list[tuple[float, float]]
US = 1e-6
TOLERANCE = 20e-6  # V: what the engines must agree within, at every instant that is compared
PSP = {
    "ngspice": "PSP 103 is no built-in model of it, and the distributed builds load no Verilog-A",
    "xyce": "its PSP 103 is release 103.4, the kit's is 103.6",
}
SQUARE_LAW = "square-law transistors belong to our tests; no simulator has them and VACASK's deck does not"


@dataclass(frozen=True)
class Case:
    """One circuit of the suite.

    Attributes:
        name: of the case.
        circuit: what is simulated.
        signals: breakpoints (microseconds, volts or amperes) of every signal.
        start: node voltages at the start that are not zero, V.
        exact: closed form of nodes, from times in seconds to V; the other nodes are compared with an engine.
        tolerance: V.
        excluded: engines that cannot run it, each with the reason in one line.
        points: time steps at least; between the engines' own points lie straight lines.
    """

    name: str
    circuit: Circuit
    signals: Mapping[str, Points]
    start: Mapping[str, float] = field(default_factory=dict)
    exact: Mapping[str, Callable[[FloatArray], FloatArray]] = field(default_factory=dict)
    tolerance: float = TOLERANCE
    excluded: Mapping[str, str] = field(default_factory=dict)
    points: int = 4000

    @property
    def stimulus(self) -> Stimulus:
        return Stimulus.from_signals(
            {name: (US * np.array(p)[:, 0], np.array(p)[:, 1]) for name, p in self.signals.items()}
        )

    @property
    def times(self) -> FloatArray:
        """Instants that are compared: 200, without the start."""
        return np.linspace(0.0, self.stimulus.times[-1], 201)[1:]


Part = tuple[str, Device | Subcircuit, str]


def circuit(name: str, parts: list[Part], storage: tuple[str, ...] = ()) -> Circuit:
    """Makes a circuit of (name, device, nodes separated by spaces) with a driver for every signal name.

    A part whose device is a VoltageSource with a signal may be left out: nodes named in `drive` of the
    cases below are driven by `driven`.
    """
    instances = tuple(Instance(label, device, tuple(nodes.split())) for label, device, nodes in parts)
    return Circuit(name, instances, storage)


def driven(*names: str) -> list[Part]:
    """Voltage sources that put each signal on the node of its name."""
    return [(f"drive_{name}", VoltageSource(signal=name), f"{name} 0") for name in names]


RAMP: Points = [(0, 0), (1, 0), (2, 1), (10, 1)]
UP_AND_DOWN: Points = [(0, 0), (1, 0), (3, 1), (5, 1), (9, -1), (10, -1)]
SLOW: Points = [(0, 0), (10, 0), (30, 1), (50, 1), (90, -1), (100, -1)]


def interpolated(points: Points) -> Callable[[FloatArray], FloatArray]:
    table = np.array(points)
    return lambda t: np.interp(t / US, table[:, 0], table[:, 1])


def low_pass(points: Points, tau: float) -> Callable[[FloatArray], FloatArray]:
    """Response of an RC low pass (tau in s) at rest to a piecewise-linear signal: sum over its corners."""
    table = np.array(points) * [US, 1.0]
    slopes = np.diff(table[:, 1]) / np.diff(table[:, 0])
    changes = np.diff(np.concatenate([[0.0], slopes, [0.0]]))

    def response(t: FloatArray) -> FloatArray:
        total = np.zeros_like(t)
        for corner, change in zip(table[:, 0], changes, strict=True):
            after = np.maximum(t - corner, 0.0)
            total += change * (after - tau * (1.0 - np.exp(-after / tau)))
        return total

    return response


def solved(current: Callable[[float, float], float], points: Points) -> Callable[[FloatArray], FloatArray]:
    """Solves current(v, signal) = 0 for v at every time, by bisection and secants."""
    signal = interpolated(points)
    return lambda t: np.array([brentq(current, -5, 5, (u,), xtol=1e-13) for u in signal(t)])
