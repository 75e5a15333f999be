"""Xyce (7.9 and newer): writes its netlist and runs it.

Nonlinear kinds are behavioural sources, as in ngspice. Two things differ. The run starts from an
operating point in which every node is held at its start (.IC): skipping it (UIC) would start the nodes
inside transistors at 0 V, and their charges with them. And Newton's iteration must be told to be exact
to the picoampere, which is what the held nodes carry; its default for transients is a microampere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqspice.circuit import Circuit, CurrentSource, Mosfet, Stimulus, Switch, VoltageSource
from eqspice.engines.base import Save, Solution, State, Statistics
from eqspice.engines.spice import dialects, process, spicetext
from eqspice.engines.spice.dialects import Deck, number
from eqspice.engines.spice.rawfile import read_raw
from eqspice.engines.spice.results import Results, solution
from eqspice.errors import InputError, SimulatorError

MAIN = "deck.cir"
SOURCES = "sources.inc"
MODELS = "models.inc"
RAW = "run.raw"
METHODS = ("gear", "trap")
_NEWTON = "abstol=1e-12 reltol=1e-6 rhstol=1e-9 deltaxtol=0.1 maxstep=40"


@dataclass(frozen=True)
class XyceOptions:
    """Numbers that set accuracy and cost.

    Attributes:
        reltol: relative tolerance of the time steps. Held voltages move by 0.1 mV between 1e-4 and 1e-5.
        abstol: absolute tolerance of the time steps, V.
        gmin: conductance across junctions, S.
        max_step: longest time step, s; 0 for no limit (ten steps between corners at least).
        method: integration, one of METHODS.
        library: SPICE library of the process (its path, or "PDK_ROOT") whose transistors to use; empty for
            resolved model cards.
        timeout_s: seconds of wall time after which a run is stopped.
        keep: whether the work folder stays after a success.
    """

    reltol: float = 1e-6
    abstol: float = 1e-9
    gmin: float = 1e-18
    max_step: float = 0.0
    method: str = "gear"
    library: str = ""
    timeout_s: float = 3600.0
    keep: bool = False

    def __post_init__(self) -> None:
        for name in ("reltol", "abstol", "timeout_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be positive.")
        for name in ("gmin", "max_step"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must not be negative.")
        if self.method not in METHODS:
            raise InputError(f"method: {self.method!r} is not known. Choose one of: {', '.join(METHODS)}.")


class XyceWriter:
    """Writes a circuit, its stimulus and its initial state as a Xyce netlist."""

    def netlist(
        self,
        circuit: Circuit,
        stimulus: Stimulus,
        state: State | None = None,
        save: Save | None = None,
        options: XyceOptions | None = None,
    ) -> dict[str, str]:
        """Returns the files of the deck, {name: text}.

        Args:
            circuit: what to simulate.
            stimulus: its signals.
            state: voltages to start from; None: all nodes at zero.
            save: nodes to record; None: all.
            options: tolerances.
        """
        dialects.refuse(circuit, "xyce", spicetext.LEVELS, spicetext.KINDS)
        deck = dialects.make_deck(circuit, stimulus, state, save)
        options = options or XyceOptions()
        files = {MAIN: "\n".join(self._main(deck, options)) + "\n"}
        files[SOURCES] = "\n".join(spicetext.sources(deck, brackets=False)) + "\n"
        if deck.models and not options.library:
            files[MODELS] = spicetext.models(deck)
        return files

    def _main(self, deck: Deck, options: XyceOptions) -> list[str]:
        lines = [
            f"* eqspice {deck.circuit.name}",
            *dialects.header(deck, "*", " ".join(_command("Xyce", options))),
        ]
        if deck.models:
            lines += spicetext.library(deck, options.library) if options.library else [f".include {MODELS}"]
        lines += [f".include {SOURCES}", *spicetext.FUNCTIONS]
        for flat in deck.circuit.devices:
            if isinstance(flat.device, Switch):
                lines += spicetext.smooth_switch(flat, flat.device, deck)
            elif isinstance(flat.device, Mosfet) and flat.device.card.level != "square_law":
                lines.append(spicetext.transistor(flat, flat.device, deck, bool(options.library)))
            elif not isinstance(flat.device, VoltageSource | CurrentSource):
                lines += spicetext.device(flat, deck)
        return [*lines, *self._control(deck, options), ".end"]

    def _control(self, deck: Deck, options: XyceOptions) -> list[str]:
        step = number(float(np.min(np.diff(deck.times))) / 1000.0)
        longest = f" 0 {number(options.max_step)}" if options.max_step else ""
        lines = [
            f".options device temp={number(dialects.temperature(deck.circuit))} tnom=27 "
            f"gmin={number(options.gmin)}",
            f".options timeint method={options.method} reltol={number(options.reltol)} "
            f"abstol={number(options.abstol)}",
            f".options nonlin-tran {_NEWTON}",
        ]
        lines += [f".ic v({node})={number(value)}" for node, value in deck.free_start()]
        lines.append(f".tran {step} {number(deck.stop)}{longest}")
        recorded = (f"v({name})" for name in dialects.recorded(deck))
        return [*lines, *dialects.wrap(recorded, " ", f".print tran format=raw file={RAW} ", "+ ")]


def _command(program: str, options: XyceOptions) -> list[str]:
    """Returns the command that runs a deck; the library of the process is in HSPICE's dialect."""
    return [program, *(["-hspice-ext", "all"] if options.library else []), MAIN]


