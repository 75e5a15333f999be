"""Learning in device noise: under each kind, all together, at how much of it each task breaks, and remedies.

    python studies/noise.py --part kinds
    python studies/noise.py --part levels
    python studies/noise.py --part transient
    python studies/noise.py --part places --tasks sine moons --seeds 1
    python studies/noise.py --part remedies --tasks sine moons

`levels` multiplies the amplitude of all noise. `places` holds a network that was trained without noise, and
measures what noise adds where; it also exchanges the conditions of training and of use. Adds to
studies/results/noise.json, prints tables (Markdown).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eqspice as eq
from eqspice.analysis import metrics
from eqspice.design import schedule as sc
from eqspice.engines.base import Save
from eqspice.errors import ConvergenceError, InputError
from eqspice.report import style
from eqspice.training.bench import evaluate, prepare, write_weights
from eqspice.training.experiment import Experiment, make_experiment

FloatArray = NDArray[np.float64]
RESULT = Path(__file__).parent / "results" / "noise.json"
FIGURES = ("train_nrmse", "test_nrmse", "test_accuracy", "presentations", "cpu_s")
PHASES = ("first", "second")
ALL = ("thermal", "flicker", "shot")
KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "thermal": ("thermal",),
    "flicker": ("flicker",),
    "shot": ("shot",),
    "all": ALL,
}
LEVELS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
COLUMN = "design.column_capacitance=1e-12"
GROWTH = "learning.nudge_growth=10"
REMEDIES: dict[str, tuple[str, ...]] = {
    "none": (),
    "1 pF per column": (COLUMN,),
    "nudges grow to ten times": (GROWTH,),
    "both with 0.2 pF": ("design.column_capacitance=2e-13", GROWTH),
    "both": (COLUMN, GROWTH),
}
POINTS = 128  # presentations by which `places` measures
TASKS: dict[str, tuple[str, ...]] = {
    "xor": ("learning.epochs=10",),
    "moons": ("learning.epochs=10",),
    "sine": ("learning.epochs=20",),
    "iris": ("learning.epochs=10",),
}


def experiment(
    task: str, kinds: tuple[str, ...], level: float, fidelity: str, seed: int, changes: tuple[str, ...] = ()
) -> Experiment:
    """Returns the experiment of a task in noise."""
    engine = {"fidelity": fidelity, "noise": kinds, "noise_level": level}
    settings = {"task": {"name": task}, "preset": "reciprocal", "engine": engine, "seed": seed}
    return make_experiment(settings, [*TASKS[task], *changes])


def trained(chosen: Experiment) -> tuple[dict[str, Any], list[FloatArray]]:
    """Trains once; returns figures, the held-out ones measured in the same noise, and the weights."""
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(chosen, out=Path(folder) / "run")
        return {key: run.results[key] for key in FIGURES}, run.weights


def measure(
    task: str, kinds: tuple[str, ...], level: float, fidelity: str, seed: int, changes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Trains once in noise; returns figures, or why it failed."""
    try:
        return trained(experiment(task, kinds, level, fidelity, seed, changes))[0]
    except (ConvergenceError, InputError) as error:
        return {"failed": str(error)}


def held(chosen: Experiment, weights: list[FloatArray]) -> dict[str, FloatArray]:
    """Presents points with the nudges and without writing; returns outputs and held values, V.

    Of each layer: the change of its columns between the nudged phases, and the update per unit of gain, V².
    """
    bench = prepare(chosen)
    design, task = bench.design, bench.task
    state = write_weights(bench, weights).state
    rng = np.random.default_rng(0)
    points = rng.integers(len(task.x), size=POINTS)
    rows = sc.random_rows(design, POINTS, "parallel", rng)
    data = sc.Presentations(task.x[points], task.y[points], rows, rate=np.zeros(POINTS))
    plan = sc.presentation_schedule(design, data, state.time)

    def read(nodes: list[str], times: FloatArray) -> FloatArray:
        solution = bench.session.run(plan.stimulus, state, Save(tuple(nodes), times))
        return solution.raise_for_status().waveforms.values

    found = {
        "output": bench.output_readout.of(read(list(bench.outputs), plan.free_ends)),
        "stored error": read([f"loss_{k}.held_error" for k in range(design.widths[-1])], plan.middles[:, 2]),
    }
    for layer in range(design.layers):
        inputs, outputs = design.shape(layer)
        nodes = [f"layer{layer}.column_{j}_{phase}" for phase in PHASES for j in range(outputs)]
        phases = PHASES if layer else PHASES[:1]  # rows of data do not move
        nodes += [f"layer{layer}.row_{i}_{phase}" for phase in phases for i in range(inputs)]
        values = read(nodes, plan.middles[:, 2])
        c1, c2, a1, *moved = np.split(
            values, np.cumsum([outputs, outputs, *(inputs,) * (len(phases) - 1)]), axis=1
        )
        a2 = moved[0] if moved else a1
        found[f"change of columns of layer {layer}"] = c1 - c2
        found[f"update of layer {layer}"] = a1[:, :, None] * c1[:, None] - a2[:, :, None] * c2[:, None]
    return found


