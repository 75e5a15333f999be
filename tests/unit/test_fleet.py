"""Studies: the product of settings, and one dataset whatever dies on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from eqspice.errors import InputError, StorageError
from eqspice.fleet import Study, parse_vary, read_study, run_study
from eqspice.report.study_plots import groups, yields
from eqspice.training.experiment import make_experiment

SMALL = ["engine.fidelity=phase", "network.hidden=[2]", "learning.epochs=60"]
SMALL += ["task.options.samples=6", "task.options.test_samples=4", "learning.calibrate=false"]
SMALL += ["learning.rows=parallel"]  # which "reference" refuses: members that fail
VARY = {"seed": [0, 1], "preset": ["reciprocal", "reference"]}


def make(overrides):
    return make_experiment({"task": {"name": "sine"}, "preset": "reciprocal"}, [*SMALL, *overrides])


def study(folder) -> Study:
    return Study(make, VARY, folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[xr.Dataset, Path]:
    folder = tmp_path_factory.mktemp("study") / "undisturbed"
    return run_study(study(folder), workers=1), folder


def after_records(folder: Path, count: int) -> int:
    """Waits until a member of a study has written records; returns the process that runs it."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        for log in folder.glob("members/*/log.txt"):
            if len(list((log.parent / "records").glob("chunk_*.npz"))) >= count:
                return int(log.read_text().split("taken by process ")[1].split()[0])
        time.sleep(0.002)
    raise TimeoutError(f"{folder}: no member got so far")


def taken(folder: Path) -> int:
    """Returns how often a worker took a member that does not fail."""
    return sum(log.read_text().count("taken by") for log in folder.glob("members/*reciprocal/log.txt"))


def test_members_are_the_full_product(tmp_path):
    varied = Study(
        make, {"seed": [3, 4, 5], "pdk.corner": ["tt", "ss"], "network.hidden": [[2], [3]]}, tmp_path
    )
    members = varied.members
    assert len(members) == len({member.name for member in members}) == 12
    found = [varied.experiment(member) for member in members]
    chosen = {(each.seed, each.pdk.corner, each.network.hidden) for each in found}
    assert chosen == {(s, c, h) for s in (3, 4, 5) for c in ("tt", "ss") for h in ((2,), (3,))}
    assert members[-1].place == (2, 1, 1) and not list(tmp_path.iterdir())


def test_what_varies_is_read():
    assert parse_vary(["seed=0:3", "pdk.corner=tt|ss", "network.hidden=[4]|[8]"]) == {
        "seed": [0, 1, 2, 3],
        "pdk.corner": ["tt", "ss"],
        "network.hidden": [[4], [8]],
    }
    for texts in (["seed"], ["seed="], ["=1"], ["seed=0|1", "seed=2"]):
        with pytest.raises(InputError, match="--vary"):
            parse_vary(texts)


@pytest.mark.parametrize("vary", [{}, {"seed": []}, {"seed": [1, 1]}, {"seed": [-1]}, {"lr": [1.0]}])
def test_studies_that_are_refused(tmp_path, vary):
    with pytest.raises(InputError, match="seed|vary|lr"):
        Study(make, vary, tmp_path)


def test_results_and_failed_members(undisturbed):
    dataset, folder = undisturbed
    assert dict(dataset.sizes) == {"seed": 2, "preset": 2}
    found = dataset["train_nrmse"].sel({"preset": "reciprocal"}).values
    assert np.isfinite(found).all() and found[0] != found[1]
    assert dataset["train_nrmse"].sel({"preset": "reference"}).isnull().all()
    assert not {"cpu_s", "wall_s", "compile_s"} & set(dataset)
    with xr.open_zarr(folder / "results.zarr", consolidated=False) as kept:
        assert kept.load().identical(dataset)
    members = read_study(folder)["members"]
    for name, member in members.items():
        if "reference" in name:
            assert member["status"] == "failed" and "rows" in member["message"]
        else:
            run = json.loads((folder / "members" / name / "manifest.json").read_text())
            assert member["status"] == "finished" and member["results"] == run["results"]
            assert not (folder / "members" / name / "waveforms.zarr").exists()
    assert {"distribution.png", "yield.png", "results.csv"} <= {path.name for path in folder.iterdir()}


def test_finished_members_are_not_run_again(undisturbed):
    dataset, folder = undisturbed
    before = taken(folder)
    assert run_study(study(folder), workers=1).identical(dataset)
    assert taken(folder) == before == 2


def test_another_study_is_refused(undisturbed):
    _, folder = undisturbed
    before = (folder / "study.json").read_bytes()
    with pytest.raises(InputError, match=r"vary\.seed: \[0, 2\] is not its \[0, 1\]"):
        run_study(Study(make, VARY | {"seed": [0, 2]}, folder))
    with pytest.raises(InputError, match=r"learning\.epochs: 61 is not its 60"):
        run_study(Study(lambda more: make([*more, "learning.epochs=61"]), VARY, folder))
    assert (folder / "study.json").read_bytes() == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(StorageError, match="not the folder of a study"):
        run_study(study(tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_worker_is_replaced(undisturbed, tmp_path):
    dataset, reference = undisturbed
    folder = tmp_path / "study"
    killer = threading.Thread(target=lambda: os.kill(after_records(folder, 2), signal.SIGKILL))
    killer.start()
    found = run_study(study(folder), workers=2)
    killer.join()
    assert taken(folder) == 3, "the worker ended before it was killed"
    assert found.identical(dataset)
    assert (folder / "results.csv").read_bytes() == (reference / "results.csv").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_killed_coordinator_goes_on(undisturbed, tmp_path):
    dataset, _ = undisturbed
    folder = tmp_path / "study"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "src")]
    code = f"import sys; sys.path[:0] = {paths!r}\nif __name__ == '__main__':\n"
    code += f" import test_fleet as t; t.run_study(t.study({str(folder)!r}), workers=1)\n"
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    worker = after_records(folder, 2)
    process.kill()
    process.wait()
    limit = time.monotonic() + 30
    while alive(worker) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not alive(worker), "a worker outlived its study"
    assert all(member["status"] != "finished" for member in read_study(folder)["members"].values())
    assert run_study(study(folder), workers=1).identical(dataset)
    assert taken(folder) == 3


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def test_dask_workers_give_the_same(undisturbed, tmp_path):
    distributed = pytest.importorskip("distributed")
    dataset, _ = undisturbed
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        found = run_study(study(tmp_path / "study"), scheduler=cluster.scheduler_address)
    assert found.identical(dataset)
    hosts = {
        log.read_text().split("process ")[1].split()[0] for log in tmp_path.glob("study/members/*/log.txt")
    }
    assert str(os.getpid()) not in hosts


def test_without_workers_or_scheduler(tmp_path):
    with pytest.raises(InputError, match="--workers: 0"):
        run_study(study(tmp_path / "a"), workers=0)


def test_yield_counts_failed_members():
    values = np.array([0.1, 0.3, np.nan, 0.2])
    at, share = yields(values, more_is_better=False)
    assert at.tolist() == [0.1, 0.2, 0.3] and share.tolist() == [0.25, 0.5, 0.75]
    assert yields(values, more_is_better=True)[1].tolist() == [0.75, 0.5, 0.25]


def test_groups_follow_the_setting_that_matters():
    values = xr.DataArray(
        [[[0.1, 0.5], [0.12, 0.52]], [[0.1, 0.51], [0.13, 0.5]]],
        coords={"seed": [0, 1], "a": [1, 2], "b": ["x", "y"]},
        dims=("seed", "a", "b"),
    )
    assert list(groups(values)) == ["b = x", "b = y"]
    assert sorted(groups(values)["b = x"]) == [0.1, 0.1, 0.12, 0.13]
