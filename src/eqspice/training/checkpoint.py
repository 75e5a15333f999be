"""The folder of a run. Every file is replaced as a whole, so that a kill or a full disk spoils none.

manifest.json        what was run, with which versions, how it ended, results
arrays.npz           arrays given from Python (only if there are any)
preset/              the preset file and its netlists (only if the preset is one)
records/             chunk_00012.npz: data, outputs and weights of each chunk of presentations
checkpoints/         chunk_00012.npz: the state after a chunk; the newest two
waveforms.zarr/      one group per saved piece of waveform
metrics.csv          one line per epoch, from the records
log.txt              what happened when
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.errors import InputError, StorageError
from eqspice.training import storage
from eqspice.training.experiment import Experiment
from eqspice.waveforms import Waveforms

Arrays = dict[str, NDArray[Any]]
Exist = Literal["error", "resume", "overwrite"]
EXIST = ("error", "resume", "overwrite")
KEPT_CHECKPOINTS = 2
_META = "meta_json"
_PRESET = "preset"
_MANIFEST, _ARRAYS, _WAVEFORMS = "manifest.json", "arrays.npz", "waveforms.zarr"
_OWN = (
    _MANIFEST,
    _WAVEFORMS,
    "records",
    "checkpoints",
    "metrics.csv",
    "log.txt",
    "report.html",
    "figures",
    "verify",
    _PRESET,
)


class RunFolder:
    """Reads and writes the files of one run. Make one with `create` or `open`."""

    def __init__(self, path: Path) -> None:
        """Takes a path as it is; `create` and `open` check it."""
        self.path = path

    @classmethod
    def create(cls, path: str | Path, experiment: Experiment, exist: Exist = "error") -> RunFolder:
        """Returns a folder for a run of an experiment, with a manifest of status "created".

        Args:
            path: of the folder.
            experiment: what will run.
            exist: "error" if something is there; "resume" the run that is there, which needs the same
                experiment except for more epochs; or "overwrite" it (only a run's files are removed).

        Raises:
            StorageError: the folder is in use by something else, or cannot be written.
            InputError: the run to resume is one of another experiment; names what differs.
        """
        if exist not in EXIST:
            raise InputError(f"exist: {exist!r} is not known. Choose one of: {', '.join(EXIST)}.")
        if exist == "resume":
            return cls.open(path)._check_same(experiment)
        folder = cls(Path(path))
        occupied = storage.names(folder.path)
        if occupied and exist == "error":
            raise StorageError(
                f"{folder.path}: exists and is not empty. Choose another folder, or resume it."
            )
        if occupied:
            folder._clear(occupied)
        for part in ("records", "checkpoints"):
            storage.make_folder(folder.path / part)
        arrays = experiment.arrays()
        if arrays:
            storage.write_npz(folder.path / _ARRAYS, arrays)
        if experiment.preset_files is not None:
            storage.make_folder(folder.path / _PRESET)
            for name, text in experiment.preset_files.texts:
                storage.write_bytes(folder.path / _PRESET / name, text.encode())
        settings = experiment.dump()
        folder.write_manifest({"status": "created", "experiment": settings, "seed": experiment.seed})
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Returns the folder of an earlier run, without the half-written files that a kill left.

        Raises:
            StorageError: there is no run.
        """
        folder = cls(Path(path))
        if not (folder.path / _MANIFEST).is_file():
            raise StorageError(f"{folder.path}: is not the folder of a run, it has no {_MANIFEST}.")
        for place in (folder.path, folder.path / "records", folder.path / "checkpoints"):
            storage.make_folder(place)
            storage.remove_leftovers(place)
        storage.remove_leftovers(folder.path / _WAVEFORMS)
        return folder

    def _clear(self, occupied: list[str]) -> None:
        if _MANIFEST not in occupied:
            raise StorageError(f"{self.path}: is not the folder of a run, so it is not overwritten.")
        for name in _OWN + tuple(name for name in occupied if name.endswith(".npz")):
            storage.remove(self.path / name)

    def _check_same(self, experiment: Experiment) -> RunFolder:
        before, now = (flat(each.dump()) for each in (self.experiment(), experiment))
        longer = "learning.epochs"
        differs = [key for key in sorted(before | now) if before.get(key) != now.get(key)]
        if differs == [longer] and now[longer] > before[longer] and not now["learning.freeze_first_and_last"]:
            return self
        if differs:
            lines = [
                f"{key}: {now.get(key)!r} is not that of the run, {before.get(key)!r}" for key in differs
            ]
            raise InputError(f"{self.path}: cannot be resumed as another experiment.\n" + "\n".join(lines))
        return self

    def experiment(self) -> Experiment:
        """Returns the experiment of the run.

        Raises:
            StorageError: a file is missing or damaged.
            InputError: arrays.npz is not the one that the run was started with.
        """
        given = self.path / _ARRAYS
        arrays = storage.read_npz(given) if given.exists() else {}
        settings = self.read_manifest()["experiment"]
        return Experiment.restore(settings, arrays, self._preset_texts(settings))

    def _preset_texts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        texts = {}
        for name in settings.get("preset_files") or {}:
            path = self.path / _PRESET / Path(name).name
            try:
                texts[name] = path.read_bytes().decode()
            except (OSError, ValueError) as error:
                raise StorageError(f"{path}: cannot be read ({error}).") from error
        return texts

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces manifest.json. A number that is not finite becomes null."""
        text = json.dumps(_plain(manifest), indent=1, ensure_ascii=False, allow_nan=False)
        storage.write_bytes(self.path / _MANIFEST, text.encode() + b"\n")

    def read_manifest(self) -> dict[str, Any]:
        """Returns manifest.json.

        Raises:
            StorageError: it is missing or damaged.
        """
        path = self.path / _MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"{path}: cannot be read ({error}).") from error
        if not isinstance(manifest, dict) or "experiment" not in manifest:
            raise StorageError(f"{path}: is not the manifest of a run.")
        return manifest

    def write_record(self, index: int, arrays: Mapping[str, Any]) -> None:
        """Writes what one chunk presented, gave and learned."""
        storage.write_npz(self._chunk("records", index), arrays)

    def read_record(self, index: int) -> Arrays:
        """Returns the record of a chunk.

        Raises:
            StorageError: missing or damaged.
        """
        return storage.read_npz(self._chunk("records", index))

    def read_records(self) -> list[Arrays]:
        """Returns all records in order.

        Raises:
            StorageError: one is damaged; names it.
        """
        return [storage.read_npz(path) for _, path in self._chunks("records")]

    def discard_records_after(self, index: int) -> None:
        """Removes the records of later chunks than the given one: a resumed run writes them again."""
        for chunk, path in self._chunks("records"):
            if chunk > index:
                storage.remove(path)

    def write_checkpoint(self, index: int, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Writes the state after a chunk; once it is durable, all but the newest two are removed.

        Args:
            index: of the chunk.
            arrays: the state.
            meta: plain values that JSON can hold.
        """
        text = json.dumps(_plain(meta), sort_keys=True, allow_nan=False)
        storage.write_npz(self._chunk("checkpoints", index), {**arrays, _META: np.array(text)})
        for _, path in self._chunks("checkpoints")[:-KEPT_CHECKPOINTS]:
            storage.remove(path)

    def checkpoint_indices(self) -> list[int]:
        """Returns the chunks after which the state is kept, in order."""
        return [index for index, _ in self._chunks("checkpoints")]

    def read_checkpoint(self, index: int) -> Arrays:
        """Returns the state after a chunk.

        Raises:
            StorageError: missing or damaged.
        """
        arrays = storage.read_npz(self._chunk("checkpoints", index))
        arrays.pop(_META, None)
        return arrays

    def latest_checkpoint(self) -> tuple[int, Arrays, dict[str, Any]] | None:
        """Returns (chunk, arrays, meta) of the newest checkpoint that can be read; None if there is none.

        A damaged one is passed over with a warning that names it.

        Raises:
            StorageError: there are checkpoints, but all of them are damaged.
        """
        found = self._chunks("checkpoints")
        for index, path in reversed(found):
            try:
                arrays = storage.read_npz(path)
                meta = json.loads(str(arrays.pop(_META)))
            except (StorageError, KeyError, ValueError) as error:
                warnings.warn(f"{path}: damaged checkpoint passed over ({error})", stacklevel=2)
                continue
            return index, arrays, meta
        if found:
            raise StorageError(f"{self.path}: every checkpoint is damaged, the run cannot be resumed.")
        return None

    def write_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Writes <name>.npz beside the manifest.

        Raises:
            InputError: the name belongs to another file of the run.
        """
        if name == "arrays" or not name.isidentifier():
            raise InputError(
                f"name: {name!r} is not allowed for arrays; 'arrays' holds the experiment's own."
            )
        storage.write_npz(self.path / f"{name}.npz", arrays)

    def read_arrays(self, name: str) -> Arrays:
        """Returns the arrays of <name>.npz.

        Raises:
            StorageError: missing or damaged.
        """
        return storage.read_npz(self.path / f"{name}.npz")

    def write_waveforms(self, name: str, waveforms: Waveforms) -> None:
        """Writes a group of waveforms.zarr."""
        root = self.path / _WAVEFORMS
        storage.make_folder(root)
        group = {"attributes": {}, "zarr_format": 3, "node_type": "group"}
        storage.write_bytes(root / "zarr.json", json.dumps(group).encode())
        storage.write_tree(root / name, waveforms.save)

    def read_waveforms(self, name: str) -> Waveforms:
        """Returns a group of waveforms.zarr.

        Raises:
            StorageError: missing or damaged.
        """
        path = self.path / _WAVEFORMS / name
        try:
            return Waveforms.load(path)
        except (OSError, ValueError, KeyError) as error:
            raise StorageError(f"{path}: cannot be read ({error}).") from error

    def write_metrics(self) -> None:
        """Writes metrics.csv from the records: a line of errors per epoch, and presentations until then."""
        storage.write_bytes(self.path / "metrics.csv", _table(self.read_records()).encode())

    def log(self, text: str) -> None:
        """Adds a line to log.txt with the time in UTC."""
        line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n"
        storage.append(self.path / "log.txt", line.encode())

    def _chunk(self, part: str, index: int) -> Path:
        return self.path / part / f"chunk_{index:05d}.npz"

    def _chunks(self, part: str) -> list[tuple[int, Path]]:
        paths = (self.path / part).glob("chunk_*.npz")
        return sorted((int(path.stem[6:]), path) for path in paths if path.stem[6:].isdigit())


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings as one level, with keys "section.key"."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _plain(value: Any) -> Any:
    """Values as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _table(records: list[Arrays]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", "presentations", "free_mse_v2", "free_nrmse", "nudged_mse_v2", "nudged_nrmse"])
    total = 0
    for epoch in sorted({int(record["epoch"]) for record in records}):
        chunks = [record for record in records if int(record["epoch"]) == epoch]
        y = np.concatenate([record["y"] for record in chunks])
        total += len(y)
        line: list[float | int | str] = [epoch, total]
        for phase in ("free", "nudged"):
            found = np.concatenate([record[phase] for record in chunks])
            line += [metrics.rmse(found, y) ** 2, metrics.nrmse(found, y) if y.any() else ""]
        writer.writerow(line)
    return text.getvalue()


__all__ = ["RunFolder", "Exist", "KEPT_CHECKPOINTS", "flat"]
