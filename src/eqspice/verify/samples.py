"""Samples of a finished run again, from its checkpoint, in the native engine and in another simulator.

Both start from the same node voltages and see the same signals. The native engine takes small time
steps here, whatever the run took, so that what is left is the difference of the simulators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.design import schedule as sc
from eqspice.design.families import architecture_of
from eqspice.engines import ENGINES, get_engine
from eqspice.engines.base import Solution, State
from eqspice.engines.native.engine import NativeEngine
from eqspice.errors import InputError, StorageError, unknown
from eqspice.training import trainer
from eqspice.training.bench import Bench, prepare, write_weights
from eqspice.training.build import engine_options, initial_weights
from eqspice.training.calibrate import Calibration
from eqspice.training.checkpoint import RunFolder
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]
LTE = 1e-5  # V: of the native engine's time steps
PHASE_STEPS = 800  # of the native engine at least: its error control looks at storage nodes alone
GRID = 4000  # instants per sample that are compared for the whole time
GROUPS = ("storage", "held", "outputs", "rows", "columns")


@dataclass(frozen=True)
class Tolerances:
    """Largest differences that pass, V: nodes on plateaus, and weights after the samples.

    Attributes:
        storage: nodes that hold charge.
        held: those of them that hold an amplified voltage (differential circuits), not a weight.
        outputs: output nodes.
        rows: rails of hidden neurons.
        columns: inputs of neurons.
        weights: storage voltages of the synapses after the last sample.
    """

    storage: float = 1e-4
    held: float = 5e-4
    outputs: float = 5e-4
    rows: float = 5e-4
    columns: float = 5e-4
    weights: float = 1e-4

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise InputError(f"tolerance {field.name}: {value} is not allowed, it must be positive.")


@dataclass(frozen=True)
class Difference:
    """Difference of one node between the two simulations, V.

    Attributes:
        node: name.
        group: one of GROUPS.
        plateau_max, plateau_rms: at the ends of the free and nudged plateaus and in the middle of phases.
        plateau_time: of plateau_max, s.
        whole_max, whole_rms: over the whole time, edges included.
        whole_time: of whole_max, s.
    """

    node: str
    group: str
    plateau_max: float
    plateau_rms: float
    plateau_time: float
    whole_max: float
    whole_rms: float
    whole_time: float


@dataclass(frozen=True, eq=False)
class Verification:
    """What two simulators say of the same samples.

    Attributes:
        engine: name of the other one.
        chunk: of the run whose first samples these are.
        samples: how many.
        updates: word lines that they address, all layers together.
        differences: of every node, in groups, worst first.
        weights: largest difference of a weight after the samples, V.
        tolerances: what passes.
        ours, other: solutions of the native engine and of the other one, nodes of differences only.
        plan: signals and times of the samples.
    """

    engine: str
    chunk: int
    samples: int
    updates: int
    differences: tuple[Difference, ...]
    weights: float
    tolerances: Tolerances
    ours: Solution
    other: Solution
    plan: sc.Schedule

    @property
    def faults(self) -> tuple[str, ...]:
        """What exceeds its tolerance, in words."""
        found = []
        for group in GROUPS:
            limit = getattr(self.tolerances, group)
            worst = next((d for d in self.differences if d.group == group), None)
            if worst is not None and worst.plateau_max > limit:
                found.append(
                    f"{group}: node {worst.node} differs by {1e3 * worst.plateau_max:.4g} mV at "
                    f"{worst.plateau_time:.6g} s, {1e3 * limit:g} mV are allowed"
                )
        if self.weights > self.tolerances.weights:
            found.append(
                f"weights: differ by {1e3 * self.weights:.4g} mV after the samples, "
                f"{1e3 * self.tolerances.weights:g} mV are allowed"
            )
        return tuple(found)

    @property
    def passed(self) -> bool:
        """Whether nothing exceeds its tolerance."""
        return not self.faults

    @property
    def plateaus(self) -> FloatArray:
        """Instants of plateaus that are compared, s."""
        return plateau_times(self.plan)

    def worst(self, count: int) -> dict[str, float]:
        """Returns the nodes that differ most, `count` of each group, with their tolerances in V."""
        found: dict[str, float] = {}
        for group in GROUPS:
            members = [d.node for d in self.differences if d.group == group]
            found |= dict.fromkeys(members[:count], getattr(self.tolerances, group))
        return found

    def summary(self) -> dict[str, Any]:
        """Returns all figures as plain values, volts and seconds."""
        return {
            "engine": self.engine,
            "passed": self.passed,
            "faults": list(self.faults),
            "chunk": self.chunk,
            "samples": self.samples,
            "updates": self.updates,
            "tolerances": asdict(self.tolerances),
            "weights_max": self.weights,
            "groups": {
                group: {
                    "nodes": len(members),
                    "plateau_max": max(d.plateau_max for d in members),
                    "plateau_rms": _rms([d.plateau_rms for d in members]),
                    "whole_max": max(d.whole_max for d in members),
                    "whole_rms": _rms([d.whole_rms for d in members]),
                }
                for group in GROUPS
                if (members := [d for d in self.differences if d.group == group])
            },
            "nodes": [asdict(difference) for difference in self.differences],
            "native": asdict(self.ours.statistics),
            "other": asdict(self.other.statistics),
        }


def verify(
    folder: RunFolder,
    engine: str = "vacask",
    samples: int = 2,
    tolerances: Tolerances | None = None,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """Simulates samples of a run again in another engine, from its last checkpoint but one.

    Args:
        folder: of a run that has at least one checkpoint.
        engine: name of the other engine.
        samples: presentations, the first ones of the run's last chunk.
        tolerances: what passes; None for the documented ones.
        options: of the other engine.

    Raises:
        InputError: an engine, option or number of samples that does not exist.
        StorageError: the run has no checkpoint.
        SimulatorError: the other simulator is missing or failed.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, tuple(ENGINES))
    other = get_engine(engine, **(options or {}))
    bench = prepare(folder.experiment())
    calibration = folder.read_manifest().get("calibration")
    if calibration is not None:
        bench.learn_with(Calibration.restore(calibration).update_gains)
    session = other.prepare(bench.circuit)
    chunk, state = _start(folder, bench)
    if not 1 <= samples <= len(chunk.points):
        raise InputError(
            f"samples: {samples} is not allowed, chunk {chunk.index} has 1 to {len(chunk.points)}."
        )
    data = chunk.data.first(samples)
    plan = sc.presentation_schedule(bench.design, data, trainer.chunk_origin(bench, chunk))
    step = architecture_of(bench.design).phase_time(bench.design) / PHASE_STEPS
    own = engine_options(bench.experiment, bench.design)
    fine = replace(own, fidelity="transient", lte=LTE, max_step=step, noise=())
    native = NativeEngine(fine)
    ours = native.prepare(bench.circuit).run(plan.stimulus, state).raise_for_status()
    theirs = session.run(plan.stimulus, state).raise_for_status()
    groups = node_groups(bench)
    return Verification(
        engine,
        chunk.index,
        samples,
        int((data.rows != sc.NO_ROW).sum()),
        _differences(groups, ours.waveforms, theirs.waveforms, plan),
        _weight_difference(bench, ours.state, theirs.state),
        tolerances or Tolerances(),
        _reduced(ours, groups),
        _reduced(theirs, groups),
        plan,
    )


