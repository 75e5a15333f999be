"""Moves a design to another process kit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from eqspice.cells.neuron import ClampDesign
from eqspice.design.network import Design, Process
from eqspice.design.single_ended.network import SingleEnded
from eqspice.pdk import get_kit

D = TypeVar("D", bound=Design)

CLAMP_CURRENT = 1e-5
"""Amperes at which the forward voltage of a clamp's diode goes with the signals."""


@dataclass(frozen=True)
class Proportions:
    """Numbers of a single-ended design for a process, relative to those for Sky130.

    Attributes:
        signal: voltages of rows, weights and clamps.
        multiplier: parallel transistors of a synapse; at least one is left.
        load: resistance at the outputs.
        update: gains of the optimisers.
        step: of the schedule.
    """

    signal: float
    multiplier: float
    load: float
    update: float
    step: float


PROPORTIONS = {
    "sky130": Proportions(1.0, 1.0, 1.0, 1.0, 1.0),
    # Found by trial on the sine task. Thresholds are lower than Sky130's (1 uA at 0.45 V, not at 0.8 V), so
    # rows and weights are smaller, and with them the leakage of the gates; at Sky130's pace it would still
    # empty the storage capacitors between two updates of a row.
    "ihp_sg13g2": Proportions(0.4, 0.25, 0.3, 0.6, 0.01),
}


def retarget(design: D, kit: str) -> D:
    """Returns the design in another kit: its transistors, and voltages that suit them.

    The cells stay; they draw their transistors as the kit does (`ROLES`). Corner and temperature stay
    too. Model set and junctions are the first that the kit has. The design's levels go in proportion to
    the supply; of a single-ended design the analog ones by `PROPORTIONS` instead, with what hangs on them.
    Targets, nudge and neurons' gains are not numbers of the process: they stay.

    Raises:
        InputError: there is no kit of that name.
    """
    if kit == design.process.kit:
        return design
    new, old = get_kit(kit), get_kit(design.process.kit)
    scale = new.SUPPLY / old.SUPPLY
    changes: dict[str, Any] = {name: scale * getattr(design, name) for name in design.levels}
    changes["switch"] = replace(
        design.switch, v_on=scale * design.switch.v_on, v_off=scale * design.switch.v_off
    )
    changes["process"] = Process(
        kit, design.process.corner, design.process.temperature, new.MODEL_SETS[0], new.JUNCTIONS[0]
    )
    if isinstance(design, SingleEnded):
        changes |= _single_ended(design, PROPORTIONS[kit], PROPORTIONS[design.process.kit])
    return replace(design, **changes)


def _single_ended(design: SingleEnded, to: Proportions, by: Proportions) -> dict[str, Any]:
    """Returns what changes in a single-ended design besides logic levels and process."""
    signal = to.signal / by.signal
    multiplier = to.multiplier / by.multiplier
    return {
        "weight_centre": signal * design.weight_centre,
        "weight_spread": signal * design.weight_spread,
        "input_scale": signal * design.input_scale,
        "clamp": _scaled(design.clamp, signal),
        "supply": signal * design.supply,
        "column_pulls": tuple(multiplier * pull for pull in design.column_pulls),
        "multipliers": tuple(float(max(1, round(multiplier * m))) for m in design.multipliers),
        "output_load": to.load / by.load * design.output_load,
        "update_gains": tuple(to.update / by.update * gain for gain in design.update_gains),
        "timing": replace(design.timing, step=to.step / by.step * design.timing.step),
    }


def _scaled(clamp: ClampDesign, factor: float) -> ClampDesign:
    """Returns the clamp with a forward voltage times factor at CLAMP_CURRENT (0.4: a Schottky diode)."""
    ratio = clamp.saturation_current / CLAMP_CURRENT
    return replace(clamp, saturation_current=CLAMP_CURRENT * ratio**factor)
