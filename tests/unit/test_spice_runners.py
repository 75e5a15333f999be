"""Runners of other simulators: what happens when one is missing, too old, slow, fails or writes rubbish.

A stub stands for each simulator: a program that reads the deck and writes the raw file of a circuit in
which nothing moves, or misbehaves as it is told.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit import Capacitor, Circuit, Instance, Resistor, Stimulus, VoltageSource
from eqspice.engines import get_engine
from eqspice.engines.base import Save, State
from eqspice.engines.spice import process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.errors import InputError, SimulatorError

STUB = Path(__file__).with_name("simulator_stub.py")
CIRCUIT = Circuit(
    "rc",
    (
        Instance("v", VoltageSource(signal="u"), ("a", "0")),
        Instance("r", Resistor(1e3), ("a", "b")),
        Instance("c", Capacitor(1e-9), ("b", "0")),
    ),
    ("b",),
)
STIMULUS = Stimulus(np.array([1e-6, 2e-6, 3e-6]), ("u",), np.full((3, 1), 0.25))
SIMULATORS = ("xyce", "ngspice", "vacask")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stub is a script with a shebang")


def program(path: Path, name: str) -> str:
    """Writes a program that runs the stub as a simulator."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STUB}" {name} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(params=SIMULATORS)
def stub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setenv(f"EQSPICE_{name.upper()}", program(tmp_path / name, name))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return name


def run(name: str, **options: object):
    state = State(1e-6, np.array([0.25, 0.5]))
    session = get_engine(name, **options).prepare(CIRCUIT)
    return session.run(STIMULUS, state, Save(("b",), np.array([1.5e-6, 3e-6])))


def test_a_run_comes_back_as_waveforms_and_state(stub: str, tmp_path: Path) -> None:
    solution = run(stub)
    assert np.allclose(solution.waveforms.times, [1.5e-6, 3e-6])
    assert solution.waveforms["b"].tolist() == [0.5, 0.5]
    assert solution.state.time == 3e-6
    assert solution.state.voltages[1] == 0.5
    assert solution.statistics.time_steps == 7
    assert not list(tmp_path.glob("eqspice-*"))  # the work folder is gone


def test_the_work_folder_is_kept_on_demand(stub: str, tmp_path: Path) -> None:
    run(stub, keep=True)
    (folder,) = tmp_path.glob("eqspice-*")
    assert (folder / "log.txt").is_file()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        ("fault", "Timestep too small"),  # the exit code is 0
        ("killed", r"exit code -9"),
        ("nothing", "failed"),
        ("half", "stopped at"),
        ("rubbish", "raw file"),
        ("early", r"stopped at 1e-06 s of 2e-06 s"),
        ("node", "did not record node b"),
        ("nan", r"node a is nan"),
    ],
)
def test_a_failure_is_told_and_the_folder_kept(
    stub: str, act: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUB", act)
    with pytest.raises(SimulatorError, match=message) as caught:
        run(stub)
    (folder,) = tmp_path.glob("eqspice-*")
    assert str(folder) in str(caught.value)
    assert (folder / "log.txt").is_file()


def test_xyce_must_reach_its_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQSPICE_XYCE", program(tmp_path / "stub", "xyce"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("STUB", "short")
    with pytest.raises(SimulatorError, match="Xyce failed"):
        run("xyce")


def test_a_run_that_takes_too_long_is_ended(stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB", "slow")
    with pytest.raises(SimulatorError, match="did not end within 0.5 s; raise timeout_s"):
        run(stub, timeout_s=0.5)


@pytest.mark.parametrize("name", SIMULATORS)
def test_a_missing_simulator_says_how_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(process, "package_folder", lambda name: None)
    monkeypatch.delenv(f"EQSPICE_{name.upper()}", raising=False)
    with pytest.raises(SimulatorError, match=f"Install it .*, or set EQSPICE_{name.upper()}"):
        get_engine(name).prepare(CIRCUIT)
    monkeypatch.setenv(f"EQSPICE_{name.upper()}", "nowhere")
    with pytest.raises(SimulatorError, match="no executable is there"):
        get_engine(name).prepare(CIRCUIT)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("EQSPICE_XYCE", "Xyce Release 7.4", "version 7.4 is too old, 7.9 is needed"),
        ("EQSPICE_NGSPICE", "ngspice-36", "version 36 is too old, 39 is needed"),
        ("EQSPICE_NGSPICE", "hello", "does not say that it is ngspice"),
    ],
)
def test_versions_are_checked(
    variable: str, text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    path.chmod(0o755)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(SimulatorError, match=message):
        get_engine(variable.removeprefix("EQSPICE_").lower()).prepare(CIRCUIT)


def test_engines_and_options_that_do_not_exist() -> None:
    with pytest.raises(InputError, match="engine: 'spectre' is not known. Choose one of: native, vacask"):
        get_engine("spectre")
    with pytest.raises(InputError, match="engine xyce: option 'tol' is not known. Choose one of: reltol"):
        get_engine("xyce", tol=1e-3)
    with pytest.raises(InputError, match="reltol: -1 is not allowed"):
        get_engine("vacask", reltol=-1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Title: t\n",
        b"Title: t\nNo. Variables: 900000000\nNo. Points: 2\nVariables:\n\t0\ttime\ttime\n",
        b"Title: t\nNo. Variables: two\nVariables:\n",
        b"No. Variables: 1\nNo. Points: 1\nFlags: complex\nVariables:\n\t0\ttime\ttime\nBinary:\n",
        b"No. Variables: 1\nNo. Points: 1\nVariables:\n\t7\ttime\ttime\nBinary:\n",
        b"No. Variables: 1\nNo. Points: 1\nVariables:\n\t0\ttime\ttime\nValues:\n 0 zero\n",
        b"Binary:\n" + bytes(64),
        bytes(range(256)) * 64,
    ],
)
def test_a_corrupted_raw_file_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(content)
    with pytest.raises(SimulatorError, match="raw file x.raw"):
        read_raw(tmp_path / "x.raw")


def test_a_raw_file_whose_writer_died_gives_its_whole_rows(tmp_path: Path) -> None:
    head = b"No. Variables: 2\nNo. Points: 0\nVariables:\n\t0\ttime\ttime\n\t1\tv(a)\tvoltage\nBinary:\n"
    rows = np.arange(7.0).tobytes()
    (tmp_path / "x.raw").write_bytes(head + rows)
    assert read_raw(tmp_path / "x.raw")[0].values.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
