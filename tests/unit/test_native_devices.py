"""Each device kind in the native engine: its law in closed form, its derivatives by finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import (
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    CurrentSource,
    Device,
    Diode,
    Instance,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
)
from eqspice.engines.base import State
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.pdk import ideal, sky130

NFET = sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6, multiplier=3.0)
PFET = sky130.mosfet("pfet_01v8", 1.302e-6, 0.15e-6)
LINK = 1e12  # ohm, from each terminal to ground: nothing dangles, and next to no current flows
VT = 8.617333262e-5 * 300.15


def session_of(device: Device, bulk_to_source: bool = False, fets: str = "tables") -> NativeSession:
    """A device with an unknown node at each terminal."""
    nodes = tuple(f"n{k}" for k in range(len(device.terminals)))
    if bulk_to_source:
        nodes = (*nodes[:3], nodes[2])
    links = [Instance(f"link_{node}", Resistor(LINK), (node, "0")) for node in dict.fromkeys(nodes)]
    options = NativeOptions(fets=fets)  # type: ignore[arg-type]
    return NativeEngine(options).prepare(Circuit("one", (Instance("x", device, nodes), *links)))


def evaluate(session: NativeSession, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Currents and charges into the nodes n0, n1, … at their voltages; the links' currents taken off."""
    work = session._evaluated(State(0.0, v))
    places = session.compiled.places
    return work.current[places] - v / LINK, work.charge[places]


def derivatives(session: NativeSession, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """G and C in the order of the nodes."""
    order = [session.unknown_names.index(name) for name in session.node_names]
    g, c = (matrix.toarray()[np.ix_(order, order)] for matrix in session.matrices(State(0.0, v)))
    return g - np.eye(len(v)) / LINK, c


KINDS: dict[str, tuple[Device, bool]] = {
    "resistor": (Resistor(1e3), False),
    "capacitor": (Capacitor(1e-13), False),
    "current_source": (CurrentSource(1e-3), False),
    "diode": (Diode(1e-14), False),
    "near_ideal_diode": (Diode(1e-9, 0.02), False),
    "limiter": (SoftLimiter(-0.25, 0.25), False),
    "switch": (Switch(10.0, 1e6, v_on=1.5, v_off=-1.5), False),
    "infinite_switch": (Switch(10.0, np.inf, v_on=-1.5, v_off=1.5), False),
    "vccs": (VoltageControlledCurrentSource(1e-3), False),
    "vcvs": (VoltageControlledVoltageSource(-3.0, 10.0), False),
    "product": (Product(20.0, 0.3, 2.0), False),
    "amplifier": (BidirectionalAmplifier(2.5, 0.4, 10.0), False),
    "square_law": (ideal.mosfet("p", 1e-6, 1e-7, channel_length_modulation=0.1, multiplier=2.0), False),
    "table_nfet": (NFET, True),
    "table_pfet": (PFET, True),
    "bulk_nfet": (NFET, False),
    "bulk_pfet": (PFET, False),
    "model_nfet": (NFET, False),
    "model_pfet": (PFET, False),
}


def session_for(kind: str) -> NativeSession:
    device, tied = KINDS[kind]
    return session_of(device, tied, "model" if kind.startswith("model") else "tables")


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_those_of_currents_and_charges(kind: str):
    session, rng, h = session_for(kind), np.random.default_rng(7), 1e-6
    size = len(session.node_names)
    span = 0.01 if kind == "near_ideal_diode" else 0.7
    for _ in range(20):
        v = rng.uniform(-span, span, size)
        for which, exact in enumerate(derivatives(session, v)):
            numeric = np.zeros((size, size))
            for k in range(size):
                step = h * np.eye(size)[k]
                up, down = evaluate(session, v + step)[which], evaluate(session, v - step)[which]
                numeric[:, k] = (up - down) / (2 * h)
            scale = max(np.abs(exact).max(), 1e-9 if which == 0 else 1e-18)
            assert np.abs(numeric - exact).max() < 2e-5 * scale, (kind, v)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("product", "amplifier")])
def test_no_current_and_no_charge_is_made(kind: str):
    session, rng = session_for(kind), np.random.default_rng(8)
    for _ in range(10):
        v = rng.uniform(-0.9, 0.9, len(session.node_names))
        current, charge = evaluate(session, v)
        assert abs(current.sum()) <= 1e-9 * np.abs(current).max() + 1e-18
        assert abs(charge.sum()) <= 1e-9 * np.abs(charge).max() + 1e-30


