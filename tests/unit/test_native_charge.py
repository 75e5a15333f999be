"""Charge is conserved: between capacitors, through resistors, on storage nodes that float."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqspice.circuit import (
    Capacitor,
    Circuit,
    Instance,
    Resistor,
    Stimulus,
    Subcircuit,
    Switch,
    VoltageSource,
)
from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.design.presets import get_preset
from eqspice.design.single_ended.network import weight_nodes
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.pdk import ideal, sky130

LOGIC = Stimulus(np.array([0.0, 1e-6, 2e-6, 5e-6]), ("close",), np.array([[0.0], [0.0], [2.0], [2.0]]))


@pytest.mark.parametrize("fidelity", ["transient", "phase"])
def test_two_capacitors_share_their_charge(fidelity: str):
    instances = (
        Instance("drive", VoltageSource(signal="close"), ("close", "0")),
        Instance("c1", Capacitor(1e-13), ("a", "0")),
        Instance("c2", Capacitor(3e-13), ("b", "0")),
        Instance("s", Switch(1e3, np.inf), ("a", "b", "close", "0")),
    )
    session = NativeEngine(NativeOptions(fidelity=fidelity)).prepare(Circuit("share", instances, ("a", "b")))
    start = session.initial_state({"a": 1.0, "b": -0.2})
    solution = session.run(LOGIC, start, Save(("a", "b"))).raise_for_status()
    a, b = solution.waveforms.values.T
    assert 1e-13 * a + 3e-13 * b == pytest.approx(1e-13 - 0.6e-13, rel=1e-12)
    assert (a[-1], b[-1]) == pytest.approx((0.1, 0.1), abs=1e-8)
    assert solution.state.charges[[1, 2]] == pytest.approx([1e-14, 3e-14], rel=1e-9)


@pytest.mark.parametrize("kind", ["square_law", "table", "bulk", "model"])
@pytest.mark.parametrize("fidelity", ["transient", "phase"])
def test_what_flows_through_a_resistor_arrives(fidelity: str, kind: str):
    """A floating node with a FET's gate on it: its charge is the integral of the only current into it."""
    resistance, bulk = 1e6, "0" if kind in ("bulk", "model") else "s"
    fet = ideal.mosfet("n", 1e-6, 1e-6) if kind == "square_law" else sky130.mosfet("nfet_01v8", 1e-6, 0.15e-6)
    instances = (
        Instance("drive", VoltageSource(signal="close"), ("in", "0")),
        Instance("r", Resistor(resistance), ("in", "mem")),
        Instance("c", Capacitor(1e-13), ("mem", "0")),
        Instance("m", fet, ("d", "mem", "s", bulk)),
        Instance("rs", Resistor(1e4), ("s", "0")),
        Instance("rd", Resistor(1e4), ("d", "in")),
    )
    circuit = Circuit("gate", instances, ("mem",))
    options = {"lte": 1e-5} if fidelity == "transient" else {"points_per_plateau": 10}
    options |= {"fidelity": fidelity, "fets": "model" if kind == "model" else "tables"}
    session = NativeEngine(NativeOptions(**options)).prepare(circuit)  # type: ignore[arg-type]
    start = session.initial_state()
    solution = session.run(LOGIC, start, Save(("in", "mem"))).raise_for_status()
    t, (v_in, mem) = solution.waveforms.times, solution.waveforms.values.T
    current = (v_in - mem) / resistance
    at = session.node_names.index("mem")
    before = session._evaluated(start).charge[session.compiled.places][at]
    arrived = solution.state.charges[at] - before
    if fidelity == "phase":  # backward Euler: to rounding and Newton's last step
        flown, tolerance = np.sum(np.diff(t) * current[1:]), 1e-9
    else:
        flown, tolerance = np.trapezoid(current, t), 1e-3
    assert arrived > 1e-13
    assert flown == pytest.approx(arrived, rel=tolerance)


def with_tight_write_switches(instance: Instance) -> Instance:
    """The same with word-line switches that do not leak: what then moves is the arithmetic alone."""
    if isinstance(instance.of, Subcircuit):
        inner = tuple(with_tight_write_switches(part) for part in instance.of.instances)
        return replace(instance, of=replace(instance.of, instances=inner))
    if isinstance(instance.of, Switch) and instance.name == "write":
        return replace(instance, of=replace(instance.of, off_resistance=np.inf))
    return instance


@pytest.mark.parametrize(
    ("fidelity", "count", "widths"),
    [
        ("phase", 250, (3, 4, 2)),
        ("transient", 250, (3, 4, 2)),
        ("phase", 50, (2, 8, 8, 1)),
        ("transient", 10, (2, 8, 8, 8, 1)),
    ],
)
def test_stored_weights_do_not_drift(fidelity: str, count: int, widths: tuple[int, ...]):
    """No update: over 250 presentations 10 nV per 0.1 pF at most may come of the arithmetic."""
    design = get_preset("reference").build(widths)
    circuit = elaborate(design)
    circuit = replace(circuit, instances=tuple(with_tight_write_switches(part) for part in circuit.instances))
    session = NativeEngine(NativeOptions(fidelity=fidelity)).prepare(circuit)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    weights = [rng.uniform(-0.4, 0.4, design.shape(layer)) for layer in range(design.layers)]
    stimulus = sc.set_sequence(design, weights)
    state = session.run(stimulus, None, Save(("set",), stimulus.times[-1:])).raise_for_status().state
    at = [session.node_names.index(node) for layer in weight_nodes(design) for row in layer for node in row]
    capacitance = np.concatenate(
        [np.full(m.size, design.multipliers[layer] * 1e-13) for layer, m in enumerate(weights)]
    )
    data = sc.Presentations(
        rng.uniform(-1.0, 1.0, (count, widths[0])),
        rng.uniform(-0.02, 0.02, (count, widths[-1])),
        np.full((count, 1, design.layers), sc.NO_ROW),
    )
    plan = sc.presentation_schedule(design, data, sc.set_period(design))
    after = session.run(plan.stimulus, state, Save(("set",), plan.free_ends)).raise_for_status().state
    drift = np.abs(after.charges[at] - state.charges[at]) / capacitance
    moved = np.abs(after.voltages[at] - state.voltages[at])
    assert moved.max() > 1e-9  # the columns did pull at them
    assert drift.max() <= 10e-9 * count / 250
