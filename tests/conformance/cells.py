"""Cases of cells: synapses, neurons, optimiser, loss."""

from __future__ import annotations

from conformance.cases import (
    SLOW,
    Case,
    Part,
    Points,
    circuit,
    driven,
)
from eqspice.cells import loss, neuron, optimizer, synapse
from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import (
    Capacitor,
    Resistor,
    Switch,
    VoltageSource,
)
from eqspice.design.parts import fet_factory
from eqspice.design.presets import get_preset

SWITCH = SwitchDesign()
FETS = fet_factory(get_preset("reference").build((1, 1)))
WWL: Points = [(0, 0), (1, 0), (2, 1.95), (5, 1.95), (6, 0), (20, 0)]


def _synapses() -> list[Case]:
    """Each synapse is written once and then drives a loaded column from a row that goes both ways."""
    row: Points = [(0, 0), (8, 0), (10, 0.6), (13, 0.6), (17, -0.6), (20, -0.6)]
    levels = {"cmos": 0.2, "read_nfet": 0.8, "conductance": 0.4}
    cases = []
    for name, kind in synapse.SYNAPSES.items():
        cell = kind.build(FETS, SWITCH, 1e-13, 1.0)
        nodes = {"wwl": "wwl", "wbl": "bit", "inp": "row", "inn": "rown", "out": "col"}
        parts: list[Part] = [
            *driven("wwl", "bit", "row"),
            ("drive_rown", VoltageSource(signal="row", scale=-1.0), "rown 0"),
            ("cell", cell, " ".join(nodes.get(port, port) for port in cell.ports)),
            ("load", Resistor(1e5), "col 0"),
            ("cload", Capacitor(1e-14), "col 0"),
        ]
        level = levels.get(name, 0.2)
        bit: Points = [(0, 0), (1, level), (6.5, level), (7.5, 0), (20, 0)]
        title = f"synapse_{name}"
        signals = {"wwl": WWL, "bit": bit, "row": row}
        cases.append(Case(title, circuit(title, parts, ("cell.mem", "col")), signals))
    return cases


def _cells() -> list[Case]:
    clamped = {"silicon": neuron.SILICON_CLAMP, "near_ideal": neuron.NEAR_IDEAL_CLAMP}
    cells = {f"neuron_clamped_{k}": neuron.neuron_clamped(2.5, 0.4, 10.0, c) for k, c in clamped.items()}
    cells["neuron_linear"] = neuron.neuron_linear(2.5, 0.4, 10.0)
    cases = []
    for name, cell in cells.items():
        parts: list[Part] = [
            *driven("u"),
            ("r", Resistor(1e4), "u x"),
            ("c", Capacitor(1e-13), "x 0"),
            ("cell", cell, "x p n"),
            ("rp", Resistor(1e4), "p 0"),
            ("rn", Resistor(2e4), "n 0"),
        ]
        cases.append(Case(name, circuit(name, parts, ("x",)), {"u": SLOW}))
    return [*cases, _optimizer(), *_losses()]


FREE: Points = [(0, 0), (2, 0), (3, 1.95), (8, 1.95), (9, 0), (40, 0)]
NUDGED: Points = [(0, 0), (12, 0), (13, 1.95), (20, 1.95), (21, 0), (40, 0)]
# No instant that is compared lies near 0.4 V, where an isolating switch flips within some millivolts of
# control and nodes without capacitance jump.
EARLY: Points = [(0, 0), (12, 0), (13, 1.6), (18, 1.6), (19, 0), (40, 0)]
UPDATE: Points = [(0, 0), (24, 0), (25, 1.6), (34, 1.6), (35, 0), (40, 0)]
COLUMN: Points = [(0, 0), (1, 0.05), (10, 0.05), (11, 0.08), (22, 0.08), (23, 0), (40, 0)]


def _optimizer() -> Case:
    """Samples, multiplies, writes back into a cell whose write switch is closed in the last two phases."""
    word: Points = [
        (0, 0),
        (11, 0),
        (12, 1.95),
        (19.5, 1.95),
        (20.5, 0),
        (26, 0),
        (27, 1.95),
        (32, 1.95),
        (33, 0),
    ]
    parts: list[Part] = [
        *driven("free", "early", "update", "column", "row", "word"),
        ("opt", optimizer.optimizer_product(5.0, 1e-13, SWITCH), "wbl free early update column row"),
        SWITCH_PART,
        ("store", Capacitor(1e-13), "mem 0"),
    ]
    storage = ("opt.held_free", "opt.held_target", "mem")
    signals = {"free": FREE, "early": EARLY, "update": UPDATE, "column": COLUMN, "word": word}
    signals["row"] = [(0, 0), (1, 0.5), (23, 0.5), (24, 0), (40, 0)]
    return Case(
        "optimizer_product", circuit("optimizer", parts, storage), signals, start={"mem": 0.2, "wbl": 0.2}
    )


SWITCH_PART: Part = ("write", Switch(1.0, 1e14, 0.5, 0.4), "wbl mem word 0")


def _losses() -> list[Case]:
    cells = {
        "nudge_resistor": loss.nudge_resistor(5e-4, 1e4, SWITCH),
        "nudge_current": loss.nudge_current(1e-3, 1e4, SWITCH, 1e-13, 1.95),
    }
    cases = []
    for name, cell in cells.items():
        parts: list[Part] = [
            *driven("column", "target", "free", "nudged"),
            ("r", Resistor(1e3), "column out"),
            ("c", Capacitor(1e-13), "out 0"),
            ("loss", cell, "out target free nudged"),
        ]
        storage = ("out", "loss.held_free") if name == "nudge_current" else ("out",)
        target: Points = [(0, 0), (1, 0.1), (22, 0.1), (23, 0), (40, 0)]
        signals = {"column": COLUMN, "target": target, "free": FREE, "nudged": NUDGED}
        cases.append(Case(name, circuit(name, parts, storage), signals))
    return cases


def cell_cases() -> list[Case]:
    """Returns the cases of this file."""
    return [*_synapses(), *_cells()]
