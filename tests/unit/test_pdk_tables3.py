"""Three-axis tables against the compact model: accuracy, charge, derivatives, exchange, the region."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError, ModelError
from eqspice.pdk import ideal, osdi, sky130, splines, tables3
from eqspice.pdk import tables3_kernel as kernel

UM = 1e-6
# The lvt nfet's own model has a kink near V_sb = -0.46 V at full gate overdrive.
DEVICES = {
    "nfet_01v8_lvt": (0.42, 1.0, 3e-3),
    "nfet_01v8": (0.42, 0.15, 2e-3),
    "pfet_01v8_lvt": (1.0, 0.5, 1e-3),
}
CONDITIONS = {
    "tt": {},
    "ss cold": {"corner": "ss", "temperature": -40.0},
    "ff hot": {"corner": "ff", "temperature": 125.0},
}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EQSPICE_CACHE", str(tmp_path_factory.mktemp("tables")))
        tables3.characterise_bulk.cache_clear()
        yield
        tables3.characterise_bulk.cache_clear()


def mosfet(name: str = "nfet_01v8_lvt", **options: object) -> Mosfet:
    width, length, _ = DEVICES[name]
    return sky130.mosfet(name, width * UM, length * UM, **options)  # type: ignore[arg-type]


def points(device: Mosfet, count: int, seed: int = 3) -> np.ndarray:
    """Random terminal voltages (count, 4) in the region; the bulk is not at ground."""
    rng = np.random.default_rng(seed)
    v = np.zeros((count, 4))
    v[:, [0, 2]] = rng.uniform(kernel.LOW, kernel.HIGH, (count, 2))
    v[:, 1] = rng.uniform(kernel.GATE_LOW, kernel.GATE_HIGH, count)
    return device.card.polarity * v + (1.8 if device.card.polarity < 0 else 0.0)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("name", DEVICES)
def test_table_equals_the_model_off_the_grid(name: str, condition: str) -> None:
    device = mosfet(name, **CONDITIONS[condition])
    v = points(device, 25_000)
    found, model = tables3.characterise_bulk(device).evaluate(v), osdi.compact_model(device).evaluate(v)
    for terminal in (0, 2):
        flows = np.abs(model.current[:, terminal]) > 1e-9
        error = np.abs(found.current[flows, terminal] / model.current[flows, terminal] - 1.0)
        assert error.max() < DEVICES[name][2]
        assert np.quantile(error, 0.99) < 6e-4
        small = np.abs(model.current[:, terminal]) > 1e-12
        error = np.abs(found.current[small, terminal] / model.current[small, terminal] - 1.0)
        assert np.quantile(error, 0.99) < 1.5e-3
    assert np.abs(found.charge - model.charge).max() < 2e-4 * np.abs(model.charge).max()
    assert np.abs(found.capacitance - model.capacitance).max() < 0.01 * np.abs(model.capacitance).max()
    usual = np.minimum(*np.abs(v[:, [0, 2]] - v[:, 3:]).T) > 0.0
    usual &= np.min(device.card.polarity * (v[:, [0, 2]] - v[:, 3:]), axis=1) > -0.4
    scale = np.abs(model.conductance[usual]).max(axis=(1, 2)) + 1e-9
    assert (np.abs(found.conductance - model.conductance)[usual].max(axis=(1, 2)) / scale).max() < 0.01


@pytest.mark.parametrize("name", DEVICES)
def test_impact_ionisation_flows_into_the_bulk(name: str) -> None:
    device = mosfet(name)
    v = points(device, 25_000, seed=4)
    found, model = tables3.characterise_bulk(device).evaluate(v), osdi.compact_model(device).evaluate(v)
    assert np.abs(found.current[:, 3] - model.current[:, 3]).max() < 1e-9
    largest = np.abs(model.current[:, 3]).max()
    assert largest > 1e-10  # else this test would say nothing


def test_nothing_is_lost() -> None:
    device = mosfet()
    found = tables3.characterise_bulk(device).evaluate(points(device, 2_000))
    for total, scale in ((found.current, 1e-4), (found.charge, 1e-14)):
        assert np.abs(total.sum(axis=1)).max() < 1e-15 * scale
    for matrix in (found.conductance, found.capacitance):
        for axis in (1, 2):
            assert np.abs(matrix.sum(axis=axis)).max() < 1e-14 * np.abs(matrix).max()
    assert not found.current[:, 1].any()


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("beyond", [0.0, 0.8])
def test_derivatives_are_those_of_the_splines(name: str, beyond: float) -> None:
    device = mosfet(name)
    table = tables3.characterise_bulk(device)
    v = points(device, 2_000)
    v += beyond * np.sign(np.random.default_rng(8).normal(size=v.shape)) * [1, 1, 1, 0]
    v = v[np.abs(v[:, 0] - v[:, 2]) > 1e-4]
    found, h = table.evaluate(v), 1e-6
    for column in range(4):
        step = np.zeros(4)
        step[column] = h
        up, down = table.evaluate(v + step), table.evaluate(v - step)
        for change, matrix in (
            (up.current - down.current, found.conductance),
            (up.charge - down.charge, found.capacitance),
        ):
            numeric = change / (2 * h)
            assert np.abs(numeric - matrix[:, :, column]).max() < 1e-5 * np.abs(matrix).max()


@pytest.mark.parametrize("name", DEVICES)
def test_the_halves_meet_at_equal_ends(name: str) -> None:
    device = mosfet(name)
    table = tables3.characterise_bulk(device)
    v = points(device, 1_000)
    v[:, 2] = v[:, 0]
    at = table.evaluate(v)
    channel = 0.5 * (at.current[:, 0] - at.current[:, 2])
    assert np.abs(channel).max() < 1e-20
    assert np.abs(at.charge[:, 0] - at.charge[:, 2]).max() < 1e-14 * np.abs(at.charge).max()
    for side in (-1e-9, 1e-9):
        near = table.evaluate(v + [side, 0, 0, 0])
        assert np.abs(near.current - at.current).max() < 1e-11
        assert np.abs(near.charge - at.charge).max() < 1e-8 * np.abs(at.charge).max()


def test_exchanging_drain_and_source_exchanges_their_currents_and_charges() -> None:
    device = mosfet()
    v = points(device, 1_000)
    table, order = tables3.characterise_bulk(device), [2, 1, 0, 3]
    own, other = table.evaluate(v), table.evaluate(v[:, order])
    assert np.array_equal(own.current, other.current[:, order])
    back = other.capacitance[:, order][:, :, order]
    assert np.abs(own.capacitance - back).max() < 1e-14 * np.abs(back).max()


def test_the_straight_line_goes_on_and_is_reported() -> None:
    device = mosfet()
    table = tables3.characterise_bulk(device)
    edge, out, far = (table.evaluate([0.3, gate, 0.1, 0.0]).current[0, 0] for gate in (3.0, 3.5, 4.0))
    assert far - out == pytest.approx(out - edge, rel=1e-9)
    v = np.array([[0.3, 1.4, 0.1, 0.0], [0.3, 2.5, 0.1, 0.0], [-0.7, 1.4, 0.1, 0.0], [0.3, 1.4, 2.3, 0.1]])
    assert table.outside(v) == pytest.approx([0.0, 0.1, 0.2, 0.2])
    assert np.isnan(table.evaluate([np.nan, 1.0, 0.0, 0.0]).current).any()


def test_multiplier_scales_and_shares_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQSPICE_CACHE", str(tmp_path))
    one = tables3.characterise_bulk(mosfet(temperature=28.0))
    (file,) = tmp_path.glob("bulk-*.npz")
    monkeypatch.setattr(tables3, "_numbers", None)  # from here on only the file can answer
    two = tables3.characterise_bulk(mosfet(temperature=28.0, multiplier=2.0))
    assert file.name == f"bulk-{two.key[:32]}.npz"
    assert np.array_equal(two.numbers, one.numbers)
    v = [0.5, 1.2, 0.1, 0.0]
    assert np.allclose(two.evaluate(v).current, 2.0 * one.evaluate(v).current, rtol=1e-15)


def test_table_lies_on_cache_lines() -> None:
    table = tables3.characterise_bulk(mosfet())
    assert table.numbers.ctypes.data % 64 == 0
    assert kernel.COEFFICIENTS_AT % 8 == kernel.SIZE % 8 == 0
    assert table.numbers.nbytes < 4e6
    assert not table.numbers.flags.writeable


def test_what_cannot_have_a_table_is_refused() -> None:
    with pytest.raises(InputError, match="square_law"):
        tables3.characterise_bulk(ideal.mosfet("n", UM, UM))
    device = mosfet()
    lopsided = tuple((name, 3 * value if name == "ad" else value) for name, value in device.instance)
    with pytest.raises(ModelError, match="exchanged"):
        tables3.characterise_bulk(dataclasses.replace(device, instance=lopsided))


def test_splines_reproduce_cubics_and_their_cells() -> None:
    rng = np.random.default_rng(1)
    sites = np.sort(rng.uniform(0.0, 2.0, 12))
    cubic = np.polynomial.Polynomial([0.3, -1.0, 0.7, 2.0])
    for slope in (None, np.array([cubic.deriv()(sites[0])])):
        knots, coefficients = splines.interpolate(sites, cubic(sites)[:, None], 0, slope)
        edges, polynomials = splines.cell_polynomials(knots)
        for x in rng.uniform(sites[0], sites[-1], 50):
            cell = int(np.searchsorted(edges, x, side="right")) - 1
            basis = (x - edges[cell]) ** np.arange(4) @ polynomials[cell]
            assert basis @ coefficients[cell : cell + 4, 0] == pytest.approx(cubic(x), rel=1e-10)


def test_sites_crowd_where_spacing_is_small() -> None:
    grid = np.linspace(0.0, 1.0, 1001)
    spacing = splines.allowed_spacing(1.0 / (0.01 + grid) ** 4, largest=10.0, growth=10.0, step=1e-3)
    assert spacing[1000] / spacing[0] == pytest.approx(101.0, rel=1e-9)
    sites = splines.equidistribute(grid, spacing, 21)
    ratio = np.diff(np.log(0.01 + sites))  # equal parts of a spacing in proportion to 0.01 + x
    assert ratio == pytest.approx(np.full(20, ratio.mean()), rel=5e-3)
