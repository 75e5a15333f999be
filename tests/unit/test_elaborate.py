"""Designs become circuits: what is in them, for one to four layers; SET writes the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.design.families import architecture_of
from eqspice.design.presets import PRESETS, get_preset
from eqspice.design.single_ended.network import weight_nodes
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.errors import InputError

NETWORKS = [(3, 4), (2, 4, 1), (3, 32, 4), (2, 8, 8, 1), (2, 8, 8, 8, 1), (64, 64, 10)]


def expected(widths: tuple[int, ...]) -> dict[str, int]:
    """Devices of the reference design, counted by hand."""
    shapes = list(zip(widths, widths[1:], strict=False))
    cells = sum(a * b for a, b in shapes)
    words, bits = sum(min(shape) for shape in shapes), sum(max(shape) for shape in shapes)
    hidden, outputs = sum(widths[1:-1]), widths[-1]
    columns = hidden + outputs
    counts = {
        "mosfet": 2 * cells,
        "capacitor": cells + 2 * bits,  # a weight each; free and target of each optimiser
        # write; of each bit line set, sample free, and three each to sample the target and to write back;
        # select; ground; nudge
        "switch": cells + 8 * bits + words + columns + outputs,
        "vcvs": 2 * bits,
        "product": bits,
        "bidirectional_amplifier": columns,
        "diode": 2 * hidden,
        "resistor": 2 * hidden + 2 * outputs,
        "voltage_source": 5 + 2 * widths[0] + outputs + words + bits,
    }
    return {kind: number for kind, number in counts.items() if number}


@pytest.mark.parametrize("widths", NETWORKS, ids=str)
def test_the_reference_has_the_devices_that_its_drawing_has(widths: tuple[int, ...]):
    design = get_preset("reference").build(widths)
    circuit = elaborate(design)
    assert circuit.count() == expected(widths)
    bits = sum(max(shape) for shape in zip(widths, widths[1:], strict=False))
    assert len(set(circuit.storage_nodes)) == len(circuit.storage_nodes) == design.synapses + 2 * bits
    weights = [node for layer in weight_nodes(design) for row in layer for node in row]
    assert set(weights) <= set(circuit.storage_nodes) and len(set(weights)) == design.synapses
    assert (
        "mosfet" not in circuit.ideal_parts()
        and circuit.ideal_parts()["switch"] == expected(widths)["switch"]
    )


def test_circuits_are_the_same_each_time_and_differ_by_network_and_preset():
    hashes = {
        (name, widths): elaborate(preset.build(widths)).hash
        for name, preset in PRESETS.items()
        for widths in ((2, 4, 1), (2, 5, 1))
    }
    assert len(set(hashes.values())) == len(hashes)
    assert elaborate(get_preset("reference").build((2, 4, 1))).hash == hashes["reference", (2, 4, 1)]


def test_columns_of_read_cells_are_pulled_up_in_proportion_to_their_transistors():
    read, reference = (get_preset(name).build((3, 32, 4)) for name in ("read_nfet", "reference"))
    assert read.column_pulls[1] / (32 * 8) == pytest.approx(
        get_preset("read_nfet").build((3, 8, 4)).column_pulls[1] / 16
    )
    found, other = elaborate(read).count(), elaborate(reference).count()
    cells = 3 * 32 + 32 * 4
    assert found.pop("mosfet") == other.pop("mosfet") - cells
    assert found.pop("resistor") == other.pop("resistor") + cells + 32 + 4  # unused rails; pulls
    assert found.pop("voltage_source") == other.pop("voltage_source") + 1
    assert found == other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column_pulls": (1e-6,)}, "1 values, 2 are needed"),
        ({"column_pulls": (1e-6, -1e-6)}, "0 S or more"),
        ({"supply": np.inf}, "supply: inf"),
    ],
)
def test_pulls_are_checked(changes, message):
    with pytest.raises(InputError, match=message):
        replace(get_preset("read_nfet").build((2, 2, 1)), **changes)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("fidelity", ["phase", "transient"])
def test_set_writes_the_weights(preset: str, fidelity: str):
    design = get_preset(preset).build((3, 5, 2))
    session = NativeEngine(NativeOptions(fidelity=fidelity)).prepare(elaborate(design))  # type: ignore[arg-type]
    rng = np.random.default_rng(4)
    weights = [design.weight_centre + rng.uniform(-0.3, 0.3, design.shape(layer)) for layer in range(2)]
    stimulus = sc.set_sequence(design, weights)
    state = session.run(stimulus, None, Save(("set",), stimulus.times[-1:])).raise_for_status().state
    for layer, matrix in enumerate(weights):
        readout = architecture_of(design).weights(design, layer)
        volts = np.array([state.voltages[session.node_names.index(name)] for name in readout.nodes])
        found = readout.of(volts).reshape(design.shape(layer))
        # Written while columns are grounded; then they float and pull by their gates a little, or more where
        # they are pulled up and hidden rows follow.
        assert np.abs(found - matrix).max() < (8e-3 if preset == "read_nfet" else 2e-3)
