"""Curves of cells against closed forms, device tables and the optimiser's formula."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eqspice.cells.switch import SwitchDesign
from eqspice.cells.synapse import CONDUCTANCE_CENTRE, CONDUCTANCE_UNIT, SYNAPSES
from eqspice.design.presets import PRESETS, get_preset
from eqspice.errors import InputError, StorageError
from eqspice.pdk import osdi, sky130, tables
from eqspice.report import benches
from eqspice.report.characterize import characterize, design_at, forward_over_backward


def design(preset: str = "reference", **process):
    return design_at(
        get_preset(preset), process.get("kit"), process.get("corner"), process.get("temperature")
    )


@pytest.mark.parametrize("which", [0, 1], ids=["pfet", "nfet"])
def test_transistor_currents_rise_and_equal_the_device_table(which):
    mosfet = benches.transistors(design())[which]
    curves = benches.transistor_curves(mosfet, 1.8)
    sign = mosfet.card.polarity
    forward = sign * curves.drains > 0
    current = sign * curves.current[:, forward]
    # More gate or more drain voltage, more current.
    assert np.all(np.diff(current, axis=0) > 0) and np.all(np.diff(current[1:], axis=1) > 0)
    g, d = np.meshgrid(curves.gates, curves.drains[forward], indexing="ij")
    table = sign * tables.characterise(mosfet).evaluate(g.ravel(), d.ravel())[:, 0].reshape(g.shape)
    flows = current > 1e-12
    assert np.max(np.abs(table[flows] / current[flows] - 1.0)) < 1e-3


def test_transistors_of_the_reference():
    found = [(m.card.polarity, m.width, m.length, m.multiplier) for m in benches.transistors(design())]
    assert found == [(-1, 1.302e-6, 0.15e-6, 1.0), (1, 0.42e-6, 0.15e-6, 1.0)]


def test_linear_synapse_against_its_closed_form():
    curves = benches.synapse_curves(design("resistive"))
    w, a = np.meshgrid(curves.weights, curves.rows, indexing="ij")
    # k (w0 + w) to +a and k (w0 - w) to -a: 2 k w a into a column at 0 V, 2 k w0 at the column.
    np.testing.assert_allclose(curves.column, 2 * CONDUCTANCE_UNIT * w * a, atol=1e-9)
    np.testing.assert_allclose(curves.forward, 2 * CONDUCTANCE_UNIT * w, atol=1e-8)
    np.testing.assert_allclose(curves.backward, 2 * CONDUCTANCE_UNIT * w, atol=1e-8)
    np.testing.assert_allclose(curves.loading, 2 * CONDUCTANCE_UNIT * CONDUCTANCE_CENTRE, rtol=1e-4)
    np.testing.assert_allclose(curves.unloaded, w * a / CONDUCTANCE_CENTRE, atol=2e-6)
    assert forward_over_backward(curves) == pytest.approx(1.0, abs=1e-4)


def test_cmos_synapse_carries_the_difference_of_its_transistors():
    here = design()
    curves = benches.synapse_curves(here)
    pfet, nfet = (tables.characterise(mosfet) for mosfet in benches.transistors(here))
    w, a = (axis.ravel() for axis in np.meshgrid(curves.weights, curves.rows, indexing="ij"))
    # The pfet's source is at +a, the nfet's at -a, both drains on the column at 0 V.
    drawn = pfet.evaluate(w - a, -a)[:, 0] + nfet.evaluate(w + a, a)[:, 0]
    np.testing.assert_allclose(curves.column.ravel(), -drawn, rtol=1e-4, atol=1e-9)
    # Why its error fades from layer to layer: transconductance forward, output conductance backward.
    assert forward_over_backward(curves) > 2.0


def test_nfet_synapse_saturates():
    """Its current goes with row and weight and hardly with the column, which it only pulls down."""
    curves = benches.synapse_curves(design("read_nfet"))
    assert forward_over_backward(curves) > 2.0
    assert np.all(curves.column[:, -1] < 0) and np.all(np.diff(curves.column[:, -1]) < 0)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_cell_is_reciprocal_at_rest(preset):
    """Without bias every cell is a network of resistors; rows go in steps short against kT/q."""
    curves = benches.synapse_curves(design(preset), rows=401)
    rest = len(curves.rows) // 2
    assert curves.rows[rest] == pytest.approx(0.0, abs=1e-12)
    scale = np.abs(curves.forward[:, rest]).max()
    assert scale > (1e-6 if preset == "read_nfet" else 1e-5)  # a read nfet hardly conducts there
    np.testing.assert_allclose(curves.forward[:, rest], curves.backward[:, rest], atol=0.01 * scale)


def test_differential_synapse_carries_the_sum_of_its_transistors():
    here = design("reciprocal")
    curves = benches.synapse_curves(here, weights=3, rows=5)
    model = osdi.compact_model(benches.transistors(here)[0])
    w, a = (axis.ravel() for axis in np.meshgrid(curves.weights, curves.rows, indexing="ij"))
    column = np.full(w.shape, here.common_mode)

    def into_column(gate_sign, row_sign):
        gate, rail = here.gate_common + gate_sign * w, here.common_mode + row_sign * a
        return -model.evaluate(np.stack([column, gate, rail, 0.0 * w], axis=1)).current[:, 0]

    positive = into_column(1, 1) + into_column(-1, -1)
    negative = into_column(1, -1) + into_column(-1, 1)
    np.testing.assert_allclose(curves.column.ravel(), positive - negative, rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"reciprocal"}))
def test_update_follows_the_formula(preset):
    here = design(preset)
    changes, rows = np.linspace(-5e-3, 5e-3, 5), here.input_scale * np.array([-0.5, 0.0, 0.4])
    found = benches.update_map(here, 20.0, changes, rows)
    sign = SYNAPSES[here.synapse].update_sign
    np.testing.assert_allclose(found.formula, sign * 20.0 * np.outer(changes, rows), atol=1e-15)
    # Gate capacitance bends it by less than half a percent of the largest step (50 mV).
    assert np.abs(found.written - found.formula).max() < 2.5e-4
    assert np.abs(found.written).max() > 4e-2


def test_charge_pump_shares_its_charge_with_the_gates():
    here = design("reciprocal")
    changes, rows = np.array([-5e-3, 5e-3]), np.array([-0.4, 0.4])
    found = benches.update_map(here, 1.0, changes, rows)
    np.testing.assert_allclose(found.formula, np.outer(changes, rows), atol=1e-15)
    gate = [here.common_mode, here.gate_common, here.common_mode, 0.0]
    model = osdi.compact_model(benches.transistors(here)[0])
    gates = 2 * float(model.evaluate(gate).capacitance[0, 1, 1])  # two on every storage node
    assert gates > 0.03 * here.storage_capacitance
    share = here.storage_capacitance / (here.storage_capacitance + gates)
    np.testing.assert_allclose(found.written, share * found.formula, rtol=0.01)


def test_update_is_exact_without_gates():
    """The linear cell has no gate capacitance: what is left is the divider of switches and optimiser.

    Open switches have 1e15 ohm here: isolating ones of 1e14 ohm take t / 10 s, 1.4e-5, of a held voltage.
    """
    here = replace(design("resistive"), switch=SwitchDesign(off_resistance=1e15))
    found = benches.update_map(here, 3.0, np.array([-4e-3, 4e-3]), np.array([0.7]))
    np.testing.assert_allclose(found.written, found.formula, rtol=1e-5)


def test_corner_and_temperature_change_the_curves():
    largest = [
        abs(float(benches.transistor_curves(benches.transistors(d)[1], 1.8, 2, 2).current[-1, -1]))
        for d in (design(corner="ss"), design(), design(corner="ff"))
    ]
    assert largest == sorted(largest) and largest[0] < 0.9 * largest[2]
    hot = benches.transistor_curves(benches.transistors(design(temperature=125.0))[1], 1.8, 2, 2)
    assert abs(float(hot.current[-1, -1])) < largest[1]


def test_files_of_all_parts(tmp_path):
    page = characterize("all", "reference", tmp_path / "curves")
    text = page.read_text(encoding="utf-8")
    for title in ("Transistors", "Synapse", "Weight update"):
        assert f"<h2>{title}</h2>" in text
    names = ["retention", "synapse", "transistor_1_pfet", "transistor_2_nfet", "update_1", "update_2"]
    assert sorted(path.stem for path in page.parent.glob("*.png")) == names
    assert text.count("data:image/png;base64,") == len(names)
    for name in names:
        with Image.open(page.parent / f"{name}.png") as image:
            assert image.width > 1000
    with (page.parent / "update_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 21 * 21
    far = max(rows, key=lambda row: float(row["formula_V"]))
    assert float(far["written_V"]) == pytest.approx(float(far["formula_V"]), rel=0.02)


def test_a_cell_from_spice_text(tmp_path):
    """The example's write transistor passes every weight, and its read transistor alone feeds the column."""
    file = Path(__file__).parents[2] / "examples" / "bring_your_own_cell" / "preset.toml"
    curves = benches.synapse_curves(design(str(file)))
    fet = sky130.mosfet("nfet_01v8_lvt", 0.42e-6, 0.15e-6, model_set="binned", junctions="legacy")
    rising = curves.rows >= 0  # the column is the source
    w, a = np.meshgrid(curves.weights, curves.rows[rising], indexing="ij")
    wanted = tables.characterise(fet).evaluate(w.ravel(), a.ravel())[:, 0].reshape(w.shape)
    np.testing.assert_allclose(curves.column[:, rising], wanted, rtol=3e-3, atol=1e-9)
    page = characterize("synapse", str(file), tmp_path)
    assert "synapse" in page.read_text(encoding="utf-8")


def test_a_preset_without_transistors(tmp_path):
    with pytest.raises(InputError, match="has no transistors"):
        characterize("transistor", "resistive", tmp_path)
    assert "This preset has none" in characterize("all", "resistive", tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"what": "neuron"}, "transistor, synapse, update, retention, all"),
        ({"preset": "nothing"}, "reference"),
        ({"corner": "xx"}, "tt, ss"),
        ({"temperature": 500.0}, "-40 to 125"),
        ({"kit": "tsmc"}, "sky130"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, message):
    given = {"what": "synapse", "preset": "reference", "out": tmp_path / "out"} | changes
    with pytest.raises(InputError, match=message):
        characterize(given.pop("what"), given.pop("preset"), given.pop("out"), **given)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="out"):
        characterize("update", "resistive", tmp_path / "out")
