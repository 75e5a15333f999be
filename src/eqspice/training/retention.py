"""How long a cell remembers: a storage node behind a real write transistor that is off.

Subthreshold current to the bit line and the junction's current to the bulk are the compact model's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import GROUND, Capacitor, Circuit, Instance, Stimulus, VoltageSource
from eqspice.design.differential.network import Differential
from eqspice.design.network import Design
from eqspice.design.parts import fet_factory
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.errors import InputError, unknown
from eqspice.pdk import get_kit

FloatArray = NDArray[np.float64]
Line = Literal["low", "centre"]
LINES: tuple[Line, ...] = ("low", "centre")
LTE = 1e-5  # V per time step
FIRST_STEP = 1e-9  # s
STARTS = 17  # storage voltages between which `after` interpolates


@dataclass(frozen=True, eq=False)
class Retention:
    """Storage voltages over time.

    Attributes:
        times: s, shape (T,).
        start: storage voltages at time zero, V, shape (V,).
        voltage: V, shape (T, V).
        line: where the bit line was parked.
        rest: voltage of the bit line, V.
        temperature: degrees Celsius.
    """

    times: FloatArray
    start: FloatArray
    voltage: FloatArray
    line: Line
    rest: float
    temperature: float

    def lasts(self, loss: float) -> float:
        """Returns the time until some storage voltage is off by `loss`, V; infinite if none ever is, s."""
        worst = np.abs(self.voltage - self.start).max(axis=1)
        beyond = np.flatnonzero(worst >= loss)
        if not len(beyond):
            return float("inf")
        k = int(beyond[0])
        if k == 0:
            return float(self.times[0])
        share = (loss - worst[k - 1]) / (worst[k] - worst[k - 1])
        return float(self.times[k - 1] + share * (self.times[k] - self.times[k - 1]))


def storage_range(design: Design) -> tuple[float, float]:
    """Returns the lowest and the highest storage voltage of a design, V."""
    if isinstance(design, Differential):
        limit = design.weight_limit or design.weight_spread
        return design.gate_common - limit, design.gate_common + limit
    half = 0.5 * design.weight_spread
    return design.weight_centre - half, design.weight_centre + half


def retention(
    design: Design,
    times: FloatArray,
    start: FloatArray | None = None,
    line: Line = "low",
    role: str = "nfet",
) -> Retention:
    """Simulates storage nodes that are left alone, as a full transient with the compact model itself.

    The write transistor's gate and bulk are at the lowest level: ground, or minus half of the kit's supply
    where weights are negative.

    Args:
        design: its storage capacitance, process, corner and temperature.
        times: s, ascending.
        start: storage voltages, V; None for the ends and the middle of the design's range.
        line: voltage of the bit line: "low", where the lowest level is, or "centre", the middle of the
            storage voltages, which turns the channel off altogether.
        role: transistor of the kit that writes.

    Raises:
        InputError: a name or number is not allowed.
    """
    if line not in LINES:
        raise unknown("line", line, LINES)
    ends = np.asarray(times, float)
    if ends.ndim != 1 or not len(ends) or np.any(np.diff(ends) <= 0.0) or ends[0] <= 0.0:
        raise InputError("times: must be positive and ascending.")
    low, high = storage_range(design)
    at = np.array([low, 0.5 * (low + high), high]) if start is None else np.asarray(start, float)
    off = 0.0 if low >= 0.0 else -0.5 * float(get_kit(design.process.kit).SUPPLY)
    rest = off if line == "low" else 0.5 * (low + high)
    fet, store = fet_factory(design)(role), Capacitor(design.storage_capacitance)
    parts = [
        Instance("off", VoltageSource(off), ("off", GROUND)),
        Instance("line", VoltageSource(rest), ("line", GROUND)),
    ]
    for k in range(len(at)):
        parts.append(Instance(f"write_{k}", fet, ("line", "off", f"mem_{k}", "off")))
        parts.append(Instance(f"store_{k}", store, (f"mem_{k}", GROUND)))
    nodes = tuple(f"mem_{k}" for k in range(len(at)))
    circuit = Circuit("retention", tuple(parts), nodes)
    session = NativeEngine(NativeOptions(fets="model", lte=LTE)).prepare(circuit)
    state = session.initial_state(dict(zip(nodes, at.tolist(), strict=True)))
    marks = np.concatenate([[0.0], np.geomspace(min(FIRST_STEP, 0.5 * ends[0]), ends[-1], 60)])
    marks[-1] = ends[-1]
    rests = Stimulus(marks, (), np.zeros((len(marks), 0)))
    solution = session.run(rests, state, Save(nodes, ends)).raise_for_status()
    return Retention(ends, at, solution.waveforms.values, line, rest, design.process.temperature)


def after(
    design: Design, seconds: float, line: Line = "low", role: str = "nfet"
) -> Callable[[FloatArray], FloatArray]:
    """Returns what storage voltages become in an idle time, as `usage.use` takes it.

    Args:
        design: as in `retention`.
        seconds: idle time.
        line: where the bit line is parked.
        role: transistor of the kit that writes.
    """
    low, high = storage_range(design)
    reach = 0.1 * (high - low)  # learned weights may lie a little beyond
    start = np.linspace(low - reach, high + reach, STARTS)
    found = retention(design, np.array([seconds]), start, line, role).voltage[0]
    return lambda volts: np.asarray(volts + np.interp(volts, start, found - start), float)
