"""`eqspice use`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eqspice.errors import InputError

EXAMPLES = (
    "eqspice use runs/xor --set pdk.corner=ss --set pdk.temperature=85",
    "eqspice use runs/xor --idle 0.01 --set pdk.temperature=85",
    "eqspice use runs/xor --chips 0:19 --set mismatch.sigma=1 --json",
)


def use(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, of pdk, mismatch and engine.", metavar="KEY=VALUE"),
    ] = None,
    chips: Annotated[
        str | None, typer.Option(help="Seeds of mismatched chips, first:last.", metavar="FIRST:LAST")
    ] = None,
    idle: Annotated[
        float, typer.Option(help="Seconds for which the weights are left alone before the test.")
    ] = 0.0,
    line: Annotated[
        str, typer.Option(help="Where bit lines are parked in that time: low or centre.")
    ] = "low",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, nothing else.")] = False,
) -> None:
    """Test a trained network under other conditions: corner, temperature, mismatched chips.

    The trained weights are written into the circuit by its own lines; free phases give the held-out figures.
    While idle, they leak through the write transistor of each storage node.
    """
    from eqspice.run import open_run
    from eqspice.training.usage import summary

    found = open_run(run).use(changes or (), _seeds(chips), idle, line)  # type: ignore[arg-type]
    figures = summary(found)
    if as_json:
        typer.echo(json.dumps({"summary": figures, "chips": [asdict(each) for each in found]}, indent=1))
        return
    many = f", standard deviation {{:.4f}}, worst {{:.4f}} of {len(found)} chips" if len(found) > 1 else ""
    for name in ("test_nrmse", "test_accuracy"):
        if name in figures:
            tail = many.format(figures[f"{name}_sigma"], figures[f"{name}_worst"])
            typer.echo(f"{name}: {figures[name]:.4f}{tail}")


def _seeds(chips: str | None) -> range:
    if chips is None:
        return range(0)
    first, colon, last = chips.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise InputError(f"--chips: {chips!r} is not allowed, it must be first:last, 0:19 say.")
    return range(int(first), int(last) + 1)
