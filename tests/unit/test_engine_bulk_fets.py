"""FETs on a common substrate in the engine: tables against the compact model, charge, stability."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eig
from scipy.optimize import brentq

from eqspice.circuit import (
    Capacitor,
    Circuit,
    Instance,
    ModelCard,
    Mosfet,
    Resistor,
    Stimulus,
    VoltageSource,
)
from eqspice.circuit.spice_reader import read_subcircuit
from eqspice.engines.base import Solution
from eqspice.engines.native.compile import compile_circuit
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.errors import InputError
from eqspice.pdk import sky130

UM = 1e-6
END = 4e-6


def fet(name: str = "nfet_01v8_lvt", width: float = 0.42, length: float = 1.0) -> Mosfet:
    return sky130.mosfet(name, width * UM, length * UM)


def differential_cell(bulk: str = "0") -> Circuit:
    """Four nfets from two rows to two columns, gates held by capacitors, columns loaded."""
    device = fet()
    parts = [
        Instance("row_p", VoltageSource(signal="row", dc=0.4), ("rp", "0")),
        Instance("row_n", VoltageSource(signal="row", scale=-1.0, dc=0.4), ("rn", "0")),
        Instance("bit", VoltageSource(signal="gate"), ("bit", "0")),
        Instance("common", VoltageSource(dc=0.4), ("vcm", "0")),
    ]
    for k, (row, column, gate) in enumerate(
        (("rp", "cp", "gp"), ("rn", "cn", "gp"), ("rn", "cp", "gn"), ("rp", "cn", "gn"))
    ):
        parts.append(Instance(f"m{k}", device, (column, gate, row, bulk)))
    for column in ("cp", "cn"):
        parts.append(Instance(f"load_{column}", Resistor(5e4), (column, "vcm")))
        parts.append(Instance(f"wire_{column}", Capacitor(1e-12), (column, "0")))
    for gate in ("gp", "gn"):
        parts.append(Instance(f"write_{gate}", Resistor(1e8), (gate, "bit")))
        parts.append(Instance(f"store_{gate}", Capacitor(1e-14), (gate, "0")))
    if bulk != "0":
        parts.append(Instance("well", Resistor(1e5), (bulk, "0")))
    return Circuit("differential cell", tuple(parts), ("gp", "gn"))


def pass_gate() -> Circuit:
    """A pfet in a well at 1.8 V and an nfet that charge a capacitor, both ends swinging."""
    parts = (
        Instance("supply", VoltageSource(dc=1.8), ("well", "0")),
        Instance("row", VoltageSource(signal="row", dc=0.9, scale=2.0), ("in", "0")),
        Instance("bit", VoltageSource(signal="gate"), ("g", "0")),
        Instance("off", VoltageSource(dc=0.0), ("gb", "0")),
        Instance("source", Resistor(1e4), ("in", "a")),
        Instance("mn", fet("nfet_01v8", 0.42, 0.15), ("b", "g", "a", "0")),
        Instance("mp", fet("pfet_01v8_lvt", 1.0, 0.5), ("b", "gb", "a", "well")),
        Instance("load", Capacitor(1e-12), ("b", "0")),
    )
    return Circuit("pass gate", parts, ("b",))


def stimulus(top: float = 1.6) -> Stimulus:
    times = np.linspace(0.0, END, 9)
    row = np.array([0.0, 0.25, 0.25, -0.25, -0.25, 0.1, 0.1, -0.2, 0.0])
    gate = np.array([1.2, 1.2, top, top, 1.0, 1.0, 1.4, 1.4, 1.2])
    return Stimulus(times, ("row", "gate"), np.stack([row, gate], axis=1))


def simulate(circuit: Circuit, fets: str, wave: Stimulus) -> Solution:
    """Simulates with equal steps, so that two simulations differ by their FETs alone."""
    options = NativeOptions(fets=fets, exact_step=1e-8, bypass=1e-9)  # type: ignore[arg-type]
    session = NativeEngine(options).prepare(circuit)
    start = session.operating_point(dict(zip(wave.names, wave.values[0], strict=True)))
    return session.run(wave, start).raise_for_status()


@pytest.mark.parametrize("circuit", [differential_cell(), differential_cell("sub"), pass_gate()])
def test_tables_follow_the_compact_model(circuit: Circuit) -> None:
    direct, tables = (simulate(circuit, fets, stimulus()) for fets in ("model", "tables"))
    assert tables.message == ""
    for node in circuit.nodes:
        a, b = direct.waveforms[node], tables.waveforms[node]
        assert np.abs(a - b).max() < 4e-5, node
        if node in ("cp", "cn"):
            assert np.ptp(a) > 0.02  # the cell does something


def test_a_floating_store_keeps_its_charge() -> None:
    device = fet()
    parts = (
        Instance("row", VoltageSource(signal="row", dc=0.4), ("r", "0")),
        Instance("bit", VoltageSource(signal="gate"), ("u", "0")),
        Instance("m", device, ("c", "g", "r", "sub")),
        Instance("load", Resistor(1e5), ("c", "u")),
        Instance("well", Resistor(1e4), ("sub", "0")),
        Instance("store", Capacitor(1e-14), ("g", "0")),
    )
    session = NativeEngine().prepare(Circuit("store", parts, ("g",)))
    start = session.initial_state({"g": 1.4, "r": 0.4, "c": 0.4, "u": 0.5})
    place = session.node_names.index("g")
    wave = stimulus()
    one = session.run(wave, start).raise_for_status()
    again = session.run(Stimulus(wave.times + END, wave.names, wave.values), one.state).raise_for_status()
    assert one.state.charges is not None
    assert again.state.charges is not None
    first = one.waveforms["g"]
    assert np.ptp(first) > 1e-3  # it moves with its neighbours
    assert abs(again.state.charges[place] - one.state.charges[place]) < 1e-27


@pytest.mark.parametrize("circuit", [differential_cell(), differential_cell("sub"), pass_gate()])
def test_no_growing_mode(circuit: Circuit) -> None:
    wave = stimulus()
    session = NativeEngine().prepare(circuit)
    for row in (-0.25, 0.0, 0.25):
        for gate in (0.0, 0.9, 1.7):
            state = session.operating_point(dict(zip(wave.names, (row, gate), strict=True)))
            g, c = session.matrices(state)
            poles = eig(-g.toarray(), c.toarray(), right=False)
            poles = poles[np.isfinite(poles)]
            assert len(poles) > 0
            assert poles.real.max() < 0.0


@pytest.mark.parametrize("bulk", ["0", "sub"])
def test_matrices_equal_those_of_the_compact_model(bulk: str) -> None:
    found = []
    for fets in ("tables", "model"):
        session = NativeEngine(NativeOptions(fets=fets)).prepare(differential_cell(bulk))  # type: ignore[arg-type]
        voltages = {
            "rp": 0.6,
            "rn": 0.2,
            "cp": 0.45,
            "cn": 0.35,
            "gp": 1.3,
            "gn": 1.6,
            "vcm": 0.4,
            "bit": 1.4,
        }
        g, c = session.matrices(session.initial_state(voltages))
        found.append((g.toarray(), c.toarray()))
    for tables, model in zip(*found, strict=True):
        assert np.abs(tables - model).max() < 3e-3 * np.abs(model).max()


def test_which_model_evaluates_which_fet() -> None:
    program = compile_circuit(differential_cell()).program
    assert (len(program.bulk_fets.nodes), len(program.compact_fets.nodes)) == (4, 0)
    program = compile_circuit(differential_cell(), "model").program
    assert (len(program.bulk_fets.nodes), len(program.compact_fets.nodes)) == (0, 4)
    with pytest.raises(InputError, match=r"fets.*tables, model"):
        NativeOptions(fets="table")  # type: ignore[arg-type]


def test_a_fet_that_no_table_holds_goes_by_its_model(caplog: pytest.LogCaptureFixture) -> None:
    device = fet()
    lopsided = tuple((name, 3 * value if name == "ad" else value) for name, value in device.instance)
    odd = Mosfet(
        ModelCard("odd", "bsim4", 1, device.card.parameters), device.width, device.length, instance=lopsided
    )
    circuit = Circuit(
        "odd",
        (
            Instance("v", VoltageSource(signal="row"), ("r", "0")),
            Instance("m", odd, ("c", "r", "r", "0")),
            Instance("load", Resistor(1e5), ("c", "0")),
        ),
    )
    with caplog.at_level("INFO"):
        program = compile_circuit(circuit).program
    assert len(program.compact_fets.nodes) == 1
    assert "odd: evaluated by the compact model itself" in caplog.text


def test_leaving_the_table_is_reported() -> None:
    found = simulate(differential_cell(), "tables", stimulus(top=5.0))
    assert ", m2 by 0." in found.message
    assert "4 FETs left the region" in found.message


def test_leaving_the_table_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    session = NativeEngine().prepare(differential_cell())
    messages = [session.run(stimulus(top=5.0)).message for _ in range(2)]
    assert messages[0] == messages[1] != ""
    assert caplog.text.count("left the region") == 1


def test_more_different_fets_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqspice.engines.native.fets.MOST_TABLES", 1)
    with pytest.raises(InputError, match=r'2 FETs that all differ .* fets = "model"'):
        compile_circuit(pass_gate())


def test_a_long_step_does_not_go_over_to_a_far_solution() -> None:
    """States near 1 V and 4 V: the circuit goes to the first, Newton's iteration went to the second."""
    loop = (
        ".subckt loop v u\n"
        "B1 v 0 I={1u*(0.02*V(v) + 0.5*tanh((V(v) - 1)/0.1) - 0.1 - 0.6*tanh((V(v) - 1.7)/0.1)"
        " + 1.5 + 1.5*tanh((V(v) - 4)/0.1) - 0.5*V(u))}\n"
        ".ends"
    )
    parts = (
        Instance("input", VoltageSource(signal="u"), ("u", "0")),
        Instance("loop", read_subcircuit(loop), ("v", "u")),
        Instance("node", Capacitor(1e-14), ("v", "0")),
        Instance("fet", fet(), ("v", "0", "source", "0")),
        Instance("end", Resistor(1e6), ("source", "0")),
    )
    steps = Stimulus(np.array([0.0, 1e-6, 2e-6]), ("u",), np.array([[0.0], [1.0], [1.0]]))
    found = NativeEngine(NativeOptions(fidelity="phase")).prepare(Circuit("loop", parts)).run(steps)
    near = brentq(
        lambda v: (
            0.02 * v
            + 0.5 * np.tanh((v - 1) / 0.1)
            - 0.1
            - 0.6 * np.tanh((v - 1.7) / 0.1)
            + 1.5
            + 1.5 * np.tanh((v - 4) / 0.1)
            - 0.5
        ),
        0.0,
        1.5,
    )
    assert found.raise_for_status().statistics.rejected_steps > 0
    assert found.message == ""
    assert found.waveforms["v"][-1] == pytest.approx(near, abs=1e-3)
