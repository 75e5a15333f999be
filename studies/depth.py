"""Do two hidden layers learn what one hidden layer of as many synapses does not?

    python studies/depth.py --tasks "moons, 800 points" --seeds 5

Preset `reciprocal`, phase fidelity, the same recipe, presentations and data on both sides, held-out points.
Adds to studies/results/depth.json what is missing there and prints a table (Markdown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import eqspice as eq
from eqspice.training.experiment import make_experiment

RESULT = Path(__file__).parent / "results" / "depth.json"
# name: task, its settings, and the networks, hidden layers with settings of their own
Network = tuple[str, tuple[str, ...]]
EQUAL: tuple[Network, ...] = (("10,10", ()), ("37", ()))  # 151 and 149 synapses with two inputs
TASKS: dict[str, tuple[str, tuple[str, ...], tuple[Network, ...]]] = {
    "moons, 800 points": ("moons", ("task.options.samples=800", "learning.epochs=5"), EQUAL),
    "moons, 200 points": (
        "moons",
        ("learning.epochs=20",),
        (*EQUAL, ("10,10", ("design.limit_relief=0",)), ("10,10", ("design.next_load=1000",))),
    ),
    "xor, noise 0.3, 400 points": (
        "xor",
        ("task.options.noise=0.3", "task.options.samples=400", "learning.epochs=5"),
        EQUAL,
    ),
    "spirals of two turns": (
        "spirals",
        ("task.options.turns=2", "design.weight_spread=0.8", "learning.epochs=30"),
        (("14,14", ()), ("66", ())),
    ),
}
KEYS = ("test_nrmse", "test_accuracy", "train_nrmse", "presentations", "cpu_s", "wall_s")


def measure(task: str, settings: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Trains once and returns the run's results."""
    overrides = ["preset=reciprocal", "engine.fidelity=phase", *settings, f"seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(make_experiment({"task": {"name": task}}, overrides), out=Path(folder) / "run")
        synapses = run.manifest["circuit"]["synapses"]
        return {key: run.results[key] for key in KEYS} | {"synapses": synapses}


def label(network: Network) -> str:
    """Returns what a network is called in results and table."""
    hidden, settings = network
    return ", ".join((hidden.replace(",", "-"), *settings))


def table(known: dict[str, Any]) -> str:
    """Returns the results as Markdown."""
    lines = [
        "| task | hidden layers | synapses | presentations | held-out NRMSE, by seed | accuracy, % | CPU |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, networks in known.items():
        for name, runs in networks.items():
            of = [runs[seed] for seed in sorted(runs)]
            errors = " ".join(f"{run['test_nrmse']:.3f}" for run in of)
            mean = sum(run["test_nrmse"] for run in of) / len(of)
            right = "–"
            if of[0]["test_accuracy"] is not None:
                right = " ".join(f"{100 * run['test_accuracy']:.1f}" for run in of)
                right += f", mean {100 * sum(run['test_accuracy'] for run in of) / len(of):.1f}"
            cpu = sum(run["cpu_s"] for run in of) / len(of)
            lines.append(
                f"| {task} | {name} | {of[0]['synapses']} | {of[0]['presentations']:,} "
                f"| {errors}, mean {mean:.3f} | {right} | {cpu:.0f} s |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--networks", nargs="+", type=int, help="places in the task's list, from 0; else all")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in options.tasks:
        task, settings, networks = TASKS[name]
        chosen = networks if options.networks is None else [networks[place] for place in options.networks]
        for seed in range(options.seeds):
            for network in chosen:
                runs = known.setdefault(name, {}).setdefault(label(network), {})
                if str(seed) not in runs:
                    own = (*settings, f"network.hidden=[{network[0]}]", *network[1])
                    runs[str(seed)] = measure(task, own, seed)
                    RESULT.write_text(json.dumps(known, indent=1) + "\n")
                    print(name, label(network), seed, runs[str(seed)], flush=True)
    print(table(known))


if __name__ == "__main__":
    main()
