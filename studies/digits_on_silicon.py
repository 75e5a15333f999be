"""Digits with everything: device noise, mismatch, real write transistors with their leakage, on twenty chips.

    python studies/digits_on_silicon.py --chips 20

One network learns without any of it, in phase fidelity. Its weights are then written into each chip through
the chip's own write transistors, and the test set is presented. Remedy: the chip keeps learning for some
hundred presentations, in its own noise, at a tenth of the update gains, which fall to zero meanwhile. Adds to
studies/results/digits_on_silicon.json, keeps the weights beside it, and prints a table (Markdown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import eqspice as eq
from eqspice.analysis import metrics
from eqspice.training import trainer
from eqspice.training.bench import Bench, evaluate, write_weights
from eqspice.training.experiment import Experiment, make_experiment
from eqspice.training.sections import EngineChoice, Learning, MismatchChoice

RESULT = Path(__file__).parent / "results" / "digits_on_silicon.json"
WEIGHTS = RESULT.with_suffix(".npz")
EPOCHS = 8
NOISE = ("thermal", "flicker", "shot")
ALL = "and offsets of amplifiers, capacitors"
PARTS = ("transistors", "capacitors", "amplifiers")
CONDITIONS: dict[str, dict[str, Any]] = {
    "real write transistors": {},
    "and noise": {"noise": NOISE},
    "and mismatch": {"noise": NOISE, "sigma": 1.0},
    ALL: {"noise": NOISE, "sigma": 1.0, "parts": PARTS},
    "all of it, 10 sigma": {"noise": NOISE, "sigma": 10.0, "parts": PARTS},
}
SLOWER = 0.1  # update gains of the remedy; at those of training it makes a good chip worse


def trained() -> tuple[Experiment, dict[str, Any]]:
    """Returns the experiment and its weights and update gains, trained once and kept."""
    settings = {"task": {"name": "digits"}, "preset": "reciprocal", "learning": {"epochs": EPOCHS}}
    experiment = make_experiment(settings, ["engine.fidelity=phase"])
    if not WEIGHTS.exists():
        with tempfile.TemporaryDirectory() as folder:
            run = eq.train(experiment, out=Path(folder) / "run", progress=True)
            found = {f"weights_{layer}": matrix for layer, matrix in enumerate(run.weights)}
            gains = np.array(run.manifest["calibration"]["update_gains"])
            accuracy = np.array(run.results["test_accuracy"])
            np.savez(WEIGHTS, gains=gains, accuracy=accuracy, **found)  # type: ignore[arg-type]
    with np.load(WEIGHTS) as kept:
        return experiment, dict(kept)


def on_silicon(
    experiment: Experiment, kept: dict[str, Any], presentations: int, noise: Any = (), **mismatch: Any
) -> Bench:
    """Returns the set-up with real write transistors, noise, mismatch and the trained weights."""
    changed = experiment.changed(
        design={"write": "transistor"},
        weights=tuple(kept[f"weights_{layer}"] for layer in range(2)),
        mismatch=MismatchChoice(**mismatch),
        engine=EngineChoice(fidelity="phase", noise=tuple(noise)),
        learning=Learning(
            epochs=1, samples=presentations, anneal=1.0, update_gain=tuple(SLOWER * kept["gains"])
        ),
    )
    return trainer.prepare(changed)


def accuracy(bench: Bench, state: Any) -> float:
    """Returns the share of the test set that is classified right, free phases only."""
    labels = bench.task.labels_test
    assert bench.task.x_test is not None and labels is not None
    return float(metrics.accuracy(evaluate(bench, state, bench.task.x_test), labels))


def keep_learning(bench: Bench, state: Any) -> Any:
    """Presents the training set for a while; returns the state after it."""
    for chunk in trainer.epoch_chunks(bench, 0):
        state = trainer.run_chunk(bench, chunk, state)[0].state
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chips", type=int, default=20)
    parser.add_argument("--presentations", type=int, default=300, help="of the remedy")
    parser.add_argument("--remedied", type=int, default=5, help="chips that keep learning, per condition")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    experiment, kept = trained()
    known["trained and used without any of it"] = float(kept["accuracy"])
    for name, what in CONDITIONS.items():
        several = "parts" in what
        chips = options.chips if several else 1
        runs = known.setdefault(name, {})
        bench = None
        for chip in range(100, 100 + chips):
            if str(chip) in runs:
                continue
            bench = bench or on_silicon(experiment, kept, options.presentations, **what)
            here = bench.on_chip(chip) if "sigma" in what else bench
            state = write_weights(here, list(here.experiment.weights or ())).state
            found = {"transferred": accuracy(here, state)}
            if several and chip < 100 + options.remedied:
                found["kept learning"] = accuracy(here, keep_learning(here, state))
            runs[str(chip)] = found
            RESULT.write_text(json.dumps(known, indent=1) + "\n")
            print(name, chip, found, flush=True)
    print(table(known))


def table(known: dict[str, Any]) -> str:
    """Returns the results as Markdown."""
    lines = ["| | chips | transferred, mean (worst) | after learning on, mean (worst) |", "|---|---|---|---|"]
    for name, runs in known.items():
        if not isinstance(runs, dict):
            lines.append(f"| {name} | | {100 * runs:.1f} % | |")
            continue
        cells = []
        for key in ("transferred", "kept learning"):
            values = [100 * run[key] for run in runs.values() if key in run]
            cells.append(f"{np.mean(values):.1f} % ({min(values):.1f} %)" if values else "")
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
