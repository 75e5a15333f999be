"""Which family of circuits a design belongs to."""

from __future__ import annotations

from typing import Any

from eqspice.design.architecture import Architecture
from eqspice.design.differential import DifferentialArchitecture
from eqspice.design.network import Design
from eqspice.design.single_ended import SingleEndedArchitecture

FAMILIES: dict[str, Architecture[Any]] = {
    "single_ended": SingleEndedArchitecture(),
    "differential": DifferentialArchitecture(),
}


def architecture_of(design: Design) -> Architecture[Any]:
    """Returns the family that knows how to build, drive and read the design."""
    return FAMILIES[design.family]
