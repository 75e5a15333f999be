"""`eqspice verify`, `netlist`, `engines`: the same circuit in other simulators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eqspice.errors import InputError

if TYPE_CHECKING:
    from eqspice.verify import Verification

VERIFY_EXAMPLES = (
    "eqspice verify runs/sine-reference-phase-s0-…",
    "eqspice verify runs/sine-… --engine ngspice --samples 1 --json",
    "eqspice verify runs/sine-… --engine xyce --option reltol=1e-5",
)
NETLIST_EXAMPLES = (
    "eqspice netlist sine --dialect vacask -o sine.sim",
    "eqspice netlist sine --dialect xyce --samples 3 --set network.hidden=[4] -o sine.cir",
    "eqspice netlist sine --dialect ngspice --pdk-lib PDK_ROOT -o sine.cir",
)
SHOWN = 5  # nodes per group in the table
DRAWN = 2  # nodes per group in the picture


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    engine: Annotated[str, typer.Option(help="vacask, ngspice or xyce.")] = "vacask",
    samples: Annotated[int, typer.Option(help="Presentations to simulate again.")] = 2,
    storage: Annotated[float, typer.Option(help="Tolerance of storage nodes and weights, V.")] = 1e-4,
    outputs: Annotated[
        float, typer.Option(help="Tolerance of outputs, rows, columns and what is held behind amplifiers, V.")
    ] = 5e-4,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="Option of the engine, NAME=VALUE; may be given several times.", metavar="NAME=VALUE"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON, nothing else.")] = False,
) -> None:
    """Simulate samples of a run again, from its checkpoint, in a second simulator, and compare node by node.

    Tolerances are those of plateaus; the edges between them are reported. Figures and a picture are kept
    in the run folder, verify/ENGINE.json and verify/ENGINE.png. Exit code 1 when a tolerance is exceeded.
    """
    from eqspice.report.verify_plot import draw_verification
    from eqspice.training import storage as files
    from eqspice.training.checkpoint import RunFolder
    from eqspice.verify import Tolerances
    from eqspice.verify import verify as run_verify

    folder = RunFolder.open(run)
    tolerances = Tolerances(storage, outputs, outputs, outputs, outputs, storage)
    result = run_verify(folder, engine, samples, tolerances, _options(option or []))
    text = json.dumps(result.summary(), indent=1)
    files.make_folder(folder.path / "verify")
    files.write_bytes(folder.path / "verify" / f"{engine}.json", text.encode() + b"\n")
    picture = folder.path / "verify" / f"{engine}.png"
    draw_verification(
        result.ours.waveforms, result.other.waveforms, result.worst(DRAWN), result.plateaus, engine, picture
    )
    if as_json:
        typer.echo(text)
    else:
        _print(result, picture)
    if not result.passed:
        raise typer.Exit(1)


def _options(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise InputError(f"--option: {item!r} is not allowed, it must be NAME=VALUE.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _print(result: Verification, picture: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("node")
    for name in ("plateaus max", "rms", "whole max", "rms"):
        table.add_column(f"{name}, mV", justify="right")
    group, shown = "", 0
    for d in result.differences:
        shown = shown + 1 if d.group == group else 1
        if d.group != group:
            group = d.group
            table.add_row(f"[bold]{group}[/bold]")
        if shown <= SHOWN:
            volts = (d.plateau_max, d.plateau_rms, d.whole_max, d.whole_rms)
            table.add_row(f"  {d.node}", *(f"{1e3 * v:.4f}" for v in volts))
    console = Console()
    samples = f"{result.samples} sample{'s' if result.samples > 1 else ''}"
    console.print(
        f"{samples} of chunk {result.chunk} with {result.updates} updates, native against {result.engine}"
    )
    console.print(table)
    ours, other = result.ours.statistics, result.other.statistics
    console.print(f"weights after the samples differ by {1e3 * result.weights:.4f} mV at most")
    console.print(
        f"CPU: native {ours.cpu_s:.2f} s ({ours.time_steps} steps), "
        f"{result.engine} {other.cpu_s:.2f} s ({other.time_steps} steps)"
    )
    for fault in result.faults:
        console.print(f"[red]exceeded[/red] {fault}", soft_wrap=True)
    console.print(f"{'agrees' if result.passed else 'differs'}; picture {picture}", soft_wrap=True)


def netlist(
    experiment: Annotated[
        str, typer.Argument(help="A task (see `eqspice tasks`) or an experiment file (.toml).")
    ],
    dialect: Annotated[str, typer.Option(help="vacask, ngspice or xyce.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to run; the others go beside it.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Presentations after the weights are written.")] = 1,
    preset: Annotated[str | None, typer.Option(help="Circuit; see `eqspice presets`.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value; may be given several times.", metavar="KEY=VALUE"),
    ] = None,
    pdk_lib: Annotated[
        str,
        typer.Option(
            help="Path of the process's SPICE library to use instead of resolved cards, or PDK_ROOT."
        ),
    ] = "",
) -> None:
    """Write the deck of an experiment, SET and samples; its header says how to run it."""
    from eqspice.cli.train import read_experiment
    from eqspice.training import storage as files
    from eqspice.verify import experiment_deck

    overrides = ([f"preset={json.dumps(preset)}"] if preset else []) + (changes or [])
    suffix = ".sim" if dialect == "vacask" else ".cir"
    target = out or Path(f"{Path(experiment).stem}{suffix}")
    deck = experiment_deck(read_experiment(experiment, overrides), dialect, samples, target.name, pdk_lib)
    if target.parent != Path():
        files.make_folder(target.parent)
    for name, text in deck.items():
        files.write_bytes(target.parent / name, text.encode())
        typer.echo(f"{target.parent / name}  {len(text)} bytes")


def engines() -> None:
    """List the simulators: version, where they were found, or how to install them."""
    from rich.console import Console
    from rich.table import Table

    from eqspice.engines.spice import process

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, found in process.installed().items():
        table.add_row(f"[bold]{name}[/bold]", found.version or "[dim]–[/dim]", found.place)
    Console().print(table, soft_wrap=True)
