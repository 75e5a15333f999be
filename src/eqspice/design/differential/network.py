"""The differential family's design and the names of its nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from eqspice.cells.differential_neuron import DifferentialClamp
from eqspice.cells.differential_synapse import DIFFERENTIAL_SYNAPSES
from eqspice.design.network import Design, Process, row_nodes
from eqspice.design.rules import RULES
from eqspice.errors import InputError, unknown

FREE_PROCESS = Process(model_set="continuous", junctions="physical")


@dataclass(frozen=True)
class PhaseTiming:
    """Times of the schedule in steps.

    Attributes:
        step: length of one step, s.
        edge: steps of a signal's edge.
        plateau: steps in which a phase settles.
        update: steps of the update pulse's plateau.
    """

    step: float = 50e-9
    edge: int = 2
    plateau: int = 16
    update: int = 16

    def __post_init__(self) -> None:
        for name in ("step", "edge", "plateau", "update"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise InputError(f"timing.{name}: {getattr(self, name)} is not allowed, it must be positive.")


@dataclass(frozen=True, kw_only=True)
class Differential(Design):
    """A differential network.

    Weights are half differences of two storage voltages around gate_common.

    Attributes:
        synapse: name of the differential synapse.
        common_mode: of rows, columns and outputs, V.
        gate_common: of the storage voltages, V.
        weight_limit: gates are clamped to gate_common ± this, V; 0 for no clamp.
        limit_relief: the clamps stand at the limits in the update only and give way by this otherwise, V; 0
            for clamps that stand still.
        gain: of hidden neurons, V/V.
        output_gain: of output neurons, V/V.
        back_gain: current gain backward of hidden neurons, A/A; at most, see `back_gain_of`.
        output_back_gain: of output neurons, A/A.
        next_load: what the crossbar after it may load a column with, where that leads to a further hidden
            layer, as a multiple of what the column's own rows load it with.
        series_resistance: through which a rail's current is sensed, ohm.
        clamp: of the hidden neurons' rails.
        hold_conductance: of a column's common-mode hold, S.
        column_capacitance: between a column's two wires, which limits the band of their noise, F; 0 for none.
        nudges: "symmetric" (+beta, -beta) or "one_sided" (+beta, contrasted with the free phase).
        rule: name of the learning rule.
        chop: the sign of the first nudge is drawn for each presentation, so that offsets average out.
        sense: columns are read "after" the amplifier, at its output, or "before" it.
        write: through an ideal "switch" per storage node, or a p-channel "transistor" in a well at
            logic_high.
        multiplied_in: where multipliers are: per bit "line" (for a word line at a time) or in every "cell".
        rate_unit: update gain at a rate of 1 V, 1/V.
        multiplier_offset: of the contrast, referred to the sensed column voltage, V.
        auto_zero: measure the offset in each free phase and subtract it.
        timing: schedule.
    """

    family: ClassVar[str] = "differential"
    levels: ClassVar[tuple[str, ...]] = (
        *Design.levels,
        "common_mode",
        "gate_common",
        "weight_limit",
        "limit_relief",
    )
    synapse: str = "four_nfet"
    nudge_conductance: float = 1e-2
    weight_spread: float = 0.4
    process: Process = FREE_PROCESS
    common_mode: float = 0.4
    gate_common: float = 1.4
    weight_limit: float = 0.4
    limit_relief: float = 0.0
    gain: float = 32.0
    output_gain: float = 8.0
    back_gain: float = 1 / 32
    output_back_gain: float = 1 / 8
    next_load: float = 1.0
    series_resistance: float = 10.0
    clamp: DifferentialClamp = field(default_factory=DifferentialClamp)
    hold_conductance: float = 1e-2
    column_capacitance: float = 0.0
    bias: float | None = 0.25
    nudges: Literal["symmetric", "one_sided"] = "symmetric"
    rule: str = "contrastive"
    chop: bool = True
    sense: Literal["after", "before"] = "after"
    write: Literal["switch", "transistor"] = "switch"
    multiplied_in: Literal["line", "cell"] = "line"
    rate_unit: float = 1.0
    multiplier_offset: float = 0.0
    auto_zero: bool = False
    timing: PhaseTiming = field(default_factory=PhaseTiming)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.synapse not in DIFFERENTIAL_SYNAPSES:
            raise unknown("synapse", self.synapse, tuple(DIFFERENTIAL_SYNAPSES))
        for name, allowed in (
            ("rule", tuple(name for name, rule in RULES.items() if self.family in rule.families)),
            ("nudges", ("symmetric", "one_sided")),
            ("sense", ("after", "before")),
            ("write", ("switch", "transistor")),
            ("multiplied_in", ("line", "cell")),
        ):
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), allowed)
        positive = ("gain", "output_gain", "back_gain", "output_back_gain", "series_resistance")
        self._check_positive(*positive, "next_load", "hold_conductance", "rate_unit")
        if self.column_capacitance:
            self._check_positive("column_capacitance")

    def back_gain_of(self, layer: int) -> float:
        """Returns the current gain backward of the neurons that a crossbar's columns drive, A/A.

        What a neuron's rails deliver returns to its column. The crossbar after it so loads the column as much
        as back_gain gain times as many rows as that has columns would. Before a wide hidden layer this can
        be many times the column's own rows, and divide the neuron's gain by as much: a back gain smaller by
        that factor prevents it. In front of the outputs the back gain is left alone.
        """
        if layer == self.layers - 1:
            return self.output_back_gain
        if layer == self.layers - 2:
            return self.back_gain
        rows, columns = self.shape(layer)[0], self.widths[layer + 2]
        return min(self.back_gain, self.next_load * rows / (self.gain * columns))

    @property
    def pump_transconductance(self) -> float:
        """Of a charge pump: with a rate of 1 V its pulse changes a weight by rate_unit times the contrast."""
        pulse = (self.timing.update + self.timing.edge) * self.timing.step
        return self.rate_unit * self.storage_capacitance / pulse


def output_nodes(design: Design, output: int) -> tuple[str, str]:
    """Returns the positive and the negative node of an output."""
    return row_nodes(design.layers, output)


def column_nodes(layer: int, column: int) -> tuple[str, str]:
    """Returns the two wires of a column of the crossbar of a layer: the next neuron's input."""
    return f"neuron{layer + 1}_{column}_inp", f"neuron{layer + 1}_{column}_inn"


def drive_nodes(layer: int, neuron: int) -> tuple[str, str]:
    """Returns the amplifier's outputs before its series resistors."""
    return f"neuron{layer}_{neuron}_drive_p", f"neuron{layer}_{neuron}_drive_n"


def weight_nodes(layer: int, row: int, column: int) -> tuple[str, str]:
    """Returns the two storage nodes of a weight."""
    cell = f"layer{layer}.cell_{row}_{column}"
    return f"{cell}.mem_p", f"{cell}.mem_n"
