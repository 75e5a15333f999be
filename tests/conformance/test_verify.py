"""`eqspice verify` and `netlist`: runs signed off from their checkpoints, decks that run as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eqspice.engines import get_engine
from eqspice.engines.base import Save
from eqspice.engines.spice import process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.errors import InputError, StorageError
from eqspice.run import Run, train
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import make_experiment
from eqspice.verify import Tolerances, experiment_deck, verify
from eqspice.verify.netlist import opening

SMALL = {"task": {"name": "sine", "options": {"outputs": 2}}, "network": {"hidden": [4]}}


def experiment(fidelity: str, epochs: int = 2):
    learning = {"epochs": epochs, "samples": 6, "lr": 0.02, "update_gain": [200.0, 30.0]}
    return make_experiment({**SMALL, "engine": {"fidelity": fidelity}, "learning": learning})


@pytest.fixture(scope="module", params=["transient", "phase"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(experiment(request.param), out=tmp_path_factory.mktemp("runs") / request.param)


def test_a_3_4_2_run_is_signed_off(run: Run, engine: str) -> None:
    if engine == "native":
        pytest.skip("it is what the others are compared with")
    result = verify(run.folder, engine, samples=2)
    assert result.passed, result.faults
    assert result.chunk == 1
    assert result.samples == 2
    assert result.updates == 4
    figures = result.summary()
    assert figures["groups"]["storage"]["plateau_max"] < 1e-4
    assert figures["groups"]["outputs"]["plateau_max"] < 5e-4
    assert {d.group for d in result.differences} == {"storage", "outputs", "rows", "columns"}
    json.dumps(figures, allow_nan=False)


def test_it_starts_where_the_run_was_and_ends_where_it_went(run: Run) -> None:
    # All six samples of the last chunk: the weights after them are those that the run kept.
    result = verify(run.folder, "vacask", samples=6)
    names = result.ours.waveforms.names
    places = [names.index(f"layer1.cell_{i}_{j}.mem") for i in range(4) for j in range(2)]
    kept = run.folder.read_record(1)["weights_1"].ravel()
    ended = result.other.waveforms.values[-1, places]
    before = run.folder.read_record(0)["weights_1"].ravel()
    assert np.abs(kept - before).max() > 3e-3
    assert np.abs(ended - kept).max() < 1e-3  # the run's own fidelity is coarser


def test_a_difference_beyond_tolerance_is_told(run: Run) -> None:
    result = verify(run.folder, "vacask", samples=1, tolerances=Tolerances(storage=1e-12, weights=1e-12))
    assert not result.passed
    assert any(fault.startswith("storage: node ") for fault in result.faults)
    assert any(fault.startswith("weights: differ by ") for fault in result.faults)


def test_a_run_of_one_chunk_starts_after_set(tmp_path: Path) -> None:
    one = train(experiment("phase", epochs=1), out=tmp_path / "one")
    result = verify(one.folder, "vacask", samples=1)
    assert result.chunk == 0
    assert result.passed, result.faults


@pytest.mark.parametrize(("hidden", "epochs", "write"), [(4, 1, "transistor"), (16, 5, "switch")])
def test_a_trained_reciprocal_network_is_signed_off(
    hidden: int, epochs: int, write: str, tmp_path: Path
) -> None:
    """XOR on 2-4-1 with real write transistors and on 2-16-1: outputs of the free phase within 1 mV."""
    settings = {
        "task": {"name": "xor"},
        "preset": "reciprocal",
        "design": {"write": write},
        "network": {"hidden": [hidden]},
        "learning": {"epochs": epochs},
        "engine": {"fidelity": "phase"},
    }
    trained = train(make_experiment(settings), out=tmp_path / "xor")
    result = verify(trained.folder, "vacask", samples=1)
    assert result.passed, result.faults
    assert result.summary()["groups"]["outputs"]["plateau_max"] < 1e-3
    if hidden == 16:
        assert trained.results["test_accuracy"] == 1.0


def test_mistakes(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="engine: 'spectre' is not known"):
        verify(run.folder, "spectre")
    with pytest.raises(InputError, match="samples: 7 is not allowed, chunk 1 has 1 to 6"):
        verify(run.folder, "vacask", samples=7)
    with pytest.raises(InputError, match="engine vacask: option 'tol' is not known"):
        verify(run.folder, "vacask", options={"tol": 1})
    with pytest.raises(InputError, match="tolerance storage: 0 is not allowed"):
        Tolerances(storage=0)
    empty = RunFolder.create(tmp_path / "empty", experiment("phase"))
    with pytest.raises(StorageError, match="has no checkpoint yet"):
        verify(empty, "vacask")


COMMANDS = {
    "vacask": (process.VACASK, ["-qp", "mine.sim"], "tran1.raw", "{}"),
    "ngspice": (process.NGSPICE, ["-n", "-b", "mine.cir"], "mine.raw", "v({})"),
    "xyce": (process.XYCE, ["mine.cir"], "mine.raw", "v({})"),
}


def test_the_deck_of_an_experiment_runs_as_its_header_says(tmp_path: Path, engine: str) -> None:
    if engine == "native":
        pytest.skip("it reads no deck")
    program, arguments, raw, column = COMMANDS[engine]
    chosen = experiment("phase")
    files = experiment_deck(chosen, engine, samples=1, main=arguments[-1])
    process.write_files(tmp_path, files)
    assert f"{arguments[-1]}" in next(line for line in files[arguments[-1]].splitlines() if "run: " in line)
    command = [str(process.find(program)), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plot = read_raw(tmp_path / raw)[0]
    circuit, stimulus = opening(chosen, 1)
    ours = get_engine("native", lte=1e-4).prepare(circuit)
    end = Save(circuit.storage_nodes, stimulus.times[-1:])
    expected = ours.run(stimulus, None, end).raise_for_status().waveforms.values[0]
    names = [name.lower() for name in plot.names]
    for node, value in zip(circuit.storage_nodes, expected, strict=True):
        found = plot.values[-1, names.index(column.format("n_" + node.replace(".", "_")))]
        assert abs(found - value) < 1e-4, node


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell")
def test_decks_are_the_same_every_time() -> None:
    first, second = (experiment_deck(experiment("phase"), "xyce", samples=2) for _ in range(2))
    assert first == second
    with pytest.raises(InputError, match="samples: 7 is not allowed, it must be 1 to 6"):
        experiment_deck(experiment("phase"), "xyce", samples=7)
