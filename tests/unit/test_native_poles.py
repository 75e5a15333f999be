"""No cell and no network has a pole in the right half plane: its charges belong to its currents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import eigvals

from eqspice.cells import optimizer
from eqspice.cells.differential_neuron import neuron_differential
from eqspice.cells.differential_optimizer import column_driver
from eqspice.cells.neuron import neuron_clamped, neuron_linear
from eqspice.cells.synapse import SYNAPSES
from eqspice.circuit import Capacitor, Circuit, Instance, Product, Resistor, Subcircuit, VoltageSource
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

SHIFT = 1e4  # 1/s
SLOWEST = 1e3  # 1/s: an open switch of 1e14 ohm closes the optimiser's loop, at gain / 10 s
FASTEST = 1e-16  # s: what is faster is a node without capacitance


def poles_on_the_right(session: NativeSession, state: State) -> np.ndarray:
    """Poles s of (G + s C) x = 0 with a positive real part, in 1/s.

    With G x = -s C x, the numbers m = 1 / (SHIFT - s) are eigenvalues of (G + SHIFT C)^-1 C: bounded, and
    zero for nodes without capacitance. A pole on the left has |m - 1/(2 SHIFT)| < 1/(2 SHIFT).
    """
    g, c = (matrix.toarray() for matrix in session.matrices(state))
    m = eigvals(np.linalg.solve(g + SHIFT * c, c))
    m = m[np.abs(m) > FASTEST]
    with np.errstate(divide="ignore"):
        s = SHIFT - 1.0 / m
    return s[s.real > SLOWEST]


def driven(cell: Subcircuit, resistance: float = 1e3) -> NativeSession:
    """A cell with a source behind a resistor and a small capacitor at each port."""
    parts = [Instance("cell", cell, cell.ports)]
    for port in cell.ports:
        parts += [
            Instance(f"v_{port}", VoltageSource(signal=port), (f"drive_{port}", "0")),
            Instance(f"r_{port}", Resistor(resistance), (f"drive_{port}", port)),
            Instance(f"c_{port}", Capacitor(1e-15), (port, "0")),
        ]
    return NativeEngine().prepare(Circuit(cell.name, tuple(parts)))


def cells(design: Design) -> dict[str, Subcircuit]:
    if isinstance(design, Differential):
        gain, back, series = design.gain, design.back_gain, design.series_resistance
        return {
            "synapse": array.cell(replace(design, multiplied_in="cell"), 1, fet_factory(design)),
            "hidden": neuron_differential(gain, back, series, design.clamp),
            "output": neuron_differential(gain, back, series, None),
            "optimizer": column_driver(1e-3, True, True, design.switch, design.held_capacitance),
        }
    assert isinstance(design, SingleEnded)
    kind = SYNAPSES[design.synapse]
    gain, back, rail = design.gain, design.back_gain, design.output_resistance
    return {
        "synapse": kind.build(fet_factory(design), design.switch, design.storage_capacitance, 1.0),
        "hidden": neuron_clamped(gain, back, rail, design.clamp),
        "output": neuron_linear(gain, back, rail),
        "optimizer": optimizer.optimizer_product(20.0, design.held_capacitance, design.switch),
    }


LOGIC = {"wwl", "free", "nudged_early", "update"}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("cell", ["synapse", "hidden", "output", "optimizer"])
def test_a_cell_has_no_growing_mode_at_any_bias(cell: str, preset: str):
    subcircuit = cells(get_preset(preset).build((3, 4, 2)))[cell]
    session, rng = driven(subcircuit), np.random.default_rng(6)
    for _ in range(12):
        levels = {
            port: rng.choice([0.0, 1.95]) if port in LOGIC else rng.uniform(-0.8, 0.8)
            for port in subcircuit.ports
        }
        assert not len(poles_on_the_right(session, session.operating_point(levels))), levels


@pytest.mark.parametrize("preset", PRESETS)
def test_a_network_has_no_growing_mode_in_any_phase(preset: str):
    design = get_preset(preset).build((3, 4, 2))
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(elaborate(design))
    rng = np.random.default_rng(7)
    weights = [design.weight_centre + rng.uniform(-0.3, 0.3, design.shape(layer)) for layer in range(2)]
    stimulus = sc.set_sequence(design, weights)
    state = session.run(stimulus, None, Save(("set",), stimulus.times[-1:])).raise_for_status().state
    data = sc.Presentations(rng.uniform(-1, 1, (2, 3)), np.full((2, 2), 0.02), np.zeros((2, 1, 2), int))
    plan = sc.presentation_schedule(design, data, sc.set_period(design))
    times = np.concatenate([plan.free_ends, plan.nudged_ends, plan.stimulus.times[-1:]])
    found = session.run(plan.stimulus, state, Save(session.node_names, np.sort(times))).raise_for_status()
    for voltages in found.waveforms.values:
        assert not len(poles_on_the_right(session, State(0.0, voltages)))


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
