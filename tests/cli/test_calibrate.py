"""`eqspice calibrate`."""

import json

import pytest


def test_gains_correct_the_fraction_that_is_wanted(eqspice_here):
    command = ("calibrate", "xor", "--preset", "reciprocal", "--set", "engine.fidelity=phase")
    code, said, _ = eqspice_here(*command, "--json")
    assert code == 0
    found = json.loads(said)
    assert found["correction"] == [0.3, 0.3]
    for gain, measured, wanted in zip(
        found["update_gains"], found["measured"], found["correction"], strict=True
    ):
        assert gain * measured == pytest.approx(wanted)
    said = eqspice_here(*command)[1]
    assert "learning.update_gain=[" in said
    assert "will correct" not in said


def test_a_gain_that_the_largest_step_limits_is_told(eqspice_here):
    """Four neurons have to move far for the same share of the error."""
    small = ("--set", "network.hidden=[4]", "--set", "engine.fidelity=phase")
    said = eqspice_here("calibrate", "xor", "--preset", "reciprocal", *small)[1]
    assert "layer 0 will correct 0.29" in said
    assert "30 mV in a presentation" in said
    assert "layer 1 will" not in said


def test_a_preset_with_fixed_gains_says_so(eqspice):
    done = eqspice("calibrate", "sine", "--preset", "reference")
    assert done.returncode == 1
    assert "fixed update gains" in done.stderr
