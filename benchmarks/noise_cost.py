"""What device noise costs: CPU time of presentations with noise over that without.

    python benchmarks/noise_cost.py --seeds 3      # three minutes

With each seed and preset the same presentations are simulated, one core, with each choice of noise in
turn, REPEATS times; the medians are compared. Update gains are calibrated as in a training run. Writes
benchmarks/results/noise_cost.json and prints a table (Markdown).
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from eqspice.design import schedule as sc
from eqspice.engines.base import Save, Statistics
from eqspice.engines.native.options import NOISE_KINDS
from eqspice.training.bench import prepare, write_weights
from eqspice.training.build import initial_weights, learning_of
from eqspice.training.calibrate import calibrate
from eqspice.training.experiment import make_experiment
from eqspice.training.trainer import chunk_origin, draw_epoch

RESULT = Path(__file__).parent / "results" / "noise_cost.json"
CHOICES: dict[str, tuple[str, ...]] = {"none": (), "thermal": ("thermal",), "all kinds": NOISE_KINDS}
PRESENTATIONS = {"phase": 32, "transient": 6}
REPEATS = 7
NETWORKS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "reference 3-32-4": ({"name": "sine", "options": {"outputs": 4}}, ("learning.lr=0.01",)),
    "reciprocal 3-32-1": ({"name": "sine"}, ()),
}


def measure(network: str, fidelity: str, seed: int) -> dict[str, dict[str, float]]:
    """Returns the median CPU time and the counts of the engine for each choice of noise."""
    task, settings = NETWORKS[network]
    common = [*settings, f"preset={network.split()[0]}", f"engine.fidelity={fidelity}", f"seed={seed}"]
    runs, update_gains = {}, None
    for name, kinds in CHOICES.items():
        experiment = make_experiment({"task": task, "engine": {"noise": kinds}}, common)
        bench = prepare(experiment)
        state = write_weights(bench, initial_weights(bench.design, experiment)).state
        if learning_of(experiment).calibrate:
            update_gains = update_gains or calibrate(bench, state).update_gains
            bench.learn_with(update_gains)
        chunk = draw_epoch(experiment, bench.design, bench.task, 0)[0]
        data = chunk.data.first(PRESENTATIONS[fidelity])
        plan = sc.presentation_schedule(bench.design, data, chunk_origin(bench, chunk))
        runs[name] = (bench.session, plan.stimulus, state, Save(bench.outputs, plan.free_ends))
    times: dict[str, list[float]] = {name: [] for name in runs}
    counts: dict[str, Statistics] = {}
    for _ in range(REPEATS):
        for name, (session, *what) in runs.items():
            counts[name] = session.run(*what).raise_for_status().statistics
            times[name].append(counts[name].cpu_s)
    return {
        name: {
            "cpu_s": statistics.median(times[name]),
            "time_steps": counts[name].time_steps,
            "newton_iterations": counts[name].newton_iterations,
            "device_evaluations": counts[name].device_evaluations,
        }
        for name in runs
    }


def table(found: dict[str, dict[str, list[dict[str, dict[str, float]]]]]) -> str:
    """Returns ratios as Markdown: mean over seeds, least and most in brackets."""
    lines = ["| | fidelity | CPU | time steps | Newton iterations |", "|---|---|---|---|---|"]
    for network, fidelities in found.items():
        for name in list(CHOICES)[1:]:
            for fidelity, seeds in fidelities.items():
                cells = []
                for count in ("cpu_s", "time_steps", "newton_iterations"):
                    ratios = [runs[name][count] / runs["none"][count] for runs in seeds]
                    mean, least, most = statistics.mean(ratios), min(ratios), max(ratios)
                    cells.append(f"{mean:.2f} ({least:.2f} to {most:.2f})")
                lines.append(f"| `{network}`, {name} | {fidelity} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for network in options.networks:
        for fidelity in PRESENTATIONS:
            seeds = [measure(network, fidelity, seed) for seed in range(options.seeds)]
            found.setdefault(network, {})[fidelity] = seeds
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
