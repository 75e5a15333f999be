"""Networks of every preset on their schedule, node by node against the other simulators."""

from __future__ import annotations

import pytest

from conformance import networks
from eqspice.design.presets import PRESETS

STORAGE = 1e-4  # V, on plateaus
OUTPUTS = 5e-4  # V, on plateaus


def check(preset: str, widths: tuple[int, ...], samples: int, engine: str) -> None:
    bench = networks.bench(preset, widths, samples)
    ours = networks.simulate(preset, widths, samples, "native")
    other = networks.simulate(preset, widths, samples, engine)
    amplified = tuple(node for node in bench.circuit.storage_nodes if node not in bench.weights)
    held = OUTPUTS if bench.design.family == "differential" else STORAGE  # sensed behind the amplifiers
    assert bench.difference(ours, other, bench.weights) < STORAGE
    assert bench.difference(ours, other, amplified) < held
    assert bench.difference(ours, other, bench.outputs) < OUTPUTS
    nodes = bench.circuit.nodes
    for node in bench.weights:
        place = nodes.index(node)
        assert abs(ours.state.voltages[place] - other.state.voltages[place]) < STORAGE


def test_reference_3_4_2_two_samples_with_updates(engine: str) -> None:
    if engine == "native":
        moved = networks.simulate("reference", (3, 4, 2), 2, "native").state.voltages
        start = networks.bench("reference", (3, 4, 2), 2).state.voltages
        assert abs(moved - start).max() > 1e-2  # the samples do update weights
    else:
        check("reference", (3, 4, 2), 2, engine)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_2_2_1_one_sample(preset: str, engine: str) -> None:
    if engine != "native":
        check(preset, (2, 2, 1), 1, engine)
