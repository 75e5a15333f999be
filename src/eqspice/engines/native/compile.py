"""Circuit to Program: number the places, stamp the linear part, order and fill, lay out each device kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    GROUND,
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Circuit,
    CurrentSource,
    Diode,
    FlatDevice,
    Product,
    SoftLimiter,
    Switch,
    VoltageSource,
)
from eqspice.engines.native import program as pg
from eqspice.engines.native.devices.behavioural import behavioural_group
from eqspice.engines.native.fets import (
    PAIRS,
    Kind,
    bulk_fets,
    compact_fets,
    fet_kinds,
    square_fets,
    table_fets,
)
from eqspice.engines.native.layout import DEVICE_PAIRS, Layout, linear, pairs
from eqspice.engines.native.options import FetModels
from eqspice.errors import InputError
from eqspice.pdk.osdi import CompactModel

FloatArray = NDArray[np.float64]
THERMAL_VOLTAGE_PER_KELVIN = 8.617333262e-5  # k/q, CODATA 2018
NEWTON_TOLERANCE = 1e-4
LEFT_OVER = 1e-6  # Newton error allowed on a node of a steep diode, V


@dataclass(frozen=True)
class Compiled:
    """A program with the names that belong to it.

    Attributes:
        program: arrays for compiled code.
        node_names: circuit order.
        places: place of each node in the voltage vector, circuit order.
        signals: names of the signals, in the order of the stimulus columns.
        models: compact models, kept alive because compiled code holds their addresses.
        controls: distinct switch controls (place, reference place, v_on, v_off) that inputs drive.
        devices_at: names of the devices at each node, for error messages.
        devices: the devices by what evaluates them (a FET's kind of model, else the device's kind), in the
            order of the program.
        circuit: what was compiled.
        layout: of its nodes and of the matrix.
        nominal: the compiled circuit without deviations, if this one has some.
    """

    program: pg.Program
    node_names: tuple[str, ...]
    places: NDArray[np.int32]
    signals: tuple[str, ...]
    models: tuple[CompactModel, ...]
    controls: tuple[tuple[int, int, float, float], ...]
    devices_at: Mapping[str, tuple[str, ...]]
    devices: Mapping[str, tuple[FlatDevice, ...]]
    circuit: Circuit
    layout: Layout
    nominal: Compiled | None = None


def _inputs(circuit: Circuit) -> dict[str, VoltageSource]:
    held: dict[str, VoltageSource] = {}
    refused = []
    for flat in circuit.devices:
        if isinstance(flat.device, VoltageSource):
            p, n = flat.nodes
            source = flat.device
            if p == GROUND and n != GROUND:
                p, n = n, p
                source = VoltageSource(-source.dc, source.signal, -source.scale)
            if n != GROUND or p == GROUND:
                refused.append(
                    f"{flat.name}: a voltage source must have one end at ground; between two nodes "
                    "use a voltage-controlled voltage source with an output resistance"
                )
            elif p in held:
                refused.append(f"{flat.name}: node {p} is already held by another voltage source")
            else:
                held[p] = source
    if refused:
        raise InputError("the native engine cannot run this circuit: " + "; ".join(refused))
    return held


def _column(group: list[FlatDevice], name: str) -> FloatArray:
    return np.array([getattr(flat.device, name) for flat in group], float)


def _diodes(layout: Layout, group: list[FlatDevice]) -> pg.Diodes:
    nodes, positions = layout.device_arrays(group, DEVICE_PAIRS[Diode], 2)
    thermal = (
        THERMAL_VOLTAGE_PER_KELVIN * (_column(group, "temperature") + 273.15) * _column(group, "emission")
    )
    saturation = _column(group, "saturation_current")
    return pg.Diodes(nodes, positions, saturation, thermal, thermal * np.log1p(1.0 / saturation))


def _switches(layout: Layout, group: list[FlatDevice]) -> pg.Switches:
    nodes, positions = layout.device_arrays(group, DEVICE_PAIRS[Switch], 4)
    with np.errstate(divide="ignore"):
        log_off = -np.log(_column(group, "off_resistance"))
    log_off[np.isinf(_column(group, "off_resistance"))] = -math.inf
    floating = (nodes[:, 2] >= layout.first) | (nodes[:, 3] >= layout.first)
    return pg.Switches(
        nodes,
        positions,
        -np.log(_column(group, "on_resistance")),
        log_off,
        _column(group, "v_on"),
        _column(group, "v_off"),
        floating,
    )


def _products(layout: Layout, group: list[FlatDevice]) -> pg.Products:
    nodes, _ = layout.device_arrays(group, DEVICE_PAIRS[Product], 6)
    nodes = nodes[:, [0, 2, 3, 4, 5]]
    rows = np.repeat(nodes[:, :1], 4, axis=1).astype(np.int64)
    positions = layout.positions(rows, nodes[:, 1:].astype(np.int64))
    scale = _column(group, "gain") / _column(group, "output_resistance")
    return pg.Products(np.ascontiguousarray(nodes), positions, scale, _column(group, "offset"))


def _sources(layout: Layout, group: list[FlatDevice], signal_index: dict[str, int]) -> pg.CurrentSources:
    nodes = np.array([layout.places(flat.nodes) for flat in group], np.uint32).reshape(-1, 2)
    signal = [signal_index.get(flat.device.signal or "", -1) for flat in group]  # type: ignore[attr-defined]
    return pg.CurrentSources(nodes, np.array(signal, np.int32), _column(group, "scale"), _column(group, "dc"))


def _tolerance(circuit: Circuit, layout: Layout, diodes: pg.Diodes, kinds: Mapping[str, Kind]) -> FloatArray:
    """Newton's tolerance per place: none where only linear parts are, one solution is exact there."""
    tolerance = np.full(layout.first + layout.size, np.inf)
    for flat in circuit.devices:
        device_pairs = pairs(flat, kinds)
        sensing = {b for _, b in device_pairs}
        if isinstance(flat.device, Switch):  # an input's control makes it a fixed conductance
            sensing = {0, 1, 2, 3} if layout.place[flat.nodes[2]] >= layout.first else set()
        for terminal in sensing:
            tolerance[layout.place[flat.nodes[terminal]]] = NEWTON_TOLERANCE
    steep = np.sqrt(2.0 * LEFT_OVER * diodes.thermal_voltage)
    for column in range(2):
        np.minimum.at(tolerance, diodes.nodes[:, column], steep)
    return tolerance


