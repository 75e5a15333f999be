"""One epoch of digits, 64-32-10, wholly in full transient and in phase fidelity: do the weights agree?

    python studies/fidelities.py

Adds to studies/results/fidelities.json. The transient takes some twenty minutes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import eqspice as eq
from eqspice.training.build import design_of, initial_weights, task_of
from eqspice.training.experiment import make_experiment

RESULT = Path(__file__).parent / "results" / "fidelities.json"


def compare(task: str, epochs: int, seed: int) -> dict[str, Any]:
    """Trains in both fidelities from the same weights; returns the distances of the weights, V."""
    runs, weights = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for fidelity in ("phase", "transient"):
            settings = [f"learning.epochs={epochs}", f"engine.fidelity={fidelity}", f"seed={seed}"]
            experiment = make_experiment({"task": {"name": task}, "preset": "reciprocal"}, settings)
            run = eq.train(experiment, out=Path(folder) / fidelity, progress=True)
            keys = ("test_nrmse", "test_accuracy", "presentations", "cpu_s")
            runs[fidelity] = {key: run.results[key] for key in keys}
            weights[fidelity] = run.weights
    start = initial_weights(design_of(experiment, task_of(experiment)), experiment)
    layers = []
    for before, phase, transient in zip(start, weights["phase"], weights["transient"], strict=True):
        apart = transient - phase
        layers.append(
            {
                "change_rms": float(np.sqrt(np.mean((phase - before) ** 2))),
                "apart_rms": float(np.sqrt(np.mean(apart**2))),
                "apart_most": float(np.abs(apart).max()),
            }
        )
    return runs | {"layers": layers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--task", default="digits")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known[options.task] = compare(options.task, options.epochs, options.seed)
    RESULT.write_text(json.dumps(known, indent=1) + "\n")
    print(json.dumps(known[options.task], indent=1))


if __name__ == "__main__":
    main()
