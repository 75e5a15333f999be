"""Moves a design to another process kit."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from eqspice.design.network import Design, Process
from eqspice.pdk import get_kit

D = TypeVar("D", bound=Design)


def retarget(design: D, kit: str) -> D:
    """Returns the design in another kit: its transistors, voltages in proportion to the supply.

    The cells stay; they draw their transistors as the kit does (`ROLES`). Corner and temperature stay
    too. Model set and junctions are the first that the kit has. Targets and gains are not voltages of
    the process: they stay.

    Raises:
        InputError: there is no kit of that name.
    """
    if kit == design.process.kit:
        return design
    new, old = get_kit(kit), get_kit(design.process.kit)
    scale = new.SUPPLY / old.SUPPLY
    levels = {name: scale * getattr(design, name) for name in design.levels}
    switch = replace(design.switch, v_on=scale * design.switch.v_on, v_off=scale * design.switch.v_off)
    process = Process(
        kit, design.process.corner, design.process.temperature, new.MODEL_SETS[0], new.JUNCTIONS[0]
    )
    return replace(design, process=process, switch=switch, **levels)
