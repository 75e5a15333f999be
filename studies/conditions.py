"""What chips, corners, temperatures and idle time do to a network that was trained without them, or with.

    python studies/conditions.py --parts mismatch corners retention --picture docs/img/corners.png

Adds to studies/results/conditions.json what is missing there and prints tables (Markdown); the picture shows
the corners. Preset
`reciprocal`, phase fidelity, held-out NRMSE, and accuracy where it is not 100 %.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import eqspice as eq
from eqspice.errors import ConvergenceError, InputError
from eqspice.report import style
from eqspice.training import usage
from eqspice.training.experiment import make_experiment
from eqspice.training.retention import LINES, after

RESULT = Path(__file__).parent / "results" / "conditions.json"
TASKS = {
    "xor": ("learning.epochs=5",),
    "moons": ("learning.epochs=8",),
    "sine": ("learning.epochs=20",),
}
CHIPS = range(100, 108)
OWN_CHIP = 100
MISMATCH = {
    "transistors, 1 sigma": ("mismatch.sigma=1",),
    "transistors, 3 sigma": ("mismatch.sigma=3",),
    "transistors, 10 sigma": ("mismatch.sigma=10",),
    "and capacitors, amplifiers, 1 sigma": (
        "mismatch.sigma=1",
        'mismatch.parts=["transistors","capacitors","amplifiers"]',
    ),
}
UPDATE_PATH = {
    f"multipliers, {volts * 1e3:g} mV": (
        "mismatch.sigma=1",
        'mismatch.parts=["multipliers"]',
        f"mismatch.multiplier_offset={volts}",
    )
    for volts in (1e-4, 1e-3, 4.7e-3)
}
POINTS = list(product(("tt", "ss", "ff", "sf", "fs"), (27, -40, 85, 125)))
TRAINED_AT = [("ss", -40), ("ff", 125)]
IDLE = (1e-2, 0.1, 1.0, 10.0)  # s
Figures = dict[str, float]
Condition = tuple[str, Callable[[], Any]]


def experiment(task: str, seed: int, *changes: str) -> eq.Experiment:
    """Returns the experiment of a task."""
    settings = {"task": {"name": task}, "preset": "reciprocal", "engine": {"fidelity": "phase"}, "seed": seed}
    return make_experiment(settings, [*TASKS[task], *changes])


def train(chosen: eq.Experiment) -> tuple[list[np.ndarray], tuple[float, ...], Figures]:
    """Returns weights, update gains and held-out figures of a run."""
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(chosen, out=Path(folder) / "run")
        gains = tuple(run.manifest["calibration"]["update_gains"])
        return run.weights, gains, {k: run.results[k] for k in ("test_nrmse", "test_accuracy")}


def trained(task: str, seed: int, changes: tuple[str, ...]) -> Figures:
    """Returns figures of a network that is trained where it is used."""
    return train(experiment(task, seed, *changes))[2]


class Study:
    """Results by task, seed and condition, kept in a file."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        self.trained: dict[tuple[str, int], Any] = {}

    def once(self, part: str, task: str, seed: int, name: str, measure: Callable[[], Any]) -> None:
        """Measures what is not known yet."""
        runs = self.known.setdefault(part, {}).setdefault(task, {}).setdefault(str(seed), {})
        if name not in runs:
            try:
                runs[name] = measure()
            except (ConvergenceError, InputError) as error:
                runs[name] = {"failed": str(error)}
            RESULT.write_text(json.dumps(self.known, indent=1) + "\n")
            print(part, task, seed, name, runs[name], flush=True)

    def nominal(self, task: str, seed: int) -> Any:
        """Returns the run without mismatch at tt, 27 degrees, trained when first asked for."""
        if (task, seed) not in self.trained:
            self.trained[task, seed] = train(experiment(task, seed))
        return self.trained[task, seed]

    def transferred(self, task: str, seed: int, changes: tuple[str, ...], chips: range) -> Figures:
        """Returns figures of the nominal weights under other conditions."""
        weights, gains, _ = self.nominal(task, seed)
        bench = usage.prepare_use(experiment(task, seed), changes, gains)
        return usage.summary(usage.use(bench, weights, chips))

    def idle(self, task: str, seed: int, degrees: int, line: Any, seconds: float) -> Figures:
        """Returns figures of the nominal weights after idle time."""
        weights, gains, _ = self.nominal(task, seed)
        bench = usage.prepare_use(experiment(task, seed), [f"pdk.temperature={degrees}"], gains)
        return usage.summary(usage.use(bench, weights, (), after(bench.design, seconds, line)))

    def mismatch(self, task: str, seed: int) -> Iterator[Condition]:
        """Transfer to mismatched chips against training on them."""
        yield "none", lambda: self.nominal(task, seed)[2]
        for name, changes in (MISMATCH | UPDATE_PATH).items():
            if name in MISMATCH:  # multipliers do nothing in free phases
                yield f"{name}, transferred", partial(self.transferred, task, seed, changes, CHIPS)
            own = (*changes, f"mismatch.seed={OWN_CHIP}")
            yield f"{name}, trained on chip {OWN_CHIP}", partial(trained, task, seed, own)

    def corners(self, task: str, seed: int) -> Iterator[Condition]:
        """Used at corners and temperatures, and trained at the outermost."""
        for corner, degrees in POINTS:
            changes = (f"pdk.corner={corner}", f"pdk.temperature={degrees}")
            yield f"{corner} {degrees}", partial(self.transferred, task, seed, changes, range(0))
        for corner, degrees in TRAINED_AT:
            changes = (f"pdk.corner={corner}", f"pdk.temperature={degrees}")
            yield f"trained at {corner} {degrees}", partial(trained, task, seed, changes)

    def retention(self, task: str, seed: int) -> Iterator[Condition]:
        """After idle times, bit lines at ground or parked in the middle of the storage voltages."""
        for degrees, line, seconds in product((27, 85), LINES, IDLE):
            yield f"{degrees} {line} {seconds:g}", partial(self.idle, task, seed, degrees, line, seconds)


