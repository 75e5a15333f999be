"""Other numbers for a design, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from eqspice.errors import InputError, unknown

_NOT_NUMBERS = ("preset", "widths", "multipliers", "process", "cells")


def number(field: str, value: Any) -> float:
    """Returns a number.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{field}: {value!r} is not allowed, it must be a number.")
    return float(value)


def changed(where: str, of: Any, values: Mapping[str, Any]) -> Any:
    """Returns a dataclass with other numbers; tables go into the dataclasses inside.

    Args:
        where: what to call it in a message.
        of: a design, or a part of one.
        values: by name of the field.

    Raises:
        InputError: a name is not known, or a value is not of its kind.
    """
    known = [item.name for item in fields(of) if where != "design" or item.name not in _NOT_NUMBERS]
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise unknown(where, name, known)
        old = getattr(of, name)
        if is_dataclass(old):
            if not isinstance(value, dict):
                raise InputError(f"{where}.{name}: {value!r} is not allowed, it must be a table.")
            changes[name] = changed(f"{where}.{name}", old, value)
        elif isinstance(old, tuple):
            changes[name] = tuple(value)
        elif isinstance(old, str):
            if not isinstance(value, str):
                raise InputError(f"{where}.{name}: {value!r} is not allowed, it must be text.")
            changes[name] = value
        elif isinstance(old, bool):
            if not isinstance(value, bool):
                raise InputError(f"{where}.{name}: {value!r} is not allowed, it must be true or false.")
            changes[name] = value
        else:
            new = number(f"{where}.{name}", value)
            changes[name] = int(new) if isinstance(old, int) and new.is_integer() else new
    return replace(of, **changes)
