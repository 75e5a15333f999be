"""Retention: against the same leakage integrated by another solver, and what it does to a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from eqspice.design.network import Design
from eqspice.design.parts import fet_factory
from eqspice.design.presets import get_preset
from eqspice.errors import InputError
from eqspice.pdk import osdi
from eqspice.training.retention import after, retention, storage_range

TIMES = np.geomspace(1e-5, 10.0, 25)


def design(preset: str = "reciprocal", temperature: float = 27.0) -> Design:
    found = get_preset(preset).build((2, 2, 1))
    return replace(found, process=replace(found.process, temperature=temperature))


@pytest.mark.parametrize("temperature", [27.0, 85.0])
@pytest.mark.parametrize("line", ["low", "centre"])
def test_a_storage_node_decays_by_the_models_own_leakage(line, temperature):
    """Against scipy's Radau on C dV/dt = -I(V) with the compact model's current and capacitance."""
    here = design(temperature=temperature)
    found = retention(here, TIMES, np.array([1.7]), line)
    model = osdi.compact_model(fet_factory(here)("nfet"))

    def slope(_: float, v: np.ndarray) -> list[float]:
        at = model.evaluate([[found.rest, 0.0, v[0], 0.0]])
        return [-at.current[0, 2] / (here.storage_capacitance + at.capacitance[0, 2, 2])]

    exact = solve_ivp(slope, (0.0, TIMES[-1]), [1.7], "Radau", TIMES, rtol=1e-8, atol=1e-9).y[0]
    assert exact[-1] < 1.65
    assert np.abs(found.voltage[:, 0] - exact).max() < 2e-3


def test_leakage_grows_with_temperature_and_through_a_line_at_ground():
    cold, hot = (retention(design(temperature=t), TIMES).lasts(0.01) for t in (27.0, 85.0))
    parked = retention(design(), TIMES, line="centre").lasts(0.01)
    assert hot < 0.1 * cold
    assert parked > 10.0 * cold


def test_after_is_a_map_of_voltages():
    decayed = after(design(), 0.1)
    volts = np.array([1.0, 1.234, 1.8])
    direct = retention(design(), np.array([0.1]), volts).voltage[0]
    assert np.abs(decayed(volts) - direct).max() < 1e-4
    assert np.all(decayed(volts) < volts)


def test_the_range_of_either_family():
    assert storage_range(design()) == (pytest.approx(1.0), pytest.approx(1.8))
    assert storage_range(design("reference")) == (-0.5, 0.5)
    assert retention(design("reference"), TIMES).rest == -0.9


def test_mistakes_are_named():
    with pytest.raises(InputError, match="'high' is not known.*low, centre"):
        retention(design(), TIMES, line="high")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="times"):
        retention(design(), TIMES[::-1])
