"""What a family of circuits must supply, so that the trainer need not know which one it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from eqspice.circuit import Circuit, Stimulus
from eqspice.design.learning import LearningPlan
from eqspice.design.network import Design, Readout
from eqspice.design.presentations import PHASES, FloatArray, Presentations, Schedule

D = TypeVar("D", bound=Design)


class Architecture(ABC, Generic[D]):
    """One family of circuits: how it is built, when things happen in it, and where it is read."""

    @abstractmethod
    def for_learning(self, design: D, plan: LearningPlan) -> D:
        """Returns the design with the parts that a way of learning needs.

        Raises:
            InputError: this family cannot learn that way.
        """

    @abstractmethod
    def elaborate(self, design: D) -> Circuit:
        """Returns the circuit of a design.

        Raises:
            InputError: a geometry or corner that the kit does not have.
            CircuitError: the cells do not fit together.
        """

    @abstractmethod
    def set_sequence(self, design: D, weights: list[FloatArray], origin: float) -> Stimulus:
        """Returns the signals that write weights, V, one (inputs, outputs) matrix per layer.

        Raises:
            InputError: weights do not have the network's shapes, or are not finite.
        """

    @abstractmethod
    def set_period(self, design: D) -> float:
        """Returns the time from the start of SET to the origin of the first presentation in seconds."""

    @abstractmethod
    def presentation_schedule(
        self, design: D, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
    ) -> Schedule:
        """Returns the signals that present the data points one after another.

        Args:
            design: the network.
            data: what to present.
            origin: start of the first presentation's period, s. The signals run from `settle_time`
                after it to `settle_time` after the end of the last period, so that chunks join.
            phases: phases whose signals are driven. ("free",) evaluates without nudge or update; the
                times stay the same.

        Raises:
            InputError: shapes that do not fit the network, a row that does not exist, a value not finite.
        """

    @abstractmethod
    def sample_period(self, design: D, cycles: int) -> float:
        """Returns the time of one presentation with that many addressed word lines in seconds."""

    @abstractmethod
    def settle_time(self, design: D) -> float:
        """Returns the seconds after a period's end at which all signals are at rest: chunks meet there."""

    @abstractmethod
    def outputs(self, design: D) -> Readout:
        """Returns how the outputs are read, V."""

    @abstractmethod
    def weights(self, design: D, layer: int) -> Readout:
        """Returns how the weights of a layer are read, V, row by row of the (inputs, outputs) matrix."""

    @abstractmethod
    def columns(self, design: D, layer: int) -> Readout:
        """Returns how the columns of a crossbar are read, V: what the next neurons take in."""

    @abstractmethod
    def rows(self, design: D, layer: int) -> Readout:
        """Returns how the rows of a crossbar are read, V: what drives it, its bias row included."""

    @abstractmethod
    def back_factors(self, design: D) -> tuple[float, ...]:
        """Returns per layer how much its columns count in the circuit's total co-content.

        An amplifier with voltage gain g and backward current gain b is no two-terminal element, but a row
        of equations times g / b makes it symmetric: a factor per neuron up to the output.
        """

    @abstractmethod
    def phase_time(self, design: D) -> float:
        """Returns how long a phase lasts in seconds."""

    @abstractmethod
    def facts(self, design: D) -> list[tuple[str, str]]:
        """Returns names and values of the family's own numbers for a reader."""

    @abstractmethod
    def picture_nodes(self, design: D) -> tuple[str, ...]:
        """Returns the nodes that a picture of one presentation shows: phases, data, outputs, some weights."""
