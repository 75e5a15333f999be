"""Signals by breakpoints: what is refused, where they are merged, what they are in between."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import Stimulus
from eqspice.errors import InputError

TIMES = np.array([0.0, 1.0, 3.0])
VALUES = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, -1.0]])


def test_signals_are_straight_between_breakpoints_and_constant_outside():
    stimulus = Stimulus(TIMES, ("a", "b"), VALUES)
    assert stimulus.at(np.array([-1.0, 0.5, 2.0, 9.0])).tolist() == [[0, 1], [1, 1], [2, 0], [2, -1]]
    later = stimulus.shifted(10.0)
    assert later.times.tolist() == [10.0, 11.0, 13.0] and later.values is stimulus.values


def test_signals_are_merged_on_the_breakpoints_of_all():
    merged = Stimulus.from_signals(
        {"a": ([0.0, 2.0], [0.0, 4.0]), "b": ([1.0], [7.0]), "c": ([0.5, 3], [1, 0])}
    )
    assert merged.times.tolist() == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert merged.values[:, 0].tolist() == [0.0, 1.0, 2.0, 4.0, 4.0]
    assert merged.values[:, 1].tolist() == [7.0] * 5
    assert merged.values[:, 2] == pytest.approx([1.0, 1.0, 0.8, 0.4, 0.0])


def test_breakpoints_that_differ_by_rounding_are_one():
    merged = Stimulus.from_signals({"a": ([0.0, 0.1 + 0.2], [0.0, 1.0]), "b": ([0.0, 0.3], [0.0, 1.0])})
    assert len(merged.times) == 2


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        (TIMES[:1], VALUES[:1], "at least two"),
        (TIMES, VALUES[:2], r"values has shape \(2, 2\), \(3, 2\) is needed"),
        (TIMES[::-1], VALUES, "strictly increasing"),
        (np.array([0.0, 1.0, 1.0]), VALUES, "strictly increasing"),
        (np.array([0.0, 1.0, np.inf]), VALUES, "finite and strictly increasing"),
        (TIMES, np.where(VALUES == -1.0, np.nan, VALUES), "signal b is nan at 3 s, it must be finite"),
    ],
)
def test_what_is_no_stimulus_is_refused(times, values, message: str):
    with pytest.raises(InputError, match=message):
        Stimulus(times, ("a", "b"), values)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({}, "signals is empty"),
        ({"a": ([], [])}, "signal a has 0 times and 0 values"),
        ({"a": ([0.0, 1.0], [0.0])}, "signal a has 2 times and 1 values"),
        ({"a": ([0.0, 0.0], [0.0, 1.0])}, "signal a: times must strictly increase"),
    ],
)
def test_signals_that_do_not_fit_are_refused(signals, message: str):
    with pytest.raises(InputError, match=message):
        Stimulus.from_signals(signals)
