"""Energy of a simulated stretch of time: every step of a run, booked per source and per kind of device."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import energy as en
from eqspice.circuit import Stimulus, VoltageSource
from eqspice.engines.base import Save, State
from eqspice.engines.native.engine import NativeSession
from eqspice.engines.native.terminals import DeviceGroup, TerminalLaws
from eqspice.errors import InputError
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]

DISSIPATING = {
    "resistor": "resistors",
    "switch": "switches",
    "diode": "diodes",
    "soft_limiter": "limiters",
    "mosfet": "transistors",
}
"""Kinds whose currents turn into heat; all others but capacitors and sources are ideal active parts."""
STORING = {"capacitor": "capacitors", "mosfet": "transistor charges"}
IDEAL = {
    "vcvs": "amplifiers",
    "vccs": "transconductors",
    "bidirectional_amplifier": "bidirectional amplifiers",
    "product": "multipliers",
    "behavioural_current": "formulas",
    "behavioural_voltage": "formulas",
}
_BYPASS = 1e-6  # V: the account evaluates every device exactly, the run must nearly do so


@dataclass(frozen=True, eq=False)
class Ledger:
    """Energies of parts of a run, J, arrays of shape (parts,) by name.

    Attributes:
        supplied: delivered by sources: "supplies" (constant), "signals" (data), "drivers" (all other).
        ideal: delivered, on balance, by ideal active parts.
        dissipated: turned into heat, by kind.
        stored: taken in by capacitors and transistor charges.
        durations: s, shape (parts,).
        imbalance: |delivered - dissipated - stored| over the energy turned over, whole run.
        waveforms: of all nodes at every step, V, times from the start, s.
    """

    supplied: dict[str, FloatArray]
    ideal: dict[str, FloatArray]
    dissipated: dict[str, FloatArray]
    stored: dict[str, FloatArray]
    durations: FloatArray
    imbalance: float
    waveforms: Waveforms


def exact_session(session: NativeSession, max_step: float) -> NativeSession:
    """Returns a session on the same compiled circuit that controls its error; longest step in seconds."""
    options = replace(
        session.options,
        fidelity="transient",
        points_per_plateau=2,
        max_step=max_step,
        exact_step=0.0,
        bypass=min(_BYPASS, session.options.bypass),
        noise=(),
    )
    return NativeSession(session.compiled, options)


def keep_ledger(
    session: NativeSession, stimulus: Stimulus, state: State | None, bounds: FloatArray | None = None
) -> Ledger:
    """Runs a stimulus and books the energy of every step.

    Args:
        session: of fidelity transient.
        stimulus: all signals that the circuit names.
        state: where to start.
        bounds: times inside the stimulus that divide the run into parts, s, ascending; None for one part.

    Raises:
        ConvergenceError: the simulation stopped.
    """
    start = float(stimulus.times[0])
    stimulus = stimulus.shifted(-start)  # steps of femtoseconds late in a run are differences of its times
    waveforms = session.run(stimulus, state, Save(session.node_names)).raise_for_status().waveforms
    cuts = np.zeros(0) if bounds is None else np.asarray(bounds, float) - start
    books = _Books(session, len(cuts) + 1)
    signals = stimulus.at(waveforms.times)[:, [stimulus.names.index(s) for s in session.compiled.signals]]
    restarts = np.isin(waveforms.times[:-1], session.restarts(stimulus))
    middles = 0.5 * (waveforms.times[1:] + waveforms.times[:-1])
    part_of = np.searchsorted(cuts, middles)
    books.open(waveforms.values[0], signals[0])
    steps = np.diff(waveforms.times)
    for k, step in enumerate(steps):
        ratio = 0.0 if restarts[k] else step / steps[k - 1]
        books.book(int(part_of[k]), waveforms.values[k + 1], signals[k + 1], float(step), float(ratio))
    durations = np.array([steps[part_of == part].sum() for part in range(len(cuts) + 1)])
    return books.close(durations, waveforms)


class _Books:
    """Energies as they add up, per source and per device."""

    def __init__(self, session: NativeSession, parts: int) -> None:
        self._laws: TerminalLaws = session.terminal_laws()
        self._sources = session.compiled.devices.get("voltage_source", ())
        self._carried = [np.zeros((parts, len(group.devices))) for group in self._laws.groups]
        self._charged = [np.zeros((parts, len(group.devices))) for group in self._laws.groups]
        self._held = np.zeros((parts, self._laws.held))

    def open(self, voltages: FloatArray, signals: FloatArray) -> None:
        self._voltage = self._laws.vector(voltages)
        self._charge = [charge for _, charge in self._laws.at(self._voltage, signals)]
        self._mean: list[FloatArray] = [np.zeros(0) for _ in self._laws.groups]

    def book(self, part: int, voltages: FloatArray, signals: FloatArray, step: float, ratio: float) -> None:
        """Books a step; a ratio of zero is a backward Euler step."""
        before, after = self._voltage, self._laws.vector(voltages)
        into_held = np.zeros(self._laws.held)
        for i, (current, charge) in enumerate(self._laws.at(after, signals)):
            places = self._laws.groups[i].places
            mean = en.mean_current(current, None if ratio == 0.0 else self._mean[i], ratio)
            moved = charge - self._charge[i]
            self._carried[i][part] += en.taken(before[places], after[places], step * mean)
            self._charged[i][part] += en.taken(before[places], after[places], moved)
            held = places < self._laws.held
            np.add.at(into_held, places[held], (step * mean + moved)[held])
            self._mean[i], self._charge[i] = mean, charge
        halves = 0.5 * (before[: self._laws.held] + after[: self._laws.held])
        self._held[part] += halves * into_held
        self._voltage = after

    def close(self, durations: FloatArray, waveforms: Waveforms) -> Ledger:
        supplied: dict[str, FloatArray] = {}
        ideal: dict[str, FloatArray] = {}
        dissipated: dict[str, FloatArray] = {}
        stored: dict[str, FloatArray] = {}
        delivered, taken_up = [], []
        for source in self._sources:
            places = [self._laws.place(node) for node in source.nodes]
            energy = self._held[:, max(places)]
            assert isinstance(source.device, VoltageSource)
            _add(supplied, _source_kind(source.device.signal), energy)
            delivered.append(energy.sum())
        for group, carried, charged in zip(self._laws.groups, self._carried, self._charged, strict=True):
            if group.kind == "current_source":
                for k, flat in enumerate(group.devices):
                    _add(supplied, _source_kind(getattr(flat.device, "signal", None)), -carried[:, k])
                delivered += list(-carried.sum(axis=0))
            elif group.kind in IDEAL:
                _add(ideal, IDEAL[group.kind], -carried.sum(axis=1))
                delivered += list(-carried.sum(axis=0))
            elif group.kind in DISSIPATING:
                _add(dissipated, DISSIPATING[group.kind], carried.sum(axis=1))
                taken_up += list(carried.sum(axis=0))
            if group.kind in STORING:
                _add(stored, STORING[group.kind], charged.sum(axis=1))
                taken_up += list(charged.sum(axis=0))
        _refuse_unbooked(self._laws.groups)
        error = en.imbalance(np.array(delivered, float), np.array(taken_up, float))
        return Ledger(supplied, ideal, dissipated, stored, durations, error, waveforms)


def _add(book: dict[str, FloatArray], name: str, energy: FloatArray) -> None:
    book[name] = book[name] + energy if name in book else energy.copy()


def _source_kind(signal: str | None) -> str:
    if signal is None:
        return "supplies"
    return "signals" if signal.startswith(("x_", "y_")) else "drivers"


def _refuse_unbooked(groups: tuple[DeviceGroup, ...]) -> None:
    for group in groups:
        if group.kind not in {*DISSIPATING, *STORING, *IDEAL, "current_source"}:
            raise InputError(f"energy: devices of kind {group.kind} have no account.")
