"""One chip's deviations in a compiled circuit: other numbers in its arrays, the same tables and pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eqspice.circuit import FlatDevice, Mosfet, Product
from eqspice.engines.native import program as pg
from eqspice.engines.native.compile import Compiled
from eqspice.engines.native.fets import compact_fets
from eqspice.engines.native.layout import FloatArray, linear
from eqspice.pdk.mismatch import Deviations, equivalent


def deviated(compiled: Compiled, deviations: Deviations) -> Compiled:
    """Returns the compiled circuit of one chip. Deviations do not add up: they are from the circuit as drawn.

    A transistor with a table keeps it and gets its equivalent gate shift and factor; one that its compact
    model evaluates gets a card of its own.

    Args:
        compiled: with or without deviations.
        deviations: of its devices.
    """
    nominal = compiled.nominal or compiled
    program = nominal.program
    flats = {
        flat.name: flat if isinstance(flat.device, Mosfet) else _applied(flat, deviations)
        for flat in nominal.circuit.devices
    }
    devices = {key: tuple(flats[flat.name] for flat in group) for key, group in nominal.devices.items()}
    own_cards = [_applied(flat, deviations) for flat in devices.get("compact", ())]
    fets = program.compact_fets
    compact, models = compact_fets(fets.nodes, fets.positions, own_cards)
    shift, factor = _equivalents(devices.get("table", ()), True, deviations)
    table = program.table_fets._replace(shift=shift, multiplier=program.table_fets.multiplier * factor)
    shift, factor = _equivalents(devices.get("bulk", ()), False, deviations)
    bulk = program.bulk_fets._replace(shift=shift, multiplier=program.bulk_fets.multiplier * factor)
    products = program.products._replace(offset=_offsets(devices.get(Product.kind, ())))
    changed: pg.Program = program._replace(
        linear=linear(flats.values(), nominal.layout),
        products=products,
        table_fets=table,
        bulk_fets=bulk,
        compact_fets=compact,
    )
    return replace(nominal, program=changed, devices=devices, models=models, nominal=nominal)


def _applied(flat: FlatDevice, deviations: Deviations) -> FlatDevice:
    return replace(flat, device=deviations.apply(flat.name, flat.device))


def _equivalents(
    group: Iterable[FlatDevice], tied: bool, deviations: Deviations
) -> tuple[FloatArray, FloatArray]:
    """Returns gate shift, V, and factor of each FET."""
    pairs = []
    for flat in group:
        assert isinstance(flat.device, Mosfet)
        own = deviations.transistors.get(flat.name)
        pairs.append(equivalent(flat.device, tied, own) if own else (0.0, 1.0))
    array = np.array(pairs, float).reshape(-1, 2)
    return np.ascontiguousarray(array[:, 0]), np.ascontiguousarray(array[:, 1])


def _offsets(group: Iterable[FlatDevice]) -> FloatArray:
    return np.array([flat.device.offset for flat in group if isinstance(flat.device, Product)], float)
