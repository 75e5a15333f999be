"""How fast may the clock be? One schedule, shrunk step by step, wholly in full transient.

    python studies/clock.py

Preset `reciprocal` learns XOR at each clock. Preset `reference` presents 20 points of the sine at each, and
what it writes is compared with what it writes at its own clock: it learns too slowly to be trained at every
one, so only the fastest clock at which those agree within a tenth is trained, for --train-epochs epochs.
Energy is that of the trained network. Adds to studies/results/clock.json and prints tables (Markdown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eqspice as eq
from eqspice.training import trainer
from eqspice.training.build import initial_weights
from eqspice.training.experiment import Experiment, make_experiment
from eqspice.units import format_si

RESULT = Path(__file__).parent / "results" / "clock.json"
STEPS = {
    "reciprocal": (50e-9, 5e-9, 500e-12, 100e-12, 50e-12, 20e-12, 10e-12, 5e-12, 2e-12),
    "reference": (2e-6, 200e-9, 20e-9, 2e-9, 500e-12, 200e-12, 100e-12, 50e-12, 20e-12),
}
PRESENTATIONS = 20
AGREE = 0.1


def reciprocal(step: float) -> Experiment:
    """XOR, ten epochs."""
    return make_experiment(
        {"task": {"name": "xor"}, "preset": "reciprocal", "learning": {"epochs": 10}},
        ["engine.fidelity=transient", f"design.timing.step={step}"],
    )


def reference(step: float, epochs: int = 1) -> Experiment:
    """The sine on four outputs."""
    return make_experiment(
        {"task": {"name": "sine"}, "preset": "reference", "learning": {"epochs": epochs, "lr": 0.01}},
        ["engine.fidelity=transient", f"design.timing.step={step}"],
    )


def trained(experiment: Experiment) -> dict[str, Any]:
    """Trains; returns what it reached and what a presentation costs then, or why it stopped."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = eq.train(experiment, out=Path(folder) / "run")
        except eq.errors.EqspiceError as error:
            return {"failed": str(error)}
        energy = run.energy()
        return {
            "test_nrmse": run.results["test_nrmse"],
            "test_accuracy": run.results["test_accuracy"],
            "cpu_s": run.results["cpu_s"],
            "presentation_s": energy.duration,
            "per_sample_J": energy.per_sample,
            "per_update_J": energy.per_update,
            "per_mac_J": energy.per_mac,
            "per_inference_mac_J": energy.per_inference_mac,
        }


def written(step: float) -> NDArray[np.float64]:
    """Returns what the first presentations to `reference` write into all weights, V."""
    bench = trainer.prepare(reference(step))
    before = trainer.write_weights(bench, initial_weights(bench.design, bench.experiment)).state
    chunk = trainer.epoch_chunks(bench, 0)[0]
    first = trainer.Chunk(0, 0, True, chunk.data.first(PRESENTATIONS), chunk.points[:PRESENTATIONS], 0)
    after = trainer.run_chunk(bench, first, before)[0].state
    pairs = zip(bench.weights(after), bench.weights(before), strict=True)
    return np.concatenate([(new - old).ravel() for new, old in pairs])


def table(known: dict[str, Any]) -> str:
    """Returns the results as Markdown."""
    lines = ["| `reciprocal`, step | presentation | XOR | NRMSE | per presentation | per update | per MAC |"]
    lines.append("|---|---|---|---|---|---|---|")
    for step, found in known.get("reciprocal", {}).items():
        name = format_si(float(step), "s")
        if "failed" in found:
            lines.append(f"| {name} | | {found['failed'].split(':')[0]} | | | | |")
            continue
        costs = [format_si(found[key], "J") for key in ("per_sample_J", "per_update_J", "per_mac_J")]
        lines.append(
            f"| {name} | {format_si(found['presentation_s'], 's')} | {100 * found['test_accuracy']:.1f} % "
            f"| {found['test_nrmse']:.3f} | {' | '.join(costs)} |"
        )
    lines += ["", "| `reference`, step | what it writes differs from that at 2 us by |", "|---|---|"]
    for step, apart in known.get("reference", {}).items():
        lines.append(f"| {format_si(float(step), 's')} | {100 * apart:.2g} % |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train-epochs", type=int, default=300)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}

    def keep(group: str, key: str, value: Any) -> None:
        known.setdefault(group, {})[key] = value
        RESULT.write_text(json.dumps(known, indent=1) + "\n")
        print(group, key, value, flush=True)

    for step in STEPS["reciprocal"]:
        if str(step) not in known.get("reciprocal", {}):
            keep("reciprocal", str(step), trained(reciprocal(step)))
    slow = written(STEPS["reference"][0])
    for step in STEPS["reference"]:
        if str(step) not in known.get("reference", {}):
            apart = np.linalg.norm(written(step) - slow) / np.linalg.norm(slow)
            keep("reference", str(step), float(apart))
    fastest = min(float(step) for step, apart in known["reference"].items() if apart < AGREE)
    if str(fastest) not in known.get("reference trained", {}):
        keep("reference trained", str(fastest), trained(reference(fastest, options.train_epochs)))
    print(table(known))


if __name__ == "__main__":
    main()
