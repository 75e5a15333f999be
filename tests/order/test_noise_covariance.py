"""Variance of transient noise: kT/C at any step, covariance of networks, conserved charge.

All runs are seeded. Bounds are the acceptance bounds; each stands at three or more standard deviations of
the estimate, as the comments say.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

from eqspice.circuit import (
    Capacitor,
    Circuit,
    Instance,
    Mosfet,
    Product,
    Resistor,
    Stimulus,
    Switch,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.pdk import sky130
from order.noise_circuits import FIDELITIES, KT, STEP, FloatArray, copies, network, session, silence, steady


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("ratio", [0.1, 1.0, 10.0, 1000.0])
def test_switched_capacitor_holds_kt_over_c(fidelity: str, ratio: float) -> None:
    """20,000 samples: the standard deviation of the variance is 1 %, the bound 3 %."""
    cells, cycles, capacitance = 200, 100, 1e-13
    closed = int(4 * (1 + 1 / ratio))  # steps: what is left of the sample before is below 3 %
    gate = Instance("clock", VoltageSource(signal="clock"), ("clock", "0"))
    parts = [gate, Instance("vdd", VoltageSource(0.3), ("a", "0"))]
    on = STEP / ratio / capacitance
    for k in range(cells):
        parts += [
            Instance(f"s{k}", Switch(on, np.inf), ("a", f"b{k}", "clock", "0")),
            Instance(f"c{k}", Capacitor(capacitance), (f"b{k}", "0")),
        ]
    # Per cycle: closed for `closed` steps, an edge down, held for a step, an edge up.
    offsets = np.array([*range(closed + 1), closed + 0.01, closed + 1.01])
    levels = np.array([*[1.0] * (closed + 1), 0.0, 0.0])
    period = closed + 1.02
    axis = STEP * (period * np.arange(cycles)[:, None] + offsets).ravel()
    stimulus = Stimulus(axis, ("clock",), np.tile(levels, cycles)[:, None])
    held = STEP * (period * np.arange(cycles) + closed + 0.5)
    nodes = tuple(f"b{k}" for k in range(cells))
    prepared = session(parts, fidelity, ("thermal",))
    voltages = prepared.run(stimulus, prepared.initial_state(dict.fromkeys(nodes, 0.3)), Save(nodes, held))
    noise = voltages.raise_for_status().waveforms.values - 0.3
    assert noise.var() == pytest.approx(KT / capacitance, rel=0.03)
    followed = np.mean(noise[1:] * noise[:-1]) / noise.var()
    assert abs(followed) < 0.05


@pytest.mark.parametrize("ratio", [0.2, 1.0, 20.0])
def test_noise_of_edges_comes_with_the_plateau_behind(ratio: float) -> None:
    """kT/C at the ends of plateaus, with an edge as long as the plateau before each; statistics: 1.3 %."""
    cells, cycles, capacitance = 200, 200, 1e-13
    parts = [Instance("clock", VoltageSource(signal="clock"), ("clock", "0"))]
    for k in range(cells):
        parts += [
            Instance(f"r{k}", Resistor(STEP / ratio / capacitance), (f"b{k}", "0")),
            Instance(f"c{k}", Capacitor(capacitance), (f"b{k}", "0")),
        ]
    axis = STEP * np.arange(2 * cycles + 1)
    levels = np.repeat([0.0, 1.0] * cycles, 2)[1 : 2 * cycles + 2, None]
    nodes = tuple(f"b{k}" for k in range(cells))
    prepared = session(parts, "phase", ("thermal",))
    ends = Save(nodes, axis[2::2])
    voltages = prepared.run(Stimulus(axis, ("clock",), levels), None, ends).raise_for_status()
    samples = voltages.waveforms.values[20:]
    assert samples.var() == pytest.approx(KT / capacitance, rel=0.05)


NETWORK_C = 1e-13 * np.array([[3.0, -2.0, 0.0], [-2.0, 5.5, 0.0], [0.0, 0.0, 0.2]])  # f's charge stays


@pytest.mark.parametrize(("fidelity", "step"), [("phase", 1e-7), ("phase", 1e-5), ("transient", 1e-5)])
def test_network_at_rest_has_the_covariance_of_equilibrium(fidelity: str, step: float) -> None:
    """kT C^-1 between all nodes, time constants from 10 ns to 2 us; 60,000 samples, 12,000 at short steps.

    Sampled every 20 us, the slowest mode is forgotten: the standard deviation is 0.6 % of a variance.
    """
    every = round(2e-5 / step)
    count, cells = (300 if step > 1e-6 else 60) * every, 200
    options: dict[str, object] = {"exact_step": step} if fidelity == "transient" else {}
    axis = step * np.arange(count + 1)
    nodes = [f"{name}{k}" for k in range(cells) for name in "abc"]
    parts = copies(cells, network)
    prepared = session(parts, fidelity, ("thermal",), **options)
    found = prepared.run(
        silence(axis, fidelity), None, Save(tuple(nodes), axis[::every][1:])
    ).raise_for_status()
    samples = found.waveforms.values.reshape(-1, cells, 3)[2:].reshape(-1, 3)
    got = samples.T @ samples / len(samples)
    expected = KT * np.linalg.inv(NETWORK_C)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    # BDF2's share is that of each node by itself: exact far from h = tau, some percent around it.
    assert np.abs((got - expected) / scale).max() < (0.03 if fidelity == "phase" else 0.06)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_noise_conserves_charge(fidelity: str) -> None:
    """Two capacitors joined by a resistor alone share kT/C noise, their total charge stays."""
    parts = [
        Instance("r", Resistor(2e6), ("a", "b")),
        Instance("ca", Capacitor(1e-13), ("a", "0")),
        Instance("cb", Capacitor(4e-13), ("b", "0")),
    ]
    axis = STEP * np.arange(4001)
    prepared = session(parts, fidelity, ("thermal",))
    start = prepared.initial_state({"a": 0.5, "b": -0.1})
    save = Save(("a", "b"), axis[1:])
    voltages = prepared.run(silence(axis, fidelity), start, save).raise_for_status().waveforms.values
    total = 1e-13 * voltages[:, 0] + 4e-13 * voltages[:, 1]
    assert np.abs(total - 1e-14).max() < 1e-24
    series = 1e-13 * 4e-13 / 5e-13
    assert (voltages[:, 0] - voltages[:, 1])[100:].var() == pytest.approx(KT / series, rel=0.12)


def chain(device: Mosfet) -> object:
    """A slow noisy gate, the stage that it drives, a follower, and a hold capacitor behind 10 ohm."""

    def make(k: int) -> list[Instance]:
        return [
            Instance(f"bias{k}", VoltageSource(0.9), (f"b{k}", "0")),
            Instance(f"vdd{k}", VoltageSource(1.8), (f"s{k}", "0")),
            Instance(f"rg{k}", Resistor(1e6), (f"b{k}", f"gate{k}")),
            Instance(f"cg{k}", Capacitor(1e-14), (f"gate{k}", "0")),
            Instance(f"load{k}", Resistor(3e4), (f"s{k}", f"drain{k}")),
            Instance(f"m{k}", device, (f"drain{k}", f"gate{k}", "0", "0")),
            Instance(f"f{k}", VoltageControlledVoltageSource(2.0, 10.0), (f"buf{k}", "0", f"drain{k}", "0")),
            Instance(f"r{k}", Resistor(10.0), (f"buf{k}", f"held{k}")),
            Instance(f"ch{k}", Capacitor(1e-14), (f"held{k}", "0")),
        ]

    return make


def stationary(prepared: NativeSession, nodes: list[str]) -> FloatArray:
    """Standard deviations by Lyapunov's equation, from the engine's matrices and its noise densities."""
    state = prepared.operating_point()
    noise, first = prepared._noise.arrays, prepared.compiled.program.first_unknown
    g, c = (matrix.toarray() for matrix in prepared.matrices(state))
    size = len(g)
    s = np.zeros((size, size))
    for density, (p, n) in zip(noise.density, noise.ends.astype(int), strict=True):
        column = np.zeros(size)
        for place, sign in ((p, 1.0), (n, -1.0)):
            if place >= first:
                column[place - first] = sign
        s += 0.5 * density * np.outer(column, column)
    bare = np.diag(c) < 1e-19
    kept = np.flatnonzero(~bare)
    path = np.linalg.solve(g[np.ix_(bare, bare)], np.eye(bare.sum()))
    left = -g[np.ix_(kept, bare)] @ path
    reduced = g[np.ix_(kept, kept)] + left @ g[np.ix_(bare, kept)]
    carry = np.zeros((len(kept), size))
    carry[:, kept], carry[:, bare] = np.eye(len(kept)), left
    inverse = np.linalg.inv(c[np.ix_(kept, kept)])
    covariance = solve_continuous_lyapunov(inverse @ reduced, inverse @ carry @ s @ carry.T @ inverse.T)
    names = [prepared.unknown_names[k] for k in kept]
    return np.sqrt([covariance[names.index(node), names.index(node)] for node in nodes])


def test_amplified_noise_is_that_of_lyapunov() -> None:
    """Away from equilibrium, each stage faster than the one before: within 5 % (statistics: 1 %)."""
    make, cells, kinds = chain(sky130.mosfet("nfet_01v8_lvt", 0.42e-6, 1e-6)), 64, ("gate", "drain", "held")
    nodes = [f"{kind}{k}" for kind in kinds for k in range(cells)]
    samples = steady(copies(cells, make), nodes, 150, "phase", ("thermal",)).reshape(150, 3, cells)
    spread = np.sqrt(((samples - samples.mean(axis=(0, 2))[:, None]) ** 2).mean(axis=(0, 2)))
    one = session(make(0), "phase", ("thermal",))  # type: ignore[operator]
    one.run(silence(STEP * np.arange(3), "phase"))  # fills the densities at the operating point
    expected = stationary(one, [f"{kind}0" for kind in kinds])
    assert expected[2] > 3 * np.sqrt(KT / 1e-14)
    assert spread == pytest.approx(expected, rel=0.05)


def test_current_pumps_make_no_noise() -> None:
    """A product whose output is its own reference is a current source: there is no resistor in it."""
    parts = [
        Instance("vx", VoltageSource(0.0), ("x", "0")),
        Instance("pump", Product(1e-6), ("line", "line", "x", "0", "x", "0")),
        Instance("off", Resistor(1e12), ("line", "0")),
        Instance("c", Capacitor(1e-13), ("line", "0")),
    ]
    assert steady(parts, ["line"], 100, "phase", ("thermal",)).std() < 1e-4


def test_noise_does_not_shorten_steps() -> None:
    """An RC driven by a ramp, far noisier than the error allowed: within 10 % of the steps without."""
    parts = [
        Instance("drive", VoltageSource(signal="x"), ("in", "0")),
        Instance("r", Resistor(1e6), ("in", "out")),
        Instance("c", Capacitor(1e-15), ("out", "0")),
        Instance("r2", Resistor(1e9), ("in", "slow")),
        Instance("c2", Capacitor(1e-15), ("slow", "0")),
    ]
    ramp = Stimulus(np.array([0.0, 1e-6, 1e-5]), ("x",), np.array([[0.0], [1.0], [1.0]]))
    steps = []
    for kinds in ((), ("thermal",)):
        options = NativeOptions(lte=1e-4, noise=kinds)  # type: ignore[arg-type]
        circuit = Circuit("ramp", tuple(parts), ("out", "slow"))
        found = NativeEngine(options).prepare(circuit).run(ramp, None, Save(("out",), ramp.times[-1:]))
        statistics = found.raise_for_status().statistics
        steps.append(statistics.time_steps + statistics.rejected_steps)
    assert steps[1] <= 1.1 * steps[0] + 2
