"""How a network learns, as far as its circuit must know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LearningPlan:
    """Which weights a presentation updates, and how the update gains are found and fall.

    Attributes:
        rows: word lines updated per presentation: "one", "all", or "parallel" for every cell at once.
        decay: the update gains fall as 1 / (1 + decay * epoch).
        anneal: last part of the presentations in which the update gains fall linearly to zero besides.
        nudge_growth: factor by which the nudges grow over the first half of the presentations.
        calibrate: set the update gains by a short run before training.
    """

    rows: Literal["one", "all", "parallel"] = "one"
    decay: float = 0.0
    calibrate: bool = False
    anneal: float = 0.0
    nudge_growth: float = 1.0

    def rates(self, epoch: int, epochs: int, count: int) -> NDArray[np.float64]:
        """Returns the factors on the update gains in an epoch.

        Args:
            epoch: counts from zero.
            epochs: of the whole run.
            count: presentations per epoch.

        Returns:
            one factor per presentation, shape (count,).
        """
        left = 1.0 - (epoch + np.arange(count) / count) / epochs
        falling = np.minimum(1.0, left / self.anneal) if self.anneal > 0.0 else np.ones(count)
        grown = self.strengths(epoch, epochs, count)
        return np.asarray(falling / (1.0 + self.decay * epoch) / grown)

    def strengths(self, epoch: int, epochs: int, count: int) -> NDArray[np.float64]:
        """Returns the strengths of the nudges in an epoch, as multiples of the first one.

        They grow geometrically. The update gains fall by as much, so that an error's update stays.

        Args:
            epoch: counts from zero.
            epochs: of the whole run.
            count: presentations per epoch.

        Returns:
            one multiple per presentation, shape (count,).
        """
        done = (epoch + np.arange(count) / count) / epochs
        return np.asarray(self.nudge_growth ** np.minimum(1.0, 2.0 * done))
