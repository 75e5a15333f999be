"""What does each choice of the preset `reciprocal` do for what is learned? One change at a time.

    python studies/ablations.py --tasks surface moons --seeds 2

Adds to studies/results/ablations.json what is missing there and prints a table (Markdown): held-out NRMSE
for the surface, held-out accuracy for classes, mean over seeds.
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

RESULT = Path(__file__).parent / "results" / "ablations.json"
TASKS = {
    "surface": ("task.options.samples=400", "learning.epochs=10"),
    "moons": ("learning.epochs=5",),
    "digits": ("learning.epochs=1",),
}
WEAK_NUDGE = "learning.lr=0.0003"  # a cell without a common-mode balance does not bear the strong one
OFFSET = "design.multiplier_offset=0.001"
CHANGES: dict[str, tuple[str, ...]] = {
    "as shipped": (),
    "cell: complementary": ("design.synapse=complementary",),
    "cell: split nfets": ("design.synapse=split_nfet",),
    "cell: two nfets against ground": ("design.synapse=two_nfet", WEAK_NUDGE),
    "gain 4": ("design.gain=4", "design.back_gain=0.25"),
    "gain 16": ("design.gain=16", "design.back_gain=0.0625"),
    "back gain 3/g": ("design.back_gain=0.09375", "design.output_back_gain=0.375"),
    "no clamp": ("design.clamp.voltage=0",),
    "clamp at ±0.4 V": ("design.clamp.voltage=0.4",),
    "rule: product": ("design.rule=product",),
    "rule: sign of the column's change": ("design.rule=sign",),
    "one-sided nudge": ("design.nudges=one_sided",),
    "one row per presentation": ("learning.rows=one",),
    "first layer corrects a tenth": ("learning.correction=[0.03,0.3]",),
    "last layer corrects a tenth": ("learning.correction=[0.3,0.03]",),
    "not annealed": ("learning.anneal=0",),
    "offset 1 mV": (OFFSET,),
    "offset 1 mV, nudge sign fixed": (OFFSET, "design.chop=false"),
    "the same, auto-zero": (OFFSET, "design.chop=false", "design.auto_zero=true"),
}


def measure(task: str, change: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Trains once and returns held-out figures and cost; what could not be run says why."""
    settings = {"task": {"name": task}, "preset": "reciprocal", "engine": {"fidelity": "phase"}, "seed": seed}
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = eq.train(make_experiment(settings, [*TASKS[task], *change]), out=Path(folder) / "run")
            found = run.results
    except (ConvergenceError, InputError) as error:
        return {"failed": str(error)}
    keys = ("test_nrmse", "test_accuracy", "train_nrmse", "presentations", "cpu_s")
    return {key: found[key] for key in keys}


def cell(runs: list[dict[str, Any]], task: str) -> str:
    """Returns the table's entry: mean over seeds."""
    if not runs:
        return ""
    if any("failed" in run for run in runs):
        return "does not run"
    if task == "surface":
        return f"{sum(run['test_nrmse'] for run in runs) / len(runs):.3f}"
    return f"{100 * sum(run['test_accuracy'] for run in runs) / len(runs):.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--changes", nargs="+", default=list(CHANGES), choices=list(CHANGES))
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for change in options.changes:
        for task in options.tasks:
            for seed in range(options.seeds):
                runs = known.setdefault(change, {}).setdefault(task, {})
                if str(seed) not in runs:
                    runs[str(seed)] = measure(task, CHANGES[change], seed)
                    RESULT.write_text(json.dumps(known, indent=1) + "\n")
    print(f"| change | {' | '.join(TASKS)} |\n|---|{'---|' * len(TASKS)}")
    for change, tasks in known.items():
        row = " | ".join(cell(list(tasks.get(task, {}).values()), task) for task in TASKS)
        print(f"| {change} | {row} |")


if __name__ == "__main__":
    main()
