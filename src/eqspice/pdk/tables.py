"""Characterised device tables: a transistor with bulk tied to source as splines over (V_gs, V_ds).

Over V_gs, V_ds in [-2.2, 2.2] V at 10 mV: the currents I_d and I_g and the charges Q_g and Q_d. The
source takes the rest: I_s = -I_d - I_g, Q_s = -Q_g - Q_d, with current and charge of the bulk.
Current and charge come from the same compact model at the same points, so that the table conserves
charge and its derivatives are those of the splines themselves.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError
from eqspice.jit import cache_folder
from eqspice.pdk import osdi, table_files
from eqspice.pdk import tables_kernel as kernel
from eqspice.pdk.splines import fit_uniform

TABLE_VERSION = 4
"""Part of the cache key: change it when what a table holds changes."""

SPAN = 2.2
"""Volts: largest |V_gs| and |V_ds| on the grid; beyond it tables go on as straight lines."""

STEP = 0.01
"""Volts between grid points."""

# Volts beside V_ds = 0, where the derivative on that side is taken. Far above what the model
# call starts internal nodes apart by: there it would see exactly 0 V between drain and source.
_BESIDE = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DeviceTable:
    """A transistor as spline coefficients; what `tables_kernel.table_evaluate` reads.

    Attributes:
        coefficients: (2, nx + 3, ny + 3, 4): sheet (V_ds < 0, V_ds >= 0), V_gs, V_ds, and
            I_d in amperes, Q_g and Q_d in coulombs, I_g in amperes. 64-byte aligned, read only.
        meta: (8,), see `tables_kernel.META_SIZE`.
        key: identifies transistor, corner, temperature, model library and table version.
    """

    coefficients: Floats
    meta: Floats
    key: str

    def evaluate(self, vgs: ArrayLike, vds: ArrayLike) -> Floats:
        """Returns (N, 12): I_d, dI_d/dV_gs, dI_d/dV_ds, then the same of Q_g, of Q_d and of I_g (SI units).

        Args:
            vgs: gate to source voltages in volts (N,).
            vds: drain to source voltages in volts (N,).
        """
        x, y = np.broadcast_arrays(np.atleast_1d(vgs).astype(float), np.atleast_1d(vds).astype(float))
        out = np.empty((x.size, kernel.OUTPUTS))
        kernel.table_many(self.coefficients, self.meta, x.ravel(), y.ravel(), out)
        return out


def characterise(mosfet: Mosfet, *, span: float = SPAN, step: float = STEP) -> DeviceTable:
    """Returns the table of a transistor, from the cache or made anew (about a second).

    Args:
        mosfet: with a card of an OSDI model.
        span: largest |V_gs| and |V_ds| on the grid in volts.
        step: between grid points in volts; span must be a whole number of steps.

    Raises:
        InputError: the card has no OSDI model, or span and step do not fit.
        ModelError: the model could not be evaluated.
    """
    cells = round(span / step)
    if not (step > 0 and cells >= 8 and abs(cells * step - span) < 1e-9):
        raise InputError(f"span, step: {span:g} V and {step:g} V; span must be 8 or more whole steps.")
    if mosfet.card.level not in osdi.LIBRARIES:
        raise InputError(
            f"model card {mosfet.card.name}: level {mosfet.card.level!r} has a closed form, it needs no "
            f"table; tables are for {', '.join(osdi.LIBRARIES)}."
        )
    single = dataclasses.replace(mosfet, multiplier=1.0)
    key = table_key(single, span, step)
    meta = np.array([-span, 1.0 / step, 2 * cells, span, 1.0 / step, cells, 0.0, 0.0])
    shape = (2, 2 * cells + 3, cells + 3, 4)
    path = cache_folder() / f"table-{key[:32]}.npz"
    coefficients = table_files.load(path, key, shape)
    if coefficients is None:
        coefficients = _coefficients(single, cells, step)
        table_files.save(path, key, coefficients)
    aligned = table_files.aligned(int(np.prod(shape))).reshape(shape)
    np.multiply(coefficients, mosfet.multiplier, out=aligned)
    aligned.flags.writeable = False
    meta.flags.writeable = False
    return DeviceTable(aligned, meta, key)


def table_key(mosfet: Mosfet, span: float = SPAN, step: float = STEP) -> str:
    """Returns the sha256 of everything that the numbers of a table depend on."""
    return table_files.device_key(mosfet, f"table {TABLE_VERSION} {span!r} {step!r}")


def _coefficients(mosfet: Mosfet, cells: int, step: float) -> Floats:
    """Evaluates the model on the grid and fits both sheets."""
    model = osdi.compact_model(mosfet)
    vgs = step * np.arange(-cells, cells + 1)
    result = np.zeros((2, 2 * cells + 3, cells + 3, 4))
    for sheet, sign in enumerate((-1.0, 1.0)):
        # From V_ds = 0 outward, so that both sheets have the meeting line first.
        vds = sign * step * np.arange(cells + 1)
        values, _ = _sample(model, vgs, vds)
        # Without a voltage no current flows but the gate's: otherwise exactly zero, so that the sheets meet.
        values[values[:, 0, 3] == 0.0, 0, 0] = 0.0
        _, slopes = _sample(model, vgs, np.array([sign * _BESIDE]))
        along_x = np.concatenate([values, slopes * (sign * step)], axis=1)
        along_x = fit_uniform(along_x.reshape(len(vgs), -1)).reshape(2 * cells + 3, cells + 2, 4)
        swapped = np.ascontiguousarray(along_x.transpose(1, 0, 2)).reshape(cells + 2, -1)
        fitted = fit_uniform(swapped[:-1], slope=swapped[-1]).reshape(cells + 3, -1, 4).transpose(1, 0, 2)
        result[sheet] = fitted[:, ::-1] if sign < 0 else fitted
    return result


def _sample(model: osdi.CompactModel, vgs: NDArray[Any], vds: NDArray[Any]) -> tuple[Floats, Floats]:
    """Returns (I_d, Q_g, Q_d, I_g) on a grid, (nx, ny, 4), and their derivatives by V_ds."""
    points = np.zeros((len(vgs), len(vds), 4))
    points[..., 0] = vds
    points[..., 1] = vgs[:, None]
    found = model.evaluate(points.reshape(-1, 4))
    current, charge = found.current[:, [0, 1]], found.charge[:, [1, 0]]
    values = np.column_stack([current[:, 0], charge, current[:, 1]])
    conductance, capacitance = found.conductance[:, [0, 1], 0], found.capacitance[:, [1, 0], 0]
    slopes = np.column_stack([conductance[:, 0], capacitance, conductance[:, 1]])
    return values.reshape(points.shape), slopes.reshape(points.shape)
