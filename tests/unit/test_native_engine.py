"""The native engine: what it refuses, how it fails, what it records, operating points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eqspice.circuit import (
    Capacitor,
    Circuit,
    Diode,
    Instance,
    Product,
    Resistor,
    Stimulus,
    Switch,
    VoltageControlledCurrentSource,
    VoltageSource,
)
from eqspice.engines.base import Save, State, Status
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.errors import ConvergenceError, InputError
from eqspice.pdk import ideal

RAMP = Stimulus(np.array([0.0, 1e-6, 2e-6]), ("x",), np.array([[0.0], [1.0], [1.0]]))


def prepare(*instances: Instance, storage: tuple[str, ...] = (), **options: object) -> NativeSession:
    drive = Instance("drive", VoltageSource(signal="x"), ("in", "0"))
    circuit = Circuit("test", (drive, *instances), storage)
    return NativeEngine(NativeOptions(**options)).prepare(circuit)  # type: ignore[arg-type]


def low_pass(**options: object) -> NativeSession:
    parts = Instance("r", Resistor(1e4), ("in", "out")), Instance("c", Capacitor(1e-11), ("out", "0"))
    return prepare(*parts, storage=("out",), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fidelity": "exact"}, "fidelity: 'exact' is not known. Choose one of: transient, phase"),
        ({"lte": -1e-3}, "lte: -0.001 is not allowed, it must be a positive number"),
        ({"lte": math.nan}, "lte: nan"),
        ({"lte": math.inf}, "lte: inf"),
        ({"lte": "1m"}, "lte: '1m'"),
        ({"bypass": 0.0}, "bypass: 0.0"),
        ({"max_change": 0}, "max_change: 0"),
        ({"min_step": 0.0}, "min_step: 0.0"),
        ({"max_step": -1.0}, "max_step: -1.0 is not allowed, it must be zero or positive"),
        ({"exact_step": math.nan}, "exact_step: nan"),
        ({"exact_step": 1e-9, "fidelity": "phase"}, "exact_step: 1e-09 .* zero for fidelity phase"),
        ({"max_step": 1e-9, "fidelity": "phase"}, "max_step: 1e-09 .* zero for fidelity phase"),
        ({"points_per_plateau": 1}, "points_per_plateau: 1 .* whole number, at least 2"),
        ({"points_per_plateau": 2.5}, "points_per_plateau: 2.5"),
        ({"newton_limit": 0}, "newton_limit: 0"),
        ({"newton_limit": True}, "newton_limit: True"),
        ({"max_steps": 0}, "max_steps: 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        NativeOptions(**options)  # type: ignore[arg-type]


def test_a_voltage_source_between_two_nodes_is_refused_with_all_like_it():
    with pytest.raises(InputError) as caught:
        prepare(
            Instance("floats", VoltageSource(1.0), ("a", "in")),
            Instance("again", VoltageSource(1.0), ("in", "0")),
            Instance("r", Resistor(1.0), ("a", "0")),
        )
    assert "floats: a voltage source must have one end at ground" in str(caught.value)
    assert "again: node in is already held" in str(caught.value)


def test_a_circuit_without_unknowns_is_refused():
    with pytest.raises(InputError, match="nothing to solve"):
        prepare(Instance("r", Resistor(1.0), ("in", "0")))


def test_a_source_upside_down_holds_the_opposite_voltage():
    session = prepare(
        Instance("down", VoltageSource(0.25, "x", 2.0), ("0", "neg")),
        Instance("r", Resistor(1.0), ("neg", "out")),
        Instance("load", Resistor(1.0), ("out", "0")),
    )
    state = session.operating_point({"x": 0.5})
    assert state.voltages[session.node_names.index("out")] == pytest.approx(-0.625)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (Save(("nowhere",)), "node 'nowhere' does not exist"),
        (Save(("out",), np.array([])), "at least one time"),
        (Save(("out",), np.array([1e-6, 0.5e-6])), "ascending"),
        (Save(("out",), np.array([math.nan])), "finite"),
        (Save(("out",), np.array([1e-6, 3e-6])), "do not lie within the stimulus, 0 to 2e-06 s"),
        (Save(("out",), np.array([-1e-6])), "do not lie within"),
    ],
)
def test_what_cannot_be_saved_is_refused(save: Save, message: str):
    with pytest.raises(InputError, match=message):
        low_pass().run(RAMP, save=save)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (State(0.0, np.zeros(3)), r"voltages has shape \(3,\), \(2,\) is needed"),
        (State(0.0, np.zeros(2), np.zeros(1)), r"charges has shape \(1,\)"),
        (State(0.0, np.array([0.0, math.nan])), "voltages of node out is nan"),
        (State(0.0, np.zeros(2), np.array([math.inf, 0.0])), "charges of node in is inf"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state: State, message: str):
    with pytest.raises(InputError, match=message):
        low_pass().run(RAMP, state)


def test_missing_signals_and_nodes_are_named():
    session = low_pass()
    with pytest.raises(InputError, match="signals x are missing"):
        session.run(Stimulus(RAMP.times, ("y",), RAMP.values))
    with pytest.raises(InputError, match="signals x have no value"):
        session.operating_point()
    with pytest.raises(InputError, match="node 'nowhere' does not exist"):
        session.initial_state({"nowhere": 1.0})


def test_saving_does_not_change_what_happens():
    session = low_pass()
    ends = [
        session.run(RAMP, save=save).state.voltages
        for save in (None, Save(("out",), np.array([2e-6])), Save(("out",), np.linspace(0.0, 2e-6, 777)))
    ]
    assert ends[0].tobytes() == ends[1].tobytes() == ends[2].tobytes()


def ramp_response(t: np.ndarray, tau: float = 1e-7) -> np.ndarray:
    """The low pass's answer to RAMP."""
    up = t - tau * (1 - np.exp(-t / tau))
    after = 1e-6 - (1 - np.exp(-1e-6 / tau)) * tau * np.exp(-(t - 1e-6) / tau)
    return np.where(t <= 1e-6, up, after) * 1e6


