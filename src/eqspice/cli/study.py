"""`eqspice study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eqspice.training.experiment import Experiment

EXAMPLES = (
    "eqspice study sine --preset reciprocal --vary 'seed=0|1|2' --vary 'pdk.corner=tt|ss' --workers 2 "
    "--out studies/corners",
    "eqspice study experiment.toml --vary seed=0:199 --scheduler tcp://10.0.0.1:8786 --out studies/seeds",
)


def study(
    experiment: Annotated[str, typer.Argument(help="A task or an experiment file (.toml).")],
    vary: Annotated[
        list[str],
        typer.Option(help="key=a|b|c or key=first:last; may be given several times: all combinations."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the study; an earlier start in it goes on.")],
    workers: Annotated[int, typer.Option(help="Local processes.")] = 2,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address of a Dask scheduler instead; its workers need the folder, too."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Circuit; see `eqspice presets`.")] = None,
    fidelity: Annotated[str | None, typer.Option(help="transient or phase.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How often the training set is presented.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="section.key=value.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Run an experiment many times with settings that vary: seeds, corners, temperatures, any setting."""
    from eqspice import fleet
    from eqspice.cli.train import overrides_of, read_experiment

    given = {"preset": preset, "fidelity": fidelity, "epochs": epochs}
    overrides = overrides_of(given) + (changes or [])

    def make(more: list[str]) -> Experiment:
        return read_experiment(experiment, [*overrides, *more])

    chosen = fleet.Study(make, fleet.parse_vary(vary), out)
    try:
        dataset = fleet.run_study(chosen, workers=workers, scheduler=scheduler, progress=not quiet)
    except KeyboardInterrupt:
        typer.echo("interrupted. The same command goes on with it.", err=True)
        raise typer.Exit(130) from None
    members = fleet.read_study(chosen.folder)["members"]
    failed = {name: member["message"] for name, member in members.items() if member["status"] == "failed"}
    for name in ("train_nrmse", "test_nrmse", "test_accuracy"):
        if name in dataset and dataset[name].notnull().any():
            low, middle, high = (float(dataset[name].quantile(part)) for part in (0.0, 0.5, 1.0))
            typer.echo(f"{name}: median {middle:.4f}, from {low:.4f} to {high:.4f}")
    typer.echo(f"{len(members) - len(failed)} of {len(members)} members finished: {out}")
    for name, message in failed.items():
        typer.echo(f"failed: {name}: {message}", err=True)
    if failed:
        raise typer.Exit(1)
