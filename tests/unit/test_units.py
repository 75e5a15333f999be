import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqspice.errors import InputError
from eqspice.units import format_si, parse_si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5e-13, "F", "250 fF"),
        (0.42e-6, "m", "420 nm"),
        (999.96, "Hz", "1 kHz"),
        (-1e-12, "A", "-1 pA"),
        (0.0, "V", "0 V"),
        (1.0, "", "1"),
        (47e3, "ohm", "47 kohm"),
        (math.inf, "V", "inf V"),
    ],
)
def test_format(value, unit, text):
    assert format_si(value, unit) == text


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("0.42u", "", 0.42e-6),
        ("0.42µm", "m", 0.42e-6),
        ("250 fF", "F", 250e-15),
        ("1e-6", "", 1e-6),
        ("5m", "", 5e-3),
        ("5m", "m", 5.0),
        ("5 M", "", 5e6),
        ("-.5k", "", -500.0),
    ],
)
def test_parse(text, unit, value):
    assert parse_si(text, unit) == value


@pytest.mark.parametrize("text", ["", "u", "1x", "1 2", "nan", "1..2", "1uF"])
def test_parse_refuses(text):
    with pytest.raises(InputError, match="SI prefix"):
        parse_si(text)


def test_format_refuses_no_digits():
    with pytest.raises(InputError, match="digits: 0"):
        format_si(1.0, digits=0)


@given(st.floats(1e-17, 1e14), st.sampled_from(["", "F", "V", "m"]), st.sampled_from([-1, 1]))
def test_round_trip_keeps_the_digits_shown(value, unit, sign):
    text = format_si(sign * value, unit, digits=6)
    if unit == "m" and text.endswith(" m"):
        assert parse_si(text, unit) == pytest.approx(sign * value, rel=1e-5)
    assert parse_si(text, unit) == pytest.approx(sign * value, rel=1e-5)
