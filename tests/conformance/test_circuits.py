"""Every engine against closed forms or against another engine, circuit by circuit."""

from __future__ import annotations

import pytest

from conformance import judge
from conformance.circuits import CASES
from eqspice.circuit import Device
from eqspice.design.presets import PRESETS


@pytest.mark.parametrize("name", CASES)
def test_engine_agrees(name: str, engine: str) -> None:
    case = CASES[name]
    if engine in case.excluded:
        pytest.skip(case.excluded[engine])
    error, node = judge.error(case, engine)
    assert error < case.tolerance, f"{name} in {engine}: node {node} is {1e6 * error:.1f} uV off"


def test_every_device_kind_is_in_the_suite() -> None:
    kinds = {flat.device.kind for case in CASES.values() for flat in case.circuit.devices}
    assert kinds == {kind.kind for kind in Device.__subclasses__()}


def test_every_exclusion_has_a_reason_in_one_line() -> None:
    for case in CASES.values():
        for reason in case.excluded.values():
            assert 10 < len(reason) < 120
            assert "\n" not in reason


def test_the_suite_is_large_enough() -> None:
    assert len(CASES) >= 25
    assert PRESETS  # each is simulated whole in test_networks