def _supplies(circuit: Circuit, layout: Layout) -> FloatArray:
    supplies = np.zeros(layout.first + layout.size)
    for flat in circuit.devices:
        if not isinstance(flat.device, VoltageSource):
            ends = flat.nodes[:2] if isinstance(flat.device, Switch) else flat.nodes
            supplies[layout.places(ends)] = 1.0
    return supplies[: layout.first]


def _predicted(circuit: Circuit, layout: Layout) -> FloatArray:
    """A line that only switches touch floats between phases and jumps: it is not extrapolated."""
    predicted = np.zeros(layout.first + layout.size)
    for flat in circuit.devices:
        ends = flat.nodes[:1] if isinstance(flat.device, Product) else flat.nodes
        if not isinstance(flat.device, Switch):
            predicted[layout.places(ends)] = 1.0
    return predicted


def compile_circuit(circuit: Circuit, fets: FetModels = "tables") -> Compiled:
    """Compiles a circuit.

    Args:
        circuit: what to compile.
        fets: "tables", or "model" to evaluate every FET by its compact model itself.

    Raises:
        InputError: a device that this engine cannot run, all of them named.
    """
    held = _inputs(circuit)
    fet_kind = fet_kinds(circuit, fets)
    layout = Layout(circuit, held, fet_kind)
    signal_index = {name: i for i, name in enumerate(circuit.signals)}
    kinds: dict[str, list[FlatDevice]] = {}
    for flat in circuit.devices:
        kinds.setdefault(fet_kind.get(flat.name, flat.device.kind), []).append(flat)

    def of(kind: type | str) -> list[FlatDevice]:
        return kinds.get(kind if isinstance(kind, str) else kind.kind, [])  # type: ignore[attr-defined]

    def fet_arrays(kind: Kind) -> tuple[pg.IndexArray, pg.IndexArray, list[FlatDevice]]:
        width = 4 if kind in ("bulk", "compact") else 3
        return *layout.device_arrays(of(kind), PAIRS[kind], width), of(kind)

    compact, models = compact_fets(*fet_arrays("compact"))
    limiter_nodes, limiter_positions = layout.device_arrays(of(SoftLimiter), DEVICE_PAIRS[SoftLimiter], 2)
    limiters = pg.Limiters(
        limiter_nodes,
        limiter_positions,
        *(_column(of(SoftLimiter), name) for name in ("low", "high", "softness", "on_resistance")),
    )
    diodes = _diodes(layout, of(Diode))
    switches = _switches(layout, of(Switch))
    storage = [layout.place[node] for node in circuit.storage_nodes]
    program = pg.Program(
        unknowns=layout.size,
        first_unknown=layout.first,
        start=layout.pattern.start,
        column=layout.pattern.column,
        diagonal=layout.pattern.diagonal,
        input_signal=np.array([signal_index.get(s.signal or "", -1) for s in held.values()], np.int32),
        input_scale=np.array([source.scale for source in held.values()], float),
        input_dc=np.array([source.dc for source in held.values()], float),
        storage=np.array([place for place in storage if place >= layout.first], np.int32),
        supplies=_supplies(circuit, layout),
        predicted=_predicted(circuit, layout),
        per_tolerance=1.0 / _tolerance(circuit, layout, diodes, fet_kind),
        linear=linear(circuit.devices, layout),
        sources=_sources(layout, of(CurrentSource), signal_index),
        switches=switches,
        diodes=diodes,
        limiters=limiters,
        products=_products(layout, of(Product)),
        behavioural=behavioural_group(
            of(BehaviouralCurrentSource) + of(BehaviouralVoltageSource), layout.places, layout.positions
        ),
        table_fets=table_fets(*fet_arrays("table")),
        bulk_fets=bulk_fets(*fet_arrays("bulk"), layout.first),
        compact_fets=compact,
        square_fets=square_fets(*fet_arrays("square")),
    )
    places = np.array(layout.places(circuit.nodes), np.int32)
    at: dict[str, list[str]] = {}
    for flat in circuit.devices:
        for node in dict.fromkeys(flat.nodes):
            at.setdefault(node, []).append(flat.name)
    devices_at = {node: tuple(names) for node, names in at.items()}
    controls = _controls(switches, layout)
    devices = {kind: tuple(group) for kind, group in kinds.items()}
    return Compiled(
        program,
        circuit.nodes,
        places,
        circuit.signals,
        models,
        controls,
        devices_at,
        devices,
        circuit,
        layout,
    )


def _controls(switches: pg.Switches, layout: Layout) -> tuple[tuple[int, int, float, float], ...]:
    """Distinct (control place, reference place, v_on, v_off) of switches that inputs control."""
    found = {
        (int(nodes[2]), int(nodes[3]), float(v_on), float(v_off))
        for nodes, v_on, v_off in zip(switches.nodes, switches.v_on, switches.v_off, strict=True)
        if nodes[2] < layout.first and nodes[3] < layout.first
    }
    return tuple(sorted(found))
