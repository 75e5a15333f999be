"""Equilibrium propagation by the circuit's own plateaus: its error falls with the nudge as theory says."""

from dataclasses import replace

import numpy as np
import pytest

from eqspice.cells.neuron import ClampDesign
from eqspice.design.network import Design
from eqspice.design.presets import PRESETS, Preset, resistive
from eqspice.training import trainer
from eqspice.training.experiment import Experiment
from eqspice.training.gradcheck import initial_state
from eqspice.training.oracle import Oracle

BETA = 2e-2  # S, so strong that the error stands well above rounding


def smooth(widths: tuple[int, ...]) -> Design:
    """A reciprocal network with soft clamps, nudged by a current, that does not leak."""
    design = resistive(widths)
    return replace(
        design,
        nudge="current",
        nudge_conductance=BETA,
        clamp=ClampDesign(1e-8, 2.0),
        weight_spread=2.0,
        gain=4.0,
        back_gain=0.25,
        switch=replace(design.switch, off_resistance=1e18),
    )


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    PRESETS["smooth"] = Preset(smooth, "")
    try:
        experiment = Experiment(
            task={"name": "sine", "options": {"outputs": 2, "amplitude": 0.2}},
            preset="smooth",
            network={"hidden": (4, 3)},
            engine={"fidelity": "phase"},
            seed=1,
        )
        return Oracle(trainer.prepare(experiment))
    finally:
        del PRESETS["smooth"]


def errors(oracle: Oracle, symmetric: bool) -> np.ndarray:
    """Relative error of the estimate per nudge (a row each) and layer (a column each)."""
    bench = oracle.bench
    state = initial_state(bench)
    x, y = bench.task.x[:1], bench.task.y[:1]
    free = oracle.settle(state, x, y).free[0]
    out = oracle.outputs @ oracle.unknowns(free)
    gradient = oracle.gradient(state, free, y[0]).weights
    rows = []
    for part in (1.0, 0.5, 0.25):
        towards = oracle.settle(state, x, out + part * (y - out)).nudged[0]
        away = oracle.settle(state, x, out - part * (y - out) if symmetric else out[None]).nudged[0]
        found = oracle.co_content(away, towards, part * BETA * (2.0 if symmetric else 1.0))
        rows.append([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, gradient, strict=True)])
    return np.array(rows)


@pytest.mark.parametrize(("symmetric", "order"), [(False, 1.0), (True, 2.0)])
def test_order_of_the_error_in_the_nudge(oracle, symmetric, order):
    found = errors(oracle, symmetric)
    assert np.log2(found[:-1] / found[1:]) == pytest.approx(np.full((2, 3), order), abs=0.1)
    assert found[-1].max() < 0.1
