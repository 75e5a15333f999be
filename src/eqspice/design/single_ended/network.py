"""The single-ended family's design and the names of its nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from eqspice.cells.neuron import SILICON_CLAMP, ClampDesign
from eqspice.cells.synapse import SYNAPSES
from eqspice.design.network import Design
from eqspice.design.own_cells import OwnCells
from eqspice.errors import InputError, unknown


@dataclass(frozen=True)
class Timing:
    """Times of the schedule in steps.

    Attributes:
        step: length of one step, s.
        period: steps of one phase, even.
        edge: steps of a signal's edge.
        offset: steps by which outer signals come earlier and go later, and inner ones the reverse.
    """

    step: float = 2e-6
    period: int = 40
    edge: int = 2
    offset: int = 4

    def __post_init__(self) -> None:
        if not (self.step > 0 and math.isfinite(self.step)):
            raise InputError(f"timing.step: {self.step} is not allowed, it must be positive.")
        if self.period % 2:
            raise InputError(f"timing: period {self.period} is not allowed, it must be even.")
        if self.edge < 1 or self.offset < self.edge + 1 or self.width < 2 * self.offset + self.edge:
            raise InputError(
                f"timing: period {self.period}, edge {self.edge}, offset {self.offset} leave no plateau; "
                "needed: edge >= 1, offset > edge, (period - 2 edge) / 2 >= 2 offset + edge."
            )

    @property
    def width(self) -> int:
        """Steps of a plateau: (period - 2 edge) / 2."""
        return (self.period - 2 * self.edge) // 2


@dataclass(frozen=True, kw_only=True)
class SingleEnded(Design):
    """A single-ended network.

    Attributes:
        synapse: name of the synapse cell.
        multipliers: parallel transistors per synapse and storage capacitors, per layer.
        gain: of every neuron, V/V.
        back_gain: current gain backward; 1/gain is reciprocal.
        output_resistance: of a neuron's rail, ohm.
        clamp: diode law of the hidden neurons.
        column_pulls: conductance from each column to the supply, per layer, S; 0 or nothing for none.
        supply: of the column pulls, V.
        nudge: "resistor" or "current".
        timing: schedule.
        cells: given as SPICE text, in place of the package's own.
    """

    family: ClassVar[str] = "single_ended"
    synapse: str
    multipliers: tuple[float, ...]
    nudge_conductance: float = 5e-4
    gain: float = 2.5
    back_gain: float = 0.4
    output_resistance: float = 10.0
    clamp: ClampDesign = SILICON_CLAMP
    column_pulls: tuple[float, ...] = ()
    supply: float = 1.8
    nudge: Literal["resistor", "current"] = "resistor"
    timing: Timing = field(default_factory=Timing)
    cells: OwnCells = field(default_factory=OwnCells)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.synapse not in SYNAPSES:
            raise unknown("synapse", self.synapse, tuple(SYNAPSES))
        self._check_per_layer("multipliers")
        self._check_positive("gain")
        if self.column_pulls:
            self._check_per_layer("column_pulls")
        if not all(math.isfinite(pull) and pull >= 0.0 for pull in self.column_pulls):
            raise InputError(f"column_pulls: {self.column_pulls} is not allowed, they must be 0 S or more.")
        if not math.isfinite(self.supply):
            raise InputError(f"supply: {self.supply} is not allowed, it must be finite.")


def output_node(design: Design, output: int) -> str:
    """Returns the node of an output."""
    return f"neuron{design.layers}_{output}_p"


def column_node(layer: int, column: int) -> str:
    """Returns the node of a column of the crossbar of a layer: the next neuron's input."""
    return f"neuron{layer + 1}_{column}_in"


def weight_node(layer: int, row: int, column: int) -> str:
    """Returns the storage node of a weight."""
    return f"layer{layer}.cell_{row}_{column}.mem"


def weight_nodes(design: Design) -> list[list[list[str]]]:
    """Returns the storage nodes, indexed [layer][input][output]."""
    return [
        [
            [weight_node(layer, row, column) for column in range(design.shape(layer)[1])]
            for row in range(design.shape(layer)[0])
        ]
        for layer in range(design.layers)
    ]
