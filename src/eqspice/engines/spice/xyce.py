"""Xyce (7.9 and newer): writes its netlist and runs it.

Nonlinear kinds are behavioural sources, as in ngspice. Two things differ. The run starts from an
operating point in which every node is held at its start (.IC): skipping it (UIC) would start the nodes
inside transistors at 0 V, and their charges with them. And Newton's iteration must be told to be exact
to the picoampere, which is what the held nodes carry; its default for transients is a microampere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from eqspice.circuit import Circuit, Stimulus
from eqspice.engines.base import Save, State, Statistics
from eqspice.engines.spice import dialects, process, spicetext
from eqspice.engines.spice.dialects import Deck, number
from eqspice.engines.spice.session import DeckWriter, SpiceEngine, check_options, count

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
        check_options(self, ("reltol", "abstol", "timeout_s"), ("gmin", "max_step"), {"method": METHODS})


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
        lines = spicetext.opening(deck, _command("Xyce", options), MODELS, SOURCES, options.library)
        lines += spicetext.body(deck, bool(options.library), spicetext.smooth_switch)
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


class XyceEngine(SpiceEngine[XyceOptions]):
    """Engine that runs each stimulus in a Xyce process."""

    name = "xyce"
    program = process.XYCE
    levels = spicetext.LEVELS
    kinds = spicetext.KINDS
    raw = RAW
    fault = re.compile(
        r"^.*\b(?:error|fatal|abort(?:ed)?|time ?step too small|exiting transient loop|no such file)\b.*$",
        re.MULTILINE | re.IGNORECASE,
    )
    farewell = "End of Xyce(TM) Simulation"

    def __init__(self, options: XyceOptions | None = None) -> None:
        super().__init__(options or XyceOptions())

    def writer(self, circuit: Circuit) -> DeckWriter:
        """See `SpiceEngine`."""
        return lambda stimulus, state, save: XyceWriter().netlist(
            circuit, stimulus, state, save, self.options
        )

    def command(self, program: str) -> list[str]:
        """See `SpiceEngine`."""
        return _command(program, self.options)

    def statistics(self, done: process.Finished) -> Statistics:
        """Reads the summary, which comes last: counts over operating point and transient."""
        return Statistics(
            time_steps=count(done, r"Number Successful Steps Taken:\s*(\d+)"),
            rejected_steps=count(done, r"Number Failed Steps Attempted:\s*(\d+)"),
            newton_iterations=count(done, r"Number Linear Solves:\s*(\d+)"),
            factorisations=count(done, r"Number Jacobians Evaluated:\s*(\d+)"),
            cpu_s=done.cpu_s,
        )
