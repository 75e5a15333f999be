"""`eqspice calibrate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from eqspice.cli.train import read_experiment

EXAMPLES = (
    "eqspice calibrate sine --preset reciprocal",
    "eqspice calibrate digits --set network.hidden=[32] --set learning.correction=[0.03,0.05]",
)


def calibrate(
    experiment: Annotated[str, typer.Argument(help="A task or an experiment file (.toml).")],
    preset: Annotated[str | None, typer.Option(help="Circuit; see `eqspice presets`.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random draw.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value; may be given several times.", metavar="KEY=VALUE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")] = False,
) -> None:
    """Measure by a short run which update gains correct the wanted fraction of the error.

    Training with calibration does the same by itself before it starts.
    """
    from eqspice.training.calibrate import MOST_STEP, calibrate_experiment

    overrides = [f"preset={json.dumps(preset)}"] if preset is not None else []
    overrides += [f"seed={seed}"] if seed is not None else []
    found = calibrate_experiment(read_experiment(experiment, [*overrides, *(changes or [])]))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("", "corrects, per 1/V of gain", "shall correct", "update gain"):
        table.add_column(name, justify="right")
    limited = []
    for layer, (measured, wanted, gain) in enumerate(
        zip(found.measured, found.correction, found.update_gains, strict=True)
    ):
        table.add_row(f"layer {layer}", f"{measured:.4g}", f"{wanted:.3g}", f"{gain:.4g} / V")
        if gain * measured < wanted * (1.0 - 1e-9):
            limited.append(f"layer {layer} will correct {gain * measured:.3g}")
    Console().print(table)
    for line in limited:
        typer.echo(f"{line}: no weight moves by more than {1e3 * MOST_STEP:g} mV in a presentation")
    gains = ",".join(f"{gain:.6g}" for gain in found.update_gains)
    typer.echo(f"to use them without calibration: --set learning.update_gain=[{gains}]")
