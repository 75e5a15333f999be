"""How a network learns, as far as its circuit must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LearningPlan:
    """Which weights a presentation updates, and how the update gains are found and fall.

    Attributes:
        rows: word lines updated per presentation: "one", "all", or "parallel" for every cell at once.
        decay: the update gains fall as 1 / (1 + decay * epoch).
        calibrate: set the update gains by a short run before training.
    """

    rows: Literal["one", "all", "parallel"] = "one"
    decay: float = 0.0
    calibrate: bool = False
