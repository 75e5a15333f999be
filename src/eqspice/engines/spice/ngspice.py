"""ngspice (39 and newer): writes its netlist and runs it.

Without a Verilog-A interface in the distributed builds, nonlinear kinds become behavioural sources
(B). Switches exist in three laws, see NgspiceOptions.switches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqspice.circuit import Circuit, CurrentSource, FlatDevice, Mosfet, Stimulus, Switch, VoltageSource
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
INIT = ".spiceinit"
LIBRARY_MODE = (
    "* read before the deck: the library is in HSPICE's dialect\nset ngbehavior=hsa\nset skywaterpdk\n"
)
METHODS = ("gear", "trap")
SWITCHES = ("smooth", "log", "hard")


@dataclass(frozen=True)
class NgspiceOptions:
    """Numbers that set accuracy and cost.

    Attributes:
        reltol: relative tolerance.
        abstol: absolute tolerance of currents, A.
        vntol: absolute tolerance of voltages, V.
        chgtol: absolute tolerance of charges, C.
        gmin: conductance across junctions, S.
        max_step: longest time step, s; 0 for no limit.
        method: integration, one of METHODS.
        switches: "smooth" is the law of the circuit model, a behavioural source; "log" the code model
            aswitch, linear in log conductance between the same levels; "hard" the S element, which
            jumps in the middle. All three agree outside the levels.
        node_capacitance: added from every node to ground, F; 0 adds none.
        library: SPICE library of the process (its path, or "PDK_ROOT") whose transistors to use; empty for
            resolved model cards.
        timeout_s: seconds of wall time after which a run is stopped.
        keep: whether the work folder stays after a success.
    """

    reltol: float = 1e-5
    abstol: float = 1e-13
    vntol: float = 1e-7
    chgtol: float = 1e-18
    gmin: float = 1e-18
    max_step: float = 0.0
    method: str = "gear"
    switches: str = "smooth"
    node_capacitance: float = 0.0
    library: str = ""
    timeout_s: float = 3600.0
    keep: bool = False

    def __post_init__(self) -> None:
        for name in ("reltol", "abstol", "vntol", "chgtol", "timeout_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be positive.")
        for name in ("gmin", "max_step", "node_capacitance"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must not be negative.")
        for name, allowed in (("method", METHODS), ("switches", SWITCHES)):
            value = getattr(self, name)
            if value not in allowed:
                raise InputError(f"{name}: {value!r} is not known. Choose one of: {', '.join(allowed)}.")


class NgspiceWriter:
    """Writes a circuit, its stimulus and its initial state as an ngspice netlist."""

    def netlist(
        self,
        circuit: Circuit,
        stimulus: Stimulus,
        state: State | None = None,
        save: Save | None = None,
        options: NgspiceOptions | None = None,
    ) -> dict[str, str]:
        """Returns the files of the deck, {name: text}.

        Args:
            circuit: what to simulate.
            stimulus: its signals.
            state: voltages to start from; None: all nodes at zero.
            save: nodes to record; None: all.
            options: tolerances and the law of the switches.
        """
        dialects.refuse(circuit, "ngspice", spicetext.LEVELS, spicetext.KINDS)
        deck = dialects.make_deck(circuit, stimulus, state, save)
        options = options or NgspiceOptions()
        files = {MAIN: "\n".join(self._main(deck, options)) + "\n"}
        files[SOURCES] = "\n".join(spicetext.sources(deck)) + "\n"
        if deck.models and options.library:
            files[INIT] = LIBRARY_MODE
        elif deck.models:
            files[MODELS] = spicetext.models(deck)
        return files

    def _main(self, deck: Deck, options: NgspiceOptions) -> list[str]:
        lines = [
            f"* eqspice {deck.circuit.name}",
            *dialects.header(deck, "*", " ".join(_command("ngspice", options))),
        ]
        if deck.models:
            lines += spicetext.library(deck, options.library) if options.library else [f".include {MODELS}"]
        lines += [f".include {SOURCES}", *spicetext.FUNCTIONS]
        switch_models: dict[str, str] = {}
        body: list[str] = []
        for flat in deck.circuit.devices:
            if isinstance(flat.device, Switch):
                body += _switch(flat, flat.device, deck, options.switches, switch_models)
            elif isinstance(flat.device, Mosfet) and flat.device.card.level != "square_law":
                body.append(spicetext.transistor(flat, flat.device, deck, bool(options.library)))
            elif not isinstance(flat.device, VoltageSource | CurrentSource):
                body += spicetext.device(flat, deck)
        lines += [f".model {name} {text}" for text, name in switch_models.items()]
        lines += body
        if options.node_capacitance:
            added = number(options.node_capacitance)
            lines += [f"c_added_{k} {name} 0 {added}" for k, (_, name) in enumerate(deck.nodes.items()) if k]
        return [*lines, *self._control(deck, options), ".end"]

    def _control(self, deck: Deck, options: NgspiceOptions) -> list[str]:
        step = number(float(np.min(np.diff(deck.times))) / 100.0)
        longest = number(options.max_step or deck.stop)
        lines = [
            f".options reltol={number(options.reltol)} abstol={number(options.abstol)} "
            f"vntol={number(options.vntol)} chgtol={number(options.chgtol)} gmin={number(options.gmin)}",
            f".options temp={number(dialects.temperature(deck.circuit))} tnom=27 method={options.method} "
            "itl4=100",
        ]
        # Held in an operating point, not started from (uic): nodes inside transistors are found there.
        initial = [f"v({node})={number(value)}" for node, value in deck.free_start()]
        lines += dialects.wrap(initial, " ", ".ic ", "+ ") if initial else []
        recorded = (f"v({name})" for name in dialects.recorded(deck))
        lines += dialects.wrap(recorded, " ", ".save ", "+ ")
        lines += [".control", "set filetype=binary", "set num_threads=1"]
        lines += [f"tran {step} {number(deck.stop)} 0 {longest}", "rusage everything"]
        return [*lines, f"write {RAW}", "quit 0", ".endc"]


def _switch(flat: FlatDevice, switch: Switch, deck: Deck, law: str, models: dict[str, str]) -> list[str]:
    """Returns the lines of a switch and notes its model, {text: name}."""
    p, n, cp, cn = deck.at(flat)
    name = deck.instances[flat.name]
    off = switch.off_resistance
    if law == "smooth":
        return spicetext.smooth_switch(flat, switch, deck)
    if np.isinf(off):
        off = 1e18
    if law == "log":
        levels = f"cntl_off={number(switch.v_off)} cntl_on={number(switch.v_on)}"
        text = f"aswitch({levels} r_off={number(off)} r_on={number(switch.on_resistance)} log=true)"
        model = models.setdefault(text, f"switch{len(models)}")
        return [f"a_{name} %vd({cp} {cn}) %gd({p} {n}) {model}"]
    middle = 0.5 * (switch.v_on + switch.v_off)
    inverted = switch.v_on < switch.v_off
    resistances = (off, switch.on_resistance) if inverted else (switch.on_resistance, off)
    text = f"sw(vt={number(middle)} vh=0 ron={number(resistances[0])} roff={number(resistances[1])})"
    model = models.setdefault(text, f"switch{len(models)}")
    return [f"s_{name} {p} {n} {cp} {cn} {model}"]


def _command(program: str, options: NgspiceOptions) -> list[str]:
    """Returns the command that runs a deck: without the user's start file, or with the deck's own."""
    return [program, *([] if options.library else ["-n"]), "-b", MAIN]


class NgspiceEngine:
    """Engine that runs each stimulus in an ngspice process."""

    name = "ngspice"

    def __init__(self, options: NgspiceOptions | None = None) -> None:
        self.options = options or NgspiceOptions()

    def prepare(self, circuit: Circuit) -> NgspiceSession:
        """Checks the circuit and finds the simulator.

        Raises:
            InputError: with all devices that this engine cannot run.
            SimulatorError: ngspice is not installed or too old.
        """
        dialects.refuse(circuit, self.name, spicetext.LEVELS, spicetext.KINDS)
        return NgspiceSession(circuit, self.options, process.find(process.NGSPICE))


class NgspiceSession:
    """A circuit that ngspice can run."""

    def __init__(self, circuit: Circuit, options: NgspiceOptions, program: Path) -> None:
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
            SimulatorError: ngspice failed; the message names the folder with deck and log.
        """
        files = NgspiceWriter().netlist(self.circuit, stimulus, state, save, self.options)
        deck = dialects.make_deck(self.circuit, stimulus, state, save)
        with process.work_folder(NgspiceEngine.name, self.options.keep) as folder:
            process.write_files(folder, files)
            command = _command(str(self._program), self.options)
            done = process.run(command, folder, self.options.timeout_s, {"OMP_NUM_THREADS": "1"})
            _check(done, folder)
            run = read_raw(folder / RAW)[0]
            results = Results(run, lambda node: f"v({node})", _statistics(done))
            return solution(deck, results, save, {"engine": NgspiceEngine.name, "program": "ngspice"})


_FAULT = re.compile(
    r"^.*\b(?:[Ee]rror|[Tt]imestep too small|[Ss]ingular matrix|aborted|no such|unknown|[Cc]an't)\b.*$",
    re.MULTILINE,
)


def _check(done: process.Finished, folder: Path) -> None:
    """Raises what the log says went wrong: ngspice may end with code 0 after a failure."""
    found = _FAULT.search(done.log)
    if found or done.code != 0 or not (folder / RAW).is_file():
        reason = found.group(0).strip() if found else process.tail(done.log)
        raise SimulatorError(f"ngspice failed (exit code {done.code}): {reason}.")


def _statistics(done: process.Finished) -> Statistics:
    def count(label: str) -> int:
        match = re.search(rf"{label}\s*=\s*(\d+)", done.log)
        return int(match.group(1)) if match else 0

    accepted = count("Accepted timepoints")
    return Statistics(
        time_steps=accepted,
        rejected_steps=count("Rejected timepoints"),
        newton_iterations=count("Transient iterations") or count("Total iterations"),
        cpu_s=done.cpu_s,
    )
