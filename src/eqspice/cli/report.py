"""`eqspice report`, `eqspice characterize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

REPORT_EXAMPLES = (
    "eqspice report runs/demo",
    "eqspice report runs/demo --out sine.html",
)


def report(
    run: Annotated[Path, typer.Argument(help="Run folder; the run may have failed or be going on.")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file; if not given, report.html in the run folder.")
    ] = None,
) -> None:
    """Write the report of a run: one HTML file with everything inside, pictures below RUN/figures."""
    from eqspice.report.html import write_report
    from eqspice.training.checkpoint import RunFolder

    typer.echo(f"report {write_report(RunFolder.open(run), out)}")
