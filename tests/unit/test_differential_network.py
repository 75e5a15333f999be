"""Differential networks: what an update writes, what it leaves alone, and that they learn."""

from dataclasses import replace

import numpy as np
import pytest

from eqspice.analysis import metrics
from eqspice.design import schedule as sc
from eqspice.design.families import architecture_of
from eqspice.design.learning import LearningPlan
from eqspice.design.presets import get_preset
from eqspice.design.rules import RULES
from eqspice.engines.base import Save
from eqspice.errors import InputError
from eqspice.training import trainer
from eqspice.training.calibrate import calibrate
from eqspice.training.experiment import Experiment
from eqspice.training.sections import EngineChoice

GAINS = (0.5, 0.005)


def prepared(hidden=(4,), rows="all", design=None, **learning):
    experiment = Experiment(
        task={"name": "sine", "options": {"samples": 40}},
        network={"hidden": hidden},
        preset="reciprocal",
        design=design or {},
        learning={"rows": rows, **learning},
        engine={"fidelity": "phase"},
    )
    bench = trainer.prepare(experiment)
    return bench, trainer.write_weights(bench, trainer.initial_weights(bench.design, experiment)).state


def present(bench, state, gains=GAINS, point=3, sign=1.0, rows=None, phases=sc.PHASES, rate=1.0):
    """One presentation; returns state after it and a function that gives a node at the update's start."""
    bench.design = replace(bench.design, update_gains=gains)
    if rows is None:
        rows = sc.random_rows(bench.design, 1, bench.experiment.learning.rows, np.random.default_rng(0))
    data = sc.Presentations(
        bench.task.x[[point]], bench.task.y[[point]], rows, np.array([rate]), np.array([sign])
    )
    plan = sc.presentation_schedule(bench.design, data, state.time, phases)
    names = bench.session.node_names
    solution = bench.session.run(plan.stimulus, state, Save(names, plan.nudged_ends)).raise_for_status()
    second = bench.session.run(plan.stimulus, state, Save(names, plan.middles[:, 2])).raise_for_status()
    held = dict(zip(names, second.waveforms.values[0], strict=True))
    return solution.state, held


def formula(bench, held, layer, gain):
    """The rule's formula of the held voltages."""
    inputs, outputs = bench.design.shape(layer)
    phases = ("first", "second")
    columns = [
        np.array([held[f"layer{layer}.column_{j}_{phase}"] for j in range(outputs)]) for phase in phases
    ]
    rows = [
        np.array([held.get(f"layer{layer}.row_{i}_{phase}", np.nan) for i in range(inputs)])
        for phase in phases
    ]
    if np.isnan(rows[1]).any():  # rows that do not move, or whose movement does not count
        rows[1] = rows[0]
    return gain * RULES[bench.design.rule].contrast(*columns, *rows)


@pytest.mark.parametrize(
    ("rule", "rows", "sense"),
    [
        ("contrastive", "all", "after"),
        ("contrastive", "parallel", "before"),
        ("product", "all", "before"),
        ("product", "parallel", "after"),
        ("sign", "all", "after"),
    ],
)
def test_an_update_writes_the_contrast_of_its_rule_into_every_cell(rule, rows, sense):
    # With a large storage capacitor the gates' own charge does not count.
    bench, state = prepared(rows=rows, design={"storage_capacitance": 1e-11, "sense": sense, "rule": rule})
    gains = (0.01, 0.01) if rule == "sign" else GAINS if sense == "after" else (8.0, 0.04)
    after, held = present(bench, state, gains)
    for layer, (old, new) in enumerate(zip(bench.weights(state), bench.weights(after), strict=True)):
        wanted = formula(bench, held, layer, gains[layer])
        assert np.abs(wanted).max() > 1e-4
        error = 0.02 if rule == "sign" else 0.01  # the comparator's clamp is soft
        assert np.allclose(new - old, wanted, atol=error * np.abs(wanted).max())


def test_the_sign_of_the_nudge_and_of_the_rate_cancel():
    bench, state = prepared()
    changes = []
    for sign in (1.0, -1.0):
        after, _ = present(bench, state, sign=sign)
        changes.append(
            [new - old for new, old in zip(bench.weights(after), bench.weights(state), strict=True)]
        )
    for up, down in zip(*changes, strict=True):
        assert np.allclose(up, down, atol=0.01 * np.abs(up).max())


def test_one_row_updates_one_row_and_no_row_none():
    bench, state = prepared()
    rows = np.array([[[1, sc.NO_ROW]]])
    after, _ = present(bench, state, rows=rows)
    first, last = (np.abs(n - o) for n, o in zip(bench.weights(after), bench.weights(state), strict=True))
    assert first[1].max() > 1e-3
    assert np.delete(first, 1, axis=0).max() < 1e-5
    assert last.max() < 1e-5