def _start(folder: RunFolder, bench: Bench) -> tuple[trainer.Chunk, State]:
    """Returns the last chunk that can be started from a kept state, and the voltages there."""
    kept = folder.checkpoint_indices()
    if not kept:
        raise StorageError(f"{folder.path}: has no checkpoint yet, there is nothing to verify.")
    if len(kept) > 1:
        index = kept[-2] + 1
        state = trainer.unpack_state(folder.read_checkpoint(kept[-2]))
    else:
        index = 0
        state = write_weights(bench, initial_weights(bench.design, bench.experiment)).state
    record = folder.read_record(index)
    chunk = next(c for c in trainer.epoch_chunks(bench, int(record["epoch"])) if c.index == index)
    # Other simulators start from voltages alone: so does the native engine.
    return chunk, State(state.time, state.voltages)


def node_groups(bench: Bench) -> dict[str, str]:
    """Returns the nodes that are compared, {name: group}."""
    design, family = bench.design, architecture_of(bench.design)
    weights = {node for readout in bench.weight_readouts for node in readout.nodes}
    other = "held" if design.family == "differential" else "storage"
    groups = {node: "storage" if node in weights else other for node in bench.circuit.storage_nodes}
    groups |= dict.fromkeys(bench.outputs, "outputs")
    for layer in range(design.layers):
        for readout, group in (
            (family.rows(design, layer), "rows"),
            (family.columns(design, layer), "columns"),
        ):
            if layer > 0 or group == "columns":  # sources hold the rows of the first crossbar
                groups = dict.fromkeys(readout.nodes, group) | groups
    known = set(bench.circuit.nodes)
    return {node: group for node, group in groups.items() if node in known}


def plateau_times(plan: sc.Schedule) -> FloatArray:
    """Returns the ends of the free and nudged plateaus and the middles of all phases, s."""
    return np.sort(np.concatenate([plan.free_ends, plan.nudged_ends, plan.middles.ravel()]))


def _differences(
    groups: Mapping[str, str], ours: Waveforms, other: Waveforms, plan: sc.Schedule
) -> tuple[Difference, ...]:
    plateaus = plateau_times(plan)
    times = plan.stimulus.times
    whole = np.linspace(times[0], times[-1], GRID * len(plan.free_ends) + 1)
    nodes = tuple(groups)
    errors = [
        np.abs(ours.select(nodes).at(axis).values - other.select(nodes).at(axis).values)
        for axis in (plateaus, whole)
    ]
    found = []
    for column, (node, group) in enumerate(groups.items()):
        flat, full = (error[:, column] for error in errors)
        found.append(
            Difference(
                node,
                group,
                float(flat.max()),
                _rms(flat),
                float(plateaus[flat.argmax()]),
                float(full.max()),
                _rms(full),
                float(whole[full.argmax()]),
            )
        )
    return tuple(sorted(found, key=lambda d: (GROUPS.index(d.group), -d.plateau_max)))


def _weight_difference(bench: Bench, ours: State, other: State) -> float:
    pairs = zip(bench.weight_readouts, bench.weight_places, strict=True)
    errors = [readout.of(ours.voltages[at] - other.voltages[at]) for readout, at in pairs]
    return max(float(np.abs(error).max()) for error in errors)


def _reduced(solution: Solution, groups: Mapping[str, str]) -> Solution:
    return replace(solution, waveforms=solution.waveforms.select(tuple(groups)))


def _rms(values: FloatArray | list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
