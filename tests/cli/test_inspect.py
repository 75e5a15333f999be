"""`eqspice tasks`, `presets`, `doctor`, `--help`, `--version`."""

import json

import pytest


def test_tasks_with_their_options(eqspice_here):
    said = eqspice_here("tasks")[1]
    for word in ("sine", "digits", "xor", "frequency=8.0"):
        assert word in said


def test_presets(eqspice_here):
    said = eqspice_here("presets")[1]
    for word in ("reference", "read_nfet", "resistive"):
        assert word in said


def test_doctor_finds_the_compact_models(eqspice):
    done = eqspice("doctor")
    assert done.returncode == 0, done.stdout
    assert "BSIM4 answers" in done.stdout


@pytest.mark.parametrize("command", ["train", "calibrate", "gradcheck", "tasks", "presets", "doctor"])
def test_help(eqspice_here, command):
    code, said, _ = eqspice_here(command, "--help")
    assert code == 0 and "Usage" in said


def test_help_of_train_has_examples(eqspice_here):
    assert "eqspice train --resume runs/digits" in eqspice_here("train", "--help")[1]


def test_version(eqspice):
    assert eqspice("--version").stdout.startswith("eqspice 0.")


def test_unknown_command(eqspice_here):
    code, _, error = eqspice_here("trian")
    assert code == 2 and "trian" in error


def test_gradcheck_of_a_run(eqspice_here, tmp_path):
    settings = ["--set", "network.hidden=[4]", "--set", "task.options.outputs=2", "--fidelity", "phase"]
    code = eqspice_here("train", "sine", *settings, "--epochs", 2, "--out", "run", "--quiet")[0]
    assert code == 0
    code, said, _ = eqspice_here("gradcheck", "run", "--initial", "--samples", 3, "--json")
    figures = json.loads(said)
    assert code == 0 and figures["samples"] == 3
    assert 0.0 < figures["layers"][0]["cosine"] < 0.95
    said = eqspice_here("gradcheck", "run", "--samples", 2, "--plot", "panel.png")[1]
    assert "layer 1" in said and "cosine of update and descent" in said
    assert (tmp_path / "run" / "gradcheck.npz").is_file()
    assert (tmp_path / "run" / "gradcheck_initial.npz").is_file()
    assert (tmp_path / "panel.png").read_bytes().startswith(b"\x89PNG")
    assert eqspice_here("report", "run")[0] == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Before training" in page and "After training" in page and "exact co-content" in page
