"""The square-law FET against its formulas."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.errors import InputError
from eqspice.pdk import ideal

UM = 1e-6


def test_sharp_limit_is_the_textbook_law() -> None:
    device = ideal.mosfet("n", 2 * UM, UM, threshold=0.4, transconductance=1e-4, slope_factor=0.0)
    v = np.array([[1.5, 1.0, 0, 0], [0.2, 1.0, 0, 0], [1.0, 0.3, 0, 0]])
    saturation, triode, off = ideal.evaluate(device, v).current[:, 0]
    assert saturation == pytest.approx(0.5 * 2e-4 * 0.6**2, rel=1e-12)
    assert triode == pytest.approx(2e-4 * (0.6 - 0.1) * 0.2, rel=1e-12)
    assert off == 0.0


def test_subthreshold_slope_is_that_of_the_slope_factor() -> None:
    device = ideal.mosfet("n", UM, UM, threshold=0.8, slope_factor=1.5)
    low, high = ideal.evaluate(device, [[1.0, 0.20, 0, 0], [1.0, 0.21, 0, 0]]).current[:, 0]
    thermal = 8.617333262e-5 * 300.15
    assert np.log(high / low) == pytest.approx(0.01 / (1.5 * thermal), rel=1e-3)


@pytest.mark.parametrize("polarity", ["n", "p"])
def test_symmetry_conservation_and_derivatives(polarity: str) -> None:
    device = ideal.mosfet(polarity, UM, 0.5 * UM, channel_length_modulation=0.1, multiplier=2.0)
    v, h = np.random.default_rng(1).uniform(-1.8, 1.8, (200, 4)), 1e-6
    found = ideal.evaluate(device, v)
    assert np.abs(found.current.sum(axis=1)).max() == 0.0
    assert np.abs(found.charge.sum(axis=1)).max() < 1e-28
    swapped = ideal.evaluate(device, v[:, [2, 1, 0, 3]])
    assert np.allclose(swapped.current, -found.current, rtol=1e-10, atol=1e-25)
    assert np.allclose(swapped.charge[:, [2, 1, 0, 3]], found.charge, rtol=1e-10, atol=1e-28)
    for k in range(4):
        step = h * np.eye(4)[k]
        after, before = ideal.evaluate(device, v + step), ideal.evaluate(device, v - step)
        numeric = (after.current - before.current) / (2 * h)
        assert np.abs(numeric - found.conductance[:, :, k]).max() < 1e-6 * np.abs(found.conductance).max()
        numeric = (after.charge - before.charge) / (2 * h)
        assert np.abs(numeric - found.capacitance[:, :, k]).max() < 1e-6 * np.abs(found.capacitance).max()


def test_p_is_the_mirror_of_n() -> None:
    n, p = (ideal.mosfet(polarity, UM, UM) for polarity in ("n", "p"))
    v = np.random.default_rng(2).uniform(-1, 1, (50, 4))
    assert np.allclose(ideal.evaluate(p, -v).current, -ideal.evaluate(n, v).current)


def test_it_says_that_it_is_ideal() -> None:
    assert ideal.mosfet("n", UM, UM).ideal


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"polarity": "x"}, "polarity"),
        ({"width": 0.0}, "width"),
        ({"transconductance": -1.0}, "transconductance"),
        ({"channel_length_modulation": -1.0}, "channel_length_modulation"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_wrong_values_are_refused(change: dict[str, object], word: str) -> None:
    arguments: dict[str, object] = {"polarity": "n", "width": UM, "length": UM, **change}
    with pytest.raises(InputError, match=word):
        ideal.mosfet(**arguments)  # type: ignore[arg-type]
