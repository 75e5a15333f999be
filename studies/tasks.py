"""What the preset `reciprocal` learns with one recipe: every task, five seeds, held-out data.

    python studies/tasks.py --tasks sine surface --seeds 5

Adds to studies/results/tasks.json what is missing there and prints a table (Markdown).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import eqspice as eq
from eqspice.training.experiment import make_experiment

RESULT = Path(__file__).parent / "results" / "tasks.json"
RECIPE = ("preset=reciprocal",)
# name: task, settings; 32 hidden neurons where nothing else is said
TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sine, 1.27 periods": ("sine", ("learning.epochs=50",)),
    "sine, 2 periods": ("sine", (f"task.options.frequency={4 * math.pi}", "learning.epochs=75")),
    "sine, 3 periods, 64 hidden": (
        "sine",
        (f"task.options.frequency={6 * math.pi}", "network.hidden=[64]", "learning.epochs=150"),
    ),
    "surface": ("surface", ("task.options.samples=600", "learning.epochs=20")),
    "xor": ("xor", ("learning.epochs=10",)),
    "moons": ("moons", ("learning.epochs=20",)),
    "spirals": ("spirals", ("learning.epochs=20",)),
    "spirals, two hidden layers of 16": ("spirals", ("network.hidden=[16,16]", "learning.epochs=20")),
    "iris": ("iris", ("learning.epochs=30",)),
    "wine": ("wine", ("learning.epochs=30",)),
    "breast cancer": ("breast_cancer", ("learning.epochs=10",)),
    "friedman1": ("friedman1", ("learning.epochs=40",)),
    "digits": ("digits", ("learning.epochs=8",)),
}


def measure(name: str, seed: int, fidelity: str) -> dict[str, Any]:
    """Trains once and returns the run's results."""
    task, settings = TASKS[name]
    overrides = [*RECIPE, *settings, f"engine.fidelity={fidelity}", f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(make_experiment({"task": {"name": task}}, overrides), out=Path(folder) / "run")
        found = run.results | {"update_gains": run.manifest["calibration"]["update_gains"]}
    keys = ("test_nrmse", "test_accuracy", "train_nrmse", "presentations", "cpu_s", "wall_s", "update_gains")
    return {key: found[key] for key in keys}


def table(known: dict[str, Any]) -> str:
    """Returns the results as Markdown."""
    lines = ["| task | presentations | held-out, by seed | CPU per run |", "|---|---|---|---|"]
    for name, runs in known.items():
        of = [runs[seed] for seed in sorted(runs)]
        if of[0]["test_accuracy"] is None:
            text = "NRMSE " + " ".join(f"{run['test_nrmse']:.3f}" for run in of)
        else:
            found = [100 * run["test_accuracy"] for run in of]
            text = " ".join(f"{value:.1f}" for value in found) + f" %, mean {sum(found) / len(found):.1f} %"
        cpu = sum(run["cpu_s"] for run in of) / len(of)
        lines.append(f"| {name} | {of[0]['presentations']:,} | {text} | {cpu:.0f} s |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fidelity", choices=("phase", "transient"), default="phase")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    of = known.setdefault(options.fidelity, {})
    for name in options.tasks:
        for seed in range(options.seeds):
            runs = of.setdefault(name, {})
            if str(seed) not in runs:
                runs[str(seed)] = measure(name, seed, options.fidelity)
                RESULT.write_text(json.dumps(known, indent=1) + "\n")
                print(name, seed, runs[str(seed)], flush=True)
    print(table(of))


if __name__ == "__main__":
    main()