class XyceEngine:
    """Engine that runs each stimulus in a Xyce process."""

    name = "xyce"

    def __init__(self, options: XyceOptions | None = None) -> None:
        self.options = options or XyceOptions()

    def prepare(self, circuit: Circuit) -> XyceSession:
        """Checks the circuit and finds the simulator.

        Raises:
            InputError: with all devices that this engine cannot run.
            SimulatorError: Xyce is not installed or too old.
        """
        dialects.refuse(circuit, self.name, spicetext.LEVELS, spicetext.KINDS)
        return XyceSession(circuit, self.options, process.find(process.XYCE))


class XyceSession:
    """A circuit that Xyce can run."""

    def __init__(self, circuit: Circuit, options: XyceOptions, program: Path) -> None:
        self.circuit = circuit
        self.options = options
        self._program = program

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        return self.circuit.nodes

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus.

        Raises:
            InputError: a signal, node or state does not fit.
            SimulatorError: Xyce failed; the message names the folder with deck and log.
        """
        files = XyceWriter().netlist(self.circuit, stimulus, state, save, self.options)
        deck = dialects.make_deck(self.circuit, stimulus, state, save)
        with process.work_folder(XyceEngine.name, self.options.keep) as folder:
            process.write_files(folder, files)
            command = _command(str(self._program), self.options)
            done = process.run(command, folder, self.options.timeout_s, {"OMP_NUM_THREADS": "1"})
            _check(done, folder)
            run = read_raw(folder / RAW)[0]
            results = Results(run, lambda node: f"v({node})", _statistics(done))
            return solution(deck, results, save, {"engine": XyceEngine.name, "program": "Xyce"})


_FAULT = re.compile(
    r"^.*\b(?:error|fatal|abort(?:ed)?|time ?step too small|exiting transient loop|no such file)\b.*$",
    re.MULTILINE | re.IGNORECASE,
)


def _check(done: process.Finished, folder: Path) -> None:
    """Raises what the log says went wrong: Xyce may end with code 0 after a failure."""
    found = _FAULT.search(done.log)
    ended = "End of Xyce(TM) Simulation" in done.log
    if found or not ended or done.code != 0 or not (folder / RAW).is_file():
        reason = found.group(0).strip() if found else process.tail(done.log)
        raise SimulatorError(f"Xyce failed (exit code {done.code}): {reason}.")


def _statistics(done: process.Finished) -> Statistics:
    """Reads the summary, which comes last: counts over operating point and transient."""

    def count(label: str) -> int:
        found = re.findall(rf"Number {label}:\s*(\d+)", done.log)
        return int(found[-1]) if found else 0

    return Statistics(
        time_steps=count("Successful Steps Taken"),
        rejected_steps=count("Failed Steps Attempted"),
        newton_iterations=count("Linear Solves"),
        factorisations=count("Jacobians Evaluated"),
        cpu_s=done.cpu_s,
    )