def test_a_fet_in_parallel_carries_as_many_times_the_current_and_charge():
    v = np.array([0.6, 0.9, -0.1, -0.4])
    single = sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6)
    for tied, fets in ((True, "tables"), (False, "tables"), (False, "model")):
        at = v[:3] if tied else v
        one, three = (evaluate(session_of(device, tied, fets), at) for device in (single, NFET))
        for a, b in zip(one, three, strict=True):
            assert b == pytest.approx(3.0 * a, rel=1e-12, abs=1e-12 * np.abs(b).max())


def test_tables_and_the_compact_model_agree_where_bulk_is_source():
    v = np.array([0.6, 0.9, -0.1])
    current, charge = evaluate(session_of(NFET, bulk_to_source=True), v)
    whole, whole_charge = evaluate(session_of(NFET, fets="model"), np.append(v, v[2]))
    assert current[0] == pytest.approx(whole[0], rel=1e-3)
    assert charge[1] == pytest.approx(whole_charge[1], rel=1e-3)


def test_closed_forms():
    v = np.array([0.3, -0.2])
    assert evaluate(session_of(Resistor(2e3)), v)[0] == pytest.approx([2.5e-4, -2.5e-4])
    assert evaluate(session_of(Capacitor(1e-13)), v)[1] == pytest.approx([5e-14, -5e-14])
    assert evaluate(session_of(CurrentSource(1e-3)), v)[0] == pytest.approx([1e-3, -1e-3])
    diode = 1e-14 * np.expm1(0.5 / VT)
    assert evaluate(session_of(Diode(1e-14)), v)[0] == pytest.approx([diode, -diode], rel=1e-9)
    limiter = 20.0 * (np.log1p(np.exp(12.5)) - np.log1p(np.exp(-37.5))) * 1e-6
    assert evaluate(session_of(SoftLimiter(-0.25, 0.25)), v)[0][0] == pytest.approx(limiter, rel=1e-9)
    control = np.array([0.3, -0.2, 0.44, 0.0])
    s = 0.4**2 * (3 - 2 * 0.4)
    log = np.exp((1 - s) * np.log(1e-14) + s * np.log(1.0))
    assert evaluate(session_of(Switch()), control)[0][0] == pytest.approx(0.5 * log, rel=1e-9)
    assert evaluate(session_of(Switch(2.0, np.inf)), control)[0][0] == pytest.approx(0.25 * s, rel=1e-9)
    vcvs = evaluate(session_of(VoltageControlledVoltageSource(-3.0, 10.0)), control)[0]
    assert vcvs == pytest.approx([0.182, -0.182, 0.0, 0.0])  # (0.5 + 3 0.44) / 10
    six = np.array([0.1, 0.2, 0.5, 0.1, 0.3, 0.6])
    product = evaluate(session_of(Product(20.0, 0.3, 2.0)), six)[0]
    assert product == pytest.approx([(0.1 - (0.2 + 20 * 0.7 * -0.3)) / 2, 0, 0, 0, 0, 0], abs=1e-12)
    three = np.array([0.1, 0.2, -0.4])
    p, n = (0.2 - 0.25) / 10, (-0.4 + 0.25) / 10
    amplifier = evaluate(session_of(BidirectionalAmplifier(2.5, 0.4, 10.0)), three)[0]
    assert amplifier == pytest.approx([0.4 * (n - p), p, n])


def test_a_diode_goes_on_as_a_straight_line_above_an_ampere():
    session = session_of(Diode(1e-14))
    line = VT * np.log1p(1e14)
    at, above = (evaluate(session, np.array([line + dv, 0.0]))[0][0] for dv in (0.0, 0.1))
    assert at == pytest.approx(1.0, rel=1e-6) and above - at == pytest.approx(0.1 / VT, rel=1e-6)


@pytest.mark.parametrize(
    ("bulk", "fets", "expected"),
    [
        ("s", "tables", (1, 0, 0)),
        ("0", "tables", (0, 1, 0)),
        ("s", "model", (0, 0, 1)),
        ("0", "model", (0, 0, 1)),
    ],
)
def test_a_fet_goes_the_way_that_its_bulk_allows(bulk: str, fets: str, expected: tuple[int, int, int]):
    links = [Instance(f"r{k}", Resistor(1e3), (node, "0")) for k, node in enumerate("dgs")]
    circuit = Circuit("b", (Instance("m", NFET, ("d", "g", "s", bulk)), *links))
    program = NativeEngine(NativeOptions(fets=fets)).prepare(circuit).compiled.program  # type: ignore[arg-type]
    groups = program.table_fets, program.bulk_fets, program.compact_fets
    assert tuple(len(group.nodes) for group in groups) == expected
