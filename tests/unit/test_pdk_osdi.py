"""The compact models in process: derivatives, conservation, symmetry, noise against formulas."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from eqspice.circuit.devices import ModelCard, Mosfet
from eqspice.errors import InputError, ModelError
from eqspice.pdk import osdi, sky130

UM = 1e-6
CASES = [
    ("nfet_01v8", 0.42, 0.15, "binned", "physical"),
    ("pfet_01v8", 1.302, 0.15, "continuous", "physical"),
    ("nfet_01v8_lvt", 0.42, 1.0, "binned", "legacy"),
]


def device(case: tuple[str, float, float, str, str]) -> osdi.CompactModel:
    model, width, length, model_set, junctions = case
    return osdi.compact_model(
        sky130.mosfet(model, width * UM, length * UM, model_set=model_set, junctions=junctions)
    )


def points(model: osdi.CompactModel, count: int, low: float = -0.4, high: float = 1.8) -> np.ndarray:
    """Random terminal voltages with source and bulk apart, in the polarity of the device."""
    v = np.random.default_rng(7).uniform(low, high, (count, 4))
    v[:, 3] = v[:, [0, 2]].min(axis=1) - 0.2
    return v * model.mosfet.card.polarity


@pytest.mark.parametrize("case", CASES)
def test_currents_and_charges_sum_to_zero(case: tuple[str, float, float, str, str]) -> None:
    model = device(case)
    found = model.evaluate(points(model, 300))
    assert np.abs(found.current.sum(axis=1)).max() <= 1e-12 * np.abs(found.current).max()
    assert np.abs(found.charge.sum(axis=1)).max() <= 1e-12 * np.abs(found.charge).max()
    for matrix in (found.conductance, found.capacitance):
        scale = np.abs(matrix).max()
        # Nothing changes when all voltages move together, and what flows in flows out.
        assert np.abs(matrix.sum(axis=2)).max() <= 1e-9 * scale
        assert np.abs(matrix.sum(axis=1)).max() <= 1e-9 * scale


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_the_values(case: tuple[str, float, float, str, str]) -> None:
    model = device(case)
    v, h = points(model, 60), 1e-5
    found = model.evaluate(v)
    for k in range(4):
        step = h * np.eye(4)[k]
        after, before = model.evaluate(v + step), model.evaluate(v - step)
        numeric = (after.current - before.current) / (2 * h)
        assert np.abs(numeric - found.conductance[:, :, k]).max() <= 2e-6 * np.abs(found.conductance).max()
        numeric = (after.charge - before.charge) / (2 * h)
        assert np.abs(numeric - found.capacitance[:, :, k]).max() <= 2e-6 * np.abs(found.capacitance).max()


@pytest.mark.parametrize("case", CASES)
def test_exchanging_drain_and_source_changes_the_sign(case: tuple[str, float, float, str, str]) -> None:
    model = device(case)
    v = points(model, 100)
    here, there = model.evaluate(v).current, model.evaluate(v[:, [2, 1, 0, 3]]).current
    assert np.allclose(here, there[:, [2, 1, 0, 3]], rtol=1e-9, atol=1e-18)


def test_no_hidden_conductance_between_the_nodes() -> None:
    model = device(CASES[0])
    assert np.abs(model.evaluate(np.zeros((1, 4))).current).max() < 1e-20


def test_the_junction_of_a_legacy_device_is_shockleys_law() -> None:
    mosfet = sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM, junctions="legacy", temperature=75.0)
    ideality = dict(mosfet.card.parameters)["njs"]
    # Bulk below source and drain below bulk, gate far off: only the drain junction conducts.
    v = np.array([[-0.9, -3.0, 0.0, -0.5], [-0.85, -3.0, 0.0, -0.5]])
    bulk = osdi.compact_model(mosfet).evaluate(v).current[:, 3]
    thermal = 8.617087e-5 * (75.0 + 273.15) * ideality
    expected = 1e-14 * np.expm1((v[:, 3] - v[:, 0]) / thermal)
    assert np.allclose(bulk, expected, rtol=2e-4)


def test_multiplier_scales_everything() -> None:
    single = sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM)
    triple = dataclasses.replace(single, multiplier=3.0)
    v = [[1.0, 0.8, 0.0, 0.0]]
    one, three = (osdi.compact_model(m).evaluate(v) for m in (single, triple))
    for name in ("current", "charge", "conductance", "capacitance"):
        assert np.allclose(getattr(three, name), 3.0 * getattr(one, name), rtol=1e-14)


def test_sheet_resistance_is_eliminated_not_ignored() -> None:
    # 1 kohm on either side of a strongly driven device: solved here by an independent fixed point.
    plain = sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM)
    card = {**dict(plain.card.parameters), "rsh": 1000.0}
    resistive = dataclasses.replace(
        plain,
        card=dataclasses.replace(plain.card, parameters=tuple(sorted(card.items()))),
        instance=(*plain.instance, ("nrd", 1.0), ("nrs", 1.0)),
    )
    model = osdi.compact_model(resistive)
    assert {"d_int", "s_int"} <= set(model.unknowns)
    current = model.evaluate([[1.0, 1.8, 0.0, 0.0]]).current[0]
    inner = np.array([1.0 - 1000.0 * current[0], 1.8, -1000.0 * current[2], 0.0])
    channel = osdi.compact_model(plain).evaluate(inner).current[0]
    assert current[0] == pytest.approx(channel[0], rel=1e-4)


def test_noise_at_equilibrium_is_nyquists() -> None:
    mosfet = sky130.mosfet("nfet_01v8_lvt", 2.0 * UM, 1.0 * UM)
    model = osdi.compact_model(mosfet)
    v = np.array([0.0, 1.2, 0.0, 0.0])
    noise = model.noise(v, [1e3, 1e9])
    thermal = noise.density[noise.names.index("id")]
    conductance = model.evaluate(v).conductance[0, 0, 0]
    nyquist = 4 * 1.380649e-23 * (27.0 + 273.15) * conductance
    assert noise.density.shape == (len(noise.names), 2)
    assert thermal[0] == thermal[1]
    assert thermal[0] == pytest.approx(nyquist, rel=0.15)  # tnoimod=0 is a charge model, not exact


def test_flicker_noise_falls_with_frequency() -> None:
    mosfet = sky130.mosfet("nfet_01v8", 1.0 * UM, 0.15 * UM)
    noise = osdi.compact_model(mosfet).noise([0.9, 0.9, 0.0, 0.0], [1e3, 1e4])
    low, high = noise.density[noise.names.index("flicker")]
    exponent = dict(mosfet.card.parameters)["ef"]
    assert np.log10(low / high) == pytest.approx(exponent, rel=1e-6)


def test_identical_transistors_share_one_model() -> None:
    first = osdi.compact_model(sky130.mosfet("nfet_01v8", UM, UM))
    assert first is osdi.compact_model(sky130.mosfet("nfet_01v8", UM, UM))


def test_a_wrong_parameter_is_named() -> None:
    card = ModelCard("bad", "bsim4", 1, (("vth0", 0.5), ("vth1", 0.5)))
    with pytest.raises(ModelError, match="no parameter vth1"):
        osdi.CompactModel(Mosfet(card, UM, UM))
    with pytest.raises(InputError, match="level: 'bsim3' is not known"):
        osdi.CompactModel(Mosfet(dataclasses.replace(card, level="bsim3"), UM, UM))


@pytest.mark.parametrize("v", [[[0.0, 0.0, 0.0]], [[np.nan, 0.0, 0.0, 0.0]]])
def test_wrong_points_are_refused(v: list[list[float]]) -> None:
    with pytest.raises(InputError, match="v: shape"):
        osdi.compact_model(sky130.mosfet("nfet_01v8", UM, UM)).evaluate(v)


def test_psp_is_bound_by_the_same_code() -> None:
    model = osdi.CompactModel(Mosfet(ModelCard("psp", "psp103", 1, (("swgeo", 1.0),)), UM, 0.2 * UM))
    v = np.array([[1.0, 1.0, 0.0, 0.0], [1.001, 1.0, 0.0, 0.0]])
    found = model.evaluate(v)
    assert found.current[0, 0] > 0
    slope = (found.current[1, 0] - found.current[0, 0]) / 1e-3
    assert slope == pytest.approx(found.conductance[0, 0, 0], rel=1e-2)


@pytest.mark.parametrize("case", CASES[:2])
def test_a_junction_at_exactly_zero_volts_keeps_its_capacitance(
    case: tuple[str, float, float, str, str],
) -> None:
    model = device(case)
    at, beside = (model.evaluate([[0.0, 0.5, 0.0, vb]]) for vb in (0.0, 1e-7))
    scale = np.abs(at.capacitance).max()
    assert np.abs(at.capacitance - beside.capacitance)[0, 3].max() < 1e-3 * scale
