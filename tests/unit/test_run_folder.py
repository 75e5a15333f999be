import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eqspice.errors import InputError, StorageError
from eqspice.training import storage, tasks
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import Experiment
from eqspice.training.sections import Learning
from eqspice.waveforms import Waveforms

EXPERIMENT = Experiment(task="sine", learning=Learning(epochs=3))


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", EXPERIMENT)


def record(epoch: int, error: float = 0.0, points: int = 5) -> dict:
    y = np.linspace(-1, 1, points)[:, None]
    return {"epoch": np.array(epoch), "y": y, "free": y + error, "nudged": y + error / 2}


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_create_writes_a_manifest_first(folder):
    manifest = folder.read_manifest()
    assert manifest == {"status": "created", "experiment": EXPERIMENT.dump(), "seed": 0}
    assert RunFolder.open(folder.path).experiment() == EXPERIMENT


def test_explicit_arrays_are_kept(tmp_path):
    experiment = Experiment(task=tasks.sine(seed=4), seed=9)
    RunFolder.create(tmp_path / "run", experiment)
    assert RunFolder.open(tmp_path / "run").experiment() == experiment
    storage.write_npz(tmp_path / "run" / "arrays.npz", {"order": np.zeros((32, 1), int)})
    with pytest.raises(InputError, match="not those"):
        RunFolder.open(tmp_path / "run").experiment()


def test_manifest_takes_what_numpy_gives(folder):
    results = {"a": np.float64(1.5), "b": np.int64(2), "c": np.array([1.0, np.nan]), "d": float("inf")}
    folder.write_manifest({"experiment": {}, "results": results, "path": Path("x")})
    assert folder.read_manifest()["results"] == {"a": 1.5, "b": 2, "c": [1.0, None], "d": None}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_damaged_manifest(folder, text):
    (folder.path / "manifest.json").write_text(text)
    with pytest.raises(StorageError, match="manifest.json"):
        folder.read_manifest()


def test_open_needs_a_run(tmp_path):
    with pytest.raises(StorageError, match="not the folder of a run"):
        RunFolder.open(tmp_path)


