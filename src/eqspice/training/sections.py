"""Groups of settings of an experiment, each checked by itself."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from eqspice.errors import InputError
from eqspice.pdk import get_kit
from eqspice.pdk.mismatch import AMPLIFIER_OFFSET, CAPACITOR_SLOPE, MULTIPLIER_OFFSET
from eqspice.training.dataset import Task
from eqspice.training.tasks import check_options


class Section(BaseModel):
    """A group of settings. Wrong values raise one InputError with a line for each."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)
    prefix: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _readable(error, type(self)) from None


def _readable(error: ValidationError, model: type[Section]) -> InputError:
    """One line per mistake: field, value, what is allowed."""
    lines = []
    for item in error.errors():
        place = model.prefix
        for part in item["loc"]:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, InputError):
            lines.append(str(cause))
        elif item["type"] == "extra_forbidden":
            lines.append(f"{place} is not known. Choose one of: {', '.join(model.model_fields)}.")
        elif item["type"] == "missing":
            lines.append(f"{place}: is missing.")
        else:
            must = item["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            lines.append(f"{place}: {item['input']!r} is not allowed, it must be {must}.")
    return InputError("\n".join(lines))


class TaskChoice(Section):
    """Which task: a name and options of the package's tasks, or data.

    Attributes:
        name: of the task.
        options: of its factory.
        data: a task that was built in Python; its data is stored with the run.
    """

    prefix = "task"
    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    data: Task | None = None

    @model_validator(mode="after")
    def _known(self) -> TaskChoice:
        if self.data is None:
            check_options(self.name, self.options)
        elif self.options:
            raise InputError("task.options: not allowed together with data, which has been drawn already.")
        return self


class Network(Section):
    """Hidden layers.

    Attributes:
        hidden: neurons of each hidden layer, first to last; empty for none.
    """

    prefix = "network"
    hidden: tuple[int, ...] = (32,)

    @field_validator("hidden")
    @classmethod
    def _positive(cls, hidden: tuple[int, ...]) -> tuple[int, ...]:
        for index, width in enumerate(hidden):
            if width < 1:
                raise InputError(
                    f"network.hidden[{index}]: {width} is not allowed, a layer needs at least 1 neuron."
                )
        return hidden


class ProcessChoice(Section):
    """Which transistors. What is not given is the preset's.

    Attributes:
        kit: process kit.
        corner: tt, ss, ff, sf or fs (n-channel first).
        temperature: degrees Celsius, -40 to 125.
        model_set: "binned" or "continuous".
        junctions: "legacy" or "physical".
    """

    prefix = "pdk"
    kit: str | None = None
    corner: Literal["tt", "ss", "ff", "sf", "fs"] | None = None
    temperature: Annotated[float, Field(ge=-40.0, le=125.0)] | None = None
    model_set: Literal["binned", "continuous"] | None = None
    junctions: Literal["legacy", "physical"] | None = None

    @field_validator("kit")
    @classmethod
    def _kit(cls, kit: str | None) -> str | None:
        if kit is not None:
            get_kit(kit)
        return kit


class Learning(Section):
    """How it learns. What is None is the preset's.

    Attributes:
        lr: nudge conductance, S.
        update_gain: of the optimiser, one per layer, 1/V; 0 stops a layer from learning.
        rows: word lines updated per presentation: "one" at random, "all" in turn, or "parallel": every
            cell at once, by multipliers of their own.
        decay: the update gains fall as 1 / (1 + decay * epoch).
        anneal: last part of the presentations in which the update gains fall linearly to zero besides. A
            run that is resumed with more epochs is not the one that had them from the start.
        nudge_growth: factor by which the nudges grow over the first half of the presentations, as errors
            shrink; the update gains fall by as much.
        calibrate: set the update gains by a short run before training. An update_gain turns it off.
        correction: fraction of a presentation's error that each layer's update shall correct, which
            calibration aims at, one per layer; None for the usual ones.
        epochs: how often the training set is presented.
        samples: presentations per epoch; None for the size of the training set.
        freeze_first_and_last: the first and the last epoch address no row, so that they show the fit
            before and after; the reference circuit did that.
    """

    prefix = "learning"
    lr: Annotated[float, Field(gt=0.0)] | None = None
    update_gain: tuple[Annotated[float, Field(ge=0.0)], ...] | None = None
    rows: Literal["one", "all", "parallel"] | None = None
    decay: Annotated[float, Field(ge=0.0)] | None = None
    anneal: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    nudge_growth: Annotated[float, Field(ge=1.0)] | None = None
    calibrate: bool | None = None
    correction: tuple[Annotated[float, Field(gt=0.0)], ...] | None = None
    epochs: Annotated[int, Field(ge=1)] = 32
    samples: Annotated[int, Field(ge=1)] | None = None
    freeze_first_and_last: bool = False


class EngineChoice(Section):
    """How it is simulated.

    Attributes:
        fidelity: "transient" controls the time step by the local error, "phase" takes given points.
        lte: allowed local error per step on a storage node, V (transient).
        points_per_plateau: time points on a plateau, both ends counted (phase).
        fets: "tables", or "model" to evaluate every transistor by its compact model itself.
        noise: kinds of device noise, "thermal", "flicker" and "shot"; none for a noiseless circuit.
        noise_band: lowest frequency of flicker noise and highest of all noise, Hz; None for 10 Hz and no
            upper limit.
        noise_level: factor on the amplitude of all noise.
    """

    prefix = "engine"
    fidelity: Literal["transient", "phase"] = "transient"
    lte: Annotated[float, Field(gt=0.0)] = 1e-3
    points_per_plateau: Annotated[int, Field(ge=2)] = 2
    fets: Literal["tables", "model"] = "tables"
    noise: tuple[Literal["thermal", "flicker", "shot"], ...] = ()
    noise_band: tuple[Annotated[float, Field(gt=0.0)], Annotated[float, Field(gt=0.0)]] | None = None
    noise_level: Annotated[float, Field(ge=0.0)] = 1.0


class MismatchChoice(Section):
    """How the devices of the chip differ from those drawn.

    Attributes:
        sigma: factor on every standard deviation; 0 for no mismatch.
        seed: of the chip; None for the experiment's seed.
        parts: what varies: "transistors", as the process kit says, "capacitors", and the offsets of ideal
            "amplifiers" and "multipliers".
        capacitor_slope: relative standard deviation of a capacitor of 1 um².
        amplifier_offset, multiplier_offset: standard deviations, V.
    """

    prefix = "mismatch"
    sigma: Annotated[float, Field(ge=0.0)] = 0.0
    seed: Annotated[int, Field(ge=0)] | None = None
    parts: tuple[Literal["transistors", "capacitors", "amplifiers", "multipliers"], ...] = ("transistors",)
    capacitor_slope: Annotated[float, Field(ge=0.0)] = CAPACITOR_SLOPE
    amplifier_offset: Annotated[float, Field(ge=0.0)] = AMPLIFIER_OFFSET
    multiplier_offset: Annotated[float, Field(ge=0.0)] = MULTIPLIER_OFFSET
