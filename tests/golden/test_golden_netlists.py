"""One netlist per device kind and dialect, word for word.

A change of a writer that is meant is taken over with EQSPICE_UPDATE_GOLDEN=1; the difference is reviewed.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    CurrentSource,
    Device,
    Diode,
    Formula,
    Instance,
    Product,
    Resistor,
    SoftLimiter,
    Stimulus,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.base import State
from eqspice.engines.spice import decks
from eqspice.errors import InputError
from eqspice.pdk import ideal, ihp_sg13g2, sky130

UM = 1e-6
HERE = Path(__file__).parent
SQUARE = Formula((("variable", 0.0), ("power", 2.0), ("number", 1e-3), ("mul", 0.0)))
FETS = {
    "mosfet": sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM, multiplier=2.0),
    "mosfet_legacy": sky130.mosfet("pfet_01v8", 1.302 * UM, 0.15 * UM, junctions="legacy"),
    "mosfet_psp103": ihp_sg13g2.mosfet("sg13_lv_nmos", 0.42 * UM, 0.15 * UM),
    "mosfet_square_law": ideal.mosfet("n", 1.0 * UM, 1.0 * UM, channel_length_modulation=0.1),
}
KINDS: dict[str, tuple[Device, tuple[str, ...]]] = {
    "resistor": (Resistor(1234.5), ("a", "b")),
    "capacitor": (Capacitor(1e-13), ("a", "b")),
    "diode": (Diode(1e-14, 1.05, 50.0), ("a", "b")),
    "switch": (Switch(2.0, 1e13, 0.5, 0.4), ("b", "0", "a", "0")),
    "switch_blocking": (Switch(2.0, np.inf, 0.4, 0.5), ("b", "0", "a", "0")),
    "voltage_source": (VoltageSource(0.1, "u", -2.0), ("c", "0")),
    "current_source": (CurrentSource(1e-6, "u", 1e-6), ("b", "0")),
    "vccs": (VoltageControlledCurrentSource(1e-3), ("b", "0", "a", "0")),
    "vcvs": (VoltageControlledVoltageSource(-3.0, 50.0), ("b", "0", "a", "0")),
    "product": (Product(2.0, 0.25, 10.0), ("b", "0", "a", "0", "b", "0")),
    "bidirectional_amplifier": (BidirectionalAmplifier(2.5, 0.4, 10.0), ("a", "b", "c")),
    "soft_limiter": (SoftLimiter(-0.25, 0.3), ("b", "0")),
    "behavioural_current": (BehaviouralCurrentSource(SQUARE), ("b", "0", "a")),
    "behavioural_voltage": (BehaviouralVoltageSource(SQUARE, 5.0), ("b", "0", "a")),
    **{name: (fet, ("b", "a", "0", "0")) for name, fet in FETS.items()},
}
REFUSED = {("mosfet_square_law", "vacask"), ("mosfet_psp103", "ngspice"), ("mosfet_psp103", "xyce")}


def text(kind: str, dialect: str) -> str:
    device, nodes = KINDS[kind]
    instances = (
        Instance("Drive", VoltageSource(signal="u"), ("a", "0")),
        Instance("load_b", Resistor(1e4), ("a", "b")),
        Instance("store", Capacitor(1e-12), ("b", "0")),
        Instance("x1", device, nodes),
    )
    circuit = Circuit(f"golden {kind}", instances, ("b",))
    times = np.array([1e-6, 2e-6, 3e-6, 4e-6, 5e-6])
    stimulus = Stimulus(times, ("u",), np.array([[0.25], [0.25], [1.0], [1.0], [1.0]]))
    volts = {"a": 0.25, "b": 0.125}
    state = State(1e-6, np.array([volts.get(node, 0.0) for node in circuit.nodes]))
    files = decks.netlist(dialect, circuit, stimulus, state)
    written = {name: content for name, content in files.items() if not name.endswith(".va")}
    return "".join(f"=== {name}\n{content}" for name, content in written.items())


@pytest.mark.parametrize("dialect", decks.DIALECTS)
@pytest.mark.parametrize("kind", KINDS)
def test_netlist_is_the_golden_one(kind: str, dialect: str) -> None:
    if (kind, dialect) in REFUSED:
        with pytest.raises(InputError, match=f"engine {dialect} cannot run: x1: transistor model"):
            text(kind, dialect)
        return
    path = HERE / dialect / f"{kind}.txt"
    found = text(kind, dialect)
    if os.environ.get("EQSPICE_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8", newline="\n")
    assert found == path.read_text(encoding="utf-8")


def test_every_device_kind_has_a_golden_netlist() -> None:
    assert {device.kind for device, _ in KINDS.values()} == {kind.kind for kind in Device.__subclasses__()}


def test_files_are_named_after_the_main_one() -> None:
    device, nodes = KINDS["mosfet"]
    instances = (
        Instance("v", VoltageSource(signal="u"), ("a", "0")),
        Instance("r", Resistor(1e4), ("a", "b")),
        Instance("m", device, nodes),
    )
    circuit = Circuit("named", instances)
    stimulus = Stimulus(np.array([0.0, 1e-6]), ("u",), np.ones((2, 1)))
    for dialect, main in (("vacask", "mine.sim"), ("ngspice", "mine.cir"), ("xyce", "mine.cir")):
        files = decks.netlist(dialect, circuit, stimulus, main=main)
        assert next(iter(files)) == main
        for name in files:
            assert name.startswith("mine") or name.endswith(".va")
            assert name in files[main]
        assert "deck." not in "".join(files.values())
    with pytest.raises(InputError, match="dialect: 'spectre' is not known"):
        decks.netlist("spectre", circuit, stimulus)
