"""Tuning: what is searched, the validation split, a study that goes on."""

import json

import numpy as np
import pytest

from eqspice.errors import InputError
from eqspice.training import tasks, tuning
from eqspice.training.experiment import make_experiment
from eqspice.training.tuning import Setting, validation_split


def make(overrides):
    return make_experiment({"task": {"name": "sine"}}, overrides)


def test_ranges_and_choices():
    assert Setting.parse("learning.lr=1e-3:1e-1:log") == Setting("learning.lr", 1e-3, 1e-1, True)
    assert Setting.parse("learning.epochs=2:9") == Setting("learning.epochs", 2, 9, whole=True)
    assert Setting.parse("network.hidden=[4]|[8]") == Setting("network.hidden", choices=("[4]", "[8]"))


@pytest.mark.parametrize("text", ["lr", "lr=", "=1:2", "lr=2:1", "lr=0:1:log", "lr=a:b", "lr=1", "lr=nan:1"])
def test_what_is_not_a_range_is_refused(text):
    with pytest.raises(InputError, match="--vary"):
        Setting.parse(text)


def test_the_split_parts_the_training_set_and_leaves_the_test_set_out():
    task = tasks.moons(seed=3, samples=40, test_samples=20)
    split = validation_split(task, seed=1, fraction=0.25)
    both = np.concatenate([split.x, split.x_test])
    assert split.x_test.shape == (10, 3) and split.x.shape == (30, 3)
    assert sorted(map(tuple, both)) == sorted(map(tuple, task.x))
    assert not {tuple(row) for row in task.x_test} & {tuple(row) for row in both}
    assert len(split.labels) == 30 and len(split.labels_test) == 10
    again = validation_split(task, seed=1, fraction=0.25)
    assert np.array_equal(split.x_test, again.x_test)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_fractions_that_are_not_allowed(fraction):
    with pytest.raises(InputError, match="validation"):
        validation_split(tasks.moons(), 0, fraction)


def test_a_study_goes_on_and_names_its_best(tmp_path, monkeypatch):
    seen = []

    def error(experiment, fraction=0.2):
        seen.append((experiment.learning.lr, experiment.seed))
        return abs(np.log10(experiment.learning.lr) + 2.0)

    monkeypatch.setattr(tuning, "validation_error", error)
    search = [Setting.parse("learning.lr=1e-4:1:log")]
    tuning.tune(make, search, 3, tmp_path, seeds=(0, 1))
    assert len(seen) == 6 and {seed for _, seed in seen} == {0, 1}
    study = tuning.tune(make, search, 12, tmp_path, seeds=(0, 1))
    assert len(study.trials) == 12 and len(seen) == 24
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["validation_nrmse"] == study.best_value == min(trial.value for trial in study.trials)
    assert best["overrides"][0].startswith("learning.lr=")


def test_mistakes(tmp_path):
    with pytest.raises(InputError, match="trials: 0"):
        tuning.tune(make, [Setting("learning.lr", 1, 2)], 0, tmp_path)
    with pytest.raises(InputError, match="nothing to search"):
        tuning.tune(make, [], 1, tmp_path)
