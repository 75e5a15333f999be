"""Named designs. A preset takes the layer widths and gives a whole design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eqspice.cells.neuron import NEAR_IDEAL_CLAMP
from eqspice.design.differential.network import Differential
from eqspice.design.learning import LearningPlan
from eqspice.design.network import Design
from eqspice.design.single_ended.network import SingleEnded
from eqspice.errors import unknown


@dataclass(frozen=True)
class Preset:
    """A named design, and how to use it.

    Attributes:
        build: layer widths -> design.
        description: one line.
        learning: where the experiment does not say.
        task_options: options of tasks by name, where the experiment does not say.
    """

    build: Callable[[tuple[int, ...]], Design]
    description: str
    learning: LearningPlan = LearningPlan()
    task_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _fan_in_multipliers(widths: tuple[int, ...]) -> tuple[float, ...]:
    """One transistor per synapse in the first layer, inputs // outputs of them in the others."""
    rest = [max(1, a // b) if b > 0 else 1 for a, b in zip(widths[1:], widths[2:], strict=False)]
    return (1.0, *(float(m) for m in rest))


def _per_layer(widths: tuple[int, ...], hidden: float, last: float) -> tuple[float, ...]:
    return (hidden,) * (len(widths) - 2) + (last,)


def reference(widths: tuple[int, ...]) -> SingleEnded:
    """The circuit that the project started from (public repository analog-mlp-circuit)."""
    return SingleEnded(
        preset="reference",
        widths=widths,
        synapse="cmos",
        multipliers=_fan_in_multipliers(widths),
        update_gains=_per_layer(widths, 20.0, 3.0),
    )


def read_nfet(widths: tuple[int, ...]) -> SingleEnded:
    """The reference's predecessor: plain 2T1C cells with one read nfet.

    The cells only sink current. So each column is pulled up, in proportion to the transistors that hang on
    it; then columns rest within 0.15 V of ground, whatever the width of the layer before.
    """
    multipliers = _fan_in_multipliers(widths)
    units = (READ_PULLS[0], *(READ_PULLS[1],) * (len(widths) - 2))
    return replace(
        reference(widths),
        preset="read_nfet",
        synapse="read_nfet",
        weight_centre=0.25,
        weight_spread=0.4,
        supply=0.45,
        column_pulls=tuple(u * m * n for u, m, n in zip(units, multipliers, widths[:-1], strict=True)),
    )


READ_PULLS = (60e-6, 0.15e-6)  # S per read transistor: rows of the data reach 1 V, hidden ones much less


def resistive(widths: tuple[int, ...]) -> SingleEnded:
    """The deep resistive network of the earlier literature: linear conductances, near-ideal diodes.

    A column is a mean of its rows, so that gain, and update gains to match, must make up for the fan-in.
    """
    return replace(
        reference(widths),
        preset="resistive",
        synapse="conductance",
        gain=8.0,
        back_gain=0.125,
        nudge_conductance=0.01,
        update_gains=_per_layer(widths, 1000.0, 25.0),
        multipliers=(1.0,) * (len(widths) - 1),
        clamp=NEAR_IDEAL_CLAMP,
    )


def reciprocal(widths: tuple[int, ...]) -> Differential:
    """Reciprocal differential synapses: every layer receives its gradient.

    The nudge is in proportion to the conductance of an output's column, so that it moves the output by
    several times the error, whatever the width of the last hidden layer.

    With more than one hidden layer, what comes back to the first is less than a gate at a limit creeps and
    0.1 pF leak between two nudges: the limits give way until the update, and capacitors are larger.
    """
    deep = len(widths) > 3
    return Differential(
        preset="reciprocal",
        widths=widths,
        update_gains=_per_layer(widths, 1.0, 0.01),
        nudge_conductance=NUDGE_PER_ROW * (widths[-2] + 1),
        bias=0.25,
        limit_relief=0.2 if deep else 0.0,
        storage_capacitance=1e-12 if deep else 0.1e-12,
        held_capacitance=1e-12 if deep else 0.1e-12,
    )


NUDGE_PER_ROW = 3e-4  # S: beta per row of the last crossbar


SINE_IN_COMMON_MODE = {"outputs": 1, "amplitude": 0.1, "input_volts": 0.4, "samples": 200}

PRESETS: dict[str, Preset] = {
    "reference": Preset(
        reference, "CMOS-amplifier synapses, silicon clamps: the circuit this project began with"
    ),
    "read_nfet": Preset(
        read_nfet, "plain 2T1C cells with one read nfet: the first layer is starved of changes"
    ),
    "resistive": Preset(resistive, "programmable linear conductances and near-ideal diodes"),
    "reciprocal": Preset(
        reciprocal,
        "differential four-transistor synapses, contrastive rule, calibrated gains",
        LearningPlan(rows="parallel", decay=0.02, calibrate=True, anneal=0.5),
        {"sine": SINE_IN_COMMON_MODE},
    ),
}


def get_preset(name: str | Path) -> Preset:
    """Returns a preset by its name, or that of a preset file (.toml, see `preset_file`).

    Raises:
        InputError: the name is not known, with a list of the names; or the file says no preset.
    """
    if str(name).endswith(".toml"):
        from eqspice.design.preset_file import PresetFiles  # which is made of named presets

        return PresetFiles.load(name).preset()
    name = str(name)
    if name not in PRESETS:
        raise unknown("preset", name, tuple(PRESETS))
    return PRESETS[name]
