"""Single-ended design to circuit, in passes: inputs, crossbars, neurons, loss."""

from __future__ import annotations

from collections.abc import Callable

from eqspice.cells import loss, neuron, optimizer
from eqspice.cells.spice import SpiceCell
from eqspice.cells.synapse import SYNAPSES, FetFactory
from eqspice.circuit import GROUND, Circuit, Instance, Resistor, Subcircuit, VoltageSource
from eqspice.design.network import row_nodes
from eqspice.design.own_cells import netlist_kit
from eqspice.design.parts import driver, fet_factory
from eqspice.design.single_ended.network import SingleEnded, column_node, output_node, weight_node

CONTROLS = ("set", "free", "nudged", "nudged_early", "update")


def controls(design: SingleEnded) -> list[Instance]:
    """Pass 1: drivers of the phase signals."""
    return [driver(f"drive_{name}", name, name) for name in CONTROLS]


def data(design: SingleEnded) -> list[Instance]:
    """Pass 2: drivers of the input rows and of the targets."""
    instances = []
    for row in range(design.widths[0]):
        positive, negative = row_nodes(0, row)
        instances.append(driver(f"drive_x{row}_p", positive, f"x_{row}", design.input_scale))
        instances.append(driver(f"drive_x{row}_n", negative, f"x_{row}", -design.input_scale))
    for output in range(design.widths[-1]):
        instances.append(driver(f"drive_y{output}", f"target_{output}", f"y_{output}"))
    return instances


def crossbar(design: SingleEnded, layer: int, fets: FetFactory) -> Subcircuit:
    """Returns the crossbar of a layer: cells, selection switches, optimisers and set switches.

    Word lines run along the shorter side. A bus line carries the one signal that the addressed word
    line selects: the row voltage where word lines are rows, the column voltage where they are columns.
    """
    inputs, outputs = design.shape(layer)
    transposed = design.transposed(layer)
    cell, update_sign = synapse(design, layer, fets)
    origin = "design.crossbar"
    instances = []
    for i in range(inputs):
        for j in range(outputs):
            word, bit = (j, i) if transposed else (i, j)
            nodes = (f"wwl_{word}", f"wbl_{bit}", f"inp_{i}", f"inn_{i}", f"out_{j}")
            instances.append(Instance(f"cell_{i}_{j}", cell, nodes, origin))
    for word in range(design.word_lines(layer)):
        source = f"out_{word}" if transposed else f"inp_{word}"
        instances.append(design.switch.instance(f"select_{word}", source, "bus", f"wwl_{word}", origin))
    update = _optimizer(design, fets, update_sign * design.update_gains[layer])
    for bit in range(design.bit_lines(layer)):
        column, row = ("bus", f"inp_{bit}") if transposed else (f"out_{bit}", "bus")
        lines = (f"wbl_{bit}", "free", "nudged_early", "update", column, row)
        instances.append(Instance(f"optimizer_{bit}", update, lines, origin))
        instances.append(design.switch.instance(f"set_{bit}", f"level_{bit}", f"wbl_{bit}", "set", origin))
    for j in range(outputs):
        instances.append(design.switch.instance(f"ground_{j}", f"out_{j}", GROUND, "set", origin))
    return Subcircuit(f"crossbar_{layer}", _crossbar_ports(design, layer), tuple(instances))


def _own_cell(design: SingleEnded, fets: FetFactory, cell: SpiceCell, **quantities: float) -> Subcircuit:
    process = design.process
    known = quantities | {"logic_high": design.logic_high, "temperature": process.temperature}
    return cell.build(netlist_kit(process.kit, fets), known, process.temperature)


def synapse(design: SingleEnded, layer: int, fets: FetFactory) -> tuple[Subcircuit, float]:
    """Returns the synapse of a layer and the sign of its updates."""
    multiplier = design.multipliers[layer]
    capacitance = design.storage_capacitance * multiplier
    own, kind = design.cells.synapse, SYNAPSES[design.synapse]
    if own is None:
        return kind.build(fets, design.switch, capacitance, multiplier), kind.update_sign
    cell = _own_cell(design, fets, own, capacitance=capacitance, multiplier=multiplier)
    return cell, own.update_sign


def _optimizer(design: SingleEnded, fets: FetFactory, gain: float) -> Subcircuit:
    own = design.cells.optimizer
    if own is None:
        return optimizer.optimizer_product(gain, design.held_capacitance, design.switch)
    return _own_cell(design, fets, own, update_gain=gain, capacitance=design.held_capacitance)


