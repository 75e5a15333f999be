"""Networks in both fidelities: they agree, converge, and do not depend on chunks; what layers receive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqspice.design.schedule import Presentations
from eqspice.engines.base import State, Statistics
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.training import trainer
from eqspice.training.build import initial_weights
from eqspice.training.experiment import Experiment
from eqspice.training.trainer import Bench, Chunk


def bench_of(
    hidden: tuple[int, ...] = (32,),
    preset: str = "reference",
    lr: float | None = 0.01,
    seed: int = 0,
    rows: str = "one",
) -> Bench:
    learning = {"epochs": 3, "rows": rows} | ({"lr": lr} if lr else {})
    return trainer.prepare(
        Experiment(
            task="sine",
            network={"hidden": hidden},
            preset=preset,
            engine={"fidelity": "phase"},
            learning=learning,
            seed=seed,
        )
    )


def start(bench: Bench, **options: object) -> State:
    """Gives the bench's session these options, and returns the state after SET."""
    bench.session = NativeEngine(NativeOptions(**options)).prepare(bench.circuit)  # type: ignore[arg-type]
    return trainer.write_weights(bench, initial_weights(bench.design, bench.experiment)).state


def presentations(bench: Bench, count: int) -> Chunk:
    """The first of a learning epoch's presentations."""
    chunk = replace(trainer.epoch_chunks(bench, 1)[0], first=0)
    return part_of(chunk, 0, count)


def part_of(chunk: Chunk, first: int, end: int) -> Chunk:
    """Some of a chunk's presentations, at their own time."""
    fields = vars(chunk.data).items()
    data = Presentations(**{name: None if values is None else values[first:end] for name, values in fields})
    return replace(chunk, data=data, points=chunk.points[first:end], first=chunk.first + first)


def learn(bench: Bench, count: int = 50, **options: object) -> tuple[np.ndarray, Statistics]:
    """Learned weights after so many presentations, V, and the work of it."""
    state = start(bench, **options)
    solution, _ = trainer.run_chunk(bench, presentations(bench, count), state)
    return flat(bench.weights(solution.state)), solution.statistics


