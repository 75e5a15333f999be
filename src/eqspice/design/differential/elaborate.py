"""Differential design to circuit, in passes: supplies, data, crossbars, neurons, loss."""

from __future__ import annotations

from collections.abc import Callable

from eqspice.cells.differential_loss import STORAGE, nudge_stored_error
from eqspice.cells.differential_neuron import common_mode_hold, neuron_differential, single_column
from eqspice.cells.differential_synapse import DIFFERENTIAL_SYNAPSES
from eqspice.circuit import GROUND, Capacitor, Circuit, Instance, VoltageSource
from eqspice.design.differential import array
from eqspice.design.differential.network import (
    Differential,
    column_nodes,
    drive_nodes,
    output_nodes,
    weight_nodes,
)
from eqspice.design.network import row_nodes
from eqspice.design.parts import driver, fet_factory
from eqspice.design.rules import RULES

CONTROLS = ("set", "free", "first", "second", "nudge")
UNIT = 1.0  # V, reference of the stages that are multipliers used as amplifiers
SHORT = 1.0  # ohm, from the unused wire of a single column to the common mode
ORIGIN = "design.elaborate"


def supplies(design: Differential) -> list[Instance]:
    """Pass 1: drivers of the phase signals and of the rates, common mode, bias rows."""
    instances = [driver(f"drive_{name}", name, name) for name in CONTROLS]
    levels = [("common", design.common_mode)] + [("unit", UNIT)] * (
        design.auto_zero or RULES[design.rule].sign_only
    )
    if design.write == "transistor":
        levels.append(("well", design.logic_high))
    if design.bias is not None and design.layers > 1:
        bias = design.input_scale * design.bias
        levels += [("bias_p", design.common_mode + bias), ("bias_n", design.common_mode - bias)]
    instances += [
        Instance(f"supply_{name}", VoltageSource(dc=dc), (name, GROUND), ORIGIN) for name, dc in levels
    ]
    for rail, sign in zip(array.limit_rails(design), (1.0, -1.0), strict=False):
        apart = design.gate_common + sign * (design.weight_limit + design.limit_relief)
        instances.append(driver(f"drive_{rail}", rail, "limit", -sign * design.limit_relief, apart))
    for layer in range(design.layers):
        instances.append(driver(f"drive_layer{layer}_rate", f"layer{layer}_rate", f"layer{layer}_rate"))
    return instances


def data(design: Differential) -> list[Instance]:
    """Pass 2: drivers of the input rows and of the targets."""
    instances = []
    for row in range(design.widths[0]):
        positive, negative = row_nodes(0, row)
        instances.append(
            driver(f"drive_x{row}_p", positive, f"x_{row}", design.input_scale, design.common_mode)
        )
        instances.append(
            driver(f"drive_x{row}_n", negative, f"x_{row}", -design.input_scale, design.common_mode)
        )
    for output in range(design.widths[-1]):
        instances.append(driver(f"drive_y{output}", f"target_{output}", f"y_{output}"))
    return instances


def rails(design: Differential, layer: int, row: int) -> tuple[str, str]:
    """Returns the rails of a row of a crossbar; the row after the last neuron is the bias row."""
    return ("bias_p", "bias_n") if layer > 0 and row == design.widths[layer] else row_nodes(layer, row)


