"""`eqspice tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eqspice.training.experiment import Experiment

EXAMPLES = (
    "eqspice tune sine --preset reference --vary learning.lr=1e-3:1e-1:log --trials 20 --out studies/lr",
    "eqspice tune moons --vary 'network.hidden=[8]|[16]|[32]' --vary learning.epochs=5:40 --out moons",
)


def tune(
    experiment: Annotated[str, typer.Argument(help="A task or an experiment file (.toml).")],
    vary: Annotated[
        list[str], typer.Option(help="key=low:high[:log] or key=a|b|c; may be given several times.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the study; an earlier one in it goes on.")],
    trials: Annotated[int, typer.Option(help="In all, those of an earlier start included.")] = 30,
    seeds: Annotated[int, typer.Option(help="Runs per trial, whose mean counts.")] = 1,
    preset: Annotated[str | None, typer.Option(help="Circuit; see `eqspice presets`.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="section.key=value.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing after each trial.")] = False,
) -> None:
    """Search circuit and learning settings on a validation split (phase fidelity), and plot what matters."""
    from eqspice.cli.train import read_experiment
    from eqspice.report.tuning import plot_study
    from eqspice.training import tuning

    def told(number: int, value: float, best: float) -> None:
        if not quiet:
            typer.echo(f"trial {number}: validation NRMSE {value:.4f}, best {best:.4f}", err=True)

    overrides = ["engine.fidelity=phase", *([f"preset={preset}"] if preset else []), *(changes or [])]

    def make(more: list[str]) -> Experiment:
        return read_experiment(experiment, [*overrides, *more])

    make([])  # mistakes in what is not searched show before the search
    searched = [tuning.Setting.parse(text) for text in vary]
    study = tuning.tune(make, searched, trials, out, range(seeds), told)
    pictures = plot_study(study, out)
    typer.echo(f"best validation NRMSE {study.best_value:.4f} with")
    for override in study.best_trial.user_attrs["overrides"]:
        typer.echo(f"  --set {override}")
    typer.echo("pictures: " + ", ".join(str(path) for path in pictures))
