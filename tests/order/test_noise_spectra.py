"""Spectra of transient noise: resistors, transistors, flicker's slope, shot noise, density tables.

All runs are seeded. Bounds are the acceptance bounds; each stands at three or more standard deviations of
the estimate, as the comments say.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from eqspice.circuit import CurrentSource, Diode, Instance, Mosfet, Resistor
from eqspice.pdk import noise_tables_kernel as tables
from eqspice.pdk import osdi, sky130
from eqspice.pdk.noise_tables import characterise_noise
from order.noise_circuits import CHARGE, FIDELITIES, KT, STEP, FloatArray, biased, copies, decibels, steady


def bands(samples: FloatArray, step: float, low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Welch's density averaged over columns and thirds of a decade: (frequencies, density)."""
    length = min(len(samples), int(8.0 / (low * step)))
    frequency, density = welch(samples, 1.0 / step, nperseg=length, axis=0, detrend="constant")
    density = density.mean(axis=1)
    edges = np.geomspace(low, high, round(3 * np.log10(high / low)) + 1)
    inside = [(frequency >= a) & (frequency < b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return (
        np.array([np.exp(np.log(frequency[keep]).mean()) for keep in inside]),
        np.array([np.exp(np.log(density[keep]).mean()) for keep in inside]),
    )


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_resistor_spectrum_is_flat_at_4ktr(fidelity: str) -> None:
    """Over three decades within 0.5 dB (a band's standard deviation is 0.1 dB)."""
    resistance = 1e5

    def make(k: int) -> list[Instance]:
        return [Instance(f"r{k}_{i}", Resistor(2 * resistance), (f"a{k}", "0")) for i in range(2)]

    samples = steady(copies(64, make), [f"a{k}" for k in range(64)], 40_000, fidelity, ("thermal",))
    _, density = bands(samples, STEP, 4e2, 4e5)
    assert np.abs(decibels(density, 4 * KT * resistance)).max() < 0.5


def drain_density(device: Mosfet, gate: float, load: float, drain: float, f: FloatArray) -> FloatArray:
    """Closed form of the drain's voltage noise from the compact model's own densities, V^2/Hz."""
    model, v = osdi.compact_model(device), np.array([drain, device.card.polarity * gate, 0.0, 0.0])
    noise = model.noise(v, f)
    found = sum(np.abs(noise.density[noise.names.index(name)]) for name in ("id", "flicker"))
    conductance = model.evaluate(v).conductance[0, 0, 0] + 1.0 / load
    return (found + 4 * KT / load) / conductance**2


@pytest.mark.parametrize(("name", "gate", "load"), [("nfet_01v8_lvt", 1.0, 4e4), ("pfet_01v8", 0.9, 2e4)])
def test_fet_spectrum_is_the_models(name: str, gate: float, load: float) -> None:
    """Thermal and flicker over three decades within 0.5 dB, through the tables.

    The standard deviation of the lowest band is 0.16 dB.
    """
    device = sky130.mosfet(name, 0.42e-6 if name.startswith("n") else 1e-6, 1e-6)
    step, cells = 5e-8, 144
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
