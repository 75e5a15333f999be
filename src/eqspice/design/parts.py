"""Parts that every family's elaboration needs: makers of FETs, drivers of signals."""

from __future__ import annotations

from eqspice.cells.synapse import FetFactory
from eqspice.circuit import GROUND, Instance, Mosfet, VoltageSource
from eqspice.design.network import Design
from eqspice.errors import unknown
from eqspice.pdk import get_kit


def fet_factory(design: Design) -> FetFactory:
    """Returns the maker of this design's FETs; equal geometries give the same object."""
    process = design.process
    kit = get_kit(process.kit)
    made: dict[tuple[str, float, float, float], Mosfet] = {}

    def make(
        role: str, width: float | None = None, length: float | None = None, multiplier: float = 1.0
    ) -> Mosfet:
        drawn = kit.ROLES.get(role)
        if drawn is None and (role not in kit.MODELS or width is None or length is None):
            raise unknown(
                "transistor", role, (*kit.ROLES, *(f"{m} with width and length" for m in kit.MODELS))
            )
        key = (
            drawn.model if drawn else role,
            drawn.width if width is None else width,
            drawn.length if length is None else length,
            multiplier,
        )
        if key not in made:
            made[key] = kit.mosfet(
                *key[:3],
                corner=process.corner,
                temperature=process.temperature,
                model_set=process.model_set,
                junctions=process.junctions,
                multiplier=multiplier,
            )
        return made[key]

    return make


def driver(name: str, node: str, signal: str, scale: float = 1.0, dc: float = 0.0) -> Instance:
    """Returns a source that holds a node at dc + scale * signal, V."""
    source = VoltageSource(dc=dc, signal=signal, scale=scale)
    return Instance(name, source, (node, GROUND), "design.elaborate")
