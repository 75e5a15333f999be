"""What the figures of a gradient check mean, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GOOD = 0.98  # cosine from which on a direction counts as right
WEAK = 0.5  # fraction of the gradient's signal below which a layer is starved
LINK = 0.95  # the same for one link of the chain
DRIFT = 0.1  # part of a signal that may be drift
CLAMPED = 0.85  # fraction of hidden units that pass nothing
SLOW = 0.03  # fraction of the error that an update of all rows corrects
FAST = 1.0
WANTED = 0.3  # fraction that is fast and safe


@dataclass(frozen=True)
class LayerCheck:
    """One crossbar's update against its gradient. NaN where a figure has no meaning.

    The chain from gradient to update has three links, each with its cosine (mean over samples): how
    an infinitesimal nudge comes back to the columns, what the finite nudge does of that, what the rule
    makes of it.

    Attributes:
        layer: counts from the inputs.
        cosine: of the update with the descent direction, mean over samples.
        batch_cosine: of the summed update with the summed descent direction.
        ratio: |update| / |gradient|, V per V, all samples together.
        correction: fraction of the error that one update of all rows corrects, to first order.
        signal_cosine: of the columns' response to an infinitesimal nudge with the adjoint.
        signal_fraction: of the adjoint that this response contains; 1 in a reciprocal circuit.
        nudge_cosine: of the columns' response to the real nudge with that to an infinitesimal one.
        nudge_drift: |what the columns do between the phases without a nudge| / |what they do with it|.
        rule_cosine: of the exact co-content rule's update with the descent direction, real nudge.
        weight_drift: |what the weights do in a presentation anyway| / |update|.
        forward_backward: RMS over cells of column current per row voltage, over RMS of row current per
            column voltage; NaN for rows that are driven.
        transport_cosine: of these two sensitivities over the cells.
        clamped: fraction of this layer's neurons (over samples) whose clamp takes most of a current into
            the column.
    """

    layer: int
    cosine: float
    batch_cosine: float
    ratio: float
    correction: float
    signal_cosine: float
    signal_fraction: float
    nudge_cosine: float
    nudge_drift: float
    rule_cosine: float
    weight_drift: float
    forward_backward: float
    transport_cosine: float
    clamped: float


def diagnose(layers: Sequence[LayerCheck]) -> list[str]:
    """Returns what is wrong and what to change, a line per finding, first layer first."""
    found = []
    for check in layers:
        found.append(_direction(check, layers))
        if check.weight_drift > DRIFT:
            found.append(
                f"layer {check.layer}: leakage moves its weights by {check.weight_drift:.0%} of an update: "
                "raise update_gain, the nudge or the storage capacitance, or shorten the period."
            )
        if check.clamped > CLAMPED:
            found.append(
                f"layer {check.layer}: {check.clamped:.0%} of its neurons are clamped: shift their bias or "
                "make the weights smaller."
            )
    return [*found, *_speed(layers)]


def _direction(check: LayerCheck, layers: Sequence[LayerCheck]) -> str:
    name = f"layer {check.layer}"
    if math.isnan(check.cosine):
        return f"{name}: nothing is updated: its gain is zero, or the error is."
    if check.cosine >= GOOD:
        return f"{name}: the update follows the gradient (cosine {check.cosine:.2f})."
    causes = [*_starved(check, layers), *_nudge(check), *_rule(check)]
    text = f"{name}: the update has cosine {check.cosine:.2f} with the gradient"
    return f"{text}; {'; '.join(causes)}." if causes else f"{text}."


def _starved(check: LayerCheck, layers: Sequence[LayerCheck]) -> list[str]:
    if check.signal_cosine >= LINK and check.signal_fraction >= WEAK:
        return []
    guilty = [
        f"layer {later.layer} (forward/backward {later.forward_backward:.1f}, "
        f"cosine {later.transport_cosine:.2f})"
        for later in layers
        if later.layer > check.layer
        and (later.transport_cosine < LINK or not 0.8 < later.forward_backward < 1.25)
    ]
    where = f": cells are not reciprocal at this bias in {', '.join(guilty)}" if guilty else ""
    return [
        f"the layer receives {check.signal_fraction:.0%} of its gradient "
        f"(direction {check.signal_cosine:.2f}){where}"
    ]


def _nudge(check: LayerCheck) -> list[str]:
    if check.nudge_drift > DRIFT:
        return [
            f"{check.nudge_drift:.0%} of what its columns do in the nudged phase is drift: raise the nudge"
        ]
    if check.nudge_cosine < LINK:
        return [f"the nudge is too strong to be linear (cosine {check.nudge_cosine:.2f}): lower it"]
    return []


def _rule(check: LayerCheck) -> list[str]:
    if not check.cosine < check.rule_cosine - 0.05 or check.weight_drift > DRIFT:
        return []
    return [f"the exact co-content rule would reach {check.rule_cosine:.2f}: change the rule"]


def _speed(layers: Sequence[LayerCheck]) -> list[str]:
    shares = [check.correction for check in layers if not math.isnan(check.correction)]
    if not shares:
        return []
    total = sum(shares)
    if total <= 0.0:
        return [f"the update raises the loss (by {-2.0 * total:.2g} of it): check the sign of the rule."]
    text = f"updating every row corrects {total:.2g} of the error"
    right = "the direction is right, but " if all(check.cosine >= GOOD for check in layers) else ""
    if total < SLOW:
        return [
            f"{right}{text}, {_two_digits(WANTED / total)} times too little: raise update_gain or the nudge."
        ]
    if total > FAST:
        return [f"{right}{text}, it overshoots: lower update_gain {_two_digits(total / WANTED)} times."]
    return [f"{text}."]


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