def shown(task: str, figures: Figures) -> str:
    """Returns NRMSE, and accuracy in per cent where it is not 100; of several chips also the worst."""
    if "failed" in figures:
        return "does not learn"
    text = f"{figures['test_nrmse']:.3f}"
    if figures.get("test_nrmse_sigma"):
        text += f" ({figures['test_nrmse_worst']:.3f})"
    accuracy = figures.get("test_accuracy")
    return text if task == "sine" or accuracy in (None, 1.0) else f"{text} {100 * accuracy:.0f} %"


def table(part: dict[str, Any]) -> str:
    """Returns the results of a part: a line per condition, a column per task, a figure per seed."""
    names = dict.fromkeys(name for seeds in part.values() for runs in seeds.values() for name in runs)
    lines = [f"| | {' | '.join(part)} |", "|---" * (len(part) + 1) + "|"]
    for name in names:
        found = ([runs[name] for runs in seeds.values() if name in runs] for seeds in part.values())
        columns = (
            " ".join(shown(task, each) for each in runs) for task, runs in zip(part, found, strict=True)
        )
        lines.append(f"| {name} | {' | '.join(columns)} |")
    return "\n".join(lines)


def picture(corners: dict[str, Any], path: Path) -> None:
    """Draws held-out NRMSE over corners and temperatures, mean of the seeds, a map per task."""
    degrees = sorted({at for _, at in POINTS})
    kinds = list(dict.fromkeys(corner for corner, _ in POINTS))
    with style.styled():
        figure = style.new_figure(4.4 * len(corners), 3.2)
        axes = figure.subplots(1, len(corners), squeeze=False)
        for axis, (task, seeds) in zip(axes[0], corners.items(), strict=True):
            values = np.full((len(degrees), len(kinds)), np.nan)
            for corner, at in POINTS:
                found = [runs[f"{corner} {at}"]["test_nrmse"] for runs in seeds.values()]
                values[degrees.index(at), kinds.index(corner)] = np.mean(found)
            axis.imshow(values, origin="lower", cmap="Blues", aspect="auto", vmin=0.0)
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    colour = "white" if value > 0.6 * np.nanmax(values) else "black"
                    axis.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour)
            axis.grid(visible=False)
            axis.set_xticks(range(len(kinds)), kinds)
            axis.set_yticks(range(len(degrees)), [f"{at} °C" for at in degrees])
            axis.set_title(f"{task}: held-out NRMSE, trained at tt, 27 °C")
        path.write_bytes(style.png(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parts = ("mismatch", "corners", "retention")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="file for the picture of the corners")
    options = parser.parse_args()
    study = Study()
    for part in options.parts:
        for task in options.tasks:
            for seed in range(options.seeds):
                for name, measure in getattr(study, part)(task, seed):
                    study.once(part, task, seed, name, measure)
    for part, found in study.known.items():
        print(f"\n{part}\n\n{table(found)}")
    if options.picture:
        picture(study.known["corners"], options.picture)


if __name__ == "__main__":
    main()
