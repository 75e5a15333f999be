"""The gradient of whole networks: adjoint against differences, and against closed forms."""

import math

import numpy as np
import pytest

from eqspice.design.schedule import NO_ROW
from eqspice.errors import InputError
from eqspice.training import trainer
from eqspice.training.checkpoint import RunFolder
from eqspice.training.dataset import arrays
from eqspice.training.experiment import Experiment
from eqspice.training.gradcheck import (
    check_gradient,
    initial_state,
    load_check,
    save_check,
    written,
)
from eqspice.training.oracle import Oracle

RNG = np.random.default_rng(7)
X = RNG.uniform(0.2, 0.9, (3, 3))
Y = RNG.uniform(-0.05, 0.05, (3, 2))


def bench_of(preset: str, inputs: int, hidden: tuple[int, ...], outputs: int, **more) -> trainer.Bench:
    task = arrays(X[:, :inputs], Y[:, :outputs], scale=False)
    return trainer.prepare(
        Experiment(
            task=task,
            preset=preset,
            network={"hidden": hidden},
            engine={"fidelity": "phase"},
            **more,
        )
    )


@pytest.mark.parametrize(
    "shape", [(2, (4,), 1), (3, (4,), 2), (3, (4, 3), 2)], ids=["2-4-1", "3-4-2", "3-4-3-2"]
)
@pytest.mark.parametrize("preset", ["reference", "read_nfet", "resistive", "reciprocal"])
def test_adjoint_against_differences(preset, shape):
    bench = bench_of(preset, *shape)
    state, oracle = initial_state(bench), Oracle(bench)
    x, y = bench.task.x[0], bench.task.y[0]
    free = oracle.settle(state, x[None], y[None]).free[0]
    adjoint = oracle.gradient(state, free, y).weights
    differences = oracle.differences(state, x, y)
    for found, expected in zip(adjoint, differences, strict=True):
        assert np.linalg.norm(expected) > 0.0
        # Differences of 0.1 mV resolve 3e-9 V: starved layers of read_nfet have gradients not far above that.
        resolved = 3e-9 if preset == "read_nfet" else 0.0
        assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected) + resolved


def test_a_network_without_hidden_layer_has_the_gradient_of_its_closed_form():
    bench = bench_of("resistive", 3, (), 2)
    state, oracle = initial_state(bench), Oracle(bench)
    x, y = bench.task.x[0], bench.task.y[0]
    weights = bench.weights(state)[0]
    # Conductances k (1 V ± w) to ±x; the amplifier passes the current into load and its own 10 ohm back to
    # the column.
    load, gain, back, k = 10e3, bench.design.gain, bench.design.back_gain, 1e-4
    conductance = 2 * k * 3 + gain * back / (load + 10.0)
    forward = gain * load / (load + 10.0) * 2 * k * x / conductance
    out = forward @ weights
    free = oracle.settle(state, x[None], y[None]).free[0]
    assert oracle.outputs @ oracle.unknowns(free) == pytest.approx(
        out, rel=1e-4
    )  # weights leak 8e-6 per phase
    gradient = oracle.gradient(state, free, y).weights[0]
    expected = np.outer(forward, out - y)
    assert np.linalg.norm(gradient - expected) < 1e-4 * np.linalg.norm(expected)
    # The inputs are driven, so the product rule writes x times the outputs' step: the right direction.
    update = written(oracle, state, x, y).update[0]
    direction = -np.outer(x, out - y)
    assert np.vdot(update, direction) > 0.9999 * np.linalg.norm(update) * np.linalg.norm(direction)


def test_conductances_pass_the_gradient_back_and_cmos_cells_do_not():
    sound = check_gradient(bench_of("resistive", 3, (6,), 2), *_state("resistive"), samples=3)
    poor = check_gradient(bench_of("reference", 3, (6,), 2), *_state("reference"), samples=3)
    assert sound.layers[0].signal_fraction == pytest.approx(1.0, abs=1e-6)
    assert sound.layers[1].forward_backward == pytest.approx(1.0, abs=1e-9)
    assert sound.layers[1].cosine > 0.98 and sound.layers[0].rule_cosine > 0.999
    assert poor.layers[0].signal_fraction < 0.7 and poor.layers[0].cosine < 0.9
    assert abs(poor.layers[1].transport_cosine) < 0.95
    assert any("not reciprocal at this bias in layer 1" in line for line in poor.verdict)
    assert math.isnan(poor.layers[0].forward_backward) and math.isnan(poor.layers[1].clamped)


@pytest.mark.parametrize(
    ("hidden", "design"),
    [((6,), {}), ((5, 4), {}), ((4, 12), {"input_scale": 0.1})],
    ids=["6", "5-4", "4-12"],
)
def test_every_layer_of_the_reciprocal_preset_learns_its_gradient(hidden, design):
    gains = (20.0,) * (len(hidden)) + (0.1,)
    bench = bench_of("reciprocal", 3, hidden, 2, learning={"update_gain": gains}, design=design)
    for layer in check_gradient(bench, initial_state(bench), samples=3).layers:
        assert layer.cosine > 0.99 and layer.rule_cosine > 0.99, layer
        assert layer.signal_fraction == pytest.approx(1.0, abs=0.05)


def _state(preset: str):
    return (initial_state(bench_of(preset, 3, (6,), 2)),)


def test_the_update_is_what_addressed_rows_learn():
    bench = bench_of("reference", 3, (4,), 2)
    state, oracle = initial_state(bench), Oracle(bench)
    x, y = bench.task.x[1], bench.task.y[1]
    update = written(oracle, state, x, y).update
    ends = [
        bench.weights(bench.session.run(oracle.plan(state, x[None], y[None], lines).stimulus, state).state)
        for lines in ([1, 1], [NO_ROW, NO_ROW])
    ]
    change = [after - idle for after, idle in zip(*ends, strict=True)]
    assert update[0][1] == pytest.approx(change[0][1], rel=1e-9)  # word lines along the 3 inputs
    assert update[1][:, 1] == pytest.approx(change[1][:, 1], rel=1e-9)  # and along the 2 outputs
    assert all(np.abs(one).min() > 0.0 for one in update)


def test_drift_is_the_leakage_of_the_storage_capacitors():
    bench = bench_of("resistive", 3, (4,), 2)
    state, oracle = initial_state(bench), Oracle(bench)
    found = written(oracle, state, bench.task.x[0], bench.task.y[0])
    # An open switch of 1e14 ohm leads from 0.1 pF to a line that floats between the weights on it.
    largest = 240e-6 / (1e14 * 0.1e-12) * np.abs(bench.weights(state)[0]).max()
    assert 0.3 * largest < np.abs(found.drift[0]).max() < 2.0 * largest


def test_a_check_is_kept_in_the_run_folder(tmp_path):
    bench = bench_of("resistive", 3, (4,), 2)
    check = check_gradient(bench, initial_state(bench), samples=2)
    folder = RunFolder.create(tmp_path / "run", bench.experiment)
    save_check(folder, check, initial=True)
    loaded = load_check(folder, initial=True)
    assert loaded.summary() == check.summary()
    assert np.array_equal(loaded.updates[1], check.updates[1])
    assert loaded.updates[0].shape == loaded.gradients[0].shape == (2, 3, 4)


def test_no_samples():
    with pytest.raises(InputError, match="samples: 0 is not allowed"):
        check_gradient(bench_of("resistive", 3, (4,), 2), *_state("resistive"), samples=0)
