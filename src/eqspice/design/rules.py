"""Learning rules: what an optimiser computes, as a formula, and which cells realise it.

v and a are what the optimiser senses of a column and of a row, held in a first and in a second phase; s is
the update gain. In a single-ended circuit the first phase is the nudged and the second the free one; in a
differential one they are the two nudged phases, and the whole is multiplied by the sign of the first nudge.

The exact rule of equilibrium propagation is the difference of the co-content's derivative dG/dw between
the phases. For a triode G = k w a v and the contrastive product is that derivative. What a real cell
differs by is measured by `eqspice gradcheck` (rule cosine against update cosine); replica cells that
integrate dG/dw itself would win 0.001 of cosine here and are not built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqspice.design.presentations import FloatArray


@dataclass(frozen=True)
class LearningRule:
    """What a weight's update is made of.

    Attributes:
        formula: change of the weight.
        description: one line.
        contrast: (v first, v second, a first, a second) -> change per unit of update gain, V²: columns
            of shape (outputs,), rows of shape (inputs,), result (inputs, outputs).
        families: families of circuits that have cells for it.
        row_change: whether the row's change between the phases enters.
        sign_only: whether only the sign of the column's change enters.
    """

    formula: str
    description: str
    contrast: Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
    families: tuple[str, ...]
    row_change: bool = False
    sign_only: bool = False


SIGN_VOLTS = 1.0  # V: what the sign of a column's change counts as
SIGN_SLOPE = 1e4  # V/V, of the comparator: changes below SIGN_VOLTS / SIGN_SLOPE count in proportion


def _contrastive(v1: FloatArray, v2: FloatArray, a1: FloatArray, a2: FloatArray) -> FloatArray:
    return np.outer(a1, v1) - np.outer(a2, v2)


def _product(v1: FloatArray, v2: FloatArray, a1: FloatArray, a2: FloatArray) -> FloatArray:
    return np.outer(a1, v1 - v2)


def _sign(v1: FloatArray, v2: FloatArray, a1: FloatArray, a2: FloatArray) -> FloatArray:
    return np.outer(a1, np.clip(SIGN_SLOPE * (v1 - v2), -SIGN_VOLTS, SIGN_VOLTS))


RULES: dict[str, LearningRule] = {
    "product": LearningRule(
        "s (v_1 - v_2) a_1",
        "the reference circuit's: change of the column times the row",
        _product,
        ("single_ended", "differential"),
    ),
    "contrastive": LearningRule(
        "s (v_1 a_1 - v_2 a_2)",
        "the triode's exact co-content rule",
        _contrastive,
        ("differential",),
        row_change=True,
    ),
    "sign": LearningRule(
        "s 1 V sign(v_1 - v_2) a_1",
        "sign of the column's change times the row: the update's size does not follow the error's",
        _sign,
        ("differential",),
        sign_only=True,
    ),
}
