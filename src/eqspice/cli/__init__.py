"""The command line: `eqspice COMMAND`. A module per topic; here they become one program."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from eqspice.cli import calibrate, energy, gradient, inspect, report, study, train, tune, use, verify
from eqspice.errors import EqspiceError


def examples(*lines: str) -> str:
    """Returns the text that shows example commands below a command's options."""
    return "\n\n".join(("Examples:", *(f"  {line}" for line in lines)))


app = typer.Typer(
    name="eqspice",
    help="Analog circuits that learn: design, simulate and train them, transistor by transistor.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(epilog=examples(*train.EXAMPLES))(train.train)
app.command(epilog=examples(*calibrate.EXAMPLES))(calibrate.calibrate)
app.command(epilog=examples(*gradient.EXAMPLES))(gradient.gradcheck)
app.command(epilog=examples(*energy.EXAMPLES))(energy.energy)
app.command(epilog=examples(*use.EXAMPLES))(use.use)
app.command(epilog=examples(*report.REPORT_EXAMPLES))(report.report)
app.command(epilog=examples(*report.CHARACTERIZE_EXAMPLES))(report.characterize)
app.command(epilog=examples(*tune.EXAMPLES))(tune.tune)
app.command(epilog=examples(*study.EXAMPLES))(study.study)
app.command(epilog=examples(*verify.VERIFY_EXAMPLES))(verify.verify)
app.command(epilog=examples(*verify.NETLIST_EXAMPLES))(verify.netlist)
app.command()(verify.engines)
app.command()(inspect.tasks)
app.command()(inspect.presets)
app.command()(inspect.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"eqspice {version('eqspice')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Runs the command line; a mistake of the user ends with one message and exit code 1."""
    try:
        app()
    except EqspiceError as error:
        print(f"eqspice: {error}", file=sys.stderr)
        sys.exit(1)