def test_wanted_times_between_steps_are_as_exact_as_the_steps():
    times = np.linspace(0.0, 2e-6, 501)
    steps = low_pass().run(RAMP).waveforms
    found = low_pass().run(RAMP, save=Save(("in", "out"), times)).waveforms
    at_steps = np.abs(steps["out"] - ramp_response(steps.times)).max()
    between = np.abs(found["out"] - ramp_response(times)).max()
    straight = np.abs(steps.at(times)["out"] - ramp_response(times)).max()
    assert np.abs(found["in"] - np.minimum(times * 1e6, 1.0)).max() < 1e-12
    assert between < 1.2 * at_steps < 2e-3 and between < 0.7 * straight


def test_every_step_is_recorded_however_many_there_are():
    solution = low_pass(exact_step=1e-10).run(RAMP)
    assert len(solution.waveforms.times) == solution.statistics.time_steps + 1 == 20_001
    assert np.all(np.diff(solution.waveforms.times) > 0)
    assert solution.waveforms.times[[0, -1]].tolist() == [0.0, 2e-6]


def test_a_run_may_start_late():
    early = low_pass().run(RAMP)
    late = low_pass().run(RAMP.shifted(1000.0))
    assert late.state.time == 1000.0 + 2e-6
    assert late.state.voltages == pytest.approx(early.state.voltages, abs=1e-7)


def test_the_same_run_twice_has_the_same_bits():
    session = low_pass()
    first, second, other = session.run(RAMP), session.run(RAMP), low_pass().run(RAMP)
    for solution in (second, other):
        assert solution.waveforms.values.tobytes() == first.waveforms.values.tobytes()
        assert solution.state.charges.tobytes() == first.state.charges.tobytes()


# v = 1 + v^2 has no real solution: whatever the step, Newton's iteration wanders.
HOPELESS = (
    Instance("parabola", Product(1.0), ("p", "in", "p", "0", "p", "0")),
    Instance("load", Resistor(1e9), ("p", "0")),
)


@pytest.mark.parametrize("fidelity", ["transient", "phase"])
def test_a_run_that_cannot_converge_says_where_when_and_what_to_do(fidelity: str):
    solution = prepare(*HOPELESS, fidelity=fidelity).run(RAMP)
    assert solution.status is Status.NEWTON_FAILED
    assert solution.statistics.gmin_steps > 0 and solution.statistics.rejected_steps > 5
    with pytest.raises(ConvergenceError) as caught:
        solution.raise_for_status()
    text = str(caught.value)
    assert "node p (devices parabola, load)" in text and "smallest time step" in text and "soften" in text
    # v = x + v^2 loses its solution at x = 1/4.
    assert solution.state.time == pytest.approx(0.25e-6, rel=1e-4)
    assert f"stopped at {solution.state.time:.9g} s" in text
    assert solution.waveforms.times[-1] == solution.state.time


def test_an_operating_point_that_is_not_there_says_so():
    with pytest.raises(ConvergenceError, match=r"operating point: node p \(devices parabola, load\)"):
        prepare(*HOPELESS).operating_point({"x": 1.0})


def test_a_floating_node_is_singular_and_named():
    parts = (
        Instance("gate", Switch(1.0, math.inf), ("in", "island", "in", "0")),
        Instance("link", Resistor(1e3), ("island", "peak")),
        Instance("out_of_reach", Switch(1.0, math.inf), ("peak", "0", "in", "0")),
    )
    solution = prepare(*parts).run(RAMP)
    assert solution.status is Status.SINGULAR
    assert "no conducting path" in solution.message and "link" in solution.message
    with pytest.raises(ConvergenceError, match=r"operating point: node (island|peak) .*no conducting path"):
        prepare(*parts).operating_point({"x": 0.0})
    assert prepare(*parts).operating_point({"x": 1.0}).voltages[1] == pytest.approx(0.999, abs=1e-5)


