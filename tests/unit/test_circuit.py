"""A circuit as data: names, hierarchy, hash, and every check with the name of what is at fault."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from eqspice.circuit import (
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    CurrentSource,
    Diode,
    Instance,
    ModelCard,
    Mosfet,
    Product,
    Resistor,
    SoftLimiter,
    Subcircuit,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.errors import CircuitError

DRIVE = Instance("drive", VoltageSource(1.0), ("a", "0"))
CARD = ModelCard("fet", "square_law", 1, (("kp", 1e-4),))


def divider(**changes: object) -> Circuit:
    parts = {"upper": Resistor(1e3), "lower": Resistor(2e3)} | changes
    instances = (
        DRIVE,
        Instance("upper", parts["upper"], ("a", "out")),
        Instance("lower", parts["lower"], ("out", "0")),
    )
    return Circuit("divider", instances, ("out",))


def test_names_are_hierarchical_and_in_order():
    cell = Subcircuit(
        "cell",
        ("top", "bottom"),
        (Instance("r1", Resistor(1.0), ("top", "mid")), Instance("r2", Resistor(1.0), ("mid", "bottom"))),
    )
    pair = Subcircuit(
        "pair",
        ("in",),
        (Instance("left", cell, ("in", "0")), Instance("right", cell, ("in", "left_mid"))),
    )
    tail = Instance("tail", Resistor(1.0), ("x.left_mid", "0"))
    circuit = Circuit("nested", (DRIVE, Instance("x", pair, ("a",)), tail))
    assert [flat.name for flat in circuit.devices] == [
        *("drive", "x.left.r1", "x.left.r2", "x.right.r1", "x.right.r2", "tail")
    ]
    assert circuit.nodes == ("a", "x.left.mid", "x.right.mid", "x.left_mid")
    assert circuit.devices[2].nodes == ("x.left.mid", "0")  # node 0 is the ground of all levels
    assert circuit.count() == {"resistor": 5, "voltage_source": 1}


def test_signals_and_ideal_parts_are_counted():
    circuit = Circuit(
        "parts",
        (
            Instance("v", VoltageSource(signal="x"), ("a", "0")),
            Instance("i", CurrentSource(signal="bias"), ("a", "b")),
            Instance("near_ideal", Diode(emission=0.02), ("b", "0")),
            Instance("silicon", Diode(), ("b", "0")),
            Instance("s", Switch(), ("b", "0", "a", "0")),
            Instance("m", Mosfet(CARD, 1e-6, 1e-6), ("b", "a", "0", "0")),
        ),
    )
    assert circuit.signals == ("bias", "x")
    assert circuit.ideal_parts() == {"diode": 1, "mosfet": 1, "switch": 1}


def test_equal_circuits_have_equal_hashes_whatever_the_type_of_their_numbers():
    assert divider().hash == divider().hash
    assert (
        divider(upper=Resistor(1000)).hash == divider(upper=Resistor(np.float64(1e3))).hash == divider().hash
    )
    assert Resistor(np.float32(2.0)) == Resistor(2)
    card = dataclasses.replace(CARD, parameters=(("kp", np.float64(1e-4)),))
    assert repr(card) == repr(CARD)


@pytest.mark.parametrize(
    "other",
    [
        divider(lower=Resistor(2e3 * (1 + 1e-15))),
        divider(lower=Capacitor(2e3)),
        dataclasses.replace(divider(), storage_nodes=()),
        dataclasses.replace(divider(), instances=divider().instances[::-1]),
    ],
    ids=["value", "kind", "storage", "order"],
)
def test_whatever_a_simulation_depends_on_changes_the_hash(other: Circuit):
    assert other.hash != divider().hash


def test_the_hash_sees_model_cards_and_infinite_resistance():
    def with_fet(card: ModelCard, resistance: float) -> str:
        fet = Instance("m", Mosfet(card, 1e-6, 1e-6), ("a", "a", "0", "0"))
        return Circuit("m", (DRIVE, fet, Instance("s", Switch(1.0, resistance), ("a", "0", "a", "0")))).hash

    changed = dataclasses.replace(CARD, parameters=(("kp", 2e-4),))
    assert len({with_fet(CARD, 1e14), with_fet(changed, 1e14), with_fet(CARD, math.inf)}) == 3


def test_the_hash_of_a_circuit_stays_over_versions():
    """Run folders are compared by it: change the number only with a line in the changelog."""
    assert divider().hash == "52eed213880bdf2e3a05f5285fac66f598bb09e1eed7976ce51fcd7d88e9dbda"


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ((), "no devices"),
        ((DRIVE, DRIVE), "instance drive is named 2 times"),
        (
            (DRIVE, Instance("r", Resistor(1.0), ("a", "b"))),
            "instance r: node b is connected to nothing else",
        ),
        (
            (
                DRIVE,
                Instance("r1", Resistor(1.0), ("b", "c")),
                Instance("r2", Resistor(1.0), ("b", "c")),
            ),
            "instance r1: node b has no path to ground",
        ),
        (
            (
                DRIVE,
                Instance("i", CurrentSource(1.0), ("b", "0")),
                Instance("sense", VoltageControlledCurrentSource(1.0), ("b", "0", "a", "0")),
            ),
            "instance i: node b has no path to ground",
        ),
        ((Instance("r1", Resistor(1.0), ("a", "b")), Instance("r2", Resistor(1.0), ("a", "b"))), "ground"),
    ],
    ids=["empty", "twice", "dangling", "island", "current", "groundless"],
)
def test_a_circuit_that_cannot_be_solved_names_the_instance(instances: tuple[Instance, ...], message: str):
    with pytest.raises(CircuitError, match=message):
        Circuit("bad", instances)


def test_a_dangling_node_inside_a_subcircuit_has_its_full_name():
    stub = Instance("stub", Resistor(1.0), ("in", "open"))
    cell = Subcircuit("cell", ("in",), (Instance("load", Resistor(1.0), ("in", "0")), stub))
    with pytest.raises(CircuitError, match=r"instance x\.stub: node x\.open is connected to nothing else"):
        Circuit("bad", (DRIVE, Instance("x", cell, ("a",))))


def test_a_storage_node_must_exist():
    with pytest.raises(CircuitError, match="storage node mem does not exist"):
        dataclasses.replace(divider(), storage_nodes=("mem",))


def test_nodes_that_a_capacitor_or_an_amplifier_holds_are_grounded_enough():
    follower = VoltageControlledVoltageSource(1.0)
    Circuit("follower", (DRIVE, Instance("e", follower, ("out", "0", "a", "0"))))
    Circuit(
        "held",
        (DRIVE, Instance("c1", Capacitor(1.0), ("a", "b")), Instance("c2", Capacitor(1.0), ("b", "0"))),
    )


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (Resistor(0.0), "resistance is 0, it must be positive"),
        (Resistor(math.inf), "resistance is inf, it must be finite"),
        (Resistor("1k"), "resistance is '1k', it must be a number"),  # type: ignore[arg-type]
        (Resistor(True), "resistance is True, it must be a number"),
        (Resistor(None), "resistance is None, it must be a number"),  # type: ignore[arg-type]
        (Resistor(np.float32("nan")), "resistance is nan, it must be finite"),
        (Capacitor(-1e-12), "capacitance is -1e-12, it must be positive"),
        (Diode(saturation_current=0.0), "saturation_current is 0, it must be positive"),
        (Diode(emission=-1.0), "emission is -1, it must be positive"),
        (Diode(temperature=math.nan), "temperature is nan, it must be finite"),
        (Switch(on_resistance=0.0), "on_resistance is 0, it must be positive"),
        (Switch(on_resistance=math.inf), "on_resistance is inf, it must be finite"),
        (Switch(off_resistance=math.nan), "off_resistance is nan, it must be positive"),
        (Switch(v_on=0.5, v_off=0.5), "v_on and v_off are both 0.5"),
        (VoltageSource(dc=math.nan), "dc is nan"),
        (CurrentSource(scale=math.inf), "scale is inf"),
        (VoltageControlledCurrentSource(math.nan), "transconductance is nan"),
        (VoltageControlledVoltageSource(1.0, 0.0), "output_resistance is 0, it must be positive"),
        (Product(1.0, output_resistance=-1.0), "output_resistance is -1, it must be positive"),
        (BidirectionalAmplifier(2.5, math.nan), "back_gain is nan"),
        (SoftLimiter(0.2, 0.1), "high 0.1 must be above low 0.2"),
        (SoftLimiter(-0.1, 0.1, softness=0.0), "softness is 0, it must be positive"),
        (Mosfet(CARD, -1e-6, 1e-6), "width is -1e-06, it must be positive"),
        (Mosfet(CARD, 1e-6, 1e-6, multiplier=0.0), "multiplier is 0, it must be positive"),
        (Mosfet(CARD, 1e-6, 1e-6, instance=(("ad", math.nan),)), "ad of model fet is nan"),
        (
            Mosfet(dataclasses.replace(CARD, parameters=(("kp", math.inf),)), 1e-6, 1e-6),
            "kp of model fet is inf",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_a_parameter_that_cannot_be_names_the_instance(device, message: str):
    nodes = tuple("abcdefgh"[: len(device.terminals)])
    with pytest.raises(CircuitError) as caught:
        Instance("part_7", device, nodes, "netlist.sp:12")
    text = str(caught.value)
    assert text.startswith("instance part_7 (netlist.sp:12): ")
    assert device.kind in text and message in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("r-1", Resistor(1.0), ("a", "b")), "'r-1': a name is letters"),
        (("r1\n", Resistor(1.0), ("a", "b")), "a name is letters"),
        ((7, Resistor(1.0), ("a", "b")), "7: a name is letters"),
        (("r1", 5, ("a", "b")), "instance r1: it is of 5, a device or a subcircuit is needed"),
        (("r1", Resistor, ("a", "b")), "a device or a subcircuit is needed"),
        (("r1", Resistor(1.0), "ab"), "nodes are 'ab', a tuple"),
        (("r1", Resistor(1.0), ("a", 0)), "instance r1: 0 is not a node name"),
        (("r1", Resistor(1.0), ("a", "b c")), "instance r1: 'b c' is not a node name"),
        (("r1", Resistor(1.0), ("a",)), r"resistor has 2 terminals \(p, n\), 1 nodes were given \(a\)"),
    ],
)
def test_an_instance_of_the_wrong_shape_says_what_is_needed(arguments, message: str):
    with pytest.raises(CircuitError, match=message):
        Instance(*arguments)


def test_subcircuits_check_their_ports_and_names():
    part = Instance("r", Resistor(1.0), ("a", "b"))
    with pytest.raises(CircuitError, match="a port is named twice"):
        Subcircuit("s", ("a", "a"), (part,))
    with pytest.raises(CircuitError, match="subcircuit s: instance r is named 2 times"):
        Subcircuit("s", ("a", "b"), (part, part))
    with pytest.raises(CircuitError, match="s has 2 terminals"):
        Instance("x", Subcircuit("s", ("a", "b"), (part,)), ("n",))