def _neurons(design: SingleEnded) -> tuple[Subcircuit, Subcircuit]:
    """Returns the hidden and the output neuron."""
    numbers = {name: getattr(design, name) for name in ("gain", "back_gain", "output_resistance")}
    hidden = neuron.neuron_clamped(**numbers, clamp=design.clamp)
    output, fets = neuron.neuron_linear(**numbers), fet_factory(design)
    if design.cells.hidden_neuron is not None:
        hidden = _own_cell(design, fets, design.cells.hidden_neuron, **numbers)
    if design.cells.output_neuron is not None:
        output = _own_cell(design, fets, design.cells.output_neuron, **numbers)
    return hidden, output


def _crossbar_ports(design: SingleEnded, layer: int) -> tuple[str, ...]:
    inputs, outputs = design.shape(layer)
    return (
        *("set", "free", "nudged_early", "update"),
        *(f"{rail}_{i}" for i in range(inputs) for rail in ("inp", "inn")),
        *(f"out_{j}" for j in range(outputs)),
        *(f"wwl_{word}" for word in range(design.word_lines(layer))),
        *(f"level_{bit}" for bit in range(design.bit_lines(layer))),
    )


def crossbars(design: SingleEnded) -> list[Instance]:
    """Pass 3: a crossbar per layer with the drivers of its word lines and set levels."""
    fets = fet_factory(design)
    instances = []
    for layer in range(design.layers):
        inputs, outputs = design.shape(layer)
        words = [f"layer{layer}_wwl_{word}" for word in range(design.word_lines(layer))]
        levels = [f"layer{layer}_level_{bit}" for bit in range(design.bit_lines(layer))]
        instances += [driver(f"drive_{name}", name, name) for name in words + levels]
        nodes = (
            *("set", "free", "nudged_early", "update"),
            *(rail for i in range(inputs) for rail in row_nodes(layer, i)),
            *(column_node(layer, j) for j in range(outputs)),
            *words,
            *levels,
        )
        instances.append(Instance(f"layer{layer}", crossbar(design, layer, fets), nodes, "design.elaborate"))
    return instances


def neurons(design: SingleEnded) -> list[Instance]:
    """Pass 4: clamped neurons in the hidden layers, linear ones at the output."""
    hidden, output = _neurons(design)
    instances = []
    for layer in range(design.layers):
        last = layer == design.layers - 1
        for j in range(design.widths[layer + 1]):
            nodes = (column_node(layer, j), *row_nodes(layer + 1, j))
            cell = output if last else hidden
            instances.append(Instance(f"amplifier{layer + 1}_{j}", cell, nodes, "design.elaborate"))
    return instances


def pulls(design: SingleEnded) -> list[Instance]:
    """Pass 5: resistors that pull columns to the supply, against synapses that only sink current."""
    origin = "design.elaborate"
    if not any(design.column_pulls):
        return []
    instances = [Instance("supply", VoltageSource(dc=design.supply), ("supply", GROUND), origin)]
    for layer, conductance in enumerate(design.column_pulls):
        if conductance > 0.0:
            pull = Resistor(1.0 / conductance)
            for j in range(design.widths[layer + 1]):
                nodes = ("supply", column_node(layer, j))
                instances.append(Instance(f"pull{layer}_{j}", pull, nodes, origin))
    return instances


def losses(design: SingleEnded) -> list[Instance]:
    """Pass 6: load and nudge of every output."""
    if design.nudge == "resistor":
        cell = loss.nudge_resistor(design.nudge_conductance, design.output_load, design.switch)
    else:
        cell = loss.nudge_current(
            design.nudge_conductance,
            design.output_load,
            design.switch,
            design.held_capacitance,
            design.logic_high,
        )
    return [
        Instance(
            f"loss_{k}", cell, (output_node(design, k), f"target_{k}", "free", "nudged"), "design.elaborate"
        )
        for k in range(design.widths[-1])
    ]


PASSES: tuple[Callable[[SingleEnded], list[Instance]], ...] = (
    controls,
    data,
    crossbars,
    neurons,
    pulls,
    losses,
)


def storage_nodes(design: SingleEnded) -> tuple[str, ...]:
    """Returns the nodes whose error controls the time step: weights and held voltages."""
    nodes = []
    for layer in range(design.layers):
        inputs, outputs = design.shape(layer)
        nodes += [weight_node(layer, i, j) for i in range(inputs) for j in range(outputs)]
        for bit in range(design.bit_lines(layer)):
            nodes += [f"layer{layer}.optimizer_{bit}.{name}" for name in optimizer.STORAGE]
    if design.nudge == "current":
        nodes += [f"loss_{k}.held_free" for k in range(design.widths[-1])]
    return tuple(nodes)


def elaborate(design: SingleEnded) -> Circuit:
    """Returns the circuit of a design.

    Raises:
        InputError: a geometry or corner that the kit does not have.
        CircuitError: the cells do not fit together.
    """
    instances = [instance for make in PASSES for instance in make(design)]
    title = f"{design.preset} {'-'.join(str(width) for width in design.widths)}"
    return Circuit(title, tuple(instances), storage_nodes(design))
