"""Differential cells against closed forms, symmetries and each other."""

import numpy as np
import pytest

from eqspice.cells.differential_loss import nudge_stored_error
from eqspice.cells.differential_neuron import DifferentialClamp, common_mode_hold, neuron_differential
from eqspice.cells.differential_synapse import DIFFERENTIAL_SYNAPSES, storage_pair
from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import GROUND, Circuit, Instance, Resistor, Stimulus, VoltageSource
from eqspice.design.parts import fet_factory
from eqspice.design.presets import get_preset
from eqspice.engines.native.engine import NativeEngine, NativeOptions

COMMON, GATE = 0.4, 1.4
FETS = fet_factory(get_preset("reciprocal").build((2, 1)))


def bench(cell, nodes, levels, resistance=1e3, internal=()):
    """The cell with a source behind a resistor at every port; ports of `levels` are held stiffly."""
    instances = [Instance("cell", cell, tuple(cell.ports), "test")]
    for port in cell.ports:
        if port in levels:
            instances.append(Instance(f"v_{port}", VoltageSource(dc=levels[port]), (port, GROUND)))
        elif port in nodes:
            source = VoltageSource(signal=f"s_{port}")
            instances.append(Instance(f"v_{port}", source, (f"{port}_source", GROUND)))
            instances.append(Instance(f"r_{port}", Resistor(resistance), (f"{port}_source", port)))
    session = NativeEngine(NativeOptions(bypass=1e-12)).prepare(Circuit("bench", tuple(instances)))
    place = {name: index for index, name in enumerate(session.node_names)}

    def solve(**volts):
        state = session.operating_point({f"s_{port}": volts[port] for port in nodes})
        into = {
            port: (volts[port] - state.voltages[place[port]]) / resistance for port in nodes
        }  # currents into the cell, A
        return {name: state.voltages[index] for name, index in place.items()}, into

    return solve


def synapse_currents(name, weight, resistance=1.0, single=False):
    core = DIFFERENTIAL_SYNAPSES[name].build(FETS, 1e-13)
    levels = {"mem_p": GATE + weight, "mem_n": GATE - weight, "common": COMMON}
    ports = ("rp", "rn", "cp") if single else ("rp", "rn", "cp", "cn")
    solve = bench(core, ports, levels, resistance)

    def currents(a, v):
        volts = {"rp": COMMON + a, "rn": COMMON - a, "cp": COMMON + v, "cn": COMMON - v}
        _, into = solve(**{port: volts[port] for port in ports})
        return into["rp"] - into["rn"], into["cp"] - into.get("cn", 0.0)

    return currents


def sensitivities(name, weight, a=0.2, v=0.01, step=2e-3):
    """Column current by row voltage and row current by column voltage, S: equal if the cell is reciprocal."""
    single = DIFFERENTIAL_SYNAPSES[name].columns == "single"
    currents = synapse_currents(name, weight, single=single)
    forward = (currents(a + step, v)[1] - currents(a - step, v)[1]) / (2 * step)
    backward = (currents(a, v + step)[0] - currents(a, v - step)[0]) / (2 * step)
    return forward, backward


# Not exact: mobility and velocity saturation depend on the field. The gates of the split cell follow the
# signals by charge, which a direct-current test does not show.
@pytest.mark.parametrize("name", ["four_nfet", "complementary"])
@pytest.mark.parametrize("weight", [-0.3, 0.1, 0.25])
def test_the_synapse_is_reciprocal_and_its_weight_steers_the_sign(name, weight):
    forward, backward = sensitivities(name, weight)
    assert forward == pytest.approx(backward, abs=1e-5)  # a FET that is on conducts 3e-5 to 7e-5 S
    assert np.sign(-forward) == np.sign(weight)  # what flows into the column wire leaves the cell


def test_the_control_is_not_reciprocal():
    forward, backward = sensitivities("two_nfet", 0.1)
    assert abs(forward - backward) > 2e-5


def test_the_synapse_is_odd_in_its_signals_and_in_its_weight():
    up, down = synapse_currents("four_nfet", 0.2), synapse_currents("four_nfet", -0.2)
    a, v = 0.3, 0.02
    row, column = up(a, v)
    assert np.allclose(up(-a, -v), (-row, -column), rtol=1e-6)
    # Exchanging the two storage voltages exchanges the two column wires.
    assert np.allclose(down(a, -v), (row, -column), rtol=1e-6)


def test_the_synapse_multiplies_like_a_double_mosfet():
    """The derivative of the column current by weight and row is constant to some per cent: k of a triode."""
    slopes = []
    for a in (0.05, 0.15, 0.25):
        at = [synapse_currents("four_nfet", w)(a, 0.0)[1] for w in (-0.1, 0.1)]
        slopes.append((at[0] - at[1]) / (0.2 * a))
    assert np.ptp(slopes) < 0.1 * np.mean(slopes)
    assert 1e-4 < np.mean(slopes) < 1e-3


