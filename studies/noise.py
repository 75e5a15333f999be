"""Learning in device noise: under each kind, all together, and at how much of it each task breaks.

    python studies/noise.py --part kinds
    python studies/noise.py --part levels
    python studies/noise.py --part transient

`levels` multiplies the amplitude of all noise. Adds to studies/results/noise.json, prints tables (Markdown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import eqspice as eq
from eqspice.errors import ConvergenceError, InputError
from eqspice.training.experiment import make_experiment

RESULT = Path(__file__).parent / "results" / "noise.json"
ALL = ("thermal", "flicker", "shot")
KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "thermal": ("thermal",),
    "flicker": ("flicker",),
    "shot": ("shot",),
    "all": ALL,
}
LEVELS = (0.0, 1.0, 3.0, 10.0, 30.0)
TASKS: dict[str, tuple[str, ...]] = {
    "xor": ("learning.epochs=10",),
    "moons": ("learning.epochs=10",),
    "sine": ("learning.epochs=20",),
    "iris": ("learning.epochs=10",),
}


def measure(task: str, kinds: tuple[str, ...], level: float, fidelity: str, seed: int) -> dict[str, Any]:
    """Trains once in noise; held-out figures, measured in the same noise."""
    engine = {"fidelity": fidelity, "noise": kinds, "noise_level": level}
    settings = {"task": {"name": task}, "preset": "reciprocal", "engine": engine, "seed": seed}
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = eq.train(make_experiment(settings, list(TASKS[task])), out=Path(folder) / "run").results
    except (ConvergenceError, InputError) as error:
        return {"failed": str(error)}
    return {key: found[key] for key in ("test_nrmse", "test_accuracy", "presentations", "cpu_s")}


def cell(runs: list[dict[str, Any]]) -> str:
    """Returns a table's entry: NRMSE by seed, and accuracy where it is not 100 %."""
    if any("failed" in run for run in runs):
        return "calibration finds nothing to learn"
    text = " ".join(f"{run['test_nrmse']:.3f}" for run in runs)
    accuracies = [run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
    if accuracies and min(accuracies) < 1.0:
        text += f" ({' '.join(f'{100 * value:.0f}' for value in accuracies)} %)"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", choices=("kinds", "levels", "transient"), required=True)
    parser.add_argument("--tasks", nargs="+", default=["xor"], choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    part = known.setdefault(options.part, {})
    fidelity = "transient" if options.part == "transient" else "phase"
    columns: dict[str, tuple[tuple[str, ...], float]] = {"all": (ALL, 1.0)}
    if options.part == "kinds":
        columns = {name: (kinds, 1.0) for name, kinds in KINDS.items()}
    elif options.part == "levels":
        columns = {f"{level:g}": (ALL if level else (), level or 1.0) for level in LEVELS}
    for task in options.tasks:
        for name, (kinds, level) in columns.items():
            runs = part.setdefault(task, {}).setdefault(name, {})
            for seed in range(options.seeds):
                if str(seed) not in runs:
                    runs[str(seed)] = measure(task, kinds, level, fidelity, seed)
                    RESULT.write_text(json.dumps(known, indent=1) + "\n")
                    print(task, name, seed, runs[str(seed)], flush=True)
    print(f"| task | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for task, found in part.items():
        print(f"| {task} | {' | '.join(cell(list(found.get(name, {}).values())) for name in columns)} |")


if __name__ == "__main__":
    main()
