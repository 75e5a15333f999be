"""The native engine: prepares a circuit once and runs stimuli on it in compiled code."""

from __future__ import annotations

import logging
import time

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from eqspice.circuit import Circuit, Stimulus
from eqspice.engines.base import Save, Solution, State, Statistics, Status
from eqspice.engines.native import newton as nt
from eqspice.engines.native import program as pg
from eqspice.engines.native import stepper
from eqspice.engines.native import track as tk
from eqspice.engines.native.compile import Compiled, compile_circuit
from eqspice.engines.native.deviations import deviated
from eqspice.engines.native.devices import diode
from eqspice.engines.native.fets import outside_message
from eqspice.engines.native.noise import noise_program
from eqspice.engines.native.options import NativeOptions
from eqspice.engines.native.terminals import TerminalLaws
from eqspice.errors import ConvergenceError, InputError
from eqspice.pdk.mismatch import Deviations
from eqspice.waveforms import Waveforms

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

__all__ = ["NativeEngine", "NativeOptions", "NativeSession"]

_FAST = 1e12  # 1/s, at which femtofarads are as large as millisiemens: none is lost to rounding


class NativeEngine:
    """Engine for circuits that learn: table FETs, fixed-pattern LU, whole chunks in compiled code."""

    name = "native"

    def __init__(self, options: NativeOptions | None = None) -> None:
        self.options = options or NativeOptions()

    def prepare(self, circuit: Circuit) -> NativeSession:
        """Compiles the circuit.

        Raises:
            InputError: with all devices that this engine cannot run.
        """
        return NativeSession(compile_circuit(circuit, self.options.fets), self.options)


