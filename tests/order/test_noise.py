"""Transient noise against closed forms: kT/C at any step, spectra, flicker's slope, shot noise.

All runs are seeded. Bounds are the acceptance bounds; each stands at three or more standard deviations of
the estimate, as the comments say.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov
from scipy.signal import welch

from eqspice.circuit import (
    Capacitor,
    Circuit,
    CurrentSource,
    Diode,
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
from eqspice.engines.native.noise import BOLTZMANN
from eqspice.errors import InputError
from eqspice.pdk import noise_tables_kernel as tables
from eqspice.pdk import osdi, sky130
from eqspice.pdk.noise_tables import characterise_noise

FloatArray = np.ndarray
KT = BOLTZMANN * 300.15
CHARGE = 1.602176634e-19
STEP = 1e-6
FIDELITIES = ("phase", "transient")


def session(parts: list[Instance], fidelity: str, kinds: tuple[str, ...], **options: object) -> NativeSession:
    if fidelity == "transient":
        options.setdefault("exact_step", STEP)
    chosen = NativeOptions(fidelity=fidelity, noise=kinds, **options)  # type: ignore[arg-type]
    return NativeEngine(chosen).prepare(Circuit("noise", tuple(parts)))


def silence(axis: FloatArray, fidelity: str) -> Stimulus:
    """No signals, with time steps that end on the axis."""
    breakpoints = axis if fidelity == "phase" else axis[[0, -1]]
    return Stimulus(breakpoints, (), np.zeros((len(breakpoints), 0)))


def steady(
    parts: list[Instance],
    nodes: list[str],
    count: int,
    fidelity: str,
    kinds: tuple[str, ...],
    **options: object,
) -> FloatArray:
    """Voltages at the ends of `count` equal steps without signals, after 100 more, (count, nodes)."""
    step = float(options.get("exact_step", STEP))  # type: ignore[arg-type]
    axis = step * np.arange(count + 101)
    prepared = session(parts, fidelity, kinds, **options)
    found = prepared.run(silence(axis, fidelity), None, Save(tuple(nodes), axis[101:])).raise_for_status()
    return found.waveforms.values


def copies(count: int, make: object) -> list[Instance]:
    return [part for k in range(count) for part in make(k)]  # type: ignore[operator]


# kT/C ------------------------------------------------------------------------------------------------


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


def network(k: int) -> list[Instance]:
    """Four capacitive nodes, two of them coupled, a node without capacitance, one that floats."""
    return [
        Instance(f"r1_{k}", Resistor(1e6), (f"a{k}", "0")),
        Instance(f"r2_{k}", Resistor(3e6), (f"a{k}", f"x{k}")),
        Instance(f"r3_{k}", Resistor(2e4), (f"x{k}", f"b{k}")),
        Instance(f"r4_{k}", Resistor(1e8), (f"x{k}", f"c{k}")),
        Instance(f"ca_{k}", Capacitor(1e-13), (f"a{k}", "0")),
        Instance(f"cb_{k}", Capacitor(3e-13), (f"b{k}", "0")),
        Instance(f"cc_{k}", Capacitor(2e-14), (f"c{k}", "0")),
        Instance(f"cab_{k}", Capacitor(2e-13), (f"a{k}", f"b{k}")),
        Instance(f"cbf_{k}", Capacitor(1e-13), (f"b{k}", f"f{k}")),
        Instance(f"cf_{k}", Capacitor(1e-13), (f"f{k}", "0")),
    ]


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


# Spectra ---------------------------------------------------------------------------------------------


def bands(samples: FloatArray, step: float, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Welch's density averaged over columns and thirds of a decade: (frequencies, density)."""
    length = int(8.0 / (low * step))
    frequency, density = welch(samples, 1.0 / step, nperseg=length, axis=0, detrend="constant")
    density = density.mean(axis=1)
    edges = np.geomspace(low, high, round(3 * np.log10(high / low)) + 1)
    inside = [(frequency >= a) & (frequency < b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return (
        np.array([np.exp(np.log(frequency[keep]).mean()) for keep in inside]),
        np.array([np.exp(np.log(density[keep]).mean()) for keep in inside]),
    )


def decibels(got: FloatArray, expected: FloatArray) -> FloatArray:
    return 10.0 * np.log10(got / expected)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_resistor_spectrum_is_flat_at_4ktr(fidelity: str) -> None:
    """Over three decades within 0.5 dB (a band's standard deviation is 0.1 dB)."""
    resistance = 1e5

    def make(k: int) -> list[Instance]:
        return [Instance(f"r{k}_{i}", Resistor(2 * resistance), (f"a{k}", "0")) for i in range(2)]

    samples = steady(copies(64, make), [f"a{k}" for k in range(64)], 40_000, fidelity, ("thermal",))
    _, density = bands(samples, STEP, 4e2, 4e5)
    assert np.abs(decibels(density, 4 * KT * resistance)).max() < 0.5


def biased(device: Mosfet, gate: float, load: float) -> object:
    """Transistors with their drains at half of the supply behind a load."""
    sign = device.card.polarity

    def make(k: int) -> list[Instance]:
        return [
            Instance(f"vg{k}", VoltageSource(sign * gate), (f"g{k}", "0")),
            Instance(f"vd{k}", VoltageSource(sign * 1.2), (f"s{k}", "0")),
            Instance(f"r{k}", Resistor(load), (f"s{k}", f"d{k}")),
            Instance(f"m{k}", device, (f"d{k}", f"g{k}", "0", "0")),
        ]

    return make


def drain_density(device: Mosfet, gate: float, load: float, drain: float, f: FloatArray) -> FloatArray:
    """Closed form of the drain's voltage noise from the compact model's own densities, V^2/Hz."""
    model, v = osdi.compact_model(device), np.array([drain, device.card.polarity * gate, 0.0, 0.0])
    noise = model.noise(v, f)
    found = sum(np.abs(noise.density[noise.names.index(name)]) for name in ("id", "flicker"))
    conductance = model.evaluate(v).conductance[0, 0, 0] + 1.0 / load
    return (found + 4 * KT / load) / conductance**2


@pytest.mark.parametrize(("name", "gate", "load"), [("nfet_01v8_lvt", 1.0, 4e4), ("pfet_01v8", 0.9, 2e4)])
def test_fet_spectrum_is_the_models(name: str, gate: float, load: float) -> None:
    """Thermal and flicker over three decades within 0.5 dB, through the tables."""
    device = sky130.mosfet(name, 0.42e-6 if name.startswith("n") else 1e-6, 1e-6)
    step, cells = 5e-8, 48
    samples = steady(
        copies(cells, biased(device, gate, load)),
        [f"d{k}" for k in range(cells)],
        40_000,
        "transient",
        ("thermal", "flicker"),
        exact_step=step,
        noise_band=(1e2, 0.5 / step),  # sampled, flicker beyond half of the rate folds back
    )
    f, density = bands(samples, step, 3e3, 3e6)
    expected = drain_density(device, gate, load, float(samples.mean()), f)
    assert np.abs(decibels(density, expected)).max() < 0.5


def test_flicker_slope_is_minus_one() -> None:
    """A pfet's exponent is 1; three decades in the middle of the band, phase fidelity."""
    device = sky130.mosfet("pfet_01v8", 1e-6, 1e-6)
    cells = 64
    samples = steady(
        copies(cells, biased(device, 0.9, 2e4)),
        [f"d{k}" for k in range(cells)],
        40_000,
        "phase",
        ("flicker",),
        noise_band=(10.0, 5e5),
    )
    f, density = bands(samples, STEP, 1e2, 1e5)
    slope = np.polyfit(np.log(f), np.log(density), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("current", [0.0, 1e-6])
def test_shot_noise_of_a_diode(fidelity: str, current: float) -> None:
    """2 q (I + 2 Is) within 3 %: at zero bias that is 4 k T g. 40,000 samples: 0.7 %."""
    saturation, cells = 1e-9, 40

    def make(k: int) -> list[Instance]:
        return [
            Instance(f"d{k}", Diode(saturation), (f"a{k}", "0")),
            Instance(f"i{k}", CurrentSource(current), ("0", f"a{k}")),
        ]

    samples = steady(copies(cells, make), [f"a{k}" for k in range(cells)], 1000, fidelity, ("shot",))
    thermal_voltage = KT / CHARGE
    conductance = (current + saturation) / thermal_voltage
    density = samples.var() * conductance**2 * 2.0 * STEP
    assert density == pytest.approx(2 * CHARGE * (current + 2 * saturation), rel=0.03)
    if not current:
        assert density == pytest.approx(4 * KT * conductance, rel=0.03)


def test_kinds_are_switched_one_by_one() -> None:
    device = sky130.mosfet("pfet_01v8", 1e-6, 1e-6)
    parts = [
        *biased(device, 0.9, 2e4)(0),  # type: ignore[operator]
        Instance("diode", Diode(1e-9), ("a", "0")),
        Instance("i", CurrentSource(1e-6), ("0", "a")),
        Instance("only_r", Resistor(1e5), ("b", "0")),
        Instance("buffer", VoltageControlledVoltageSource(1.0, 1e5), ("c", "0", "b", "0")),
    ]
    noisy = {
        kind: set(
            np.flatnonzero(steady(parts, ["d0", "a", "b", "c"], 200, "phase", (kind,)).std(axis=0) > 1e-9)
        )
        for kind in ("thermal", "flicker", "shot")
    }
    assert noisy == {"thermal": {0, 2, 3}, "flicker": {0}, "shot": {1}}


# Randomness ------------------------------------------------------------------------------------------


def test_a_run_is_decided_by_its_seed_and_goes_on_where_it_ended() -> None:
    device = sky130.mosfet("pfet_01v8", 1e-6, 1e-6)
    parts = biased(device, 0.9, 2e4)(0)  # type: ignore[operator]
    axis = STEP * np.arange(41)
    whole = Stimulus(axis, (), np.zeros((41, 0)))
    second = Stimulus(axis[20:], (), np.zeros((21, 0)))
    kinds = ("thermal", "flicker", "shot")
    runs = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        prepared = session(parts, "phase", kinds, noise_seed=seed)
        runs[name] = prepared.run(whole, None, Save(("d0",))).raise_for_status()
    assert np.array_equal(runs["one"].waveforms.values, runs["again"].waveforms.values)
    assert not np.allclose(runs["one"].waveforms.values[1:], runs["other"].waveforms.values[1:], atol=1e-7)
    prepared = session(parts, "phase", kinds, noise_seed=1)
    end = prepared.run(Stimulus(axis[:21], (), np.zeros((21, 0))), None).state
    first, again = (prepared.run(second, end, Save(("d0",))).waveforms.values for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[1:21], runs["one"].waveforms.values[1:21])


def test_without_noise_nothing_is_drawn() -> None:
    parts = network(0)
    quiet = [steady(parts, ["a0", "b0"], 50, "phase", (), noise_seed=seed) for seed in (1, 2)]
    assert np.array_equal(quiet[0], quiet[1])
    assert not quiet[0].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": ("burst",)}, "noise: 'burst' is not known"),
        ({"noise_seed": -1}, "noise_seed"),
        ({"noise_band": (1e3, 1e2)}, "noise_band"),
        ({"noise_temperature": -300.0}, "noise_temperature"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NativeOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("tied", [True, False])
def test_tables_hold_the_models_densities(tied: bool) -> None:
    """White and flicker within 0.3 dB at 60 random biases with the channel on."""
    device = sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6)
    rng = np.random.default_rng(3)
    drain, source = rng.uniform(0.0, 0.7, (2, 60))
    source *= not tied
    gate = source + rng.uniform(0.4, 1.2, 60)
    points = np.stack([drain, gate, source, 0.0 * drain], axis=1)
    model, table = osdi.compact_model(device), characterise_noise(device, tied)
    white, flicker, _ = model.drain_noise(points).T
    current = model.evaluate(points).current[:, 0]
    numbers = table.numbers
    got = np.array(
        [
            tables.plane_noise(numbers, g, d) if tied else tables.space_noise(numbers, 1.0, d, g, s)
            for d, g, s, _ in points
        ]
    )
    assert table.exponent == pytest.approx(dict(device.card.parameters)["ef"], rel=1e-6)
    assert np.abs(decibels(got[:, 0], white)).max() < 0.3
    assert np.abs(decibels(got[:, 1] * current**2, flicker)).max() < 0.3
