"""Single-ended circuits: one column wire per neuron, storage voltages against ground (the reference)."""

from __future__ import annotations

from eqspice.circuit import Circuit, Stimulus
from eqspice.design.architecture import Architecture
from eqspice.design.learning import LearningPlan
from eqspice.design.network import Readout, row_nodes
from eqspice.design.presentations import PHASES, FloatArray, Presentations, Schedule
from eqspice.design.single_ended import elaborate, schedule
from eqspice.design.single_ended.network import SingleEnded, column_node, output_node, weight_node
from eqspice.errors import InputError
from eqspice.units import format_si


class SingleEndedArchitecture(Architecture[SingleEnded]):
    """The reference circuit's family."""

    def for_learning(self, design: SingleEnded, plan: LearningPlan) -> SingleEnded:
        """The update gains are those of its multipliers: they cannot change while it learns."""
        for name, value, allowed in (
            ("rows", plan.rows, ("one", "all")),
            ("decay", plan.decay, (0.0,)),
            ("anneal", plan.anneal, (0.0,)),
            ("nudge_growth", plan.nudge_growth, (1.0,)),
            ("calibrate", plan.calibrate, (False,)),
        ):
            if value not in allowed:
                raise InputError(
                    f"learning.{name}: {value!r} is not allowed with preset {design.preset!r}, its circuit "
                    f"can only have {' or '.join(repr(item) for item in allowed)}."
                )
        return design

    def elaborate(self, design: SingleEnded) -> Circuit:
        """See `Architecture`."""
        return elaborate.elaborate(design)

    def set_sequence(self, design: SingleEnded, weights: list[FloatArray], origin: float) -> Stimulus:
        """See `Architecture`."""
        return schedule.set_sequence(design, weights, origin)

    def set_period(self, design: SingleEnded) -> float:
        """See `Architecture`."""
        return schedule.set_period(design)

    def presentation_schedule(
        self, design: SingleEnded, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
    ) -> Schedule:
        """See `Architecture`."""
        return schedule.presentation_schedule(design, data, origin, phases)

    def sample_period(self, design: SingleEnded, cycles: int) -> float:
        """See `Architecture`."""
        return schedule.sample_period(design, cycles)

    def settle_time(self, design: SingleEnded) -> float:
        """See `Architecture`."""
        return schedule.settle(design) * design.timing.step

    def outputs(self, design: SingleEnded) -> Readout:
        """See `Architecture`."""
        return Readout(tuple(output_node(design, k) for k in range(design.widths[-1])))

    def weights(self, design: SingleEnded, layer: int) -> Readout:
        """See `Architecture`."""
        inputs, outputs = design.shape(layer)
        return Readout(tuple(weight_node(layer, i, j) for i in range(inputs) for j in range(outputs)))

    def columns(self, design: SingleEnded, layer: int) -> Readout:
        """See `Architecture`."""
        return Readout(tuple(column_node(layer, j) for j in range(design.shape(layer)[1])))

    def rows(self, design: SingleEnded, layer: int) -> Readout:
        """See `Architecture`."""
        pairs = [row_nodes(layer, i) for i in range(design.shape(layer)[0])]
        return Readout(tuple(p for p, _ in pairs), tuple(n for _, n in pairs), 0.5)

    def back_factors(self, design: SingleEnded) -> tuple[float, ...]:
        """See `Architecture`."""
        return tuple((design.gain / design.back_gain) ** (design.layers - k) for k in range(design.layers))

    def phase_time(self, design: SingleEnded) -> float:
        """See `Architecture`."""
        return design.timing.period * design.timing.step

    def facts(self, design: SingleEnded) -> list[tuple[str, str]]:
        """See `Architecture`."""
        return [
            ("synapse", own.subckt if (own := design.cells.synapse) else design.synapse.replace("_", " ")),
            ("transistors per synapse", ", ".join(f"{m:g}" for m in design.multipliers) + " (by layer)"),
            ("storage capacitance", f"{format_si(design.storage_capacitance, 'F')} per unit"),
            ("neuron gain", f"{design.gain:g} forward, {design.back_gain:g} backward"),
            ("nudge", design.nudge),
            *self._pulls(design),
        ]

    def _pulls(self, design: SingleEnded) -> list[tuple[str, str]]:
        if not any(design.column_pulls):
            return []
        pulls = ", ".join(format_si(pull, "S") for pull in design.column_pulls)
        return [("column pulls", f"{pulls} (by layer) to {format_si(design.supply, 'V')}")]

    def picture_nodes(self, design: SingleEnded) -> tuple[str, ...]:
        """See `Architecture`."""
        nodes = ["free", "nudged", "nudged_early", "update", row_nodes(0, 0)[0], "target_0"]
        for layer in range(design.layers):
            inputs, outputs = design.shape(layer)
            nodes += [weight_node(layer, i, 0) for i in range(min(4, inputs))]
            nodes += [weight_node(layer, 0, j) for j in range(1, min(4, outputs))]
            nodes += [column_node(layer, j) for j in range(min(4, outputs))]
            nodes += [row_nodes(layer + 1, j)[0] for j in range(min(4, outputs))]
        return tuple(dict.fromkeys(nodes))
