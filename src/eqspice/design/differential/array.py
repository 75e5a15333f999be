"""One crossbar of a differential network: cells, holds, drivers of the multipliers, lines and switches."""

from __future__ import annotations

from eqspice.cells import differential_optimizer as optimizer
from eqspice.cells.differential_synapse import (
    DIFFERENTIAL_SYNAPSES,
    LIMIT_RAILS,
    storage_pair,
    write_transistor,
)
from eqspice.cells.synapse import FetFactory
from eqspice.circuit import Instance, Subcircuit
from eqspice.design.differential.network import Differential
from eqspice.design.rules import RULES, SIGN_SLOPE, SIGN_VOLTS

ORIGIN = "design.crossbar"
CELL_PORTS = ("wwl", "blp", "bln", "rp", "rn", "cp", "cn", "common")
CONTROLS = ("set", "free", "first", "second", "rate", "common", "unit")


def moving_rows(design: Differential, layer: int) -> bool:
    """Returns whether the change of a layer's rows in the nudged phases counts.

    The first layer's rows are held by the data, and not every rule asks for it.
    """
    return layer > 0 and RULES[design.rule].row_change


def limit_rails(design: Differential) -> tuple[str, ...]:
    """Returns the rails of the gates' clamps, if they have some."""
    moving = design.limit_relief > 0.0 and design.weight_limit > 0.0
    return LIMIT_RAILS if moving and not DIFFERENTIAL_SYNAPSES[design.synapse].stores else ()


def ports(design: Differential, layer: int) -> tuple[str, ...]:
    """Returns the ports of a crossbar."""
    inputs, outputs = design.shape(layer)
    return (
        *CONTROLS,
        *(f"{rail}_{i}" for i in range(inputs) for rail in ("rp", "rn")),
        *(f"{wire}_{j}" for j in range(outputs) for wire in ("cp", "cn")),
        *(f"{wire}_{j}" for j in range(outputs) for wire in ("sp", "sn")),
        *(f"wwl_{word}" for word in range(design.word_lines(layer))),
        *_write_lines(design, layer),
        *(f"level{sign}_{bit}" for bit in range(design.bit_lines(layer)) for sign in ("p", "n")),
    )


def _write_lines(design: Differential, layer: int) -> tuple[str, ...]:
    """Rails of the gates' clamps; with write transistors their well, and a line that is low per word line."""
    rails = limit_rails(design)
    if design.write == "switch":
        return rails
    return (*rails, "well", *(f"write_{word}" for word in range(design.word_lines(layer))))


def crossbar(design: Differential, layer: int, fets: FetFactory) -> Subcircuit:
    """Returns the crossbar of a layer.

    Word lines run along the shorter side. With multipliers on lines, the addressed word line puts its
    row's (or column's) held values on a bus, and the charge pumps of the bit lines do the rest. With
    multipliers in cells, held rows and driven columns run along the whole array.

    Args:
        design: the network.
        layer: which crossbar.
        fets: makes FETs of the kit.
    """
    instances = [
        *_cells(design, layer, fets),
        *_holds(design, layer),
        *_drivers(design, layer),
        *(_line_pumps(design, layer) if design.multiplied_in == "line" else []),
        *_set_switches(design, layer),
    ]
    return Subcircuit(f"crossbar_{layer}", ports(design, layer), tuple(instances))


def _bit_nodes(design: Differential, bit: int) -> tuple[str, str]:
    """With multipliers in cells nothing but the set levels ever drives a bit line."""
    return (
        (f"blp_{bit}", f"bln_{bit}") if design.multiplied_in == "line" else (f"levelp_{bit}", f"leveln_{bit}")
    )


def cell(design: Differential, layer: int, fets: FetFactory) -> Subcircuit:
    """Returns a cell: synapse and storage, and with multipliers in cells a charge pump."""
    kind = DIFFERENTIAL_SYNAPSES[design.synapse]
    capacitance, limit = (0.0, 0.0) if kind.stores else (design.storage_capacitance, design.weight_limit)
    write = design.switch if design.write == "switch" else write_transistor(fets)
    rails = limit_rails(design)
    storage = storage_pair(write, capacitance, design.gate_common, limit, bool(rails))
    instances = [
        Instance("storage", storage, storage.ports, ORIGIN),
        Instance(
            "synapse",
            kind.build(fets, design.storage_capacitance),
            ("mem_p", "mem_n", "rp", "rn", "cp", "cn", "common"),
            ORIGIN,
        ),
    ]
    lines: tuple[str, ...] = rails if design.write == "switch" else ("well", *rails)
    if design.multiplied_in == "cell":
        factors = ("delta", "level", "row", "row_delta")
        lines += factors
        pump = optimizer.charge_pump(design.pump_transconductance, moving_rows(design, layer))
        instances.append(Instance("pump", pump, ("mem_p", "mem_n", *factors), ORIGIN))
    return Subcircuit("cell", (*CELL_PORTS, *lines), tuple(instances))


