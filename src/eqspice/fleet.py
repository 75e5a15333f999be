"""Many runs of one experiment with settings that vary: on local processes or a Dask cluster, resumable.

study.json           the first member's experiment, what varies, and how each member ended
members/NAME/        the run folder of each member, without waveforms
results.zarr         results over the varied settings; results.csv holds the same
distribution.png     and yield.png: pictures of them
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from eqspice.crew import Crew, DaskCrew, LocalCrew
from eqspice.errors import InputError, StorageError
from eqspice.progress import StudyProgress
from eqspice.training import storage, trainer
from eqspice.training.checkpoint import RunFolder, flat
from eqspice.training.experiment import Experiment, read_value

RETRIES = 2  # how often a member starts again whose worker died
TIMES = ("cpu_s", "wall_s", "compile_s")  # results that two equal runs differ in
MANIFEST = "study.json"
_RANGE = re.compile(r"([+-]?\d+):([+-]?\d+)")


@dataclass(frozen=True)
class Member:
    """One run of a study.

    Attributes:
        name: of its folder below members/.
        place: index of its value in each varied setting.
        overrides: "section.key=value" of each varied setting.
    """

    name: str
    place: tuple[int, ...]
    overrides: tuple[str, ...]


class Study:
    """What a study runs and where it is kept.

    Attributes:
        make: returns the experiment with settings "section.key=value".
        vary: values of each setting that varies; the members are their full product.
        folder: of the study.
    """

    def __init__(
        self,
        make: Callable[[list[str]], Experiment],
        vary: Mapping[str, Sequence[Any]],
        folder: str | Path,
    ) -> None:
        """Checks settings and values; nothing is written.

        Raises:
            InputError: nothing varies, a value is given twice, or a member's settings are not allowed.
        """
        self.make = make
        self.vary = {key: list(values) for key, values in vary.items()}
        self.folder = Path(folder).resolve()
        if not self.vary:
            raise InputError("--vary: nothing varies, give at least one key=a|b|c.")
        for key, values in self.vary.items():
            texts = [_label(value) for value in values]
            twice = sorted({text for text in texts if texts.count(text) > 1})
            if not values or twice:
                reason = f"{', '.join(twice)} is given twice" if twice else "it has no values"
                raise InputError(f"--vary: {key}: is not allowed, {reason}.")
        for member in self.members:
            self.experiment(member)
        trainer.check(self.experiment(self.members[0]))

    @property
    def members(self) -> list[Member]:
        """All members, the last varied setting changing fastest."""
        found = []
        places = product(*(range(len(values)) for values in self.vary.values()))
        for number, place in enumerate(places):
            chosen = {
                key: values[index] for (key, values), index in zip(self.vary.items(), place, strict=True)
            }
            text = ",".join(f"{key}={_label(value)}" for key, value in chosen.items())
            name = f"{number:04d}-" + re.sub(r"[^\w.,=+-]+", "_", text)[:80].rstrip("._")
            overrides = tuple(f"{key}={json.dumps(value)}" for key, value in chosen.items())
            found.append(Member(name, place, overrides))
        return found

    def experiment(self, member: Member) -> Experiment:
        """Returns what a member trains."""
        return self.make(list(member.overrides))

    def open(self) -> dict[str, Any]:
        """Returns the study's manifest: a new one, or that of an earlier start in the same folder.

        Raises:
            InputError: the folder holds another study; names what differs.
            StorageError: the folder is in use by something else, or cannot be written.
        """
        members = self.members
        fresh: dict[str, Any] = {
            "experiment": self.experiment(members[0]).dump(),
            "vary": self.vary,
            "members": {
                member.name: {"settings": list(member.overrides), "status": "waiting"} for member in members
            },
        }
        fresh = json.loads(json.dumps(fresh))
        path = self.folder / MANIFEST
        if path.is_file():
            found: dict[str, Any] = read_study(self.folder)
            before, now = (
                flat({key: part[key] for key in ("experiment", "vary")}) for part in (found, fresh)
            )
            differs = [key for key in sorted(before | now) if before.get(key) != now.get(key)]
            if differs:
                lines = [f"{key}: {now.get(key)!r} is not its {before.get(key)!r}" for key in differs]
                raise InputError(f"{self.folder}: holds another study.\n" + "\n".join(lines))
            return found
        if set(storage.names(self.folder)) - {".locks"}:
            raise StorageError(f"{self.folder}: exists and is not the folder of a study. Choose another.")
        self.write(fresh)
        return fresh

    def write(self, manifest: Mapping[str, Any]) -> None:
        """Replaces study.json."""
        storage.make_folder(self.folder)
        storage.write_bytes(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")

    def dataset(self, manifest: Mapping[str, Any]) -> xr.Dataset:
        """Returns the results of a manifest over the varied settings; NaN where a member has none.

        CPU and wall times are left out, so that equal studies give equal datasets.
        """
        shape = tuple(len(values) for values in self.vary.values())
        arrays: dict[str, Any] = {}
        for member in self.members:
            results = flat(manifest["members"][member.name].get("results") or {})
            for name, value in results.items():
                if name not in TIMES and (value is None or isinstance(value, int | float)):
                    array = arrays.setdefault(name, np.full(shape, np.nan))
                    array[member.place] = math.nan if value is None else value
        return xr.Dataset(
            {name: (tuple(self.vary), arrays[name]) for name in sorted(arrays)},
            coords={key: _coordinate(values) for key, values in self.vary.items()},
        )


def read_study(folder: Path) -> dict[str, Any]:
    """Returns the manifest of a study.

    Raises:
        StorageError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {key: dict(manifest[key]) for key in ("experiment", "vary", "members")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path}: is not the manifest of a study or cannot be read ({error}).") from error