def rms(values: FloatArray) -> float:
    """Returns the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def places(task: str, seed: int) -> dict[str, Any]:
    """Measures where noise enters, and exchanges the conditions of training and of use."""
    conditions = {"without": (), "in noise": ALL}
    weights, found = {}, {}
    for name, kinds in conditions.items():
        _, weights[name] = trained(experiment(task, kinds, 1.0, "phase", seed))
        for used, of_use in conditions.items():
            bench = prepare(experiment(task, of_use, 1.0, "phase", seed))
            predicted = evaluate(bench, write_weights(bench, weights[name]).state, bench.task.x_test)
            found[f"trained {name}, used {used}"] = metrics.nrmse(predicted, bench.task.y_test)
    for remedy, changes in REMEDIES.items():
        if GROWTH in changes:
            continue
        quiet = held(experiment(task, (), 1.0, "phase", seed, changes), weights["without"])
        for name in ("all", *ALL):
            noisy = held(experiment(task, KINDS[name], 1.0, "phase", seed, changes), weights["without"])
            for place, values in quiet.items():
                entry = found.setdefault(remedy, {}).setdefault(place, {"signal": rms(values)})
                entry[name] = rms(noisy[place] - values)
    return found


def place_table(task: str, found: dict[str, Any]) -> list[str]:
    """Returns lines of a table: signal and noise by place, mV or mV² per mV of a row at 1 V."""
    lines = [f"{name}: {value:.3f}" for name, value in found.items() if isinstance(value, float)]
    lines += [f"| {task} | signal | all | thermal | flicker | shot |", "|---" * 6 + "|"]
    for remedy, of in found.items():
        for place, entry in of.items() if isinstance(of, dict) else ():
            values = " | ".join(f"{1e3 * value:.3g}" for value in entry.values())
            lines.append(f"| {remedy}: {place} | {values} |")
    return lines


def cell(runs: list[dict[str, Any]]) -> str:
    """Returns a table's entry: NRMSE by seed, and accuracy where it is not 100 %."""
    if any("failed" in run for run in runs):
        return "calibration finds nothing to learn"
    text = " ".join(f"{run['test_nrmse']:.3f}" for run in runs)
    accuracies = [run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
    if accuracies and min(accuracies) < 1.0:
        text += f" ({' '.join(f'{100 * value:.0f}' for value in accuracies)} %)"
    return text


def picture(known: dict[str, Any], path: Path) -> None:
    """Draws held-out NRMSE over the level of noise, and under each remedy, mean of the seeds."""

    def mean(runs: dict[str, Any]) -> float:
        return float(np.mean([run["test_nrmse"] for run in runs.values()]))

    with style.styled():
        figure = style.new_figure(9.0, 3.4)
        levels, remedies = figure.subplots(1, 2)
        for task, found in known["levels"].items():
            at = sorted(float(level) for level in found if level != "0")
            levels.loglog(at, [mean(found[f"{level:g}"]) for level in at], "o-", label=task)
        levels.set_xlabel("amplitude of all noise, as a multiple of the real one")
        levels.set_ylabel("held-out NRMSE")
        levels.legend()
        names = [*REMEDIES, "both, no noise"]
        width = 0.8 / len(known["remedies"])
        for place, (task, found) in enumerate(known["remedies"].items()):
            rows = np.arange(len(names)) + (place - 0.5) * width
            colour = f"C{list(known['levels']).index(task)}"
            remedies.barh(rows, [mean(found[name]) for name in names], width, label=task, color=colour)
        remedies.set_yticks(range(len(names)), names)
        remedies.invert_yaxis()
        remedies.set_xlabel("held-out NRMSE, real noise")
        remedies.legend()
        path.write_bytes(style.png(figure))


def columns_of(part: str) -> dict[str, tuple[tuple[str, ...], float, tuple[str, ...]]]:
    """Returns what a part's table compares: name: kinds of noise, level, settings."""
    if part == "kinds":
        return {name: (kinds, 1.0, ()) for name, kinds in KINDS.items()}
    if part == "levels":
        return {f"{level:g}": (ALL if level else (), level or 1.0, ()) for level in LEVELS}
    if part == "remedies":
        found = {name: (ALL, 1.0, settings) for name, settings in REMEDIES.items()}
        return found | {"both, no noise": ((), 1.0, REMEDIES["both"])}
    return {"all": (ALL, 1.0, ())}


def find_places(known: dict[str, Any], tasks: list[str], seeds: int) -> None:
    """Adds the part `places` to the results and prints it."""
    for task, seed in product(tasks, map(str, range(seeds))):
        runs = known.setdefault("places", {}).setdefault(task, {})
        if seed not in runs:
            runs[seed] = places(task, int(seed))
            RESULT.write_text(json.dumps(known, indent=1) + "\n")
        print("\n".join(place_table(task, runs[seed])), flush=True)


def learn(known: dict[str, Any], part: str, tasks: list[str], seeds: int) -> None:
    """Adds a part that learns to the results and prints its table."""
    of = known.setdefault(part, {})
    columns = columns_of(part)
    fidelity = "transient" if part == "transient" else "phase"
    for task, (name, column), seed in product(tasks, columns.items(), map(str, range(seeds))):
        kinds, level, changes = column
        runs = of.setdefault(task, {}).setdefault(name, {})
        if seed not in runs:
            runs[seed] = measure(task, kinds, level, fidelity, int(seed), changes)
            RESULT.write_text(json.dumps(known, indent=1) + "\n")
            print(task, name, seed, runs[seed], flush=True)
    print(f"| task | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for task, found in of.items():
        print(f"| {task} | {' | '.join(cell(list(found.get(name, {}).values())) for name in columns)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = ("kinds", "levels", "transient", "places", "remedies")
    parser.add_argument("--part", choices=parts, required=True)
    parser.add_argument("--tasks", nargs="+", default=["xor"], choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--picture", type=Path, help="file for a picture of levels and remedies")
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if options.part == "places":
        find_places(known, options.tasks, options.seeds)
    else:
        learn(known, options.part, options.tasks, options.seeds)
    if options.picture:
        picture(known, options.picture)


if __name__ == "__main__":
    main()
