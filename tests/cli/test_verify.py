import json
import sys

import pytest

from eqspice.engines.spice import process
from eqspice.run import train
from eqspice.training.experiment import make_experiment

SMALL = {
    "task": {"name": "sine", "options": {"outputs": 1}},
    "network": {"hidden": [2]},
    "engine": {"fidelity": "phase"},
    "learning": {"epochs": 2, "samples": 3},
}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return train(make_experiment(SMALL), out=tmp_path_factory.mktemp("runs") / "small").path


def test_verify_prints_a_table_and_keeps_figures_and_picture(eqspice_here, run_folder):
    code, out, err = eqspice_here("verify", run_folder, "--samples", "1")
    assert (code, err) == (0, "")
    for words in (
        "storage",
        "outputs",
        "rows",
        "columns",
        "weights after the samples",
        "CPU: native",
        "agrees",
    ):
        assert words in out
    figures = json.loads((run_folder / "verify/vacask.json").read_text())
    assert figures["passed"] is True
    assert figures["groups"]["storage"]["plateau_max"] < 1e-4
    assert (run_folder / "verify/vacask.png").read_bytes().startswith(b"\x89PNG")


def test_verify_exits_with_1_when_a_tolerance_is_exceeded(eqspice_here, run_folder):
    code, out, _ = eqspice_here("verify", run_folder, "--storage", "1e-12", "--json")
    assert code == 1
    assert json.loads(out)["faults"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--engine", "spectre"],
            "engine: 'spectre' is not known. Choose one of: native, vacask, ngspice, xyce",
        ),
        (["--samples", "9"], "samples: 9 is not allowed"),
        (["--storage", "0"], "tolerance storage: 0.0 is not allowed, it must be positive"),
        (["--option", "reltol"], "--option: 'reltol' is not allowed, it must be NAME=VALUE"),
        (["--option", "order=3"], "option 'order' is not known"),
    ],
)
def test_verify_mistakes(eqspice_here, run_folder, arguments, message):
    code, out, err = eqspice_here("verify", run_folder, *arguments)
    assert code == 1
    assert message in err


def test_verify_without_the_simulator(eqspice_here, run_folder, monkeypatch):
    monkeypatch.setenv("EQSPICE_XYCE", "nowhere")
    code, _, err = eqspice_here("verify", run_folder, "--engine", "xyce")
    assert code == 1
    assert "EQSPICE_XYCE is nowhere, no executable is there" in err


def test_verify_of_no_run(eqspice_here, tmp_path):
    code, _, err = eqspice_here("verify", tmp_path / "nothing")
    assert code == 1
    assert "is not the folder of a run" in err


@pytest.mark.parametrize(("dialect", "main"), [("vacask", "a.sim"), ("ngspice", "a.cir"), ("xyce", "a.cir")])
def test_netlist_writes_a_deck_that_says_how_to_run_it(eqspice_here, tmp_path, dialect, main):
    code, out, err = eqspice_here(
        "netlist", "sine", "--dialect", dialect, "--set", "network.hidden=[4]", "-o", f"decks/{main}"
    )
    assert (code, err) == (0, "")
    files = {path.name for path in (tmp_path / "decks").iterdir()}
    assert main in files
    assert all(name in out for name in files)
    text = (tmp_path / "decks" / main).read_text()
    assert f"{main}" in next(line for line in text.splitlines() if "run: " in line)
    assert "3-4-4" in text


def test_netlist_mistakes(eqspice_here):
    for arguments, message in (
        (["sine", "--dialect", "spectre"], "dialect: 'spectre' is not known. Choose one of: vacask, ngspice"),
        (["cosine", "--dialect", "xyce"], "task: 'cosine' is not known"),
        (["sine", "--dialect", "xyce", "--samples", "0"], "samples: 0 is not allowed"),
        (["sine", "--dialect", "vacask", "--pdk-lib", "x"], "VACASK cannot read it"),
        (["sine", "--dialect", "ngspice", "--pdk-lib", "x"], "pdk library: 'x' is not a file"),
    ):
        code, _, err = eqspice_here("netlist", *arguments)
        assert code == 1
        assert message in err


def test_engines_are_listed_with_where_they_are(eqspice_here, monkeypatch, tmp_path):
    program = tmp_path / "Xyce"
    program.write_text(f"#!{sys.executable}\nprint('Xyce Release 7.9.0-opensource')\n")
    program.chmod(0o755)
    monkeypatch.setenv("EQSPICE_XYCE", str(program))
    monkeypatch.setenv("EQSPICE_NGSPICE", "nowhere")
    process._check_version.cache_clear()
    code, out, _ = eqspice_here("engines")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert list(lines)[:2] == ["native", "vacask"]
    assert "7.9" in lines["xyce"] and str(program) in lines["xyce"]
    assert "no executable is there" in lines["ngspice"]
