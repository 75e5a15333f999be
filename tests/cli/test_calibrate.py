"""`eqspice calibrate`."""

import json

import pytest


def test_gains_correct_the_fraction_that_is_wanted(eqspice_here):
    small = ("--set", "network.hidden=[32]", "--set", "engine.fidelity=phase")
    code, said, _ = eqspice_here("calibrate", "xor", "--preset", "reciprocal", "--json", *small)
    assert code == 0
    found = json.loads(said)
    assert found["correction"] == [0.3, 0.3]
    for gain, measured, wanted in zip(
        found["update_gains"], found["measured"], found["correction"], strict=True
    ):
        assert gain * measured == pytest.approx(wanted)
    assert "learning.update_gain=[" in eqspice_here("calibrate", "xor", "--preset", "reciprocal", *small)[1]


def test_a_preset_with_fixed_gains_says_so(eqspice):
    done = eqspice("calibrate", "sine", "--preset", "reference")
    assert done.returncode == 1
    assert "fixed update gains" in done.stderr
