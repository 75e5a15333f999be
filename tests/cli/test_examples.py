"""The scripts in examples/ run, and give what they promise."""

import runpy
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, **settings):
    return runpy.run_path(str(EXAMPLES / name))["main"](**settings)


def test_published_run_starts_from_the_given_weights(capsys):
    voltages = run("compare_with_published_run.py")
    assert voltages.shape == (5, 3, 4)
    wanted = np.random.default_rng(7).random((3, 4))[0, 0] - 0.5
    # The first point addresses row 0, so its weight moves only in the update phase.
    assert abs(voltages[0, 0, 2] - wanted) < 1e-3
    assert abs(voltages[0, 2, 2] - voltages[0, 0, 2]) > 1e-6
    assert "update" in capsys.readouterr().out


def test_reference_circuit_in_another_process_agrees_with_vacask(capsys):
    found = run("another_process.py")
    assert found.passed
    assert found.updates == 4  # a word line of each layer in each sample
    # Far tighter than the tolerances. A gate that starts uncharged in VACASK would show as millivolts.
    assert found.weights < 1e-5
    assert "ihp_sg13g2: train NRMSE" in capsys.readouterr().out


def test_cells_from_spice_text_learn_and_agree_with_vacask(tmp_path, capsys):
    found = run("bring_your_own_cell/train.py", epochs=4, hidden=4, seed=0, out=tmp_path / "run")
    error = found.run.metrics.free_nrmse
    assert error.iloc[-1] < 0.5 * error.iloc[0]
    assert found.apart < 0.1 * found.moved
    assert found.verification.passed, found.verification.faults
    assert found.verification.updates == 4  # a word line of each layer in each sample
    assert found.verification.weights < 1e-5
    assert "NRMSE on held-out points" in capsys.readouterr().out
