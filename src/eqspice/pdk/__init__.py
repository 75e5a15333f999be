"""Process kits: model cards, corners, temperature, mismatch, and the models that evaluate them.

A kit is a module with a function `mosfet`; with MODELS, CORNERS, MODEL_SETS, JUNCTIONS (first is the
default) and TEMPERATURES, what that function takes; with SUPPLY, volts of the core logic; and with ROLES,
the transistors that cells ask for (see `roles`); with NETLIST_PREFIX and NETLIST_LENGTH, how netlists name
and size its transistors.
"""

from __future__ import annotations

from types import ModuleType

from eqspice.errors import unknown
from eqspice.pdk import ihp_sg13g2, sky130

KITS: dict[str, ModuleType] = {"sky130": sky130, "ihp_sg13g2": ihp_sg13g2}

__all__ = ["KITS", "get_kit", "ihp_sg13g2", "sky130"]


def get_kit(name: str) -> ModuleType:
    """Returns the module of a process kit.

    Raises:
        InputError: there is no kit of that name.
    """
    if name not in KITS:
        raise unknown("kit", name, tuple(KITS))
    return KITS[name]
