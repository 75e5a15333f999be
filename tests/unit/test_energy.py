"""Accounts of energy: closed forms, balance of whole networks, and that a wrong account shows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from eqspice.analysis import energy as en
from eqspice.circuit import (
    Capacitor,
    Circuit,
    CurrentSource,
    Diode,
    Instance,
    Resistor,
    Stimulus,
    Switch,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.native.engine import NativeEngine
from eqspice.engines.native.terminals import TerminalLaws
from eqspice.errors import InputError
from eqspice.pdk import ideal
from eqspice.training import ledger as lg
from eqspice.training import trainer
from eqspice.training.dataset import arrays
from eqspice.training.energy import EnergyReport, measure_energy
from eqspice.training.experiment import Experiment
from eqspice.training.gradcheck import initial_state

R, C = 1e4, 1e-11
BALANCE = 1e-3
DRIVE = Instance("drive", VoltageSource(signal="x"), ("in", "0"))
STEP = Stimulus(np.array([0.0, 1e-10, 3e-6]), ("x",), np.array([[0.0], [1.0], [1.0]]))


def ledger(*instances, storage=("out",), stimulus=STEP, max_step=1e-8, bounds=None, rest=False) -> lg.Ledger:
    session = NativeEngine().prepare(Circuit("test", (DRIVE, *instances), storage))
    state = session.operating_point({"x": stimulus.values[0, 0]}) if rest else None
    return lg.keep_ledger(lg.exact_session(session, max_step), stimulus, state, bounds)


def total(book: dict[str, np.ndarray]) -> float:
    return float(sum(energy.sum() for energy in book.values()))


@pytest.mark.parametrize("max_step", [1e-6, 1e-8])
def test_a_charged_capacitor_stores_what_its_resistor_burns(max_step):
    parts = Instance("r", Resistor(R), ("in", "out")), Instance("c", Capacitor(C), ("out", "0"))
    found = ledger(*parts, max_step=max_step)
    assert total(found.supplied) == pytest.approx(C, rel=1e-3)
    assert total(found.stored) == pytest.approx(C / 2, rel=1e-5)
    assert total(found.dissipated) == pytest.approx(C / 2, rel=1e-3)
    assert found.imbalance < 1e-9


def test_a_slow_ramp_burns_less():
    """Charged over T >> RC, a resistor burns RC/T C V^2 (1 - RC/T (1 - exp(-T/RC))) while it ramps."""
    tau, ramp = R * C, 2e-6
    stimulus = Stimulus(np.array([0.0, ramp, ramp + 2e-6]), ("x",), np.array([[0.0], [1.0], [1.0]]))
    parts = Instance("r", Resistor(R), ("in", "out")), Instance("c", Capacitor(C), ("out", "0"))
    found = ledger(*parts, stimulus=stimulus, max_step=2e-9)
    # i = C/T (1 - exp(-t/tau)) in the ramp, then a decay: the integral of R i^2 over all time
    burnt = R * (C / ramp) ** 2 * (ramp - tau * (1.0 - math.exp(-ramp / tau)))
    assert total(found.dissipated) == pytest.approx(burnt, rel=2e-3)
    assert found.imbalance < 1e-9


def test_a_jump_between_two_capacitors_burns_half_of_charge_times_voltage():
    """C1 at 1 V shares with an empty C2: C1 C2 / (C1 + C2) / 2 turns into heat, however fast."""
    signals = Stimulus(
        np.array([0.0, 1e-6, 2e-6, 2.01e-6, 3e-6]),
        ("x", "on"),
        np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]),
    )
    found = ledger(
        Instance("on", VoltageSource(signal="on"), ("on", "0")),
        Instance("charge", Switch(1e3, math.inf, v_on=0.4, v_off=0.5), ("in", "out", "on", "0")),
        Instance("c1", Capacitor(C), ("out", "0")),
        Instance("share", Switch(1.0, math.inf, v_on=0.6, v_off=0.5), ("out", "far", "on", "0")),
        Instance("c2", Capacitor(3 * C), ("far", "0")),
        storage=("out", "far"),
        stimulus=signals,
        bounds=np.array([1.9e-6]),
    )
    assert found.dissipated["switches"][1] == pytest.approx(3 * C / 8, rel=1e-4)
    assert found.imbalance < BALANCE


def test_resting_powers_by_hand():
    """At rest every power is current times voltage; ideal parts stand apart."""
    flat = Stimulus(np.array([0.0, 1e-6]), ("x",), np.ones((2, 1)))
    found = ledger(
        Instance("r", Resistor(1e3), ("in", "0")),
        Instance("amp", VoltageControlledVoltageSource(2.0, 1.0), ("twice", "0", "in", "0")),
        Instance("load", Resistor(999.0), ("twice", "0")),
        Instance("bias", CurrentSource(1e-3), ("0", "fed")),
        Instance("heater", Resistor(500.0), ("fed", "0")),
        storage=(),
        stimulus=flat,
        rest=True,
    )
    assert found.supplied["drivers"][0] == pytest.approx(1e-9)
    assert found.supplied["supplies"][0] == pytest.approx(5e-10)
    assert found.ideal["amplifiers"][0] == pytest.approx(2e-3 * 1.998 * 1e-6)
    assert found.dissipated["resistors"][0] == pytest.approx(1e-9 + 5e-10 + 2e-3 * 1.998 * 1e-6)
    assert found.imbalance < 1e-9


def amplifier() -> tuple[Instance, ...]:
    return (
        Instance("vdd", VoltageSource(1.8), ("vdd", "0")),
        Instance("load", Resistor(2e4), ("vdd", "out")),
        Instance("m", ideal.mosfet(1, 3e-7, 1e-6), ("out", "in", "0", "0")),
        Instance("d", Diode(), ("out", "far")),
        Instance("c", Capacitor(C), ("far", "0")),
        Instance("leak", Resistor(1e4), ("far", "0")),
    )


@pytest.mark.parametrize("missing", ["diode", "mosfet", "resistor"])
def test_transistor_and_diode_balance_and_a_missing_part_shows(monkeypatch, missing):
    found = ledger(*amplifier(), storage=("far",))
    assert found.imbalance < BALANCE
    assert all(found.dissipated[kind][0] > 0.0 for kind in ("transistors", "diodes", "resistors"))
    whole = TerminalLaws.at

    def without_one_kind(self, vector, signals):
        pairs = zip(self.groups, whole(self, vector, signals), strict=True)
        return [(0.0 * i, q) if group.kind == missing else (i, q) for group, (i, q) in pairs]

    monkeypatch.setattr(TerminalLaws, "at", without_one_kind)
    assert ledger(*amplifier(), storage=("far",)).imbalance > BALANCE


X = np.array([[0.3, 0.8], [0.6, 0.4], [0.9, 0.2]])
Y = np.array([[0.03], [-0.04], [0.01]])


def report_of(preset: str) -> EnergyReport:
    task = arrays(X, Y, scale=False)
    bench = trainer.prepare(
        Experiment(task=task, preset=preset, network={"hidden": (4,)}, engine={"fidelity": "phase"})
    )
    return measure_energy(bench, initial_state(bench), 2)


@pytest.mark.parametrize("preset", ["reference", "reciprocal"])
def test_networks_balance_in_every_phase(preset):
    report = report_of(preset)
    assert report.imbalance < BALANCE
    for phase in report.phases:
        delivered = phase.from_sources + phase.from_ideal_parts
        assert delivered == pytest.approx(phase.heat + sum(phase.stored.values()), rel=BALANCE)
        assert phase.duration > 0.0
    assert 0.0 <= report.settling < report.phases[0].duration
    assert report.per_mac * report.synapses * 3 == pytest.approx(report.per_sample)
    assert "ideal parts, whose own consumption" in str(report)
    assert json.loads(json.dumps(report.summary()))["samples"] == 2


def test_settling_time_of_an_exponential():
    times = np.linspace(0.0, 20.0, 20001)
    values = (1.0 - np.exp(-times))[:, None]
    assert en.settling_time(times, values) == pytest.approx(math.log(100.0), abs=2e-3)
    assert en.settling_time(times, 0.0 * values) == 0.0


def test_the_mean_current_is_that_of_the_charge_that_a_bdf2_step_moves():
    """From the formula itself: q' = a0 q + a1 q1 + a2 q2 with two unequal steps."""
    q2, q1, q, h1, h = 1.0, 1.7, 2.9, 0.5, 0.8
    ratio = h / h1
    a0, a2 = (1 + 2 * ratio) / ((1 + ratio) * h), ratio**2 / ((1 + ratio) * h)
    slope = a0 * q - (a0 + a2) * q1 + a2 * q2
    mean = en.mean_current(np.array(slope), np.array((q1 - q2) / h1), ratio)
    assert mean == pytest.approx((q - q1) / h)


def test_areas():
    assert en.fet_area(0.42e-6, 0.15e-6, 2.0, 0.29e-6) == pytest.approx(2 * 0.42 * 0.73 * 1e-12)
    assert en.capacitor_area(0.1e-12) == pytest.approx(50e-12)


def test_too_many_samples_are_refused():
    task = arrays(X, Y, scale=False)
    bench = trainer.prepare(Experiment(task=task, preset="reference", network={"hidden": (4,)}))
    with pytest.raises(InputError, match="samples: 4 is not allowed, it must be 1 … 3"):
        measure_energy(bench, initial_state(bench), 4)
