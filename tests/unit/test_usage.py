"""Mismatch in training, and trained networks under other conditions."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice import run as runs
from eqspice.errors import InputError
from eqspice.training import usage
from eqspice.training.bench import evaluate, prepare, write_weights
from eqspice.training.experiment import Experiment, make_experiment

SETTINGS = {
    "task": {"name": "xor", "options": {"samples": 24}},
    "network": {"hidden": [3]},
    "preset": "reciprocal",
    "engine": {"fidelity": "phase"},
    "learning": {"epochs": 3, "samples": 20, "update_gain": [1.0, 0.01], "anneal": 0.0},
}
CHIP = "mismatch.sigma=1"


def experiment(*changes: str) -> Experiment:
    return make_experiment(SETTINGS, changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return runs.train(experiment(CHIP), out=tmp_path_factory.mktemp("runs") / "whole")


def test_a_resumed_run_on_a_chip_gives_the_same_bits(trained, tmp_path):
    part = runs.train(experiment(CHIP), 2, out=tmp_path / "part")
    assert part.manifest["experiment"]["mismatch"]["sigma"] == 1.0
    resumed = runs.resume(part.path, 3)
    assert np.array_equal(resumed.state.voltages, trained.state.voltages)


def test_another_chip_learns_other_weights(trained, tmp_path):
    other = runs.train(experiment(CHIP, "mismatch.seed=7"), out=tmp_path / "other")
    difference = max(np.abs(a - b).max() for a, b in zip(other.weights, trained.weights, strict=True))
    assert difference > 1e-4


def test_use_in_the_conditions_of_training_gives_what_training_gave(trained):
    (found,) = trained.use()
    assert found.chip == 0
    assert found.test_nrmse == pytest.approx(trained.results["test_nrmse"], abs=0.01)
    assert found.test_accuracy == trained.results["test_accuracy"]


def test_conditions_change_the_outputs_and_old_ones_come_back(trained):
    here, hot = (usage.prepare_use(trained.experiment, c, None) for c in ([], ["pdk.temperature=125"]))
    outputs = [evaluate(b, write_weights(b, trained.weights).state, b.task.x_test) for b in (here, hot)]
    assert hot.experiment.mismatch == trained.experiment.mismatch
    assert np.abs(outputs[1] - outputs[0]).max() > 1e-3
    again = here.on_chip(3).on_chip(0)
    back = evaluate(again, write_weights(again, trained.weights).state, again.task.x_test)
    assert np.array_equal(back, outputs[0])


def test_chips_on_one_preparation_are_those_prepared_for_themselves(trained):
    found = trained.use(chips=range(2, 4))
    assert [each.chip for each in found] == [2, 3]
    assert found[0].test_nrmse != found[1].test_nrmse
    (alone,) = trained.use(["mismatch.seed=3"])
    assert alone == found[1]
    figures = usage.summary(found)
    assert figures["test_nrmse"] == pytest.approx(np.mean([each.test_nrmse for each in found]))
    assert figures["test_nrmse_worst"] == max(each.test_nrmse for each in found)


def test_idle_changes_the_storage_nodes_before_the_test(trained):
    bench = prepare(trained.experiment)
    same, gone = (usage.use(bench, trained.weights, idle=f)[0] for f in (None, lambda v: 0.0 * v + 1.4))
    kept = usage.use(bench, trained.weights, idle=lambda v: v)[0]
    assert kept.test_nrmse == pytest.approx(same.test_nrmse, abs=1e-3)
    assert abs(gone.test_nrmse - 1.0) < 0.3  # all weights are zero: what is left is the chip's own mismatch
    assert abs(gone.test_nrmse - same.test_nrmse) > 0.05


def test_weights_leak_away_in_idle_time(trained):
    (fresh,), (later,), (gone,) = (trained.use(idle=t) for t in (1e-6, 1.0, 1e3))
    assert fresh.test_nrmse == pytest.approx(trained.results["test_nrmse"], abs=0.01)
    assert abs(later.test_nrmse - fresh.test_nrmse) > 1e-3
    assert abs(gone.test_nrmse - fresh.test_nrmse) > abs(later.test_nrmse - fresh.test_nrmse)


@pytest.mark.parametrize(
    ("changes", "chips", "message"),
    [
        (["learning.epochs=4"], (), "'learning' is not known.*pdk, engine, mismatch"),
        (["pdk.corner=tf"], (), "pdk.corner"),
        (["mismatch.sigma=0"], (1, 2), "mismatch.sigma: is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(trained, changes, chips, message):
    with pytest.raises(InputError, match=message):
        trained.use(changes, chips)
