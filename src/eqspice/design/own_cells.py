"""The cells of a design that a user brought as SPICE text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eqspice.cells.spice import SpiceCell
from eqspice.circuit import Mosfet
from eqspice.circuit.spice_elements import FetKit
from eqspice.pdk import get_kit


@dataclass(frozen=True)
class OwnCells:
    """Cells by place; None where the package's own cell stands.

    Attributes:
        synapse: stores a weight.
        hidden_neuron: of the hidden layers.
        output_neuron: of the last layer.
        optimizer: of one bit line.
    """

    synapse: SpiceCell | None = None
    hidden_neuron: SpiceCell | None = None
    output_neuron: SpiceCell | None = None
    optimizer: SpiceCell | None = None


def netlist_kit(kit: str, make: Callable[[str, float, float, float], Mosfet]) -> FetKit:
    """Returns the transistors of a process kit as netlists name them: with and without its prefix.

    Args:
        kit: name of the process kit.
        make: (model, width in m, length in m, multiplier) -> transistor.
    """
    module = get_kit(kit)
    names = {f"{module.NETLIST_PREFIX}{model}": model for model in module.MODELS}
    return FetKit(make, names | {model: model for model in module.MODELS}, module.NETLIST_LENGTH)