def parse_vary(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Reads "key=a|b|c" and "key=first:last" (whole numbers, both ends included).

    Raises:
        InputError: a text is neither, or a key is given twice.
    """
    vary: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not (key and equals and values):
            raise InputError(f"--vary: {text!r} is not allowed, it must be key=a|b|c or key=first:last.")
        if key in vary:
            raise InputError(f"--vary: {key}: is given twice.")
        span = _RANGE.fullmatch(values)
        if span:
            vary[key] = list(range(int(span[1]), int(span[2]) + 1))
        else:
            vary[key] = [read_value(value.strip()) for value in values.split("|")]
    return vary


def run_study(
    study: Study, *, workers: int = 2, scheduler: str | None = None, progress: bool = False
) -> xr.Dataset:
    """Runs the members that have not finished yet and returns the results of all.

    A member whose worker dies starts again from its checkpoint, up to RETRIES times. A failed member is
    reported in study.json and its run's log, has NaN in the results, and is tried again by the next start.
    A script that calls this needs `if __name__ == "__main__":`, since local workers import it.

    Args:
        study: what to run.
        workers: local processes.
        scheduler: address of a Dask scheduler instead of local processes. Its workers need eqspice and
            the study's folder under the same path.
        progress: draw a progress bar on standard error.

    Returns:
        one variable per result over the varied settings as dimensions.

    Raises:
        InputError: the folder holds another study, or the scheduler cannot be used.
        StorageError: the folder cannot be used, or another process runs the study.
    """
    with owned(study.folder, "study", wait_for_it=False):
        manifest = study.open()
        left = [m for m in study.members if manifest["members"][m.name]["status"] != "finished"]
        if left:
            crew: Crew = LocalCrew(workers) if scheduler is None else DaskCrew(scheduler)
            with crew, StudyProgress(progress, len(study.members), len(study.members) - len(left)) as bar:
                _work(study, manifest, left, crew, bar)
        dataset = study.dataset(manifest)
        _save(dataset, study.folder)
    return dataset


@dataclass(frozen=True)
class Outcome:
    """How a member ended: its results, or why it has none."""

    results: dict[str, Any] | None
    message: str | None = None


def _work(study: Study, manifest: dict[str, Any], left: list[Member], crew: Crew, bar: StudyProgress) -> None:
    """Keeps every worker busy with one member until none is left."""
    waiting, deaths = left[::-1], dict.fromkeys((member.name for member in left), 0)
    running: dict[Future[Outcome], Member] = {}
    while waiting or running:
        while waiting and len(running) < crew.size:
            member = waiting.pop()
            path = str(study.folder / "members" / member.name)
            running[crew.submit(run_member, path, study.experiment(member))] = member
        bar.update([member.name for member in running.values()])
        study.write(manifest)  # now that no worker waits for it
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            member = running.pop(future)
            error = future.exception()
            died = isinstance(error, crew.deaths)
            crew.released(future, died)
            deaths[member.name] += died
            if died and deaths[member.name] <= RETRIES:
                waiting.append(member)
                continue
            if died:
                outcome = Outcome(None, f"its worker died {deaths[member.name]} times ({error})")
            else:
                outcome = (
                    future.result() if error is None else Outcome(None, f"{type(error).__name__}: {error}")
                )
            ended = {"status": "failed" if outcome.results is None else "finished"}
            manifest["members"][member.name] = {
                "settings": list(member.overrides),
                **ended,
                "results": outcome.results,
                "message": outcome.message,
            }
            bar.finished(member.name, outcome.message)
    study.write(manifest)


def run_member(path: str, experiment: Experiment) -> Outcome:
    """Trains a member in its run folder, from its newest checkpoint if it has one. Runs in a worker.

    Args:
        path: of the run folder.
        experiment: what to train.
    """
    place = Path(path)
    try:
        with owned(place.parents[1], place.name), threadpool_limits(1):
            folder = _member_folder(place, experiment)
            if folder.read_manifest()["status"] != "finished":
                folder.log(f"member taken by process {os.getpid()} on {socket.gethostname()}")
                try:
                    trainer.train_into(experiment, folder, waveforms=False)
                except Exception:
                    folder.log(traceback.format_exc())
                    raise
            return Outcome(folder.read_manifest()["results"])
    except Exception as error:  # whatever it is, the other members go on
        return Outcome(None, f"{type(error).__name__}: {error}")


def _member_folder(place: Path, experiment: Experiment) -> RunFolder:
    if (place / "manifest.json").is_file():
        return RunFolder.create(place, experiment, "resume")
    if place.is_dir():
        storage.remove(place)  # a kill left it before the manifest was written
    return RunFolder.create(place, experiment)


@contextlib.contextmanager
def owned(folder: Path, name: str, wait_for_it: bool = True) -> Iterator[None]:
    """Within it, no other process has the name in a study's folder; a killed owner gives it back.

    On systems without POSIX file locks nothing is held.

    Raises:
        StorageError: another process has it, and `wait_for_it` is False.
    """
    locks = folder / ".locks"
    storage.make_folder(locks)
    with open(locks / name, "ab") as file:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait_for_it else fcntl.LOCK_NB))
            except BlockingIOError:
                raise StorageError(f"{folder}: another process runs this study.") from None
        yield


def _save(dataset: xr.Dataset, folder: Path) -> None:
    from eqspice.report.study_plots import plot_study

    def write(path: Path) -> None:
        dataset.to_zarr(path, mode="w", consolidated=False, zarr_format=2)

    storage.write_tree(folder / "results.zarr", write)
    table = dataset.to_dataframe(dim_order=list(dataset.sizes)).reset_index()
    storage.write_bytes(folder / "results.csv", table.to_csv(index=False, lineterminator="\n").encode())
    plot_study(dataset, folder)


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _coordinate(values: list[Any]) -> list[Any]:
    """Values as a coordinate: numbers or texts as they are, anything else and mixtures as text."""
    number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return values if number else [_label(value) for value in values]
