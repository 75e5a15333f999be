"""The scripts in examples/ run, and give what they promise."""

import runpy
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str):
    return runpy.run_path(str(EXAMPLES / name))["main"]()


def test_published_run_starts_from_the_given_weights(capsys):
    voltages = run("compare_with_published_run.py")
    assert voltages.shape == (5, 3, 4)
    wanted = np.random.default_rng(7).random((3, 4))[0, 0] - 0.5
    # The first point addresses row 0, so its weight moves only in the update phase.
    assert abs(voltages[0, 0, 2] - wanted) < 1e-3
    assert abs(voltages[0, 2, 2] - voltages[0, 0, 2]) > 1e-6
    assert "update" in capsys.readouterr().out
