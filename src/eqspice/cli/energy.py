"""`eqspice energy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = (
    "eqspice energy runs/sine-reference-phase-s0-…",
    "eqspice energy runs/digits --samples 10 --json > energy.json",
)


def energy(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    samples: Annotated[int, typer.Option(help="Samples of the training set to present.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")] = False,
) -> None:
    """Book the energy of whole presentations, by source, part and phase; with speed and silicon area.

    Each sample is simulated as a full transient from the trained state, whatever the run's fidelity. What
    ideal parts deliver stands apart; their own consumption is in no figure.
    """
    from eqspice.run import open_run

    report = open_run(run).energy(samples)
    typer.echo(json.dumps(report.summary(), indent=1) if as_json else str(report))
