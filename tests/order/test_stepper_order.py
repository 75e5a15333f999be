"""The stepper against closed forms: orders of convergence, coefficients, error control."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import Capacitor, Circuit, Diode, Instance, Mosfet, Resistor, Stimulus, VoltageSource
from eqspice.engines.base import Save
from eqspice.engines.native import program as pg
from eqspice.engines.native import stepper
from eqspice.engines.native import track as tk
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.pdk import ideal, sky130

TAU = 1e-6
END = 2e-6
DRIVE = Instance("drive", VoltageSource(signal="x"), ("in", "0"))
RAMP = Stimulus(np.array([0.0, END]), ("x",), np.array([[0.0], [1.0]]))
LOW_PASS = (Instance("r", Resistor(1e6), ("in", "out")), Instance("c", Capacitor(1e-12), ("out", "0")))


def exact(t: np.ndarray) -> np.ndarray:
    """The low pass's answer to a ramp of 1 V in END."""
    return (t + TAU * np.expm1(-t / TAU)) / END


def fets() -> dict[str, Mosfet]:
    return {
        "square_law": ideal.mosfet("n", 1e-6, 1e-6, channel_length_modulation=0.05),
        "table": sky130.mosfet("nfet_01v8_lvt", 0.42e-6, 1e-6),
    }


def nonlinear(kind: str) -> tuple[Instance, ...]:
    """A common-source stage with a diode and an RC behind it; gate and drain charges couple back."""
    return (
        Instance("supply", VoltageSource(1.0), ("vdd", "0")),
        Instance("load", Resistor(1e5), ("vdd", "drain")),
        Instance("series", Resistor(1e6), ("in", "gate")),
        Instance("hold", Capacitor(5e-13), ("gate", "0")),
        Instance("m", fets()[kind], ("drain", "gate", "0", "0")),
        Instance("d", Diode(1e-15), ("drain", "out")),
        Instance("bleed", Resistor(1e6), ("out", "0")),
        Instance("c", Capacitor(1e-12), ("out", "0")),
    )


def prepare(parts: tuple[Instance, ...], **options: object) -> NativeSession:
    names = {node for part in parts for node in part.nodes}
    circuit = Circuit("order", (DRIVE, *parts), tuple(sorted(names & {"gate", "out"})))
    return NativeEngine(NativeOptions(**options)).prepare(circuit)  # type: ignore[arg-type]


def order_of(steps: np.ndarray, errors: np.ndarray) -> float:
    """Slope of log error over log step."""
    assert np.all(errors > 0)
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


STEPS = END / np.array([40, 80, 160, 320])


def test_bdf2_is_of_second_order_on_a_low_pass():
    errors = []
    for step in STEPS:
        found = prepare(LOW_PASS, exact_step=float(step)).run(RAMP).waveforms
        assert len(found.times) == round(END / step) + 1
        errors.append(np.abs(found["out"] - exact(found.times)).max())
    assert 1.8 <= order_of(STEPS, np.array(errors)) <= 2.2
    assert errors[-1] < 2e-5


def test_backward_euler_is_of_first_order_on_a_low_pass():
    errors = []
    for step in STEPS:
        points = round(END / step) + 1
        found = prepare(LOW_PASS, fidelity="phase", points_per_plateau=points).run(RAMP).waveforms
        assert len(found.times) == points
        errors.append(np.abs(found["out"] - exact(found.times)).max())
    assert 0.9 <= order_of(STEPS, np.array(errors)) <= 1.1


@pytest.mark.parametrize("kind", ["square_law", "table"])
@pytest.mark.parametrize("fidelity", ["transient", "phase"])
def test_orders_hold_on_a_nonlinear_circuit(kind: str, fidelity: str):
    def at_end(count: int) -> np.ndarray:
        given = {"exact_step": END / count} if fidelity == "transient" else {"points_per_plateau": count + 1}
        session = prepare(nonlinear(kind), fidelity=fidelity, bypass=1e-9, **given)
        start = session.operating_point({"x": 0.0})
        return (
            session.run(RAMP, start, Save(("gate", "drain", "out"))).raise_for_status().waveforms.values[-1]
        )

    counts = np.array([50, 100, 200, 400])
    fine = at_end(12_800)
    errors = np.array([np.abs(at_end(int(count)) - fine).max() for count in counts])
    expected = 2.0 if fidelity == "transient" else 1.0
    assert expected - 0.2 <= order_of(END / counts, errors) <= expected + 0.3


def test_the_error_follows_lte():
    tolerances = np.array([1e-3, 1e-4, 1e-5, 1e-6])
    errors, counts = [], []
    for lte in tolerances:
        solution = prepare(LOW_PASS, lte=float(lte)).run(RAMP)
        errors.append(np.abs(solution.waveforms["out"] - exact(solution.waveforms.times)).max())
        counts.append(solution.statistics.time_steps)
    assert errors[0] < 5e-3
    # h goes as lte^(1/3), and the error of many steps as h^2.
    assert 0.5 <= order_of(tolerances, np.array(errors)) <= 0.9
    assert -0.45 <= order_of(tolerances, np.array(counts, float)) <= -0.2


