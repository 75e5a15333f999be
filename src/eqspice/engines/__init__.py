"""Simulators behind one interface."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any, cast

from eqspice.engines.base import Engine
from eqspice.errors import InputError, unknown

ENGINES = {
    "native": ("eqspice.engines.native.engine", "Native"),
    "vacask": ("eqspice.engines.spice.vacask", "Vacask"),
    "ngspice": ("eqspice.engines.spice.ngspice", "Ngspice"),
    "xyce": ("eqspice.engines.spice.xyce", "Xyce"),
}
"""Name of an engine: its module, and what the names of its classes start with."""


def get_engine(name: str, **options: Any) -> Engine:
    """Returns an engine.

    Args:
        name: one of ENGINES.
        **options: fields of the engine's options class.

    Raises:
        InputError: the name or an option is not known, or a value is not allowed.
    """
    if name not in ENGINES:
        raise unknown("engine", name, tuple(ENGINES))
    place, stem = ENGINES[name]
    module = importlib.import_module(place)
    kind = getattr(module, f"{stem}Options")
    known = [field.name for field in fields(kind)]
    wrong = [option for option in options if option not in known]
    if wrong:
        raise InputError(
            f"engine {name}: option {wrong[0]!r} is not known. Choose one of: {', '.join(known)}."
        )
    return cast(Engine, getattr(module, f"{stem}Engine")(kind(**options)))


__all__ = ["ENGINES", "get_engine"]