def test_the_rate_scales_the_update():
    bench, state = prepared()
    steps = []
    for rate in (1.0, 0.25):
        after, _ = present(bench, state, rate=rate)
        steps.append(bench.weights(after)[1] - bench.weights(state)[1])
    assert np.allclose(steps[1], 0.25 * steps[0], atol=0.02 * np.abs(steps[1]).max())


def common_modes(bench, state):
    found = []
    for places in bench.weight_places:
        volts = state.voltages[places]
        found.append(0.5 * (volts[: len(places) // 2] + volts[len(places) // 2 :]))
    return np.concatenate(found)


def test_the_common_mode_of_the_storage_capacitors_does_not_drift():
    bench, state = prepared(epochs=1, samples=40)
    before, weights = common_modes(bench, state), bench.weights(state)
    bench.design = replace(bench.design, update_gains=GAINS)
    solution, _ = trainer.run_chunk(bench, trainer.epoch_chunks(bench, 0)[0], state)
    moved = np.concatenate(
        [np.ravel(n - o) for n, o in zip(bench.weights(solution.state), weights, strict=True)]
    )
    assert np.abs(moved).max() > 0.005
    # The gates' charge is not quite linear, so a weight's own change shows in the common mode, but no more.
    assert np.abs(common_modes(bench, solution.state) - before).max() < 0.02 * np.abs(moved).max()


def test_auto_zero_takes_the_offset_of_the_multipliers_away():
    changes = {}
    for name, design in (
        ("none", {}),
        ("offset", {"multiplier_offset": 2e-3}),
        ("zeroed", {"multiplier_offset": 2e-3, "auto_zero": True}),
    ):
        bench, state = prepared(hidden=(3,), design=design)
        after, _ = present(bench, state)
        changes[name] = bench.weights(after)[0] - bench.weights(state)[0]
    scale = np.abs(changes["none"]).max()
    assert np.abs(changes["offset"] - changes["none"]).max() > 0.02 * scale
    assert np.allclose(changes["zeroed"], changes["none"], atol=0.002 * scale)


def test_one_sided_and_symmetric_nudges_agree_for_small_ones():
    changes = []
    for nudges, gain in (("symmetric", 0.5), ("one_sided", 1.0)):
        bench, state = prepared(design={"nudges": nudges}, lr=2e-4)
        after, _ = present(bench, state, (25 * gain, 0.25 * gain))
        changes.append(bench.weights(after)[1] - bench.weights(state)[1])
    assert np.allclose(changes[0], changes[1], atol=0.05 * np.abs(changes[0]).max())


def test_calibration_does_not_see_noise():
    bench, state = prepared()
    engine = EngineChoice(fidelity="phase", noise=("thermal", "flicker"), noise_level=100.0)
    noisy = trainer.prepare(bench.experiment.changed(engine=engine))
    assert calibrate(noisy, state) == calibrate(bench, state)


def test_calibration_corrects_the_fraction_that_was_asked_for():
    bench, state = prepared(correction=(0.1, 0.2))
    found = calibrate(bench, state)
    assert calibrate(bench, state) == found
    again = []
    for layer in (0, 1):
        gains = [0.0, 0.0]
        gains[layer] = found.update_gains[layer]
        free = trainer.evaluate(bench, state, bench.task.x[[3]])
        after, _ = present(bench, state, tuple(gains))
        again.append((trainer.evaluate(bench, after, bench.task.x[[3]]) - free) / (bench.task.y[[3]] - free))
    # One point need not be corrected as the mean of sixteen is; its sign and size must fit.
    assert 0.02 < again[0].item() < 0.4
    assert 0.05 < again[1].item() < 0.6


def test_it_learns_a_sine(tmp_path):
    from eqspice.run import train

    experiment = Experiment(
        task="sine",
        network={"hidden": (12,)},
        preset="reciprocal",
        learning={"epochs": 2, "samples": 100},
        engine={"fidelity": "phase"},
    )
    run = train(experiment, out=tmp_path / "run")
    assert run.results["test_nrmse"] < 0.5
    assert len(run.manifest["calibration"]["update_gains"]) == 2
    predicted = run.predict(np.array([[0.2]]))
    assert metrics.rmse(predicted, np.sin(8 * np.array([[0.2]]))) < 0.5


@pytest.mark.parametrize("nudges", ["symmetric", "one_sided"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_nudge_is_gone_whenever_the_error_is_being_stored(nudges, sign):
    """A nudge by an error that follows the output is a loop; with a negative nudge it runs away."""
    bench, _ = prepared(design={"nudges": nudges})
    rows = np.zeros((3, 1, bench.design.layers), int)
    data = sc.Presentations(bench.task.x[:3], bench.task.y[:3], rows, np.ones(3), np.full(3, sign))
    stimulus = sc.presentation_schedule(bench.design, data, 0.0).stimulus
    nudge = stimulus.values[:, stimulus.names.index("nudge")]
    free = stimulus.values[:, stimulus.names.index("free")]
    assert nudge.any() and free.any()
    closed = (free[:-1] > 0.0) | (free[1:] > 0.0)  # segments in which the switch is, or may be, closed
    assert not (closed & ((nudge[:-1] != 0.0) | (nudge[1:] != 0.0))).any()


@pytest.mark.parametrize("rows", ["all", "parallel"])
def test_real_write_transistors_write_what_they_are_given(rows):
    """All levels pass; the charge that the channel leaves behind is within a percent of a weight."""
    bench, state = prepared(rows=rows, design={"write": "transistor"})
    for wanted, found in zip(
        trainer.initial_weights(bench.design, bench.experiment), bench.weights(state), strict=True
    ):
        assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()
    with_switches, _ = prepared(rows=rows)
    counts, before = bench.circuit.count(), with_switches.circuit.count()
    cells = sum(matrix.size for matrix in bench.weights(state))
    assert counts["mosfet"] - before["mosfet"] == before["switch"] - counts["switch"] == 2 * cells


def first_column(next_load):
    """Voltage of a column of the first layer before 16 hidden neurons, all cells behind it at zero."""
    weights = (np.full((3, 2), 3e-3), np.zeros((3, 16)), np.zeros((17, 1)))
    experiment = Experiment(
        task={"name": "sine", "options": {"samples": 4}},
        network={"hidden": (2, 16)},
        preset="reciprocal",
        design={"next_load": next_load},
        engine={"fidelity": "phase"},
        weights=weights,
    )
    bench = trainer.prepare(experiment)
    state = trainer.write_weights(bench, trainer.initial_weights(bench.design, experiment)).state
    columns = architecture_of(bench.design).columns(bench.design, 0)
    rows = np.full((1, 1, 3), sc.NO_ROW)
    data = sc.Presentations(bench.task.x[:1], bench.task.y[:1], rows)
    plan = sc.presentation_schedule(bench.design, data, state.time, ("free",))
    solution = bench.session.run(plan.stimulus, state, Save(columns.nodes, plan.free_ends)).raise_for_status()
    return float(columns.of(solution.waveforms.values)[0, 0])


def test_a_wide_layer_behind_a_hidden_neuron_loads_its_column_no_more_than_is_allowed():
    """3 rows drive the column; cells at zero weight conduct all alike, so that loads are numbers of cells."""
    alone = first_column(1e-6)
    assert abs(alone) > 1e-4
    assert first_column(1.0) == pytest.approx(alone / 2, rel=0.01)
    assert first_column(0.25) == pytest.approx(alone / 1.25, rel=0.01)
    assert first_column(100.0) == pytest.approx(alone / (1 + 16 / 3), rel=0.01)  # back gain of 1 / gain


def test_only_a_hidden_layer_before_a_hidden_layer_has_a_back_gain_of_its_own():
    for widths in ((3, 32, 1), (2, 4, 9)):
        design = get_preset("reciprocal").build(widths)
        assert [design.back_gain_of(layer) for layer in (0, 1)] == [1 / 32, 1 / 8]
    design = get_preset("reciprocal").build((3, 16, 16, 1))
    assert [design.back_gain_of(layer) for layer in range(3)] == [3 / 16 / 32, 1 / 32, 1 / 8]
    design = get_preset("reciprocal").build((10, 8, 4, 2))  # few enough columns behind it
    assert design.back_gain_of(0) == 1 / 32


@pytest.mark.parametrize("rows", ["all", "parallel"])
@pytest.mark.parametrize("write", ["switch", "transistor"])
def test_limits_that_give_way_hold_an_update_and_let_a_gate_rest(rows, write):
    """A gate that was pushed against a limit creeps back for long if the limit stands still."""
    crept = {}
    for relief in (0.0, 0.2):
        bench, state = prepared(rows=rows, design={"limit_relief": relief, "write": write})
        limit = bench.design.weight_limit
        pushed, _ = present(bench, state, gains=(50.0, 0.5))
        reached = bench.weights(pushed)
        assert max(np.abs(layer).max() for layer in reached) == pytest.approx(limit, abs=0.15)
        later, _ = present(bench, pushed, phases=("free", "nudged"))
        crept[relief] = max(
            np.abs(after - before).max() for before, after in zip(reached, bench.weights(later), strict=True)
        )

    assert crept[0.0] > 1e-3
    assert crept[0.2] < (1e-6 if write == "switch" else 5e-4)  # the transistors leak


def test_a_column_capacitor_changes_what_noise_does_and_not_what_is_computed():
    free = {}
    for capacitance in (0.0, 1e-12):
        for noise in ((), ("thermal",)):
            experiment = Experiment(
                task={"name": "sine", "options": {"samples": 40}},
                network={"hidden": (4,)},
                preset="reciprocal",
                design={"column_capacitance": capacitance},
                engine={"fidelity": "phase", "noise": noise},
            )
            bench = trainer.prepare(experiment)
            state = trainer.write_weights(bench, trainer.initial_weights(bench.design, experiment)).state
            points = np.arange(64) % 40
            rows = sc.random_rows(bench.design, 64, "parallel", np.random.default_rng(0))
            data = sc.Presentations(bench.task.x[points], bench.task.y[points], rows, np.zeros(64))
            plan = sc.presentation_schedule(bench.design, data, state.time)
            nodes = [f"layer0.column_{j}_first" for j in range(4)]
            solution = bench.session.run(plan.stimulus, state, Save(tuple(nodes), plan.middles[:, 2]))
            free[capacitance, bool(noise)] = solution.raise_for_status().waveforms.values
    without, with_it = free[0.0, False], free[1e-12, False]
    assert np.abs(with_it - without).max() < 0.01 * np.abs(without).max()
    noise = {c: float(np.std(free[c, True] - free[c, False])) for c in (0.0, 1e-12)}
    held = 1.380649e-23 * 300.15 / bench.design.held_capacitance
    column = bench.design.gain * np.sqrt(1.380649e-23 * 300.15 / 1e-12)
    # kT/C of an unloaded column is the most; what follows loads it through the amplifier, and takes some.
    assert 0.3 * column < np.sqrt(noise[1e-12] ** 2 - held) < 1.1 * column
    assert noise[0.0] > 3 * noise[1e-12]


def test_growing_nudges_leave_the_update_of_an_error_alone():
    plan = LearningPlan(rows="parallel", nudge_growth=10.0)
    strengths = np.concatenate([plan.strengths(epoch, 4, 5) for epoch in range(4)])
    assert strengths[0] == 1.0 and strengths[5] == pytest.approx(10**0.5)
    assert np.allclose(strengths[10:], 10.0)
    rates = np.concatenate([plan.rates(epoch, 4, 5) for epoch in range(4)])
    assert np.allclose(rates * strengths, 1.0)

    bench, state = prepared(rows="parallel")
    before = bench.weights(state)
    bench.design = replace(bench.design, update_gains=GAINS)
    changes = []
    for strength in (1.0, 0.1):
        data = sc.Presentations(
            bench.task.x[[3]],
            bench.task.y[[3]],
            np.zeros((1, 1, 2), int),
            np.array([1.0 / strength]),
            np.ones(1),
            np.array([strength]),
        )
        schedule = sc.presentation_schedule(bench.design, data, state.time)
        after = bench.session.run(schedule.stimulus, state, Save(bench.outputs, schedule.free_ends))
        weights = bench.weights(after.raise_for_status().state)
        changes.append([new - old for new, old in zip(weights, before, strict=True)])
    for strong, weak in zip(*changes, strict=True):
        assert np.linalg.norm(strong - weak) < 0.1 * np.linalg.norm(strong) > 0.0


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        ("reciprocal", {"design": {"column_capacitance": -1e-12}}, "column_capacitance"),
        ("reciprocal", {"learning": {"nudge_growth": 0.5}}, "nudge_growth"),
        ("reference", {"learning": {"nudge_growth": 2.0}}, "nudge_growth"),
    ],
)
def test_remedies_against_noise_that_cannot_be_are_refused(preset, settings, message):
    with pytest.raises(InputError, match=message):
        trainer.check(Experiment(task={"name": "sine"}, preset=preset, **settings))


def test_both_fidelities_are_calibrated_alike():
    measured = []
    for fidelity in ("phase", "transient"):
        experiment = Experiment(
            task={"name": "xor"},
            network={"hidden": (4,)},
            preset="reciprocal",
            engine={"fidelity": fidelity},
        )
        bench = trainer.prepare(experiment)
        state = trainer.write_weights(bench, trainer.initial_weights(bench.design, experiment)).state
        measured.append(calibrate(bench, state).measured)
    assert measured[0] == pytest.approx(measured[1], rel=1e-3)