def flat(matrices: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([matrix.ravel() for matrix in matrices])


@pytest.fixture(scope="module")
def bench() -> Bench:
    return bench_of()


@pytest.mark.parametrize("lr", [0.01, None])
def test_an_epoch_in_phase_steps_learns_what_the_transient_learns(lr: float | None):
    """One epoch of 3-32-4: learned weights differ by at most 0.3 mV."""
    bench = bench_of(lr=lr)
    before = flat(initial_weights(bench.design, bench.experiment))
    transient, work = learn(bench)
    phase, phase_work = learn(bench, fidelity="phase")
    assert np.sqrt(np.mean((transient - before) ** 2)) > 20e-3
    assert np.abs(phase - transient).max() <= 0.3e-3
    assert np.sqrt(np.mean((phase - transient) ** 2)) <= 0.05e-3
    assert phase_work.time_steps == 50 * 24
    assert phase_work.newton_iterations < 3200 and work.newton_iterations < 27_000  # what speed is made of


def test_more_time_points_and_a_smaller_error_come_nearer(bench: Bench):
    count = 10
    fine, _ = learn(bench, count, lte=1e-5, bypass=1e-6)
    phase = [
        np.abs(learn(bench, count, fidelity="phase", points_per_plateau=n)[0] - fine).max() for n in (2, 3, 9)
    ]
    transient = [np.abs(learn(bench, count, lte=lte)[0] - fine).max() for lte in (1e-2, 1e-4)]
    assert phase[0] > 2.0 * phase[1] and phase[0] > 3.0 * phase[2] and phase[2] < 20e-6
    assert transient[0] > transient[1] and transient[1] < 10e-6


@pytest.mark.parametrize("fidelity", ["phase", "transient"])
def test_chunks_do_not_change_what_is_learned(fidelity: str):
    bench = bench_of((4,))
    state = start(bench, fidelity=fidelity)
    whole = presentations(bench, 12)
    at_once, _ = trainer.run_chunk(bench, whole, state)
    for first in range(0, 12, 3):
        solution, _ = trainer.run_chunk(bench, part_of(whole, first, first + 3), state)
        state = solution.state
    assert state.time == pytest.approx(at_once.state.time, rel=1e-12)
    difference = np.abs(flat(bench.weights(state)) - flat(bench.weights(at_once.state))).max()
    assert difference < 1e-6


@pytest.mark.parametrize("fidelity", ["phase", "transient"])
def test_the_same_seed_twice_gives_the_same_bits(fidelity: str):
    first, second = (learn(bench_of((4,)), 5, fidelity=fidelity) for _ in range(2))
    assert first[0].tobytes() == second[0].tobytes()
    assert replace(first[1], cpu_s=0.0) == replace(second[1], cpu_s=0.0)


@pytest.mark.parametrize("hidden", [(), (8,), (8, 8), (8, 8, 8)], ids=str)
@pytest.mark.parametrize("preset", ["reference", "read_nfet", "resistive"])
def test_one_to_four_layers_learn_in_every_layer(preset: str, hidden: tuple[int, ...]):
    bench = bench_of(hidden, preset, lr=None)
    before = bench.weights(start(bench, fidelity="phase"))
    learned, work = learn(bench, 6, fidelity="phase")
    assert work.time_steps >= 6 * 24 and work.gmin_steps == 0
    change = np.abs(learned - flat(before))
    at = np.cumsum([0, *(matrix.size for matrix in before)])
    for layer in range(len(before)):
        assert change[at[layer] : at[layer + 1]].max() > 1e-6


def first_to_last(preset: str, hidden: int, seed: int) -> float:
    """RMS weight change of the first layer over that of the last, per update gain, in ten presentations."""
    bench = bench_of((hidden,), preset, lr=None, seed=seed, rows="all")
    before = trainer.write_weights(bench, initial_weights(bench.design, bench.experiment)).state
    after = trainer.run_chunk(bench, presentations(bench, 10), before)[0].state
    first, last = (
        np.sqrt(np.mean((new - old) ** 2)) / gain
        for new, old, gain in zip(
            bench.weights(after), bench.weights(before), bench.design.update_gains, strict=True
        )
    )
    return float(first / last)


@pytest.mark.parametrize("hidden", [8, 32])
def test_the_plain_read_transistor_starves_the_first_layer(hidden: int):
    """It saturates: columns hardly drive rows, so that little of the error comes back to the first layer."""
    for seed in range(3):
        plain, amplifier = (first_to_last(preset, hidden, seed) for preset in ("read_nfet", "reference"))
        assert 0.0 < plain < 0.5 * amplifier


@pytest.mark.parametrize("rows", ["all", "parallel"])
def test_the_reciprocal_preset_learns_in_the_transient_what_it_learns_in_phase_steps(rows: str):
    """The transient goes through every edge, where a nudge must not meet the error that is being stored."""
    learned = {}
    for fidelity in ("phase", "transient"):
        settings = {
            "task": {"name": "xor"},
            "network": {"hidden": (32,)},
            "preset": "reciprocal",
            "learning": {"rows": rows, "update_gain": (0.5, 0.008), "epochs": 4},
            "engine": {"fidelity": fidelity},
        }
        bench = trainer.prepare(Experiment(**settings))
        before = trainer.write_weights(bench, initial_weights(bench.design, bench.experiment)).state
        solution, _ = trainer.run_chunk(bench, presentations(bench, 6), before)
        learned[fidelity] = flat(bench.weights(solution.state)) - flat(bench.weights(before))
    moved = np.sqrt(np.mean(learned["phase"] ** 2))
    assert moved > 0.5e-3
    assert np.sqrt(np.mean((learned["phase"] - learned["transient"]) ** 2)) < 1e-3 * moved