def test_a_number_that_overflows_is_not_finite_and_named():
    wild = Instance("wild", VoltageControlledCurrentSource(1e300), ("a", "0", "b", "0"))
    wilder = Instance("wilder", VoltageControlledCurrentSource(1e300), ("b", "0", "in", "0"))
    loads = Instance("ra", Resistor(1e300), ("a", "0")), Instance("rb", Resistor(1e300), ("b", "0"))
    solution = prepare(wild, wilder, *loads).run(RAMP)
    assert solution.status is Status.NOT_FINITE and "node b (devices wild, wilder, rb)" in solution.message


def test_a_parameter_that_is_not_a_number_never_gets_there():
    fet = ideal.mosfet("n", 1e-6, 1e-6)
    with pytest.raises(ValueError, match="instance m: mosfet: width is nan"):
        Instance("m", type(fet)(fet.card, math.nan, 1e-6), ("in", "in", "0", "0"))


def test_the_step_limit_counts_rejected_steps_too():
    solution = low_pass(max_steps=7).run(RAMP)
    assert solution.status is Status.STEP_LIMIT and "raise max_steps" in solution.message
    assert solution.statistics.time_steps + solution.statistics.rejected_steps == 7
    assert 0.0 < solution.state.time < 2e-6


def test_an_error_that_min_step_leaves_too_large_is_not_passed_over():
    solution = low_pass(lte=1e-9, min_step=2e-8).run(RAMP)
    assert solution.status is Status.ERROR_LIMIT
    assert "node out (devices r, c)" in solution.message and "relax lte" in solution.message
    assert low_pass(lte=1e-3, min_step=2e-8).run(RAMP).status is Status.SUCCESS


def test_a_jump_at_the_start_that_no_step_can_resolve_is_passed_over():
    """A volt across a silicon junction asks 600 A into 10 fF: it is charged before the shortest step ends."""
    parts = Instance("d", Diode(), ("in", "out")), Instance("c", Capacitor(1e-14), ("out", "0"))
    session = prepare(*parts, Instance("r", Resistor(1e5), ("out", "0")), storage=("out",))
    solution = session.run(Stimulus(RAMP.times, ("x",), np.ones((3, 1)))).raise_for_status()
    assert solution.state.voltages == pytest.approx(session.operating_point({"x": 1.0}).voltages, abs=1e-3)


def test_steps_are_cut_where_newton_fails_and_the_result_is_right():
    """A comparator with positive feedback snaps over: no step across converges in five iterations."""
    diode = Instance("d", Diode(1e-15, 0.05), ("in", "out"))
    parts = diode, Instance("r", Resistor(1e7), ("out", "0")), Instance("c", Capacitor(1e-13), ("out", "0"))
    hurried = prepare(*parts, storage=("out",), newton_limit=4, fidelity="phase").run(RAMP)
    calm = prepare(*parts, storage=("out",), newton_limit=100, fidelity="phase").run(RAMP)
    assert calm.statistics.rejected_steps == 0 < hurried.statistics.rejected_steps
    assert hurried.raise_for_status().state.voltages == pytest.approx(calm.state.voltages, abs=2e-3)


# Sharp square-law FETs as diodes, without charge: from zero the lower ones are off and their node floats.
SHARP = ideal.mosfet("n", 1e-6, 1e-6, slope_factor=0.0, oxide_capacitance=0.0, overlap_capacitance=0.0)
FET_CHAIN = tuple(
    Instance(name, SHARP, (top, top, bottom, bottom))
    for name, top, bottom in (("m1", "in", "a"), ("m2", "a", "b"), ("m3", "b", "0"))
)


def test_gmin_stepping_finds_an_operating_point_that_newton_alone_does_not():
    session = prepare(*FET_CHAIN)
    state = session.operating_point({"x": 3.0})
    assert dict(zip(session.node_names, state.voltages, strict=True)) == pytest.approx(
        {"in": 3, "a": 2, "b": 1}
    )


def test_gmin_stepping_carries_a_run_over_a_point_that_newton_alone_does_not_pass():
    session = prepare(*FET_CHAIN)
    solution = session.run(Stimulus(RAMP.times, ("x",), np.full((3, 1), 3.0))).raise_for_status()
    assert solution.statistics.gmin_steps > 0
    assert solution.state.voltages == pytest.approx([3.0, 2.0, 1.0])


def test_a_guess_at_the_solution_stays_there():
    session = prepare(Instance("d", Diode(), ("in", "out")), Instance("r", Resistor(1e3), ("out", "0")))
    found = session.operating_point({"x": 1.0})
    again = session.operating_point({"x": 1.0}, found)
    assert again.voltages == pytest.approx(found.voltages, abs=1e-6)
