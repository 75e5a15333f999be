"""An experiment: everything that decides what a run computes, checked before it starts."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from eqspice.design.preset_file import SUFFIX, PresetFiles
from eqspice.design.presets import PRESETS
from eqspice.errors import InputError, unknown
from eqspice.training.checks import matrix
from eqspice.training.dataset import Task, digest
from eqspice.training.sections import (
    EngineChoice,
    Learning,
    MismatchChoice,
    Network,
    ProcessChoice,
    Section,
    TaskChoice,
)

PythonOnly = ("weights", "order", "row_order")


class Experiment(Section):
    """Everything that decides what a run computes. Two equal experiments give the same bits.

    Attributes:
        task: name and options; in Python also a name or a Task.
        network: hidden layers.
        preset: name of the design, or path of a preset file (.toml), which is read at once.
        preset_files: the texts of that preset file; they go with the experiment wherever it goes.
        design: numbers of the preset's design that differ, by name.
        pdk: transistors; also the name of a kit.
        learning: rates, rows and epochs.
        engine: fidelity and its numbers.
        mismatch: how the chip's devices differ from those drawn.
        seed: of every random draw.
        weights: initial storage voltages, V, one (inputs, outputs) matrix per layer; None draws them.
        order: training points presented, shape (epochs, P); None draws them.
        row_order: word lines updated, shape (epochs, P, layers) or (epochs, P, cycles, layers), -1 for
            none; None draws them.
    """

    task: TaskChoice
    network: Network = Field(default_factory=Network)
    preset: str = "reference"
    preset_files: PresetFiles | None = None
    design: dict[str, Any] = Field(default_factory=dict)
    pdk: ProcessChoice = Field(default_factory=ProcessChoice)
    learning: Learning = Field(default_factory=Learning)
    engine: EngineChoice = Field(default_factory=EngineChoice)
    mismatch: MismatchChoice = Field(default_factory=MismatchChoice)
    seed: Annotated[int, Field(ge=0)] = 0
    weights: tuple[NDArray[np.float64], ...] | None = None
    order: NDArray[np.int64] | None = None
    row_order: NDArray[np.int64] | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _task(cls, value: Any) -> Any:
        if isinstance(value, Task):
            return TaskChoice(name=value.name, data=value)
        return TaskChoice(name=value) if isinstance(value, str) else value

    @field_validator("pdk", mode="before")
    @classmethod
    def _pdk(cls, value: Any) -> Any:
        return ProcessChoice(kit=value) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        preset, files = values.get("preset"), values.get("preset_files")
        if files is None and isinstance(preset, str | Path) and str(preset).endswith(SUFFIX):
            files = PresetFiles.load(preset)
            return values | {"preset": files.name, "preset_files": files}
        if files is None and isinstance(preset, str) and preset not in PRESETS:
            raise unknown("preset", preset, (*PRESETS, f"the path of a preset file (*{SUFFIX})"))
        return values

    @field_validator("weights", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if value is None:
            return None
        return tuple(matrix(f"weights[{layer}]", weights) for layer, weights in enumerate(value))

    @field_validator("order", mode="before")
    @classmethod
    def _order(cls, value: Any) -> Any:
        return None if value is None else _whole("order", value, (2,), 0)

    @field_validator("row_order", mode="before")
    @classmethod
    def _row_order(cls, value: Any) -> Any:
        return None if value is None else _whole("row_order", value, (3, 4), -1)

    @model_validator(mode="after")
    def _together(self) -> Experiment:
        layers, epochs = len(self.network.hidden) + 1, self.learning.epochs
        for field, given in (
            ("learning.update_gain", self.learning.update_gain),
            ("learning.correction", self.learning.correction),
            ("weights", self.weights),
        ):
            if given is not None and len(given) != layers:
                raise InputError(f"{field}: has {len(given)} values, {layers} are needed, one per layer.")
        for field, array in (("order", self.order), ("row_order", self.row_order)):
            if array is not None and len(array) != epochs:
                raise InputError(f"{field}: has {len(array)} epochs, learning.epochs is {epochs}.")
        if self.row_order is not None and self.row_order.shape[-1] != layers:
            raise InputError(f"row_order: has {self.row_order.shape[-1]} layers, {layers} are needed.")
        points = None if self.task.data is None else len(self.task.data.x)
        if self.order is not None and points is not None and self.order.max() >= points:
            raise InputError(f"order: {self.order.max()} is not allowed, points are 0 to {points - 1}.")
        return self

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the explicit arrays by name; empty if everything is drawn from the seed."""
        found: dict[str, NDArray[Any]] = {}
        if self.task.data is not None:
            found |= {f"task_{name}": array for name, array in self.task.data.to_arrays().items()}
        for layer, weights in enumerate(self.weights or ()):
            found[f"weights_{layer}"] = weights
        for name, array in (("order", self.order), ("row_order", self.row_order)):
            if array is not None:
                found[name] = array
        return found

    def dump(self) -> dict[str, Any]:
        """Returns plain settings, fit for JSON; explicit arrays and files are named by their SHA-256."""
        left_out = dict.fromkeys((*PythonOnly, "preset_files"), True)
        settings = self.model_dump(mode="json", exclude={"task": {"data"}, **left_out})
        arrays = self.arrays()
        files = self.preset_files.hashes if self.preset_files else None
        return settings | {"arrays": digest(arrays) if arrays else None, "preset_files": files}

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        files: Mapping[str, str] | None = None,
    ) -> Experiment:
        """Returns the experiment whose `dump`, `arrays` and texts of preset files these are.

        Raises:
            InputError: the arrays or texts are not those of the settings, or a setting is not allowed.
        """
        values = dict(settings)
        hashes = values.pop("preset_files", None)
        if hashes is not None:
            given = PresetFiles(str(values["preset"]), tuple((name, (files or {})[name]) for name in hashes))
            if given.hashes != hashes:
                raise InputError("preset_files: they are not those that the experiment was started with.")
            values["preset_files"] = given
        expected = values.pop("arrays", None)
        if expected != (digest(arrays) if arrays else None):
            raise InputError("arrays: they are not those that the experiment was started with.")
        task = {name[5:]: array for name, array in arrays.items() if name.startswith("task_")}
        if task:
            values["task"] = Task.from_arrays(task)
        count = sum(name.startswith("weights_") for name in arrays)
        if count:
            values["weights"] = [arrays[f"weights_{layer}"] for layer in range(count)]
        values |= {name: arrays[name] for name in PythonOnly[1:] if name in arrays}
        return cls(**values)

    def with_epochs(self, epochs: int) -> Experiment:
        """Returns the same experiment with another number of epochs.

        Raises:
            InputError: the number is not allowed, or explicit orders are for another number.
        """
        return self.changed(learning=Learning(**(self.learning.model_dump() | {"epochs": epochs})))

    def changed(self, **settings: Any) -> Experiment:
        """Returns the same experiment with other settings, by name."""
        return Experiment(**{name: getattr(self, name) for name in type(self).model_fields} | settings)

    @property
    def hash(self) -> str:
        """SHA-256 over everything."""
        return hashlib.sha256(json.dumps(self.dump(), sort_keys=True).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and self.dump() == other.dump()

    def __hash__(self) -> int:
        return hash(self.hash)


def _whole(field: str, value: Any, dimensions: tuple[int, ...], least: int) -> NDArray[np.int64]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{field}: not an array ({error}).") from None
    if array.ndim not in dimensions or not np.issubdtype(array.dtype, np.integer) or array.size == 0:
        needed = " or ".join(map(str, dimensions))
        raise InputError(
            f"{field}: {array.dtype} array of shape {array.shape} is not allowed, it must be a "
            f"whole-number array with {needed} dimensions that is not empty."
        )
    if array.min() < least:
        raise InputError(f"{field}: {array.min()} is not allowed, every value must be {least} or more.")
    return array.astype(np.int64)


def make_experiment(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> Experiment:
    """Returns the experiment of nested settings, as a TOML file has them.

    Args:
        settings: sections and values.
        overrides: "section.key=value"; the value is read as TOML, or as text if it is not TOML.

    Raises:
        InputError: one line per mistake: field, value, what is allowed.
    """
    values: dict[str, Any] = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in settings.items()
    }
    for change in overrides:
        override(values, change)
    for name in PythonOnly:
        if name in values:
            raise InputError(
                f"{name}: not allowed in settings, arrays are given from Python: Experiment({name}=…)."
            )
    return Experiment(**values)


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Returns the experiment of a TOML file. Relative paths (a csv task, a preset file) start at its folder.

    Args:
        path: of the file.
        overrides: as in `make_experiment`.

    Raises:
        InputError: the file cannot be read, is not TOML, or has settings that are not allowed.
    """
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"experiment: {str(path)!r} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise InputError(f"experiment: {str(path)!r} is not TOML ({error}).") from None
    task = settings.get("task")
    options = task.get("options") if isinstance(task, dict) else None
    if isinstance(options, dict) and isinstance(options.get("path"), str):
        options["path"] = str(Path(path).parent / options["path"])
    if isinstance(settings.get("preset"), str) and settings["preset"].endswith(SUFFIX):
        settings["preset"] = str(Path(path).parent / settings["preset"])
    return make_experiment(settings, overrides)


def override(values: dict[str, Any], change: str) -> None:
    """Sets one value in nested settings.

    Args:
        values: sections and values; changed.
        change: "section.key=value".

    Raises:
        InputError: it is not of that form.
    """
    place, equals, text = change.partition("=")
    keys = [key.strip() for key in place.split(".")]
    if not equals or not all(keys):
        raise InputError(f"--set: {change!r} is not allowed, it must be section.key=value.")
    for section, main in (("task", "name"), ("pdk", "kit")):
        if keys[0] == section and keys[1:] and isinstance(values.get(section), str):
            values[section] = {main: values[section]}
    branch = values
    for index, key in enumerate(keys[:-1]):
        inner = branch.setdefault(key, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set: {change!r}: {'.'.join(keys[: index + 1])} has no settings inside.")
        branch[key] = branch = dict(inner)
    branch[keys[-1]] = read_value(text.strip())


def read_value(text: str) -> Any:
    """Returns a value read as TOML, or as text if it is not TOML."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if list(read) == ["value"] else text
