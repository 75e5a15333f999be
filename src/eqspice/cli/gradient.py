"""`eqspice gradcheck`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eqspice.training.gradcheck import GradientCheck

EXAMPLES = (
    "eqspice gradcheck runs/sine-reference-phase-s0-…",
    "eqspice gradcheck runs/digits --initial --samples 50",
    "eqspice gradcheck runs/digits --json > gradient.json",
    "eqspice gradcheck runs/digits --plot gradient.png",
)


def gradcheck(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    samples: Annotated[int, typer.Option(help="Samples of the training set to check.")] = 20,
    initial: Annotated[
        bool, typer.Option("--initial", help="At the weights before training, not after it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw updates against gradients into this PNG file.")
    ] = None,
) -> None:
    """Compare the circuit's weight update with the true gradient of its loss, and say what is wrong.

    The gradient comes from the simulator's own Jacobian (adjoint method), the update from presenting
    samples to the whole circuit. The figures are kept in the run folder for its report.
    """
    from eqspice.run import open_run

    check = open_run(run).check_gradient(samples, initial=initial)
    if plot is not None:
        from eqspice.report.gradient_plot import draw_check

        draw_check(check, plot)
    if as_json:
        typer.echo(json.dumps(check.summary(), indent=1))
    else:
        _print(check)


def _print(check: GradientCheck) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, caption_justify="left")
    table.add_column("")
    for layer in check.layers:
        table.add_column(f"layer {layer.layer}", justify="right")
    for field, text, percent in _LINES:
        values = [getattr(layer, field) for layer in check.layers]
        table.add_row(text, *(_number(value, percent) for value in values))
    console = Console()
    console.print(f"update against gradient, {len(check.points)} samples")
    console.print(table)
    for line in check.verdict:
        console.print(line, highlight=False, soft_wrap=True)


def _number(value: float, percent: bool) -> str:
    if math.isnan(value):
        return "–"
    return f"{100 * value:.3g} %" if percent else f"{value:.3f}"


_LINES = (
    ("cosine", "cosine of update and descent, mean over samples", False),
    ("batch_cosine", "the same for the sum over samples", False),
    ("ratio", "|update| / |gradient|, V per V", False),
    ("correction", "error corrected by updating every row", True),
    ("signal_fraction", "gradient that comes back to the columns", True),
    ("signal_cosine", "its direction, infinitesimal nudge", False),
    ("nudge_cosine", "real nudge against infinitesimal nudge", False),
    ("rule_cosine", "cosine that the exact co-content rule would have", False),
    ("nudge_drift", "drift in the columns' response", True),
    ("weight_drift", "leakage of the weights, of an update", True),
    ("forward_backward", "cells: forward / backward sensitivity", False),
    ("transport_cosine", "cells: cosine of forward and backward", False),
    ("clamped", "neurons clamped", True),
)
