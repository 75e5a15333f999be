"""A prepared training set-up: the circuit of an experiment, ready to be written, run and read."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import Circuit, Stimulus
from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.design.families import architecture_of
from eqspice.design.network import Design, Readout
from eqspice.engines.base import Save, Solution, State
from eqspice.engines.native.engine import NativeEngine, NativeSession
from eqspice.training.build import chip_of, design_of, engine_options, initial_weights, task_of
from eqspice.training.experiment import Experiment
from eqspice.training.sections import MismatchChoice
from eqspice.training.tasks import Task

FloatArray = NDArray[np.float64]
MOST_PER_CHUNK = 64  # presentations: bounds memory and what a kill can lose


@dataclass
class Bench:
    """A prepared training set-up.

    Attributes:
        experiment, task, design, circuit, session: what is trained and on what.
        output_readout: how the outputs are read from their nodes.
        weight_readouts: how the weights are read, per layer, row by row.
        weight_places: index in State.voltages of the nodes of each layer's readout.
        compile_s: seconds spent on elaboration, tables and compiled code.
    """

    experiment: Experiment
    task: Task
    design: Design
    circuit: Circuit
    session: NativeSession
    output_readout: Readout
    weight_readouts: list[Readout]
    weight_places: list[NDArray[np.int64]]
    compile_s: float = 0.0

    @property
    def outputs(self) -> tuple[str, ...]:
        """Nodes that the outputs are read from, see `output_readout`."""
        return self.output_readout.nodes

    def learn_with(self, update_gains: tuple[float, ...]) -> None:
        """Sets the update gains, 1/V, where they are reference voltages and no part of the circuit."""
        self.design = replace(self.design, update_gains=update_gains)

    def on_chip(self, seed: int) -> Bench:
        """Returns the same set-up on another chip of the experiment's mismatch; nothing is compiled."""
        chosen = self.experiment.mismatch.model_dump() | {"seed": seed}
        experiment = self.experiment.changed(mismatch=MismatchChoice(**chosen))
        session = self.session.with_deviations(chip_of(experiment, self.circuit))
        return replace(self, experiment=experiment, session=session)

    def weights(self, state: State) -> list[FloatArray]:
        """Returns the weights of a state at rest, V, one (inputs, outputs) matrix per layer.

        They are read after one more presentation's time at rest, which the state itself does not go
        through: until then columns that conduct little still relax, and pull the storage nodes by their
        gates, some 0.1 mV that nothing has learned.
        """
        times = state.time + np.array([0.0, sc.sample_period(self.design)])
        rest = Stimulus(times, self.circuit.signals, np.zeros((2, len(self.circuit.signals))))
        relaxed = self.session.run(rest, state, Save(self.outputs, times[1:])).raise_for_status().state
        return [
            readout.of(relaxed.voltages[places]).reshape(self.design.shape(layer))
            for layer, (readout, places) in enumerate(
                zip(self.weight_readouts, self.weight_places, strict=True)
            )
        ]


def check(experiment: Experiment) -> None:
    """Builds what an experiment describes, without simulating, so that mistakes show before a run starts.

    Raises:
        InputError: data, widths, weights or a number of the design is not allowed.
        CircuitError: the cells do not fit together.
    """
    design = design_of(experiment, task_of(experiment))
    sc.check_weights(design, initial_weights(design, experiment))
    elaborate(design)


def prepare(experiment: Experiment) -> Bench:
    """Elaborates and compiles the experiment's circuit, and warms up the compiled code."""
    before = time.perf_counter()
    task = task_of(experiment)
    design = design_of(experiment, task)
    weights = initial_weights(design, experiment)
    sc.check_weights(design, weights)
    circuit = elaborate(design)
    session = NativeEngine(engine_options(experiment, design)).prepare(circuit)
    if experiment.mismatch.sigma > 0.0:
        session = session.with_deviations(chip_of(experiment, circuit))
    place = {name: index for index, name in enumerate(session.node_names)}
    family = architecture_of(design)
    readouts = [family.weights(design, layer) for layer in range(design.layers)]
    places = [np.array([place[node] for node in readout.nodes], np.int64) for readout in readouts]
    bench = Bench(experiment, task, design, circuit, session, family.outputs(design), readouts, places)
    _warm_up(bench)
    bench.compile_s = time.perf_counter() - before
    return bench


def _warm_up(bench: Bench) -> None:
    """Runs one presentation from rest, so that no later time holds the compiler's."""
    data = sc.Presentations(
        bench.task.x[:1], bench.task.y[:1], np.full((1, 1, bench.design.layers), sc.NO_ROW)
    )
    plan = sc.presentation_schedule(bench.design, data, 0.0)
    bench.session.run(plan.stimulus, None, Save(bench.outputs, plan.free_ends))


def write_weights(bench: Bench, weights: list[FloatArray]) -> Solution:
    """Simulates the SET sequence from rest."""
    stimulus = sc.set_sequence(bench.design, weights)
    return bench.session.run(stimulus, None, Save(bench.outputs, stimulus.times[-1:])).raise_for_status()


def evaluate(bench: Bench, state: State, x: FloatArray, chunk: int = MOST_PER_CHUNK) -> FloatArray:
    """Returns the outputs for inputs x in free phases only, V, shape (N, outputs). The state is kept.

    Args:
        bench: prepared set-up.
        state: where the weights are.
        x: input voltages, V, shape (N, inputs).
        chunk: presentations per simulation.
    """
    found = []
    rest = sc.settle_time(bench.design)
    for first in range(0, len(x), chunk):
        part = np.asarray(x[first : first + chunk], float)
        blank = np.zeros((len(part), bench.design.widths[-1]))
        rows = np.full((len(part), 1, bench.design.layers), sc.NO_ROW)
        data = sc.Presentations(part, blank, rows)
        plan = sc.presentation_schedule(bench.design, data, state.time - rest, phases=("free",))
        solution = bench.session.run(plan.stimulus, state, Save(bench.outputs, plan.free_ends))
        found.append(bench.output_readout.of(solution.raise_for_status().waveforms.values))
    return np.concatenate(found)
