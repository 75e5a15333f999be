"""No cell and no network has a pole in the right half plane: its charges belong to its currents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import eigvals, lu_factor, lu_solve

from eqspice.cells import optimizer
from eqspice.cells.differential_loss import nudge_stored_error
from eqspice.cells.differential_neuron import neuron_differential
from eqspice.cells.differential_optimizer import column_driver, sample_hold, sign_driver
from eqspice.cells.differential_synapse import DIFFERENTIAL_SYNAPSES
from eqspice.cells.loss import nudge_current, nudge_resistor
from eqspice.cells.neuron import neuron_clamped, neuron_linear
from eqspice.cells.switch import SwitchDesign
from eqspice.cells.synapse import SYNAPSES
from eqspice.circuit import (
    Capacitor,
    Circuit,
    Instance,
    Product,
    Resistor,
    Subcircuit,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.design import schedule as sc
from eqspice.design.differential import array
from eqspice.design.differential.network import Differential
from eqspice.design.elaborate import elaborate
from eqspice.design.network import Design
from eqspice.design.parts import fet_factory
from eqspice.design.presets import PRESETS, get_preset
from eqspice.design.single_ended.network import SingleEnded
from eqspice.engines.base import Save, State
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession

EPSILON = np.finfo(float).eps
RANGES = ((1.0, 0.0, 1e3), (1e5, 1e3, 1e8), (1e10, 1e8, 1e16))  # 1/s: shift, and |s| that it finds well
STAMPS = 16  # rounding errors that may add up in an entry of G


def poles_on_the_right(session: NativeSession, state: State) -> np.ndarray:
    """Poles s of (G + s C) x = 0 whose real part is positive beyond rounding, in 1/s.

    With G x = -s C x, the numbers m = 1 / (shift - s) are eigenvalues of (G + shift C)^-1 C: bounded, and
    zero for nodes without capacitance, whose columns are zero and need no solving. Rows are scaled first,
    as G spans 15 decades.
    """
    g, c = (matrix.toarray() for matrix in session.matrices(state))
    massive = np.flatnonzero(np.abs(c).max(axis=0))
    found = []
    for shift, slowest, fastest in RANGES:
        shifted = g + shift * c
        scale = 1.0 / np.abs(shifted).max(axis=1, keepdims=True)
        m = eigvals(np.linalg.solve(scale * shifted, scale * c[:, massive])[massive])
        s = shift - 1.0 / m[np.abs(m) > 0.0]
        right = s[(np.abs(s) >= slowest) & (np.abs(s) < fastest) & (s.real > 0.0)]
        found += [pole for pole in right if pole.real > rounding(g, c, pole)]
    return np.array(found)


def rounding(g: np.ndarray, c: np.ndarray, s: complex) -> float:
    """How far the rounding of G's entries can move a pole, 1/s.

    A change dG moves a simple pole by -y^H dG x / y^H C x to first order, with y and x its left and right
    vectors; an entry is a sum of stamps, so that |dG| <= STAMPS epsilon |G|. The vectors come from two
    steps of inverse iteration beside the pole.
    """
    shifted = g + s * (1.0 + 1e-9) * c
    scale = 1.0 / np.abs(shifted).max(axis=1, keepdims=True)
    factors = lu_factor(scale * shifted)
    rng = np.random.default_rng(0)
    x = y = rng.uniform(0.5, 1.0, len(g)).astype(complex)
    for _ in range(2):
        x = lu_solve(factors, scale[:, 0] * (c @ x))
        y = scale[:, 0] * lu_solve(factors, c.T @ y, trans=2)
        x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return STAMPS * EPSILON * (np.abs(y) @ np.abs(g) @ np.abs(x)) / abs(y.conj() @ c @ x)


def driven(cell: Subcircuit, resistance: float = 1e3) -> NativeSession:
    """A cell with a source behind a resistor and a small capacitor at each port but the supplies."""
    parts = [Instance("cell", cell, cell.ports)]
    for port in cell.ports:
        if port in SUPPLIES:
            parts.append(Instance(f"v_{port}", VoltageSource(signal=port), (port, "0")))
            continue
        parts += [
            Instance(f"v_{port}", VoltageSource(signal=port), (f"drive_{port}", "0")),
            Instance(f"r_{port}", Resistor(resistance), (f"drive_{port}", port)),
            Instance(f"c_{port}", Capacitor(1e-15), (port, "0")),
        ]
    return NativeEngine().prepare(Circuit(cell.name, tuple(parts)))


def bias(ports: tuple[str, ...], rng: np.random.Generator) -> dict[str, float]:
    """Random levels. A pump pumps into a closed cell for moments only; a live error nudges nothing."""
    levels = {port: rng.choice([0.0, 1.95]) if port in LOGIC else rng.uniform(-0.8, 0.8) for port in ports}
    for port in {"delta", "level"} & levels.keys():
        levels[port] = 0.0
    if "nudge" in levels and levels["free"] > 0.0:
        levels["nudge"] = 0.0
    return levels


def cells(design: Design) -> dict[str, Subcircuit]:
    switch, held = design.switch, design.held_capacitance
    if isinstance(design, Differential):
        gain, back, series = design.gain, design.back_gain, design.series_resistance
        return {
            "synapse": array.cell(design, 1, fet_factory(design)),
            "synapse_with_pump": array.cell(replace(design, multiplied_in="cell"), 1, fet_factory(design)),
            "hidden": neuron_differential(gain, back, series, design.clamp),
            "output": neuron_differential(gain, back, series, None),
            "hold": sample_hold(switch, held),
            "optimizer": column_driver(1e-3, True, True, switch, held),
            "sign": sign_driver(0.0, 1e4, 1.0),
            "loss": nudge_stored_error(design.nudge_conductance, design.output_load, switch, held),
        }
    assert isinstance(design, SingleEnded)
    kind = SYNAPSES[design.synapse]
    gain, back, rail = design.gain, design.back_gain, design.output_resistance
    beta, load = design.nudge_conductance, design.output_load
    return {
        "synapse": kind.build(fet_factory(design), switch, design.storage_capacitance, 1.0),
        "hidden": neuron_clamped(gain, back, rail, design.clamp),
        "output": neuron_linear(gain, back, rail),
        "optimizer": optimizer.optimizer_product(max(design.update_gains), held, switch),
        "loss": nudge_resistor(beta, load, switch),
        "loss_current": nudge_current(beta, load, switch, held, design.logic_high),
    }


SUPPLIES = {"common", "unit"}
LOGIC = {"wwl", "free", "nudged", "nudged_early", "update", "control"}
DESIGNS = {preset: get_preset(preset).build((3, 4, 2)) for preset in PRESETS} | {
    f"reciprocal, {synapse}": replace(get_preset("reciprocal").build((3, 4, 2)), synapse=synapse)
    for synapse in DIFFERENTIAL_SYNAPSES
    if synapse != "four_nfet"
}
VARIANTS = {
    "reference, current nudge": replace(DESIGNS["reference"], nudge="current"),
    "reciprocal, multipliers in cells": replace(DESIGNS["reciprocal"], multiplied_in="cell"),
    "reciprocal, auto-zero": replace(DESIGNS["reciprocal"], auto_zero=True),
    "reciprocal, one-sided": replace(DESIGNS["reciprocal"], nudges="one_sided"),
    "reciprocal, sign": replace(DESIGNS["reciprocal"], rule="sign"),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_no_cell_has_a_growing_mode_at_any_bias(name: str):
    for cell, subcircuit in cells(DESIGNS[name]).items():
        session, rng = driven(subcircuit), np.random.default_rng(6)
        for _ in range(12):
            levels = bias(subcircuit.ports, rng)
            found = poles_on_the_right(session, session.operating_point(levels))
            assert not len(found), (cell, levels, found)


@pytest.mark.parametrize("name", DESIGNS | VARIANTS)
def test_no_network_has_a_growing_mode_in_any_phase(name: str):
    """Each phase of two presentations, nudges of both signs, the rest between, and signals half way."""
    design = (DESIGNS | VARIANTS)[name]
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(elaborate(design))
    rng = np.random.default_rng(7)
    weights = [design.weight_centre + rng.uniform(-0.3, 0.3, design.shape(layer)) for layer in range(2)]
    stimulus = sc.set_sequence(design, weights)
    state = session.run(stimulus, None, Save(("set",), stimulus.times[-1:])).raise_for_status().state
    x, y = rng.uniform(-0.5, 0.5, (2, 3)), np.full((2, 2), 0.02)
    data = sc.Presentations(x, y, np.zeros((2, 1, 2), int), sign=np.array([1.0, -1.0]))
    plan = sc.presentation_schedule(design, data, sc.set_period(design))
    breaks = plan.stimulus.times[plan.stimulus.times > plan.free_ends[0]]  # from one free phase to the next
    edges = 0.5 * (breaks[1:] + breaks[:-1])
    times = np.unique(np.concatenate([plan.middles.ravel(), edges[edges < plan.free_ends[1]], breaks[-1:]]))
    found = session.run(plan.stimulus, state, Save(session.node_names, times)).raise_for_status()
    for time, voltages in zip(times, found.waveforms.values, strict=True):
        poles = poles_on_the_right(session, State(0.0, voltages))
        assert not len(poles), (time, poles)


def test_a_loop_through_a_plain_open_switch_grows_and_through_an_isolating_one_does_not():
    """A loop of gain k behind 1e14 ohm and 0.1 pF grows at (k - 1) / 10 s; isolated it decays at 1 / 10 s."""

    def poles(of: str) -> np.ndarray:
        parts = (
            Instance("v", VoltageSource(0.0), ("zero", "0")),
            Instance("loop", VoltageControlledVoltageSource(1.1, 1.0), ("driven", "0", "held", "0")),
            getattr(SwitchDesign(), of)("sample", "driven", "held", "zero", "test"),
            Instance("hold", Capacitor(1e-13), ("held", "0")),
        )
        session = NativeEngine().prepare(Circuit("loop", parts))
        return poles_on_the_right(session, session.initial_state())

    assert poles("instance").real == pytest.approx([0.1 / 10.0], rel=1e-3)
    assert not len(poles("isolating"))


@pytest.mark.parametrize("conductance", [-2e-6, -1e-3])
def test_a_growing_mode_is_seen(conductance: float):
    """A negative conductance made of a multiplier, larger than the load: one pole at (|G| - 1 uS) / C."""
    law = Product(gain=conductance, offset=1.0, output_resistance=1.0)  # I(p) = gain V(p)
    parts = (
        Instance("v", VoltageSource(0.0), ("zero", "0")),
        Instance("negative", law, ("p", "p", "zero", "0", "0", "p")),
        Instance("load", Resistor(1e6), ("p", "0")),
        Instance("c", Capacitor(1e-12), ("p", "0")),
    )
    session = NativeEngine().prepare(Circuit("growing", parts))
    found = poles_on_the_right(session, session.initial_state())
    assert found.real == pytest.approx([(abs(conductance) - 1e-6) / 1e-12], rel=1e-6)
