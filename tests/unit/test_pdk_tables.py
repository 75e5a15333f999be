"""Device tables: accuracy off the grid, derivatives, the seam at V_ds = 0, the cache."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from eqspice import jit
from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError
from eqspice.pdk import ideal, osdi, sky130, tables

UM = 1e-6
# The lvt nfet has a kink of its own model at V_gd of about 1.4 to 1.7 V, which no grid line follows.
DEVICES = {
    "nfet_01v8": (0.42, 0.15, 1e-3),
    "pfet_01v8": (1.302, 0.15, 1e-3),
    "nfet_01v8_lvt": (0.42, 1.0, 2e-3),
    "pfet_01v8_lvt": (1.0, 0.5, 1e-3),
    "pfet_01v8_hvt": (0.8, 0.15, 1e-3),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(autouse=True)
def cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQSPICE_CACHE", str(shared))


def mosfet(name: str = "nfet_01v8", **options: object) -> Mosfet:
    width, length, _ = DEVICES[name]
    return sky130.mosfet(name, width * UM, length * UM, **options)  # type: ignore[arg-type]


def direct(device: Mosfet, vgs: np.ndarray, vds: np.ndarray) -> osdi.Evaluation:
    zero = np.zeros_like(vgs)
    return osdi.compact_model(device).evaluate(np.stack([vds, vgs, zero, zero], axis=1))


@pytest.mark.parametrize("corner", ["tt", "ss"])
@pytest.mark.parametrize("name", DEVICES)
def test_table_equals_the_model_off_the_grid(name: str, corner: str) -> None:
    device = mosfet(name, corner=corner)
    vgs, vds = np.random.default_rng(3).uniform(-2.0, 2.0, (2, 40_000))
    found, model = tables.characterise(device).evaluate(vgs, vds), direct(device, vgs, vds)
    current = model.current[:, 0]
    flows = np.abs(current) > 1e-12
    error = np.abs(found[flows, 0] / current[flows] - 1.0)
    assert error.max() < DEVICES[name][2]
    assert np.quantile(error, 0.999) < 5e-4
    scale = 2.0 * np.abs(model.capacitance[:, 1, 1]).max()  # C V
    assert np.abs(found[:, 3] - model.charge[:, 1]).max() < 1e-4 * scale
    assert np.abs(found[:, 6] - model.charge[:, 0]).max() < 1e-4 * scale
    assert np.abs(model.current[:, 1]).max() == 0.0  # what allows I_s = -I_d


@pytest.mark.parametrize("name", DEVICES)
def test_continuous_cards_are_right_beside_zero_drain_voltage(name: str) -> None:
    # Their sheet resistance puts nodes inside: the derivative at the seam must be that of the model.
    device = mosfet(name, model_set="continuous")
    vgs = device.card.polarity * np.repeat([0.6, 1.0, 1.6], 6)
    vds = np.tile([-5e-3, -1e-3, -1e-5, 1e-5, 1e-3, 5e-3], 3)
    found, model = tables.characterise(device).evaluate(vgs, vds), direct(device, vgs, vds)
    assert np.abs(found[:, 0] / model.current[:, 0] - 1.0).max() < 1e-3


@pytest.mark.parametrize("low", [-2.0, 2.3])
def test_derivatives_are_those_of_the_splines(low: float) -> None:
    table = tables.characterise(mosfet())
    rng, h = np.random.default_rng(5), 1e-6
    vgs, vds = rng.uniform(low, 2.6, 500), rng.uniform(low, 2.6, 500)
    vds[np.abs(vds) < 1e-4] = 0.01
    found = table.evaluate(vgs, vds)
    for k, (dx, dy) in ((1, (h, 0.0)), (2, (0.0, h))):
        change = table.evaluate(vgs + dx, vds + dy) - table.evaluate(vgs - dx, vds - dy)
        for quantity in (0, 3, 6):
            numeric = change[:, quantity] / (2 * h)
            scale = np.abs(found[:, quantity + k]).max()
            assert np.abs(numeric - found[:, quantity + k]).max() < 1e-5 * scale


def test_derivatives_are_close_to_those_of_the_model() -> None:
    device = mosfet()
    vgs, vds = np.random.default_rng(6).uniform(-0.5, 1.8, (2, 5_000))
    found, model = tables.characterise(device).evaluate(vgs, vds), direct(device, vgs, vds)
    for row, terminal in ((0, 0), (3, 1), (6, 0)):
        exact = model.conductance if row == 0 else model.capacitance
        for k, by in ((1, 1), (2, 0)):
            scale = np.abs(exact[:, terminal, by]).max()
            assert np.abs(found[:, row + k] - exact[:, terminal, by]).max() < 2e-3 * scale


def test_sheets_meet_where_no_voltage_is_applied() -> None:
    table = tables.characterise(mosfet())
    vgs = np.linspace(-2.0, 2.0, 777)
    at, before = table.evaluate(vgs, 0.0 * vgs), table.evaluate(vgs, 0.0 * vgs - 1e-15)
    assert np.abs(at[:, 0]).max() < 1e-18
    for quantity, scale in ((0, 1e-6), (3, 1e-15), (6, 1e-15)):
        assert np.abs(at[:, quantity] - before[:, quantity]).max() < 1e-9 * scale


def test_exchanging_drain_and_source_is_the_same_device() -> None:
    # With bulk at source the device is not symmetric; near V_ds = 0 it must become so.
    table = tables.characterise(mosfet(junctions="legacy"))
    vgs = np.linspace(0.5, 1.8, 50)
    forward = table.evaluate(vgs, np.full(50, 1e-4))
    backward = table.evaluate(vgs - 1e-4, np.full(50, -1e-4))
    assert np.allclose(forward[:, 0], -backward[:, 0], rtol=1e-3)


def test_grid_goes_on_as_a_straight_line() -> None:
    table = tables.characterise(mosfet())
    edge, out, far = (table.evaluate(1.0, v)[0] for v in (2.2, 2.7, 3.2))
    assert far[0] - out[0] == pytest.approx(out[0] - edge[0], rel=1e-12)
    assert out[2] == edge[2] == far[2]
    assert np.isnan(table.evaluate(np.nan, 0.0)[0, 0])


def test_multiplier_scales_the_table_and_shares_the_file(shared: Path) -> None:
    one = tables.characterise(mosfet())
    files = len(list(shared.iterdir()))
    two = tables.characterise(mosfet(multiplier=2.0))
    assert len(list(shared.iterdir())) == files
    assert np.array_equal(two.coefficients, 2.0 * one.coefficients)


def test_table_layout_is_what_kernels_expect() -> None:
    table = tables.characterise(mosfet())
    assert table.coefficients.shape == (2, 443, 223, 4)
    assert table.coefficients.ctypes.data % 64 == 0
    assert table.coefficients.flags.c_contiguous
    assert not table.coefficients.flags.writeable
    assert not table.coefficients[..., 3].any()


def small(device: Mosfet) -> tables.DeviceTable:
    return tables.characterise(device, span=1.0, step=0.1)


def test_cache_returns_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQSPICE_CACHE", str(tmp_path / "new" / "folder"))
    made = small(mosfet())
    (file,) = (tmp_path / "new" / "folder").iterdir()

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(tables, "_coefficients", refuse)
    assert np.array_equal(small(mosfet()).coefficients, made.coefficients)
    assert file.name.startswith(f"table-{made.key[:32]}")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_cache_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("EQSPICE_CACHE", str(tmp_path))
    made = small(mosfet())
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    file.write_bytes({"cut": good[:middle], "flip": flipped, "empty": b"", "text": b"hello"}[damage])
    assert np.array_equal(small(mosfet()).coefficients, made.coefficients)
    assert len(file.read_bytes()) == len(good)


def test_a_cache_that_cannot_be_written_warns_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EQSPICE_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="EQSPICE_CACHE"):
        table = small(mosfet())
    assert np.isfinite(table.coefficients).all()


def test_key_depends_on_everything() -> None:
    device = mosfet()
    card = dataclasses.replace(device.card, parameters=(*device.card.parameters, ("eu", 1.6)))
    others = [
        dataclasses.replace(device, temperature=28.0),
        dataclasses.replace(device, width=0.43 * UM),
        dataclasses.replace(device, length=0.16 * UM),
        dataclasses.replace(device, instance=()),
        dataclasses.replace(device, card=card),
        mosfet(corner="ss"),
    ]
    keys = {tables.table_key(m) for m in (device, *others)} | {tables.table_key(device, 2.0)}
    assert len(keys) == 8


def test_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EQSPICE_CACHE")
    assert jit.cache_folder().name == "eqspice"
    monkeypatch.setenv("EQSPICE_CACHE", os.sep + "somewhere")
    assert jit.cache_folder() == Path(os.sep + "somewhere")


def test_what_needs_no_table_or_cannot_have_one_is_refused() -> None:
    with pytest.raises(InputError, match="square_law"):
        tables.characterise(ideal.mosfet("n", UM, UM))
    with pytest.raises(InputError, match="span, step"):
        tables.characterise(mosfet(), span=1.0, step=0.3)
