"""Process kits: model cards, corners, temperature, mismatch, and the models that evaluate them."""

from __future__ import annotations

from types import ModuleType

from eqspice.errors import unknown
from eqspice.pdk import ideal, sky130

KITS: dict[str, ModuleType] = {"sky130": sky130, "ideal": ideal}

__all__ = ["KITS", "get_kit", "ideal", "sky130"]


def get_kit(name: str) -> ModuleType:
    """Returns the module of a process kit; each has a function `mosfet`.

    Raises:
        InputError: there is no kit of that name.
    """
    if name not in KITS:
        raise unknown("kit", name, tuple(KITS))
    return KITS[name]
