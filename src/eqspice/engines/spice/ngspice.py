"""ngspice (39 and newer): writes its netlist and runs it.

Without a Verilog-A interface in the distributed builds, nonlinear kinds become behavioural sources
(B). Switches exist in three laws, see NgspiceOptions.switches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from eqspice.circuit import Circuit, FlatDevice, Stimulus, Switch
from eqspice.engines.base import Save, State, Statistics
from eqspice.engines.spice import dialects, process, spicetext
from eqspice.engines.spice.dialects import Deck, number
from eqspice.engines.spice.session import DeckWriter, SpiceEngine, check_options, count

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
        check_options(
            self,
            ("reltol", "abstol", "vntol", "chgtol", "timeout_s"),
            ("gmin", "max_step", "node_capacitance"),
            {"method": METHODS, "switches": SWITCHES},
        )


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
        switch_models: dict[str, str] = {}
        body = spicetext.body(
            deck,
            bool(options.library),
            lambda flat, switch, deck: _switch(flat, switch, deck, options.switches, switch_models),
        )
        lines = spicetext.opening(deck, _command("ngspice", options), MODELS, SOURCES, options.library)
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


class NgspiceEngine(SpiceEngine[NgspiceOptions]):
    """Engine that runs each stimulus in an ngspice process."""

    name = "ngspice"
    program = process.NGSPICE
    levels = spicetext.LEVELS
    kinds = spicetext.KINDS
    raw = RAW
    fault = re.compile(
        r"^.*\b(?:[Ee]rror|[Tt]imestep too small|[Ss]ingular matrix|aborted|no such|unknown|[Cc]an't)\b.*$",
        re.MULTILINE,
    )

    def __init__(self, options: NgspiceOptions | None = None) -> None:
        super().__init__(options or NgspiceOptions())

    def writer(self, circuit: Circuit) -> DeckWriter:
        """See `SpiceEngine`."""
        return lambda stimulus, state, save: NgspiceWriter().netlist(
            circuit, stimulus, state, save, self.options
        )

    def command(self, program: str) -> list[str]:
        """See `SpiceEngine`."""
        return _command(program, self.options)

    def statistics(self, done: process.Finished) -> Statistics:
        """See `SpiceEngine`."""
        return Statistics(
            time_steps=count(done, r"Accepted timepoints\s*=\s*(\d+)"),
            rejected_steps=count(done, r"Rejected timepoints\s*=\s*(\d+)"),
            newton_iterations=count(done, r"Transient iterations\s*=\s*(\d+)")
            or count(done, r"Total iterations\s*=\s*(\d+)"),
            cpu_s=done.cpu_s,
        )
