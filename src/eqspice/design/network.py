"""A learning network as a design: layer widths and the numbers that every family of circuits has."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from eqspice.cells.switch import SwitchDesign
from eqspice.errors import InputError

FloatArray = NDArray[np.float64]


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


@dataclass(frozen=True, kw_only=True)
class Design:
    """What every family of circuits needs to be built. A family adds its own numbers.

    `levels` names the voltages that go with the supply of the process.

    Attributes:
        preset: name it came from.
        widths: rows of the first crossbar, hidden layers, outputs.
        update_gains: of the optimiser per layer, 1/V (magnitude).
        nudge_conductance: beta, S.
        storage_capacitance: of a weight, F.
        held_capacitance: of the optimiser's held voltages, F.
        output_load: ohm.
        weight_centre, weight_spread: initial weights are centre + spread (u - 1/2) / (1 + layer) with u
            uniform in [0, 1), V.
        logic_high: V.
        input_scale: voltage of an input row per volt of the task's encoding, V/V.
        bias: amplitude of the bias row of every layer but the first (whose bias is part of the data), in
            volts of the task's encoding; None for no bias rows.
        switch: logic-controlled switches.
        process: transistors.
    """

    family: ClassVar[str] = ""
    levels: ClassVar[tuple[str, ...]] = ("logic_high", "weight_centre", "weight_spread", "input_scale")
    preset: str
    widths: tuple[int, ...]
    update_gains: tuple[float, ...]
    nudge_conductance: float
    storage_capacitance: float = 0.1e-12
    held_capacitance: float = 0.1e-12
    output_load: float = 10e3
    weight_centre: float = 0.0
    weight_spread: float = 1.0
    logic_high: float = 1.95
    input_scale: float = 1.0
    bias: float | None = None
    switch: SwitchDesign = field(default_factory=SwitchDesign)
    process: Process = field(default_factory=Process)

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise InputError(f"network: widths {self.widths} need at least inputs and outputs.")
        for index, width in enumerate(self.widths):
            if width < 1:
                raise InputError(f"network: width of layer {index} is {width}, at least 1 is needed.")
        self._check_per_layer("update_gains")
        self._check_positive("nudge_conductance", "output_load", "storage_capacitance", "held_capacitance")

    def _check_per_layer(self, *names: str) -> None:
        for name in names:
            values = getattr(self, name)
            if len(values) != self.layers:
                raise InputError(
                    f"{name}: {values} has {len(values)} values, {self.layers} are needed, one per layer."
                )

    def _check_positive(self, *names: str) -> None:
        for name in names:
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be positive.")

    @property
    def layers(self) -> int:
        """Number of crossbars."""
        return len(self.widths) - 1

    def shape(self, layer: int) -> tuple[int, int]:
        """Returns (rows, columns) of a crossbar: inputs and, after the first layer, a bias row; outputs."""
        return self.widths[layer] + (layer > 0 and self.bias is not None), self.widths[layer + 1]

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
        return sum(a * b for a, b in (self.shape(layer) for layer in range(self.layers)))


@dataclass(frozen=True)
class Readout:
    """Voltages that are read as differences of nodes: scale (V(plus) - V(minus)).

    Attributes:
        plus: node of each voltage.
        minus: the node that is subtracted; empty if voltages are read against ground.
        scale: factor.
    """

    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    scale: float = 1.0

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes to record, plus then minus."""
        return self.plus + self.minus

    def of(self, values: FloatArray) -> FloatArray:
        """Returns the voltages, shape (…, K), from values of `nodes`, shape (…, len(nodes)), V."""
        count = len(self.plus)
        found = values[..., :count] - values[..., count:] if self.minus else values
        return np.asarray(self.scale * found)


def row_nodes(layer: int, row: int) -> tuple[str, str]:
    """Returns the positive and the negative rail of a row of the crossbar of a layer."""
    return f"neuron{layer}_{row}_p", f"neuron{layer}_{row}_n"
