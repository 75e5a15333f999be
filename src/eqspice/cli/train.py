"""`eqspice train`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqspice.errors import InputError

if TYPE_CHECKING:
    from eqspice.run import Run
    from eqspice.training.checkpoint import Exist
    from eqspice.training.experiment import Experiment

EXAMPLES = (
    "eqspice train sine --preset reference --fidelity phase --epochs 300 --seed 0",
    "eqspice train digits --set network.hidden=[64] --set learning.lr=0.01 --out runs/digits",
    "eqspice train experiment.toml --set pdk.corner=ss",
    "eqspice train xor --fidelity phase --noise thermal,flicker,shot",
    "eqspice train --resume runs/digits",
)


def train(
    experiment: Annotated[
        str | None, typer.Argument(help="A task (see `eqspice tasks`) or an experiment file (.toml).")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Circuit; see `eqspice presets`.")] = None,
    fidelity: Annotated[
        str | None,
        typer.Option(help="transient: step by local error. phase: a few steps per phase (quasi-static)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How often the training set is presented.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    noise: Annotated[
        str | None,
        typer.Option(help="Kinds of device noise: any of thermal,flicker,shot.", metavar="KIND,…"),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value; may be given several times.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; if not given, a new one below runs/.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the interrupted run in this folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is at --out.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest's results as JSON, nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Write the report when done.")] = False,
) -> None:
    """Train a network: one continuous transient over all epochs, into a run folder."""
    from eqspice import run

    given: dict[str, Any] = {"preset": preset, "fidelity": fidelity, "epochs": epochs, "seed": seed}
    given["noise"] = None if noise is None else [kind.strip() for kind in noise.split(",") if kind.strip()]
    overrides = overrides_of(given) + (changes or [])
    if resume is not None:
        _check_resume(experiment, out, overwrite, given, changes)
        with _told_how_to_go_on(resume):
            result = run.resume(resume, epochs, progress=not quiet)
    else:
        chosen = read_experiment(experiment, overrides)
        folder = out or run.new_run_path(chosen)
        with _told_how_to_go_on(folder):
            exist: Exist = "overwrite" if overwrite else "error"
            result = run.train(chosen, out=folder, exist=exist, progress=not quiet)
    if as_json:
        typer.echo(json.dumps(result.results, indent=1))
    else:
        _print(result)
    if report:
        typer.echo(f"report {result.report()}", err=as_json)


@contextlib.contextmanager
def _told_how_to_go_on(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted. Go on with: eqspice train --resume {folder}", err=True)
        raise typer.Exit(130) from None


def read_experiment(name: str | None, overrides: list[str]) -> Experiment:
    """Returns the experiment of a task's name or of a TOML file, with overrides.

    Raises:
        InputError: neither a task nor a file, or settings that are not allowed.
    """
    from eqspice.training.experiment import load_experiment, make_experiment
    from eqspice.training.tasks import TASKS

    if name is None:
        raise InputError("a task or an experiment file is missing; `eqspice tasks` lists the tasks.")
    if name.endswith(".toml") or Path(name).is_file():
        return load_experiment(name, overrides)
    if name not in TASKS:
        raise InputError(
            f"task: {name!r} is not known and is no experiment file. Choose one of: {', '.join(TASKS)}."
        )
    return make_experiment({"task": {"name": name}}, overrides)


def overrides_of(given: dict[str, Any]) -> list[str]:
    """Returns the overrides "section.key=value" of the options that were given."""
    places = {"fidelity": "engine.fidelity", "epochs": "learning.epochs", "noise": "engine.noise"}
    return [
        f"{places.get(name, name)}={json.dumps(value)}" for name, value in given.items() if value is not None
    ]


def _check_resume(
    experiment: str | None,
    out: Path | None,
    overwrite: bool,
    given: dict[str, Any],
    changes: list[str] | None,
) -> None:
    """A resumed run has its own experiment; only its epochs may grow."""
    refused = [f"--{name}" for name, value in given.items() if value is not None and name != "epochs"]
    refused += ["--set"] if changes else []
    refused += ["--out"] if out is not None else []
    refused += ["--overwrite"] if overwrite else []
    refused += [f"the task {experiment!r}"] if experiment is not None else []
    if refused:
        raise InputError(
            f"--resume: {', '.join(refused)} cannot be given with it, the run has its own experiment; "
            "only --epochs may be raised."
        )


def _print(result: Run) -> None:
    from rich.console import Console
    from rich.table import Table

    results = result.results
    table = Table(box=None, show_header=False)
    test = results["test_nrmse"]
    table.add_row("train NRMSE", f"{results['train_nrmse']:.4f}")
    table.add_row("test NRMSE", "–" if test is None else f"{test:.4f}")
    if results["test_accuracy"] is not None:
        table.add_row("test accuracy", f"{100 * results['test_accuracy']:.1f} %")
    table.add_row("presentations", str(results["presentations"]))
    table.add_row("time steps", str(results["time_steps"]))
    table.add_row("Newton iterations", str(results["newton_iterations"]))
    table.add_row("CPU time", f"{results['cpu_s']:.2f} s (compilation {results['compile_s']:.1f} s)")
    console = Console()
    console.print(table)
    console.print(f"run folder {result.path}\nreport: eqspice report {result.path}", soft_wrap=True)