def _cells(design: Differential, layer: int, fets: FetFactory) -> list[Instance]:
    inputs, outputs = design.shape(layer)
    of = cell(design, layer, fets)
    instances = []
    for i in range(inputs):
        for j in range(outputs):
            word, bit = (j, i) if design.transposed(layer) else (i, j)
            nodes = [
                f"wwl_{word}" if design.write == "switch" else f"write_{word}",
                *_bit_nodes(design, bit),
                f"rp_{i}",
                f"rn_{i}",
                f"cp_{j}",
                f"cn_{j}",
                "common",
                *(["well"] if design.write == "transistor" else []),
                *limit_rails(design),
            ]
            if design.multiplied_in == "cell":
                nodes += [f"delta_{j}", f"level_{j}", f"row_{i}_first", f"row_{i}_delta"]
            instances.append(Instance(f"cell_{i}_{j}", of, tuple(nodes), ORIGIN))
    return instances


def _holds(design: Differential, layer: int) -> list[Instance]:
    inputs, outputs = design.shape(layer)
    hold = optimizer.sample_hold(design.switch, design.held_capacitance)
    instances = []
    for j in range(outputs):
        wires = (f"sp_{j}", f"sn_{j}")
        for phase in ("first", "second"):
            nodes = (*wires, f"column_{j}_{phase}", phase)
            instances.append(Instance(f"hold_column_{j}_{phase}", hold, nodes, ORIGIN))
    for i in range(inputs):
        for phase in ("first", "second") if moving_rows(design, layer) else ("first",):
            nodes = (f"rp_{i}", f"rn_{i}", f"row_{i}_{phase}", phase)
            instances.append(Instance(f"hold_row_{i}_{phase}", hold, nodes, ORIGIN))
    return instances


def _drivers(design: Differential, layer: int) -> list[Instance]:
    inputs, outputs = design.shape(layer)
    moving = moving_rows(design, layer)
    column = optimizer.column_driver(
        design.multiplier_offset, design.auto_zero, moving, design.switch, design.held_capacitance
    )
    if RULES[design.rule].sign_only:
        column = optimizer.sign_driver(design.multiplier_offset, SIGN_SLOPE, SIGN_VOLTS)
    instances = []
    for j in range(outputs):
        held = (f"column_{j}_first", f"column_{j}_second")
        lines = (f"delta_{j}", f"level_{j}")
        nodes = (*held, "free", "rate", "unit", *lines)
        instances.append(Instance(f"column_driver_{j}", column, nodes, ORIGIN))
    if moving:
        row = optimizer.row_driver()
        for i in range(inputs):
            ends = (f"row_{i}_first", f"row_{i}_second", f"row_{i}_delta")
            instances.append(Instance(f"row_driver_{i}", row, ends, ORIGIN))
    return instances


def _line_pumps(design: Differential, layer: int) -> list[Instance]:
    moving, transposed = moving_rows(design, layer), design.transposed(layer)
    instances = []
    for word in range(design.word_lines(layer)):
        lines = [("value", f"delta_{word}" if transposed else f"row_{word}_first")]
        if moving:
            lines.append(("change", f"level_{word}" if transposed else f"row_{word}_delta"))
        for bus, line in lines:
            name = f"select_{bus}_{word}"
            instances.append(design.switch.instance(name, line, f"bus_{bus}", f"wwl_{word}", ORIGIN))
    pump = optimizer.charge_pump(design.pump_transconductance, moving)
    for bit in range(design.bit_lines(layer)):
        own = (f"row_{bit}_first", f"row_{bit}_delta") if transposed else (f"delta_{bit}", f"level_{bit}")
        shared = ("bus_value", "bus_change")
        factors = (*shared, *own) if transposed else (*own, *shared)
        instances.append(Instance(f"pump_{bit}", pump, (*_bit_nodes(design, bit), *factors), ORIGIN))
    return instances


def _set_switches(design: Differential, layer: int) -> list[Instance]:
    instances = []
    if design.multiplied_in == "line":
        for bit in range(design.bit_lines(layer)):
            for sign, line in zip("pn", _bit_nodes(design, bit), strict=True):
                name = f"set_{sign}_{bit}"
                instances.append(design.switch.instance(name, f"level{sign}_{bit}", line, "set", ORIGIN))
    for j in range(design.shape(layer)[1]):
        for wire in ("cp", "cn"):
            name = f"ground_{wire}_{j}"
            instances.append(design.switch.instance(name, f"{wire}_{j}", "common", "set", ORIGIN))
    return instances
