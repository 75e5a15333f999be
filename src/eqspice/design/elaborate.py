"""Design to circuit."""

from __future__ import annotations

from eqspice.circuit import Circuit
from eqspice.design.families import architecture_of
from eqspice.design.network import Design


def elaborate(design: Design) -> Circuit:
    """Returns the circuit of a design.

    Raises:
        InputError: a geometry or corner that the kit does not have.
        CircuitError: the cells do not fit together.
    """
    return architecture_of(design).elaborate(design)
