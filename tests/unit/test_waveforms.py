"""Waveforms: interpolation, selection, round trip through zarr, comparison."""

import warnings

import numpy as np
import pytest
import xarray as xr

from eqspice.errors import InputError
from eqspice.waveforms import Waveforms, compare


@pytest.fixture
def waves():
    times = np.array([0.0, 1.0, 3.0])
    return Waveforms(times, ("layer0.cell_0_0.mem", "b"), np.array([[0.0, 5.0], [1.0, 5.0], [3.0, -5.0]]))


def test_a_line_is_interpolated_exactly(waves):
    assert waves.at(np.array([0.5, 2.0]))["layer0.cell_0_0.mem"] == pytest.approx([0.5, 2.0])


def test_an_unknown_signal_is_named(waves):
    with pytest.raises(InputError, match="no signal 'c'"):
        waves["c"]


def test_shapes_must_fit():
    with pytest.raises(InputError, match=r"\(2, 3\)"):
        Waveforms(np.zeros(2), ("a", "b", "c"), np.zeros((2, 2)))


def test_round_trip_without_warnings(waves, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        waves.save(tmp_path / "w")
        back = Waveforms.load(tmp_path / "w")
    assert back.names == waves.names
    assert np.array_equal(back.times, waves.times) and np.array_equal(back.values, waves.values)


def test_other_readers_find_signals_by_name(waves, tmp_path):
    waves.save(tmp_path / "w")
    with xr.open_zarr(tmp_path / "w", consolidated=False) as data:
        assert data["b"].sel(time=3.0) == -5.0


def test_compare_finds_the_worst_signal_first_whatever_its_sign(waves):
    other = Waveforms(
        waves.times, waves.names, waves.values + np.array([[0.0, 0.0], [0.0, 0.0], [0.1, -2.0]])
    )
    worst, least = compare(waves, other)
    assert (worst.name, worst.at_time) == ("b", 3.0)
    assert worst.max_abs == pytest.approx(2.0)
    assert worst.rms == pytest.approx(2.0 / np.sqrt(3.0))
    assert least.max_abs == pytest.approx(0.1)


def test_compare_only_at_given_times(waves):
    other = Waveforms(waves.times, waves.names, waves.values + 1.0)
    assert all(c.max_abs == pytest.approx(1.0) for c in compare(waves, other, np.array([0.25])))
