"""What decides the noise of a run: kinds, seed, state, options."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import CurrentSource, Diode, Instance, Resistor, Stimulus, VoltageControlledVoltageSource
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeOptions
from eqspice.errors import InputError
from eqspice.pdk import sky130
from order.noise_circuits import STEP, biased, network, session, steady


def test_kinds_are_switched_one_by_one() -> None:
    device = sky130.mosfet("pfet_01v8", 1e-6, 1e-6)
    parts = [
        *biased(device, 0.9, 2e4)(0),  # type: ignore[operator]
        Instance("diode", Diode(1e-9), ("a", "0")),
        Instance("i", CurrentSource(1e-6), ("0", "a")),
        Instance("only_r", Resistor(1e5), ("b", "0")),
        Instance("buffer", VoltageControlledVoltageSource(1.0, 1e5), ("c", "0", "b", "0")),
    ]
    noisy = {
        kind: set(
            np.flatnonzero(steady(parts, ["d0", "a", "b", "c"], 200, "phase", (kind,)).std(axis=0) > 1e-9)
        )
        for kind in ("thermal", "flicker", "shot")
    }
    assert noisy == {"thermal": {0, 2, 3}, "flicker": {0}, "shot": {1}}


def test_a_run_is_decided_by_its_seed_and_goes_on_where_it_ended() -> None:
    device = sky130.mosfet("pfet_01v8", 1e-6, 1e-6)
    parts = biased(device, 0.9, 2e4)(0)  # type: ignore[operator]
    axis = STEP * np.arange(41)
    whole = Stimulus(axis, (), np.zeros((41, 0)))
    second = Stimulus(axis[20:], (), np.zeros((21, 0)))
    kinds = ("thermal", "flicker", "shot")
    runs = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        prepared = session(parts, "phase", kinds, noise_seed=seed)
        runs[name] = prepared.run(whole, None, Save(("d0",))).raise_for_status()
    assert np.array_equal(runs["one"].waveforms.values, runs["again"].waveforms.values)
    assert not np.allclose(runs["one"].waveforms.values[1:], runs["other"].waveforms.values[1:], atol=1e-7)
    prepared = session(parts, "phase", kinds, noise_seed=1)
    end = prepared.run(Stimulus(axis[:21], (), np.zeros((21, 0))), None).state
    first, again = (prepared.run(second, end, Save(("d0",))).waveforms.values for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[1:21], runs["one"].waveforms.values[1:21])


def test_level_is_a_factor_on_the_amplitude() -> None:
    parts = network(0)
    one, three = (steady(parts, ["a0", "b0"], 50, "phase", ("thermal",), noise_level=f) for f in (1.0, 3.0))
    assert one.std() > 1e-6
    assert np.allclose(three, 3.0 * one, rtol=1e-6, atol=1e-12)


def test_without_noise_nothing_is_drawn() -> None:
    parts = network(0)
    quiet = [steady(parts, ["a0", "b0"], 50, "phase", (), noise_seed=seed) for seed in (1, 2)]
    assert np.array_equal(quiet[0], quiet[1])
    assert not quiet[0].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": ("burst",)}, "noise: 'burst' is not known"),
        ({"noise_seed": -1}, "noise_seed"),
        ({"noise_band": (1e3, 1e2)}, "noise_band"),
        ({"noise_temperature": -300.0}, "noise_temperature"),
        ({"noise_level": -1.0}, "noise_level"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NativeOptions(**options)  # type: ignore[arg-type]