def crossbars(design: Differential) -> list[Instance]:
    """Pass 3: a crossbar per layer with the drivers of its word lines and set levels."""
    fets = fet_factory(design)
    instances = []
    for layer in range(design.layers):
        inputs, outputs = design.shape(layer)
        words = [f"layer{layer}_wwl_{word}" for word in range(design.word_lines(layer))]
        instances += [driver(f"drive_{name}", name, name) for name in words]
        signals, words = words, [*words, *array.limit_rails(design)]
        levels = []
        for bit in range(design.bit_lines(layer)):
            level = f"layer{layer}_level_{bit}"
            for sign, scale in (("p", 1.0), ("n", -1.0)):
                levels.append(f"{level}_{sign}")
                instances.append(driver(f"drive_{levels[-1]}", levels[-1], level, scale, design.gate_common))
        if design.write == "transistor":
            words.append("well")
            for signal in signals:
                words.append(f"{signal}_low")
                instances.append(driver(f"drive_{words[-1]}", words[-1], signal, -1.0, design.logic_high))
        columns = [column_nodes(layer, j) for j in range(outputs)]
        sensed = [drive_nodes(layer + 1, j) for j in range(outputs)] if design.sense == "after" else columns
        nodes = (
            *("set", "free", "first", "second", f"layer{layer}_rate", "common", "unit"),
            *(rail for i in range(inputs) for rail in rails(design, layer, i)),
            *(wire for pair in columns for wire in pair),
            *(wire for pair in sensed for wire in pair),
            *words,
            *levels,
        )
        crossbar = array.crossbar(design, layer, fets)
        instances.append(Instance(f"layer{layer}", crossbar, nodes, ORIGIN))
    return instances


def neurons(design: Differential) -> list[Instance]:
    """Pass 4: clamped neurons in the hidden layers, linear ones at the output, common-mode holds."""
    single = DIFFERENTIAL_SYNAPSES[design.synapse].columns == "single"
    factor = 2.0 if single else 1.0  # a single wire carries half the difference of a pair
    series = design.series_resistance
    hold = single_column(SHORT) if single else common_mode_hold(design.hold_conductance)
    instances = []
    for layer in range(design.layers):
        last = layer == design.layers - 1
        gain, clamp = (design.output_gain, None) if last else (design.gain, design.clamp)
        neuron = neuron_differential(factor * gain, factor * design.back_gain_of(layer), series, clamp)
        for j in range(design.widths[layer + 1]):
            column = column_nodes(layer, j)
            nodes = (*column, *row_nodes(layer + 1, j), *drive_nodes(layer + 1, j), "common")
            instances.append(Instance(f"amplifier{layer + 1}_{j}", neuron, nodes, ORIGIN))
            instances.append(Instance(f"hold{layer + 1}_{j}", hold, (*column, "common"), ORIGIN))
            if design.column_capacitance:
                capacitor = Capacitor(design.column_capacitance)
                instances.append(Instance(f"column_capacitor{layer + 1}_{j}", capacitor, column, ORIGIN))
    return instances


def losses(design: Differential) -> list[Instance]:
    """Pass 5: load and nudge of every output."""
    cell = nudge_stored_error(
        design.nudge_conductance, design.output_load, design.switch, design.held_capacitance
    )
    return [
        Instance(
            f"loss_{k}", cell, (*output_nodes(design, k), "common", f"target_{k}", "free", "nudge"), ORIGIN
        )
        for k in range(design.widths[-1])
    ]


PASSES: tuple[Callable[[Differential], list[Instance]], ...] = (supplies, data, crossbars, neurons, losses)


def storage_nodes(design: Differential) -> tuple[str, ...]:
    """Returns the nodes whose error controls the time step: weights and held voltages."""
    nodes: list[str] = []
    for layer in range(design.layers):
        inputs, outputs = design.shape(layer)
        for i in range(inputs):
            for j in range(outputs):
                nodes += weight_nodes(layer, i, j)
        phases = ("first", "second")
        nodes += [f"layer{layer}.column_{j}_{phase}" for j in range(outputs) for phase in phases]
        moving = phases if array.moving_rows(design, layer) else phases[:1]
        nodes += [f"layer{layer}.row_{i}_{phase}" for i in range(inputs) for phase in moving]
        if design.auto_zero:
            nodes += [f"layer{layer}.column_driver_{j}.held_offset" for j in range(outputs)]
    nodes += [f"loss_{k}.{STORAGE}" for k in range(design.widths[-1])]
    return tuple(nodes)


def elaborate(design: Differential) -> Circuit:
    """Returns the circuit of a design.

    Raises:
        InputError: a geometry or corner that the kit does not have.
        CircuitError: the cells do not fit together.
    """
    instances = [instance for make in PASSES for instance in make(design)]
    title = f"{design.preset} {'-'.join(str(width) for width in design.widths)}"
    return Circuit(title, tuple(instances), storage_nodes(design))
