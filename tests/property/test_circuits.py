"""Properties of any circuit and stimulus: linear algebra, order, cuts, joins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqspice.circuit import Capacitor, Circuit, Diode, Instance, Resistor, Stimulus, Subcircuit, VoltageSource
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions

SEEDS = st.integers(0, 2**32 - 1)
FAST = settings(max_examples=25, deadline=None)


def network(seed: int, size: int, nonlinear: bool = False) -> list[Instance]:
    """A random connected network of resistors and capacitors (and diodes) on nodes n0 … , driven at n0."""
    rng = np.random.default_rng(seed)
    parts = [Instance("drive", VoltageSource(signal="x"), ("n0", "0"))]
    nodes = ["0", *(f"n{k}" for k in range(size + 1))]
    for k in range(1, size + 1):
        other = nodes[rng.integers(0, k + 1)]
        parts.append(Instance(f"r{k}", Resistor(10 ** rng.uniform(2, 6)), (f"n{k}", other)))
        parts.append(Instance(f"c{k}", Capacitor(10 ** rng.uniform(-14, -11)), (f"n{k}", "0")))
    for k in range(size):
        a, b = rng.choice(len(nodes), 2, replace=False)
        device = Diode() if nonlinear and rng.random() < 0.5 else Resistor(10 ** rng.uniform(2, 6))
        parts.append(Instance(f"x{k}", device, (nodes[a], nodes[b])))
    return parts


def circuit(parts: list[Instance]) -> Circuit:
    nodes = sorted({node for part in parts for node in part.nodes} - {"0", "n0"})
    return Circuit("random", tuple(parts), tuple(nodes))


def wave(seed: int, points: int) -> Stimulus:
    rng = np.random.default_rng(seed)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(1e-8, 1e-6, points))])
    return Stimulus(times, ("x",), rng.uniform(-1, 1, (points + 1, 1)))


@FAST
@given(seed=SEEDS, size=st.integers(1, 12), level=st.floats(-2, 2))
def test_operating_points_of_resistors_are_those_of_nodal_analysis(seed: int, size: int, level: float):
    parts = network(seed, size)
    session = NativeEngine().prepare(circuit(parts))
    state = session.operating_point({"x": level})
    number = {f"n{k}": k for k in range(size + 1)}
    g = np.zeros((size + 2, size + 2))  # the last one is ground
    for part in parts:
        if isinstance(part.of, Resistor):
            a, b = (number.get(node, size + 1) for node in part.nodes)
            g[[a, b], [a, b]] += 1 / part.of.resistance
            g[[a, b], [b, a]] -= 1 / part.of.resistance
    inner = slice(1, size + 1)
    expected = np.linalg.solve(g[inner, inner], -g[inner, 0] * level)
    found = [state.voltages[session.node_names.index(f"n{k}")] for k in range(1, size + 1)]
    assert found == pytest.approx(list(expected), abs=1e-9)


@FAST
@given(seed=SEEDS, size=st.integers(2, 8), shuffle=SEEDS)
def test_the_order_of_instances_and_their_hierarchy_change_nothing(seed: int, size: int, shuffle: int):
    parts = network(seed, size, nonlinear=True)
    stimulus = wave(seed, 4)
    save = Save(tuple(f"n{k}" for k in range(size + 1)), stimulus.times)

    def values(made: Circuit) -> np.ndarray:
        options = NativeOptions(fidelity="phase", bypass=1e-9)
        return (
            NativeEngine(options).prepare(made).run(stimulus, save=save).raise_for_status().waveforms.values
        )

    first = values(circuit(parts))
    mixed = [parts[k] for k in np.random.default_rng(shuffle).permutation(len(parts))]
    assert values(circuit(mixed)) == pytest.approx(first, abs=1e-6)
    ports = tuple(f"n{k}" for k in range(size + 1))
    inside = Subcircuit("inside", ports, tuple(parts[1:]))
    nested = Circuit("nested", (parts[0], Instance("box", inside, ports)), circuit(parts).storage_nodes)
    assert values(nested) == pytest.approx(first, abs=1e-6)


@FAST
@given(seed=SEEDS, cut=st.integers(1, 4), fidelity=st.sampled_from(["phase", "transient"]))
def test_a_run_cut_at_a_breakpoint_is_the_whole_run(seed: int, cut: int, fidelity: str):
    session = NativeEngine(NativeOptions(fidelity=fidelity, bypass=1e-9)).prepare(
        circuit(network(seed, 4, True))
    )
    stimulus = wave(seed, 5)
    whole = session.run(stimulus).raise_for_status()
    first = session.run(
        Stimulus(stimulus.times[: cut + 1], ("x",), stimulus.values[: cut + 1])
    ).raise_for_status()
    rest = Stimulus(stimulus.times[cut:], ("x",), stimulus.values[cut:])
    second = session.run(rest, first.state).raise_for_status()
    assert second.state.voltages == pytest.approx(whole.state.voltages, abs=1e-6)
    assert second.state.charges == pytest.approx(whole.state.charges, abs=1e-6 * 1e-11)


@FAST
@given(seed=SEEDS, size=st.integers(1, 8))
def test_voltages_of_a_passive_network_stay_within_the_drive(seed: int, size: int):
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(circuit(network(seed, size, True)))
    stimulus = wave(seed, 6)
    values = session.run(stimulus).raise_for_status().waveforms.values
    low, high = min(0.0, stimulus.values.min()), max(0.0, stimulus.values.max())
    assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4


@settings(max_examples=60, deadline=None)
@given(
    data=st.dictionaries(
        st.sampled_from("abcde"),
        st.lists(
            st.tuples(st.integers(0, 1000), st.floats(-5, 5)),
            min_size=1,
            max_size=6,
            unique_by=lambda p: p[0],
        ),
        min_size=1,
    ),
    seed=SEEDS,
)
def test_merged_signals_are_the_signals_themselves(data: dict[str, list[tuple[int, float]]], seed: int):
    signals = {}
    for name, points in data.items():
        ordered = np.array(sorted(points), float)
        signals[name] = (ordered[:, 0] * 1e-6, ordered[:, 1])
    if len({time for times, _ in signals.values() for time in times}) < 2:
        return
    merged = Stimulus.from_signals(signals)
    at = np.random.default_rng(seed).uniform(-1e-4, 1.1e-3, 50)
    for k, (times, values) in enumerate(signals.values()):
        assert merged.at(at)[:, k] == pytest.approx(np.interp(at, times, values), abs=1e-9)
    assert np.all(np.diff(merged.times) > 0)