def test_the_neuron_gains_forward_and_returns_current():
    gain, back, series = 16.0, 0.1, 10.0
    cell = neuron_differential(gain, back, series, None)
    solve = bench(cell, ("inp", "inn", "outp", "outn"), {"common": COMMON}, resistance=1e3)
    volts, into = solve(inp=0.41, inn=0.39, outp=COMMON, outn=COMMON)
    v = volts["inp"] - volts["inn"]
    assert volts["drive_p"] - volts["drive_n"] == pytest.approx(gain * v, rel=1e-3)
    delivered = -(into["outp"] - into["outn"])
    assert into["inp"] == pytest.approx(0.5 * back * delivered, rel=1e-6)
    assert into["inn"] == pytest.approx(-into["inp"], rel=1e-6)


def test_the_clamp_bounds_both_rails():
    cell = neuron_differential(16.0, 1 / 16, 10.0, DifferentialClamp(0.25, 0.02, 100.0))
    solve = bench(cell, ("inp", "inn"), {"common": COMMON}, resistance=1e4)
    for drive in (-0.2, 0.2):
        volts, _ = solve(inp=COMMON + drive, inn=COMMON - drive)
        rail = 0.5 * (volts["outp"] - volts["outn"])
        assert np.sign(rail) == np.sign(drive)
        assert 0.2 < abs(rail) < 0.32
    volts, _ = solve(inp=COMMON + 0.005, inn=COMMON - 0.005)
    assert volts["outp"] - COMMON == pytest.approx(0.08, rel=0.02)


def test_the_common_mode_hold_leaves_the_difference_alone():
    solve = bench(common_mode_hold(1e-2), ("inp", "inn"), {"common": COMMON}, resistance=1e3)
    volts, into = solve(inp=0.6, inn=0.4)
    assert volts["inp"] - volts["inn"] == pytest.approx(0.2, abs=1e-9)
    assert 0.5 * (volts["inp"] + volts["inn"]) - COMMON == pytest.approx(0.1 / (1 + 1e-2 * 1e3), rel=1e-6)
    assert into["inp"] == pytest.approx(into["inn"], rel=1e-9)


def test_the_nudge_is_the_error_that_was_stored():
    beta, high = 1e-3, 1.95
    cell = nudge_stored_error(beta, 10e3, SwitchDesign(), 1e-13)
    wires = (("outp", 0.5), ("outn", 0.3))
    instances = [Instance("cell", cell, cell.ports)]
    instances += [Instance("v_common", VoltageSource(dc=COMMON), ("common", GROUND))]
    for port, level in wires:
        instances.append(Instance(f"v_{port}", VoltageSource(dc=level), (f"{port}_source", GROUND)))
        instances.append(Instance(f"r_{port}", Resistor(1.0), (f"{port}_source", port)))
    for port in ("target", "free", "nudge"):
        instances.append(Instance(f"v_{port}", VoltageSource(signal=port), (port, GROUND)))
    session = NativeEngine(NativeOptions(fidelity="phase")).prepare(Circuit("loss", tuple(instances)))
    # Free until 2 us with target 0.1 V; then the target moves, and the nudge is reversed.
    axis = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) * 1e-6
    values = np.array(
        [[0.1, high, 0], [0.1, high, 0], [0.1, high, 0], [0.1, 0, 0], [0.9, 0, 1], [0.9, 0, 1], [0.9, 0, -1]]
    )
    waves = session.run(Stimulus(axis, ("target", "free", "nudge"), values)).raise_for_status().waveforms
    error = 0.1 - (0.5 - 0.3)

    def into(port, level, time):
        return np.interp(time, waves.times, waves.values[:, waves.names.index(port)]) - level

    for time, sign in ((5e-6, 1.0), (6e-6, -1.0)):
        extra = [into(port, level, time) - into(port, level, 3e-6) for port, level in wires]
        assert extra[0] == pytest.approx(sign * beta * error, rel=2e-2)
        assert extra[1] == pytest.approx(-extra[0], rel=1e-6)


def test_the_limit_keeps_a_gate_in_its_range():
    solve = bench(
        storage_pair(SwitchDesign(), 1e-13, GATE, 0.4),
        ("mem_p", "mem_n"),
        {"wwl": 0.0, "blp": 0.0, "bln": 0.0},
        1e7,
    )
    volts, into = solve(mem_p=3.0, mem_n=1.4)
    assert volts["mem_p"] == pytest.approx(1.8, abs=0.03)
    assert abs(into["mem_n"]) < 1e-12