class TestExisting:
    def test_error(self, folder):
        with pytest.raises(StorageError, match="exists and is not empty"):
            RunFolder.create(folder.path, EXPERIMENT)

    def test_an_empty_folder_is_taken(self, tmp_path):
        RunFolder.create(tmp_path, EXPERIMENT)

    def test_overwrite_leaves_other_files(self, folder):
        folder.write_record(0, record(0))
        folder.write_arrays("test", {"x": np.zeros(1)})
        (folder.path / "notes.md").write_text("mine")
        RunFolder.create(folder.path, EXPERIMENT, exist="overwrite")
        assert set(contents(folder.path)) == {"manifest.json", "notes.md"}

    def test_overwrite_needs_a_run(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(StorageError, match="not overwritten"):
            RunFolder.create(tmp_path, EXPERIMENT, exist="overwrite")

    def test_resume_keeps_everything(self, folder):
        folder.write_record(0, record(0))
        before = contents(folder.path)
        RunFolder.create(folder.path, EXPERIMENT, exist="resume")
        assert contents(folder.path) == before

    def test_resume_needs_a_run(self, tmp_path):
        with pytest.raises(StorageError, match="not the folder of a run"):
            RunFolder.create(tmp_path / "typo", EXPERIMENT, exist="resume")

    def test_resume_may_add_epochs(self, folder):
        RunFolder.create(folder.path, Experiment(task="sine", learning=Learning(epochs=9)), exist="resume")

    @pytest.mark.parametrize(
        ("other", "field"),
        [
            (Experiment(task="sine", learning=Learning(epochs=3), seed=1), "seed: 1"),
            (Experiment(task="sine", learning=Learning(epochs=2)), "learning.epochs: 2"),
            (Experiment(task="xor", learning=Learning(epochs=3)), "task.name: 'xor'"),
        ],
    )
    def test_resume_needs_the_same_experiment(self, folder, other, field):
        with pytest.raises(InputError, match=field):
            RunFolder.create(folder.path, other, exist="resume")

    def test_unknown_policy(self, tmp_path):
        with pytest.raises(InputError, match="exist: 'ask' is not known"):
            RunFolder.create(tmp_path / "run", EXPERIMENT, exist="ask")


class TestRecords:
    def test_order_and_discard(self, folder):
        for index in (2, 10, 0, 1):
            folder.write_record(index, record(index))
        assert [int(r["epoch"]) for r in folder.read_records()] == [0, 1, 2, 10]
        folder.discard_records_after(1)
        assert [int(r["epoch"]) for r in folder.read_records()] == [0, 1]
        folder.discard_records_after(-1)
        assert folder.read_records() == []

    def test_damage_is_named(self, folder):
        folder.write_record(0, record(0))
        path = folder.path / "records" / "chunk_00000.npz"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        with pytest.raises(StorageError, match="chunk_00000.npz"):
            folder.read_records()

    def test_metrics_by_epoch(self, folder):
        folder.write_record(0, record(0, 0.1))
        folder.write_record(1, record(0, 0.1))
        folder.write_record(2, record(1, 0.0))
        folder.write_metrics()
        lines = [line.split(",") for line in (folder.path / "metrics.csv").read_text().splitlines()]
        assert lines[0][:2] == ["epoch", "presentations"]
        assert [line[:2] for line in lines[1:]] == [["0", "10"], ["1", "15"]]
        rms = np.sqrt(np.mean(record(0)["y"] ** 2))
        assert np.allclose([float(v) for v in lines[1][2:]], [0.01, 0.1 / rms, 0.0025, 0.05 / rms])
        assert float(lines[2][2]) == 0.0

    def test_zero_targets_have_no_nrmse(self, folder):
        zero = np.zeros((2, 1))
        folder.write_record(0, {"epoch": np.array(0), "y": zero, "free": zero, "nudged": zero})
        folder.write_metrics()
        assert (folder.path / "metrics.csv").read_text().splitlines()[1] == "0,2,0.0,,0.0,"


class TestCheckpoints:
    def test_newest_two_are_kept(self, folder):
        assert folder.latest_checkpoint() is None
        for index in range(4):
            folder.write_checkpoint(index, {"v": np.full(3, index / 3)}, {"wall_s": 0.1 * index})
        names = sorted(os.listdir(folder.path / "checkpoints"))
        assert names == ["chunk_00002.npz", "chunk_00003.npz"]
        index, arrays, meta = folder.latest_checkpoint()
        assert index == 3 and set(arrays) == {"v"} and meta == {"wall_s": 0.1 * 3}
        assert np.array_equal(arrays["v"], np.full(3, 1.0))

    @pytest.mark.parametrize("keep", [0, 10, 200, -1])
    def test_a_damaged_one_is_passed_over(self, folder, keep):
        for index in range(2):
            folder.write_checkpoint(index, {"v": np.arange(50.0)}, {})
        path = folder.path / "checkpoints" / "chunk_00001.npz"
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.warns(UserWarning, match="chunk_00001.npz"):
            found = folder.latest_checkpoint()
        assert found is not None and found[0] == 0

    def test_a_flipped_bit_is_noticed(self, folder):
        for index in range(2):
            folder.write_checkpoint(index, {"v": np.arange(50.0)}, {})
        path = folder.path / "checkpoints" / "chunk_00001.npz"
        content = path.read_bytes()
        place = content.index(np.arange(50.0).tobytes()) + 100
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.warns(UserWarning, match="chunk_00001.npz"):
            assert folder.latest_checkpoint()[0] == 0

    def test_all_damaged_is_an_error(self, folder):
        folder.write_checkpoint(0, {"v": np.arange(3.0)}, {})
        (folder.path / "checkpoints" / "chunk_00000.npz").write_bytes(b"")
        with (
            pytest.warns(UserWarning, match="chunk_00000.npz"),
            pytest.raises(StorageError, match="every checkpoint is damaged"),
        ):
            folder.latest_checkpoint()

    def test_equal_states_give_equal_bytes(self, folder):
        path = folder.path / "checkpoints" / "chunk_00000.npz"
        folder.write_checkpoint(0, {"a": np.arange(3.0), "b": np.array(1)}, {"x": 1, "y": 2})
        before = path.read_bytes()
        folder.write_checkpoint(0, {"b": np.array(1), "a": np.arange(3.0)}, {"y": 2, "x": 1})
        assert path.read_bytes() == before

    def test_objects_are_refused(self, folder):
        with pytest.raises(ValueError, match="[Oo]bject"):
            folder.write_checkpoint(0, {"a": np.array([{}], object)}, {})
        assert folder.latest_checkpoint() is None


class TestFailures:
    """Full disk, no permission, a kill between writing and renaming: what was there stays whole."""

    def fail(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_full_disk(self, folder, monkeypatch, call):
        folder.write_record(0, record(0))
        folder.write_checkpoint(0, {"v": np.arange(3.0)}, {})
        before = contents(folder.path)
        monkeypatch.setattr(storage.os, call, self.fail)
        for write in (
            lambda: folder.write_record(1, record(1)),
            lambda: folder.write_record(0, record(5)),
            lambda: folder.write_checkpoint(1, {"v": np.arange(4.0)}, {}),
            lambda: folder.write_manifest({"experiment": {}}),
            folder.write_metrics,
            lambda: folder.write_arrays("test", {"x": np.zeros(2)}),
        ):
            with pytest.raises(StorageError, match="No space left on device") as caught:
                write()
            assert str(folder.path) in str(caught.value)
        monkeypatch.undo()
        assert contents(folder.path) == before
        assert folder.latest_checkpoint()[0] == 0

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
    def test_full_device(self, folder):
        (folder.path / "log.txt").symlink_to("/dev/full")
        with pytest.raises(StorageError, match=r"log.txt: cannot be written: No space left"):
            folder.log("started")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
    def test_full_device_while_writing(self, folder):
        before = (folder.path / "manifest.json").read_bytes()
        (folder.path / ".partial-manifest.json").symlink_to("/dev/full")
        with pytest.raises(StorageError, match="No space left"):
            folder.write_manifest({"experiment": {}, "long": "x" * 100_000})
        assert (folder.path / "manifest.json").read_bytes() == before

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_no_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(StorageError, match="Permission denied"):
            RunFolder.create(tmp_path / "run", EXPERIMENT)

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_text("")
        for path in (tmp_path / "file", tmp_path / "file" / "run"):
            with pytest.raises(StorageError, match="file"):
                RunFolder.create(path, EXPERIMENT)

    def test_kill_between_writing_and_renaming(self, folder):
        folder.write_checkpoint(0, {"v": np.arange(3.0)}, {})
        before = contents(folder.path)
        script = (
            "import os, sys, signal, numpy as np\n"
            "from eqspice.training import storage\n"
            "from eqspice.training.checkpoint import RunFolder\n"
            "folder = RunFolder.open(sys.argv[1])\n"
            "storage.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "folder.write_checkpoint(1, {'v': np.arange(4.0)}, {})\n"
        )
        done = subprocess.run([sys.executable, "-c", script, str(folder.path)], env=environment())
        assert done.returncode != 0
        left = set(contents(folder.path)) - set(before)
        assert left == {str(Path("checkpoints", ".partial-chunk_00001.npz"))}
        again = RunFolder.open(folder.path)
        assert again.latest_checkpoint()[0] == 0
        assert contents(folder.path) == before


def environment() -> dict[str, str]:
    source = str(Path(storage.__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}


class TestWaveforms:
    waves = Waveforms(np.linspace(0, 1, 5), ("a", "b.c"), np.arange(10.0).reshape(5, 2))

    def test_round_trip_and_replace(self, folder):
        for scale in (1.0, 2.0):
            folder.write_waveforms(
                "first", Waveforms(self.waves.times, ("a", "b.c"), scale * self.waves.values)
            )
        found = folder.read_waveforms("first")
        assert found.names == ("a", "b.c")
        assert np.array_equal(found.values, 2 * self.waves.values)
        names = sorted(os.listdir(folder.path / "waveforms.zarr"))
        assert names == ["first", "zarr.json"]
        assert json.loads((folder.path / "waveforms.zarr" / "zarr.json").read_text())["node_type"] == "group"

    def test_full_disk_keeps_the_old_ones(self, folder, monkeypatch):
        folder.write_waveforms("first", self.waves)
        monkeypatch.setattr(storage.os, "fsync", TestFailures().fail)
        with pytest.raises(StorageError, match="No space left"):
            folder.write_waveforms("first", Waveforms(self.waves.times, ("a", "b.c"), 0 * self.waves.values))
        monkeypatch.undo()
        assert np.array_equal(folder.read_waveforms("first").values, self.waves.values)

    def test_missing(self, folder):
        with pytest.raises(StorageError, match="last"):
            folder.read_waveforms("last")


def test_named_arrays(folder):
    folder.write_arrays("test", {"x": np.arange(3)})
    assert np.array_equal(folder.read_arrays("test")["x"], np.arange(3))
    for name in ("arrays", "../out", ""):
        with pytest.raises(InputError, match="name"):
            folder.write_arrays(name, {"x": np.arange(3)})
    with pytest.raises(StorageError, match="absent.npz"):
        folder.read_arrays("absent")


def test_log_adds_lines(folder):
    folder.log("started")
    folder.log("finished")
    lines = (folder.path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["started", "finished"]
