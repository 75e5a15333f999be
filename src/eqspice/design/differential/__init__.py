"""Differential circuits: rows and columns are pairs of wires around a common mode."""

from __future__ import annotations

import math
from dataclasses import replace

from eqspice.circuit import Circuit, Stimulus
from eqspice.design.architecture import Architecture
from eqspice.design.differential import elaborate, schedule
from eqspice.design.differential.network import Differential, column_nodes, output_nodes, weight_nodes
from eqspice.design.learning import LearningPlan
from eqspice.design.network import Readout, row_nodes
from eqspice.design.presentations import PHASES, FloatArray, Presentations, Schedule
from eqspice.design.rules import RULES
from eqspice.units import format_si


def _differences(pairs: list[tuple[str, str]], scale: float) -> Readout:
    return Readout(tuple(p for p, _ in pairs), tuple(n for _, n in pairs), scale)


class DifferentialArchitecture(Architecture[Differential]):
    """The reciprocal circuits' family."""

    def for_learning(self, design: Differential, plan: LearningPlan) -> Differential:
        """See `Architecture`."""
        return replace(design, multiplied_in="cell" if plan.rows == "parallel" else "line")

    def elaborate(self, design: Differential) -> Circuit:
        """See `Architecture`."""
        return elaborate.elaborate(design)

    def set_sequence(self, design: Differential, weights: list[FloatArray], origin: float) -> Stimulus:
        """See `Architecture`."""
        return schedule.set_sequence(design, weights, origin)

    def set_period(self, design: Differential) -> float:
        """See `Architecture`."""
        return schedule.set_period(design)

    def presentation_schedule(
        self, design: Differential, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
    ) -> Schedule:
        """See `Architecture`."""
        return schedule.presentation_schedule(design, data, origin, phases)

    def sample_period(self, design: Differential, cycles: int) -> float:
        """See `Architecture`."""
        return schedule.sample_period(design, cycles)

    def settle_time(self, design: Differential) -> float:
        """Everything is at rest when a period ends."""
        return 0.0

    def outputs(self, design: Differential) -> Readout:
        """See `Architecture`."""
        return _differences([output_nodes(design, k) for k in range(design.widths[-1])], 1.0)

    def weights(self, design: Differential, layer: int) -> Readout:
        """See `Architecture`."""
        inputs, outputs = design.shape(layer)
        return _differences([weight_nodes(layer, i, j) for i in range(inputs) for j in range(outputs)], 0.5)

    def columns(self, design: Differential, layer: int) -> Readout:
        """See `Architecture`."""
        return _differences([column_nodes(layer, j) for j in range(design.shape(layer)[1])], 0.5)

    def rows(self, design: Differential, layer: int) -> Readout:
        """See `Architecture`."""
        return _differences([elaborate.rails(design, layer, i) for i in range(design.shape(layer)[0])], 0.5)

    def back_factors(self, design: Differential) -> tuple[float, ...]:
        """See `Architecture`."""
        gains = (*(design.gain,) * (design.layers - 1), design.output_gain)
        factors = [gain / design.back_gain_of(layer) for layer, gain in enumerate(gains)]
        return tuple(math.prod(factors[layer:]) for layer in range(design.layers))

    def phase_time(self, design: Differential) -> float:
        """See `Architecture`."""
        return (2 * design.timing.edge + design.timing.plateau) * design.timing.step

    def facts(self, design: Differential) -> list[tuple[str, str]]:
        """See `Architecture`."""
        clamp = design.clamp
        columns = [("column capacitance", format_si(design.column_capacitance, "F"))]
        hidden = [design.back_gain_of(layer) for layer in range(design.layers - 1)] or [design.back_gain]
        backward = " and ".join(f"{gain:.3g}" for gain in dict.fromkeys(hidden))
        return [
            ("synapse", f"{design.synapse.replace('_', ' ')}, differential"),
            ("storage capacitance", f"2 × {format_si(design.storage_capacitance, 'F')}"),
            *(columns if design.column_capacitance else []),
            ("common mode of signals", format_si(design.common_mode, "V")),
            ("common mode of gates", format_si(design.gate_common, "V")),
            ("hidden gain", f"{design.gain:g} forward, {backward} backward"),
            ("output gain", f"{design.output_gain:g} forward, {design.output_back_gain:g} backward"),
            ("clamp of hidden neurons", f"± {format_si(clamp.voltage, 'V')}" if clamp.voltage else "none"),
            ("learning rule", f"{design.rule}, Δw = {RULES[design.rule].formula}"),
            ("nudges", f"{design.nudges.replace('_', '-')}{', sign drawn per presentation' * design.chop}"),
            ("multipliers", f"in every {design.multiplied_in}, columns sensed {design.sense} the amplifier"),
        ]

    def picture_nodes(self, design: Differential) -> tuple[str, ...]:
        """See `Architecture`."""
        nodes = ["free", "first", "second", "nudge", "layer0_rate", row_nodes(0, 0)[0], "target_0"]
        for layer in range(design.layers):
            inputs, outputs = design.shape(layer)
            pairs = [weight_nodes(layer, i, 0) for i in range(min(4, inputs))]
            pairs += [weight_nodes(layer, 0, j) for j in range(1, min(4, outputs))]
            pairs += [column_nodes(layer, j) for j in range(min(4, outputs))]
            pairs += [row_nodes(layer + 1, j) for j in range(min(4, outputs))]
            nodes += [node for pair in pairs for node in pair]
        return tuple(dict.fromkeys(nodes))
