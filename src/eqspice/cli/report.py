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


CHARACTERIZE_EXAMPLES = (
    "eqspice characterize synapse --preset reference",
    "eqspice characterize update --preset reference --out curves",
    "eqspice characterize transistor --preset reference --corner ss --temperature 85",
    "eqspice characterize retention --preset reciprocal",
    "eqspice characterize all --preset resistive",
)


def characterize(
    what: Annotated[str, typer.Argument(help="transistor, synapse, update, retention, or all.")],
    preset: Annotated[
        str, typer.Option(help="Circuit; see `eqspice presets`; or a preset file (.toml).")
    ] = "reference",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; if not given, characterize/PRESET.")
    ] = None,
    kit: Annotated[str | None, typer.Option(help="Process kit; if not given, the preset's.")] = None,
    corner: Annotated[str | None, typer.Option(help="tt, ss, ff, sf or fs.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Degrees Celsius.")] = None,
) -> None:
    """Draw the curves of a preset's parts: transistors, synapse, weight update, retention.

    Writes pictures, CSV files and a page that shows all of them.
    """
    from eqspice.report import characterize as curves

    folder = Path("characterize") / Path(preset).stem if out is None else out
    page = curves.characterize(what, preset, folder, kit=kit, corner=corner, temperature=temperature)
    typer.echo(f"curves {page}")
