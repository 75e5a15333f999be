"""When things happen: SET once, then presentation after presentation, as breakpoints of signals."""

from __future__ import annotations

from eqspice.circuit import Stimulus
from eqspice.design.families import architecture_of
from eqspice.design.network import Design
from eqspice.design.presentations import (
    NO_ROW,
    PHASES,
    FloatArray,
    Presentations,
    Schedule,
    check_weights,
    random_rows,
)


def set_sequence(design: Design, weights: list[FloatArray], origin: float = 0.0) -> Stimulus:
    """Returns the signals that write weights, V, one (inputs, outputs) matrix per layer.

    Raises:
        InputError: weights do not have the network's shapes, or are not finite.
    """
    return architecture_of(design).set_sequence(design, weights, origin)


def set_period(design: Design) -> float:
    """Returns the time from the start of SET to the origin of the first presentation in seconds."""
    return architecture_of(design).set_period(design)


def presentation_schedule(
    design: Design, data: Presentations, origin: float, phases: tuple[str, ...] = PHASES
) -> Schedule:
    """Returns the signals that present the data points one after another.

    Args:
        design: the network.
        data: what to present.
        origin: start of the first presentation's period, s. The signals run from `settle_time` after it
            to `settle_time` after the end of the last period, so that chunks join.
        phases: phases whose signals are driven. ("free",) evaluates without nudge or update; the
            times stay the same.

    Raises:
        InputError: shapes that do not fit the network, a row that does not exist, a value not finite.
    """
    return architecture_of(design).presentation_schedule(design, data, origin, phases)


def sample_period(design: Design, cycles: int = 1) -> float:
    """Returns the time of one presentation in seconds; cycles: word lines addressed in turn."""
    return architecture_of(design).sample_period(design, cycles)


def settle_time(design: Design) -> float:
    """Returns the seconds after a period's end at which all signals are at rest: chunks meet there."""
    return architecture_of(design).settle_time(design)


__all__ = [
    "NO_ROW",
    "PHASES",
    "Presentations",
    "Schedule",
    "check_weights",
    "presentation_schedule",
    "random_rows",
    "sample_period",
    "set_period",
    "set_sequence",
    "settle_time",
]