class NativeSession:
    """A compiled circuit and its work arrays. Not for use by two threads at once."""

    def __init__(self, compiled: Compiled, options: NativeOptions) -> None:
        self.compiled = compiled
        self.options = options
        self._noise = noise_program(compiled, options)
        self._told_outside = False
        self._place = dict(zip(compiled.node_names, compiled.places, strict=True))
        self._names = {place: name for name, place in self._place.items()}

    def with_deviations(self, deviations: Deviations) -> NativeSession:
        """Returns the session of one chip; it shares tables, matrix pattern and compiled code with this one.

        Args:
            deviations: from the circuit as drawn, whatever this session's are.
        """
        return NativeSession(deviated(self.compiled, deviations), self.options)

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        return self.compiled.node_names

    @property
    def unknowns(self) -> int:
        """Number of unknown node voltages."""
        return self.compiled.program.unknowns

    def initial_state(self, voltages: dict[str, float] | None = None, time: float = 0.0) -> State:
        """Returns a state with the given node voltages and zero elsewhere.

        Raises:
            InputError: a node that does not exist.
        """
        vector = np.zeros(len(self.node_names))
        for node, value in (voltages or {}).items():
            if node not in self._place:
                raise InputError(f"initial state: node {node!r} does not exist.")
            vector[self.node_names.index(node)] = value
        return State(time, vector)

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus.

        Args:
            stimulus: all signals that the circuit names (further ones are ignored).
            state: where to start; None: all nodes at zero. Its time is not looked at.
            save: nodes and times to record; None: every node at every time step.

        Returns:
            the solution; its status says whether it converged.

        Raises:
            InputError: a signal is missing, or the state or the save does not fit the circuit.
        """
        program = self.compiled.program
        times, values = self._signals(stimulus)
        save = save or Save(self.node_names)
        probes = self._probes(save.nodes)
        work = pg.new_work(program)
        start = state or self.initial_state(time=float(times[0]))
        # The run's own clock starts at zero: time differences stay exact however late it is.
        origin = times[0]
        times = times - origin
        record = save.within(float(origin), float(times[-1]))
        track = self._track(work, times, values, start)
        marks = self._marks(times, values)
        control = self._control()
        before = time.process_time()
        self._noise.start(float(origin), work.voltage, start.noise)
        outcome = self._loop(work, track, control, times, values, marks, probes, record)
        cpu = time.process_time() - before
        code, newton_status, kept_times, kept_values = outcome
        waveforms = Waveforms(kept_times + origin, tuple(save.nodes), kept_values)
        end = State(
            float(track.clock[tk.NOW] + origin),
            track.before_1[self.compiled.places],
            track.charge_1[self.compiled.places],
            self._noise.state(),
        )
        status, message = self._explain(code, newton_status, work, track, origin)
        bulk_names = tuple(flat.name for flat in self.compiled.devices.get("bulk", ()))
        if outside := outside_message(bulk_names, work):
            message = message or outside
            if not self._told_outside:  # a training run is one call per chunk
                _log.warning("%s", outside)
                self._told_outside = True
        statistics = Statistics(
            time_steps=int(work.counters[nt.STEPS]),
            rejected_steps=int(work.counters[nt.REJECTED]),
            newton_iterations=int(work.counters[nt.ITERATIONS]),
            factorisations=int(work.counters[nt.FACTORISATIONS]),
            device_evaluations=int(work.counters[nt.EVALUATIONS]),
            gmin_steps=int(work.counters[nt.GMIN_STEPS]),
            cpu_s=cpu,
        )
        return Solution(waveforms, end, status, statistics, message, {"engine": "native"})

    def operating_point(self, signals: dict[str, float] | None = None, guess: State | None = None) -> State:
        """Solves I(v) = 0 with constant signals (capacitors open).

        Args:
            signals: value of each signal that the circuit names, V or A.
            guess: voltages to start from.

        Raises:
            ConvergenceError: gmin stepping did not converge, or a node floats.
            InputError: a signal is missing.
        """
        program = self.compiled.program
        given = signals or {}
        missing = [name for name in self.compiled.signals if name not in given]
        if missing:
            raise InputError(f"operating point: signals {', '.join(missing)} have no value.")
        work = pg.new_work(program)
        row = np.array([[given[name] for name in self.compiled.signals]] * 2).reshape(2, -1)
        if guess is not None:
            self._put(work, guess)
        stepper.set_inputs(program, work, np.array([0.0, 1.0]), row, 0, 0.0)
        for gmin in [0.0, *(10.0**-k for k in range(3, 16)), 0.0]:
            status = nt.newton(
                program, work, 0.0, gmin, 100, self.options.bypass, min(0.5, self.options.max_change)
            )
            if status == nt.CONVERGED and gmin == 0.0:
                return State(0.0, work.voltage[self.compiled.places])
            if status == nt.NOT_FINITE:
                work.voltage[program.first_unknown :] = 0.0
        raise ConvergenceError(f"operating point: {self._where(work)}: {_OF_NEWTON[status].value}.")

    @property
    def unknown_names(self) -> tuple[str, ...]:
        """Unknown nodes in elimination order: rows and columns of `matrices`."""
        first = self.compiled.program.first_unknown
        return tuple(self._names[first + row] for row in range(self.unknowns))

    def matrices(self, state: State) -> tuple[csr_array, csr_array]:
        """Returns the conductance and capacitance matrices (G, C) at a state's voltages.

        Rows and columns are those of `unknown_names`, siemens and farads, shape (n, n), sparse.
        """
        program, work = self.compiled.program, self._evaluated(state)
        found = []
        for alpha in (0.0, _FAST):
            nt.assemble(program, work, alpha, 0.0)
            found.append(self._matrix(work.values))
        return found[0], (found[1] - found[0]) / _FAST

    def junctions(self, state: State) -> csr_array:
        """Returns the part of G that diodes and soft limiters make, S, shape (n, n), sparse."""
        program, work = self.compiled.program, self._evaluated(state)
        work.values[:] = 0.0
        diode.assemble_two_terminal(program.diodes.positions, work.values, work.diode)
        diode.assemble_two_terminal(program.limiters.positions, work.values, work.limiter)
        return self._matrix(work.values)

    def terminal_laws(self) -> TerminalLaws:
        """Returns what every device takes in at its terminals at given node voltages."""
        return TerminalLaws(self.compiled)

    def restarts(self, stimulus: Stimulus) -> FloatArray:
        """Returns the times, s from the start, at which a run restarts with a backward Euler step."""
        times, values = self._signals(stimulus)
        return self._marks(times - times[0], values)

    def _evaluated(self, state: State) -> pg.Work:
        program = self.compiled.program
        work = pg.new_work(program)
        self._put(work, state)
        limited = 1
        while limited:  # a junction far above its knee gets there in several evaluations
            _, limited = nt.evaluate(program, work, self.options.bypass)
        return work

    def _matrix(self, values: FloatArray) -> csr_array:
        program = self.compiled.program
        shape = (program.unknowns, program.unknowns)
        return csr_array((values[:-1].copy(), program.column, program.start), shape=shape)

    def _signals(self, stimulus: Stimulus) -> tuple[FloatArray, FloatArray]:
        missing = [name for name in self.compiled.signals if name not in stimulus.names]
        if missing:
            raise InputError(f"stimulus: signals {', '.join(missing)} are missing.")
        columns = [stimulus.names.index(name) for name in self.compiled.signals]
        return stimulus.times, np.ascontiguousarray(stimulus.values[:, columns])

    def _probes(self, nodes: tuple[str, ...]) -> NDArray[np.int32]:
        unknown = [node for node in nodes if node not in self._place]
        if unknown:
            raise InputError(f"save: node {unknown[0]!r} does not exist.")
        return np.array([self._place[node] for node in nodes], np.int32)

    def _control(self) -> tk.Control:
        o = self.options
        return tk.Control(
            lte=o.lte,
            fixed=1.0 if o.fidelity == "phase" else 0.0,
            max_step=o.max_step if o.max_step > 0 else np.inf,
            min_step=o.min_step,
            exact_step=o.exact_step,
            bypass=o.bypass,
            max_change=o.max_change,
            newton_limit=o.newton_limit,
            max_steps=o.max_steps,
        )

    def _put(self, work: pg.Work, state: State) -> None:
        """Sets the voltages of a state.

        Raises:
            InputError: a shape that is not the circuit's, or a number that is not finite.
        """
        for name in ("voltages", "charges"):
            values = getattr(state, name)
            if values is None and name == "charges":
                continue
            if np.shape(values) != (len(self.node_names),):
                raise InputError(
                    f"state: {name} has shape {np.shape(values)}, ({len(self.node_names)},) is needed."
                )
            wrong = np.flatnonzero(~np.isfinite(values))
            if len(wrong):
                raise InputError(
                    f"state: {name} of node {self.node_names[wrong[0]]} is {values[wrong[0]]}, "
                    "it must be finite."
                )
        work.voltage[self.compiled.places] = state.voltages

    def _track(self, work: pg.Work, times: FloatArray, values: FloatArray, start: State) -> tk.Track:
        program = self.compiled.program
        size = program.first_unknown + program.unknowns
        self._put(work, start)
        stepper.set_inputs(program, work, times, values, 0, 0.0)
        if start.charges is None:
            nt.evaluate(program, work, self.options.bypass)
        else:
            work.charge[self.compiled.places] = start.charges
        arrays = [np.zeros(size) for _ in range(7)]
        kept = tk.REMEMBERED if self.options.fidelity == "phase" else 0
        arrays += [np.zeros((kept, size)), np.zeros((kept, program.first_unknown))]
        track = tk.Track(np.zeros(4), np.zeros(9, np.int64), *arrays)
        track.before_1[:] = work.voltage
        track.charge_1[:] = work.charge
        return track

    def _marks(self, times: FloatArray, values: FloatArray) -> FloatArray:
        """Breakpoints, and between them: when switches start or end to change, or given points."""
        if self.options.fidelity == "phase":
            steps = self.options.points_per_plateau - 1
            inner = np.diff(times)[:, None] * (np.arange(1, steps) / steps)
            return np.sort(np.concatenate([times, (times[:-1, None] + inner).ravel()]))
        program = self.compiled.program
        inputs = np.zeros((len(times), program.first_unknown))
        inputs[:, 1:] = program.input_dc
        has = program.input_signal >= 0
        scaled = program.input_scale[has] * values[:, program.input_signal[has]]
        inputs[:, 1:][:, has] += scaled
        found = [times]
        for control, reference, v_on, v_off in self.compiled.controls:
            difference = inputs[:, control] - inputs[:, reference]
            for level in (v_on, v_off):
                low, high = difference[:-1] - level, difference[1:] - level
                at = np.flatnonzero(low * high < 0)
                found.append(times[at] + (times[at + 1] - times[at]) * low[at] / (low[at] - high[at]))
        marks = np.unique(np.concatenate(found))
        shortest = 1e-6 * np.min(np.diff(times))
        keep = np.concatenate([[True], np.diff(marks) > shortest])
        keep[-1] = True
        return np.asarray(marks[keep])

    def _loop(
        self,
        work: pg.Work,
        track: tk.Track,
        control: tk.Control,
        times: FloatArray,
        values: FloatArray,
        marks: FloatArray,
        probes: NDArray[np.int32],
        record: FloatArray,
    ) -> tuple[int, int, FloatArray, FloatArray]:
        room = len(record) if len(record) else 4 * len(marks) + 64
        times_out, values_out = np.zeros(room), np.zeros((room, len(probes)))
        kept_times: list[FloatArray] = []
        kept_values: list[FloatArray] = []
        if len(record) == 0:
            values_out[0] = work.voltage[probes]
            track.place[tk.KEPT] = 1
        at_start = int(np.searchsorted(record, 0.0, side="right"))
        values_out[:at_start] = work.voltage[probes]
        track.place[tk.NEXT_RECORD] = at_start
        stepper._pass_mark(work, track, marks, control)
        while True:
            code, status = stepper.run(
                self.compiled.program, work, track, control, self._noise.arrays, times, values, marks,
                probes, record, times_out, values_out,
            )  # fmt: skip
            if len(record) == 0:
                filled = int(track.place[tk.KEPT])
                kept_times.append(times_out[:filled].copy())
                kept_values.append(values_out[:filled].copy())
                track.place[tk.KEPT] = track.place[tk.KEPT_AT_MARK] = 0
            if code != stepper.RECORD_FULL:
                break
        if len(record):
            filled = int(track.place[tk.NEXT_RECORD])
            return code, status, times_out[:filled], values_out[:filled]
        return code, status, np.concatenate(kept_times), np.concatenate(kept_values)

    def _explain(
        self, code: int, status: int, work: pg.Work, track: tk.Track, origin: float
    ) -> tuple[Status, str]:
        if code == stepper.DONE:
            return Status.SUCCESS, ""
        kind = {
            stepper.STEP_LIMIT: Status.STEP_LIMIT,
            stepper.ERROR_LIMIT: Status.ERROR_LIMIT,
        }.get(code, _OF_NEWTON[status])
        return kind, (
            f"native engine stopped at {track.clock[tk.NOW] + origin:.9g} s: {self._where(work)}, "
            f"step {track.clock[tk.STEP]:.3g} s: {kind.value}."
        )

    def _where(self, work: pg.Work) -> str:
        node = self._names.get(int(work.counters[nt.WORST]), "?")
        devices = self.compiled.devices_at.get(node, ())
        return f"node {node} (devices {', '.join(devices[:4])}{' …' if len(devices) > 4 else ''})"


_OF_NEWTON = {
    nt.CONVERGED: Status.SUCCESS,
    nt.NOT_CONVERGED: Status.NEWTON_FAILED,
    nt.SINGULAR: Status.SINGULAR,
    nt.NOT_FINITE: Status.NOT_FINITE,
}
