"""Pictures of a tuning study: how it went, and which settings mattered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import optuna


def plot_study(study: optuna.Study, folder: Path) -> list[Path]:
    """Writes history.png and, once there are enough trials, importance.png; returns their paths.

    Args:
        study: with at least one finished trial.
        folder: where to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import optuna

    trials = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    values = np.array([trial.value for trial in trials], float)
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    numbers = [trial.number for trial in trials]
    axes.semilogy(numbers, values, "o", alpha=0.6, label="trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", label="best so far")
    axes.set(xlabel="trial", ylabel="validation NRMSE")
    axes.legend()
    paths = [folder / "history.png"]
    figure.savefig(paths[0], dpi=130)
    plt.close(figure)
    if len(trials) >= 4 and len(trials[0].params) > 1 and np.ptp(values) > 0:
        importance = optuna.importance.get_param_importances(study)
        names, shares = list(importance)[::-1], list(importance.values())[::-1]
        figure, axes = plt.subplots(figsize=(6, 0.8 + 0.4 * len(names)), layout="constrained")
        axes.barh(names, shares)
        axes.set(xlabel="share of the variation of the validation NRMSE", xlim=(0, 1))
        paths.append(folder / "importance.png")
        figure.savefig(paths[1], dpi=130)
        plt.close(figure)
    return paths
