"""What the engines of all dialects share: checks, the run of a deck in a process, what its log says."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from eqspice.circuit import Circuit, Stimulus
from eqspice.engines.base import Save, Solution, State, Statistics
from eqspice.engines.spice import dialects, process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.engines.spice.results import Results, solution
from eqspice.errors import InputError, SimulatorError

DeckWriter = Callable[[Stimulus, State | None, Save | None], dict[str, str]]
"""Returns the files of a run's deck, {name: text}."""


class RunOptions(Protocol):
    """What every engine's options say about a run.

    Attributes:
        timeout_s: seconds of wall time after which a run is stopped.
        keep: whether the work folder stays after a success.
    """

    @property
    def timeout_s(self) -> float:
        """Seconds."""
        ...

    @property
    def keep(self) -> bool:
        """Whether the folder stays."""
        ...


def check_options(
    options: object,
    positive: tuple[str, ...],
    not_negative: tuple[str, ...],
    choices: Mapping[str, tuple[str, ...]],
) -> None:
    """Checks the fields of an options class.

    Args:
        options: holds the fields.
        positive: names of fields that must be so.
        not_negative: names of fields that must be so.
        choices: what each field of the others can be.

    Raises:
        InputError: with field, value and what is allowed.
    """
    for name in positive + not_negative:
        value = getattr(options, name)
        if not (value > 0 or (value == 0 and name in not_negative)):
            need = "not be negative" if name in not_negative else "be positive"
            raise InputError(f"{name}: {value} is not allowed, it must {need}.")
    for name, allowed in choices.items():
        value = getattr(options, name)
        if value not in allowed:
            raise InputError(f"{name}: {value!r} is not known. Choose one of: {', '.join(allowed)}.")


Options = TypeVar("Options", bound=RunOptions)


class SpiceEngine(ABC, Generic[Options]):
    """Engine that runs each stimulus in a process of an external simulator.

    Attributes:
        name: of the engine.
        program: how to find the simulator.
        levels: transistor models that it knows.
        kinds: device kinds that it knows.
        raw: file that it writes.
        column: variable of a node in that file; {} stands for the node's name.
        fault: finds the line of a log that says what failed.
        farewell: what the log of a run that reached its end says; empty if it says nothing certain.
    """

    name: str
    program: ClassVar[process.Program]
    levels: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[str, ...]]
    raw: ClassVar[str]
    column: ClassVar[str] = "v({})"
    fault: ClassVar[re.Pattern[str]]
    farewell: ClassVar[str] = ""

    def __init__(self, options: Options) -> None:
        self.options = options

    def prepare(self, circuit: Circuit) -> SpiceSession:
        """Checks the circuit, finds the simulator and makes what its decks need.

        Raises:
            InputError: with all devices that this engine cannot run.
            SimulatorError: the simulator is not installed or too old.
            ModelError: a compact model could not be compiled for it.
        """
        dialects.refuse(circuit, self.name, self.levels, self.kinds)
        program = process.find(self.program)
        return SpiceSession(circuit, self, program, self.writer(circuit))

    @abstractmethod
    def writer(self, circuit: Circuit) -> DeckWriter:
        """Returns what writes the decks of a circuit."""

    @abstractmethod
    def command(self, program: str) -> list[str]:
        """Returns the command that runs a deck in its folder."""

    @abstractmethod
    def statistics(self, done: process.Finished) -> Statistics:
        """Reads counts from a log."""

    def check(self, done: process.Finished, folder: Path) -> None:
        """Raises what the log says went wrong: a simulator may end with code 0 after a failure.

        Raises:
            SimulatorError: with the line of the log, or its end.
        """
        found = self.fault.search(done.log)
        ended = self.farewell in done.log and (folder / self.raw).is_file()
        if found or not ended or done.code != 0:
            reason = found.group(0).strip() if found else process.tail(done.log)
            raise SimulatorError(f"{self.program.name} failed (exit code {done.code}): {reason}.")


class SpiceSession:
    """A circuit that an external simulator can run."""

    def __init__(self, circuit: Circuit, engine: SpiceEngine[Any], program: Path, write: DeckWriter) -> None:
        self.circuit = circuit
        self.engine = engine
        self._program = program
        self._write = write

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        return self.circuit.nodes

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus.

        Raises:
            InputError: a signal, node or state does not fit.
            SimulatorError: the simulator failed; the message names the folder with deck and log.
        """
        engine, options = self.engine, self.engine.options
        files = self._write(stimulus, state, save)
        deck = dialects.make_deck(self.circuit, stimulus, state, save)
        with process.work_folder(engine.name, options.keep) as folder:
            process.write_files(folder, files)
            command = engine.command(str(self._program))
            done = process.run(command, folder, options.timeout_s, {"OMP_NUM_THREADS": "1"})
            engine.check(done, folder)
            results = Results(read_raw(folder / engine.raw)[0], engine.column.format, engine.statistics(done))
            return solution(deck, results, save, {"engine": engine.name, "program": engine.program.name})


def count(done: process.Finished, pattern: str) -> int:
    """Returns the last number in a log that a pattern with one group finds, 0 if there is none."""
    found = re.findall(pattern, done.log, re.MULTILINE)
    return int(found[-1]) if found else 0
