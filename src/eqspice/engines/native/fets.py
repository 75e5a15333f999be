"""Which model evaluates each FET, and the arrays of each kind for compiled code."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import Circuit, FlatDevice, Mosfet
from eqspice.engines.native import program as pg
from eqspice.engines.native.devices import mosfet
from eqspice.engines.native.options import FetModels
from eqspice.errors import InputError
from eqspice.pdk import table_files, tables3_kernel
from eqspice.pdk.ideal import parameter_row
from eqspice.pdk.osdi import CompactModel, compact_model
from eqspice.pdk.tables import characterise
from eqspice.pdk.tables3 import characterise_bulk, why_no_table

_log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
Kind = Literal["square", "table", "bulk", "compact"]

MOST_TABLES = 256
"""Three-axis tables in one circuit, 3 MB each."""

_THREE = tuple((row, column) for row in range(3) for column in range(3))
PAIRS: dict[Kind, tuple[tuple[int, int], ...]] = {
    "square": _THREE,
    "table": _THREE,
    "bulk": (*_THREE, (0, 3), (1, 3), (2, 3), (3, 0), (3, 1), (3, 2), (3, 3)),
    "compact": tuple((row, column) for row in range(4) for column in range(4)),
}
"""Terminal pairs (row, column) that a FET stamps, in the order of its positions."""


def fet_kinds(circuit: Circuit, fets: FetModels) -> dict[str, Kind]:
    """Returns what evaluates each FET, by instance name.

    "square": the closed form of square-law cards. "table": the two-axis tables, where bulk is tied to
    source. "bulk": the three-axis tables. "compact": the compact model itself, for all with fets =
    "model" and else for devices that the three-axis tables cannot hold.
    """
    by_device: dict[tuple[int, bool], Kind] = {}
    kinds: dict[str, Kind] = {}
    for flat in circuit.devices:
        if isinstance(flat.device, Mosfet):
            tied = flat.nodes[2] == flat.nodes[3]
            key = id(flat.device), tied
            if key not in by_device:
                by_device[key] = _kind(flat.device, tied, fets)
            kinds[flat.name] = by_device[key]
    return kinds


def _kind(device: Mosfet, tied: bool, fets: FetModels) -> Kind:
    if device.card.level == "square_law":
        return "square"
    if fets == "model":
        return "compact"
    if tied:
        return "table"
    reason = why_no_table(device)
    if reason is None:
        return "bulk"
    _log.info("%s: evaluated by the compact model itself: %s", device.card.name, reason)
    return "compact"


def table_fets(nodes: pg.IndexArray, positions: pg.IndexArray, group: list[FlatDevice]) -> pg.TableFets:
    """Returns FETs with bulk tied to source, from nodes (n, 3) and positions (n, 9)."""
    fets, index, multiplier = _distinct(group)
    tables = [characterise(fet) for fet in fets]
    shift = np.zeros(len(group))
    if not tables:
        return pg.TableFets(
            nodes, positions, index, multiplier, shift, np.zeros((0, 2, 1, 1, 4)), np.zeros((0, 1))
        )
    shape = len(tables), *tables[0].coefficients.shape
    coefficients = table_files.aligned(int(np.prod(shape))).reshape(shape)
    for target, table in zip(coefficients, tables, strict=True):
        target[...] = table.coefficients
    meta = np.stack([table.meta for table in tables])
    return pg.TableFets(nodes, positions, index, multiplier, shift, coefficients, meta)


def bulk_fets(
    nodes: pg.IndexArray, positions: pg.IndexArray, group: list[FlatDevice], first: int
) -> pg.BulkFets:
    """Returns FETs of three-axis tables, from nodes (n, 4) and positions (n, 16); first unknown place."""
    fets, index, multiplier = _distinct(group)
    if len(fets) > MOST_TABLES:
        size = 8e-9 * tables3_kernel.SIZE * len(fets)
        raise InputError(
            f"fets: {len(fets)} FETs that all differ would need {size:.1f} GB of three-axis tables, at most "
            f'{MOST_TABLES} are allowed; use fets = "model", or give equal FETs equal parameters.'
        )
    numbers = table_files.aligned(tables3_kernel.SIZE * len(fets))
    for k, fet in enumerate(fets):
        numbers[k * tables3_kernel.SIZE : (k + 1) * tables3_kernel.SIZE] = characterise_bulk(fet).numbers
    start = index.astype(np.int64) * tables3_kernel.SIZE
    shift = np.zeros(len(group))
    return pg.BulkFets(nodes, positions, start, multiplier, shift, nodes[:, 3] >= first, numbers)


def compact_fets(
    nodes: pg.IndexArray, positions: pg.IndexArray, group: list[FlatDevice]
) -> tuple[pg.CompactFets, tuple[CompactModel, ...]]:
    """Returns FETs of the compact model itself, and the models that must outlive them."""
    fets, index, multiplier = _distinct(group)
    models = tuple(compact_model(fet) for fet in fets)
    contexts = np.stack([model.context for model in models]) if models else np.zeros((0, 1), np.int64)
    return pg.CompactFets(nodes, positions, index, multiplier, contexts), models


def square_fets(nodes: pg.IndexArray, positions: pg.IndexArray, group: list[FlatDevice]) -> pg.SquareLawFets:
    """Returns closed-form FETs, from nodes (n, 3) and positions (n, 9)."""
    rows = [parameter_row(flat.device) for flat in group if isinstance(flat.device, Mosfet)]
    return pg.SquareLawFets(nodes, positions, np.stack(rows) if rows else np.zeros((0, 6)))


def outside_message(names: tuple[str, ...], work: pg.Work) -> str:
    """Returns which FETs left the region of their three-axis tables at a solution, or nothing.

    Args:
        names: of the FETs, in the order of the program.
        work: after a run.
    """
    farthest = mosfet.farthest_outside(work.bulk_fet)
    count = int(np.count_nonzero(farthest))
    if count == 0:
        return ""
    return (
        f"{count} FETs left the region of their tables (drain and source {tables3_kernel.LOW:g} to "
        f"{tables3_kernel.HIGH:g} V, gate {tables3_kernel.GATE_LOW:g} to {tables3_kernel.GATE_HIGH:g} V from "
        f"bulk, mirrored for p-channel), {names[int(farthest.argmax())]} by {farthest.max():.3g} V; there "
        "the tables go on as straight lines."
    )


def _distinct(group: list[FlatDevice]) -> tuple[list[Mosfet], pg.IntArray, FloatArray]:
    """Returns the distinct FETs at multiplier one, the index of each device's, and the multipliers."""
    seen: dict[Mosfet, int] = {}
    index, multiplier = [], []
    for flat in group:
        assert isinstance(flat.device, Mosfet)
        index.append(seen.setdefault(replace(flat.device, multiplier=1.0), len(seen)))
        multiplier.append(flat.device.multiplier)
    return list(seen), np.array(index, np.int32), np.array(multiplier, float)
