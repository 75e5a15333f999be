"""A learning network as a design: layer widths, cells and their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from eqspice.cells.neuron import SILICON_CLAMP, ClampDesign
from eqspice.cells.switch import SwitchDesign
from eqspice.cells.synapse import SYNAPSES
from eqspice.design.own_cells import OwnCells
from eqspice.errors import InputError, unknown


@dataclass(frozen=True)
class Process:
    """Which transistors.

    Attributes:
        kit: name of the process kit.
        corner: tt, ss, ff, sf or fs.
        temperature: degrees Celsius.
        model_set: of the kit, for Sky130 "binned" or "continuous".
        junctions: of the kit, for Sky130 "legacy" or "physical".
    """

    kit: str = "sky130"
    corner: str = "tt"
    temperature: float = 27.0
    model_set: str = "binned"
    junctions: str = "legacy"


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


@dataclass(frozen=True)
class Design:
    """Everything that elaboration needs to build a circuit.

    Attributes:
        preset: name it came from.
        widths: rows of the first crossbar, hidden layers, outputs.
        synapse: name of the synapse cell.
        multipliers: parallel transistors per synapse and storage capacitors, per layer.
        storage_capacitance: per unit multiplier, F.
        held_capacitance: of the optimiser's held voltages, F.
        gain: of every neuron, V/V.
        back_gain: current gain backward; 1/gain is reciprocal.
        output_resistance: of a neuron's rail, ohm.
        clamp: diode law of the hidden neurons.
        output_load: ohm.
        nudge: "resistor" or "current".
        nudge_conductance: beta, S.
        update_gains: of the optimiser per layer, 1/V (magnitude).
        weight_centre, weight_spread: initial storage voltages are centre + spread (u - 1/2) / (1 + layer)
            with u uniform in [0, 1), V.
        logic_high: V.
        input_scale: voltage of an input row per volt of the task's encoding, V/V.
        switch: logic-controlled switches.
        process: transistors.
        timing: schedule.
        cells: given as SPICE text, in place of the package's own.
    """

    preset: str
    widths: tuple[int, ...]
    synapse: str
    multipliers: tuple[float, ...]
    update_gains: tuple[float, ...]
    storage_capacitance: float = 0.1e-12
    held_capacitance: float = 0.1e-12
    gain: float = 2.5
    back_gain: float = 0.4
    output_resistance: float = 10.0
    clamp: ClampDesign = SILICON_CLAMP
    output_load: float = 10e3
    nudge: Literal["resistor", "current"] = "resistor"
    nudge_conductance: float = 5e-4
    weight_centre: float = 0.0
    weight_spread: float = 1.0
    logic_high: float = 1.95
    input_scale: float = 1.0
    switch: SwitchDesign = field(default_factory=SwitchDesign)
    process: Process = field(default_factory=Process)
    timing: Timing = field(default_factory=Timing)
    cells: OwnCells = field(default_factory=OwnCells)

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise InputError(f"network: widths {self.widths} need at least inputs and outputs.")
        for index, width in enumerate(self.widths):
            if width < 1:
                raise InputError(f"network: width of layer {index} is {width}, at least 1 is needed.")
        if self.synapse not in SYNAPSES:
            raise unknown("synapse", self.synapse, tuple(SYNAPSES))
        for name in ("multipliers", "update_gains"):
            if len(getattr(self, name)) != self.layers:
                raise InputError(
                    f"{name}: {getattr(self, name)} has {len(getattr(self, name))} values, "
                    f"{self.layers} are needed, one per layer."
                )
        for name in ("nudge_conductance", "output_load", "gain", "storage_capacitance", "held_capacitance"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be positive.")

    @property
    def layers(self) -> int:
        """Number of crossbars."""
        return len(self.widths) - 1

    def shape(self, layer: int) -> tuple[int, int]:
        """Returns (rows, columns) of a crossbar as a matrix of weights: inputs by outputs."""
        return self.widths[layer], self.widths[layer + 1]

    def transposed(self, layer: int) -> bool:
        """Returns whether word lines run along the outputs: the shorter side is addressed row by row."""
        inputs, outputs = self.shape(layer)
        return inputs > outputs

    def word_lines(self, layer: int) -> int:
        """Returns the number of word lines of a crossbar."""
        return min(self.shape(layer))

    def bit_lines(self, layer: int) -> int:
        """Returns the number of bit lines of a crossbar."""
        return max(self.shape(layer))

    @property
    def most_word_lines(self) -> int:
        """Word lines of the crossbar that has most: the SET sequence writes all crossbars in step."""
        return max(self.word_lines(layer) for layer in range(self.layers))

    @property
    def synapses(self) -> int:
        """Number of weights."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))


def output_node(design: Design, output: int) -> str:
    """Returns the node of an output."""
    return f"neuron{design.layers}_{output}_p"


def column_node(layer: int, column: int) -> str:
    """Returns the node of a column of the crossbar of a layer: the next neuron's input."""
    return f"neuron{layer + 1}_{column}_in"


def row_nodes(layer: int, row: int) -> tuple[str, str]:
    """Returns the positive and the negative rail of a row of the crossbar of a layer."""
    return f"neuron{layer}_{row}_p", f"neuron{layer}_{row}_n"


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