def test_lte_makes_a_nonlinear_circuit_converge():
    def at_end(**options: float) -> np.ndarray:
        session = prepare(nonlinear("table"), bypass=1e-7, **options)
        start = session.operating_point({"x": 0.0})
        return session.run(RAMP, start, Save(("gate", "out"))).waveforms.values[-1]

    fine = at_end(exact_step=END / 12_800)
    tolerances = np.array([1e-3, 1e-4, 1e-5, 1e-6])
    errors = np.array([np.abs(at_end(lte=float(lte)) - fine).max() for lte in tolerances])
    assert errors[0] < 3e-3
    assert 0.55 <= order_of(tolerances, errors) <= 0.8


def test_a_sudden_end_of_a_slow_segment_is_followed_at_once():
    """After a long rest the first step is long; the second finds it out and the mark is taken again."""
    stimulus = Stimulus(np.array([0.0, 1e-3, 1e-3 + END]), ("x",), np.array([[0.0], [0.0], [1.0]]))
    late = prepare(LOW_PASS, lte=1e-5).run(stimulus).waveforms
    assert np.abs(late["out"] - exact(np.maximum(late.times - 1e-3, 0.0))).max() < 2e-4
    slow = Stimulus(np.array([0.0, 1e-3]), ("x",), np.array([[1.0], [1.0]]))
    solution = prepare(LOW_PASS, lte=1e-5).run(slow)  # from zero: all happens in the first thousandth
    assert solution.statistics.rejected_steps > 0
    found = solution.waveforms
    assert np.abs(found["out"] - (1.0 - np.exp(-found.times / TAU))).max() < 2e-4


def work_and_track(h1: float, h2: float):
    session = prepare(LOW_PASS)
    program = session.compiled.program
    work = pg.new_work(program)
    track = session._track(work, RAMP.times, RAMP.values, session.initial_state())
    track.clock[tk.STEP], track.clock[tk.STEP_BEFORE] = h1, h2
    return program, work, track


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 2.0, 10.0])
def test_bdf2_differentiates_parabolas_exactly_at_any_ratio_of_steps(ratio: float):
    h1 = 1.0
    h = ratio * h1
    _, work, track = work_and_track(h1, h1)
    for c0, c1, c2 in np.eye(3):
        track.place[tk.ORDER] = 1
        now = 5.0

        def charge(t: float, c: tuple[float, ...] = (c0, c1, c2)) -> float:
            return c[0] + c[1] * t + c[2] * t * t

        track.charge_1[:], track.charge_2[:] = charge(now - h), charge(now - h - h1)
        alpha = stepper._discretise(work, track, 0, h)
        assert alpha * charge(now) + work.history[-1] == pytest.approx(c1 + 2 * c2 * now, abs=1e-12)
    track.place[tk.ORDER] = 0
    alpha = stepper._discretise(work, track, 0, h)
    assert alpha * 3.0 * track.charge_1[-1] + work.history[-1] == pytest.approx(2.0 * track.charge_1[-1] / h)


def local_error(program: pg.Program, work: pg.Work, track: tk.Track, h: float) -> tuple[float, float]:
    """The error as the stepper sees it in a circuit without noise."""
    past = track.before_1, track.before_2, track.before_3
    return stepper._error(program, work, track, work.voltage, *past, np.zeros_like(work.voltage), 1e-3, h)


@pytest.mark.parametrize(("h", "h1", "h2"), [(1.0, 1.0, 1.0), (2.0, 0.5, 3.0), (0.1, 1.0, 0.7)])
def test_the_local_error_is_that_of_bdf2_on_a_cubic(h: float, h1: float, h2: float):
    """BDF2 from exact history on x' = f(t), x = t^3: what it misses in one step is the error's formula."""
    program, work, track = work_and_track(h1, h2)
    now = 4.0
    track.place[tk.ORDER] = 2
    work.voltage[:] = now**3
    track.before_1[:], track.before_2[:] = (now - h) ** 3, (now - h - h1) ** 3
    track.before_3[:] = (now - h - h1 - h2) ** 3
    error, first = local_error(program, work, track, h)
    track.charge_1[:], track.charge_2[:] = track.before_1, track.before_2
    alpha = stepper._discretise(work, track, 0, h)
    reached = (3 * now**2 - work.history[-1]) / alpha
    assert error == pytest.approx(abs(reached - now**3), rel=1e-9)
    assert first == 0.0


def test_the_first_step_s_error_is_that_of_backward_euler_on_a_parabola():
    program, work, track = work_and_track(0.5, 0.0)
    now, h, h1 = 2.0, 1.5, 0.5
    track.place[tk.ORDER] = 1
    work.voltage[:] = now**2
    track.before_1[:], track.before_2[:] = (now - h) ** 2, (now - h - h1) ** 2
    _, first = local_error(program, work, track, h)
    assert first == pytest.approx(h1 * h1)  # x(0) + h1 x'(h1) - x(h1) = h1^2 for x = t^2
