"""Three-axis device tables: transistors whose bulk is a node of its own, a common substrate say.

Where `tables` needs bulk tied to source, these hold a FET over three voltages against the bulk. The
device must be the same with drain and source exchanged (checked); half the space then is enough, and
BSIM4's kink at V_ds = 0 lies on the seam. The knots stand where the device needs them: close around
the threshold and near V_ds = 0, far apart elsewhere, found from its own fourth derivatives.

Currents and charges each sum to zero over the four terminals exactly: bulk current and bulk charge
are minus the sum of the others. No gate current is held.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError, ModelError
from eqspice.jit import cache_folder
from eqspice.pdk import osdi, splines, table_files
from eqspice.pdk import tables3_kernel as kernel

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

TABLE_VERSION = 2
"""Part of the cache key: change it when what a table holds changes."""

_TOLERANCE = 3e-4  # of a current; only the ratio to the others matters, the number of knots is fixed
_CURRENT_FLOOR = 1e-12  # amperes: smaller currents need not be that accurate relative to themselves
_CHARGE_TOLERANCE = 1e-4  # of the largest gate charge
_FINE = 0.005  # volts: grid on which the fourth derivatives are taken
_LARGEST_SPACING, _GROWTH = 0.2, 0.3
_MARGIN = 0.1  # volts beyond the region in which knots are placed with care
# Volts beside V_ds = 0, where derivatives are taken. Far above what the model
# call starts internal nodes apart by: there it would see exactly 0 V between drain and source.
_BESIDE = 1e-9
_NO_IMPACT = 1e-14  # amperes: a smaller spline coefficient of the impact ionisation current is zero
_NO_GATE_CURRENT = 1e-12
_ASYMMETRY = 1e-6  # largest difference, relative to the largest current or charge

_LINES = (
    np.linspace(kernel.GATE_LOW - kernel.HIGH, kernel.GATE_HIGH - kernel.LOW, 28),
    np.linspace(kernel.LOW, kernel.HIGH, 9),
    np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5, 0.8, 1.2, 1.7, 2.2, 2.5]),
)  # volts along x, y, z: where the lines lie along which fourth derivatives are taken


@dataclass(frozen=True, eq=False)
class BulkTable:
    """A transistor as spline coefficients; what `tables3_kernel.bulk_evaluate` reads.

    Attributes:
        mosfet: what is tabulated.
        numbers: (SIZE,) at multiplier one. 64-byte aligned, read only.
        key: identifies transistor, corner, temperature, model library and table version.
    """

    mosfet: Mosfet
    numbers: Floats
    key: str

    def evaluate(self, v: ArrayLike) -> osdi.Evaluation:
        """Returns currents, charges and their derivatives, as the compact model would.

        Args:
            v: terminal voltages in volts, (N, 4) or (4,), order d, g, s, b.
        """
        out, _ = self._look_up(v)
        derivatives = np.empty((len(out), 5, 4))
        derivatives[..., :3] = out.reshape(-1, 5, 4)[..., 1:]
        derivatives[..., 3] = -derivatives[..., :3].sum(axis=2)
        value = out.reshape(-1, 5, 4)[..., 0]
        zero = np.zeros(len(out))
        i_d, i_s, q_g, q_d, q_s = value.T
        current = np.stack([i_d, zero, i_s, -i_d - i_s], axis=1)
        charge = np.stack([q_d, q_g, q_s, -q_d - q_g - q_s], axis=1)
        g, c = np.zeros((2, len(out), 4, 4))
        g[:, [0, 2]], c[:, [1, 0, 2]] = derivatives[:, :2], derivatives[:, 2:]
        g[:, 3], c[:, 3] = -g[:, :3].sum(axis=1), -c[:, :3].sum(axis=1)
        m = self.mosfet.multiplier
        return osdi.Evaluation(m * current, m * charge, m * g, m * c)

    def outside(self, v: ArrayLike) -> Floats:
        """Returns how far a voltage lies outside the characterised region, V (N,); 0 inside.

        Args:
            v: terminal voltages in volts, (N, 4) or (4,), order d, g, s, b.
        """
        return self._look_up(v)[1]

    def _look_up(self, v: ArrayLike) -> tuple[Floats, Floats]:
        points = np.atleast_2d(np.asarray(v, dtype=np.float64))
        if points.ndim != 2 or points.shape[1] != 4:
            raise InputError(f"v: shape {np.shape(v)}, (N, 4) is needed.")
        out, outside = np.empty((len(points), kernel.OUTPUTS)), np.empty(len(points))
        kernel.bulk_many(self.numbers, np.ascontiguousarray(points[:, :3] - points[:, 3:]), out, outside)
        return out, outside


@lru_cache(maxsize=16)
def characterise_bulk(mosfet: Mosfet) -> BulkTable:
    """Returns the three-axis table of a transistor, from the cache or made anew (about two seconds).

    Args:
        mosfet: with a card of an OSDI model; its multiplier does not change the numbers.

    Raises:
        InputError: the card has no OSDI model.
        ModelError: the device is not the same with drain and source exchanged, carries gate current,
            or could not be evaluated.
    """
    if mosfet.card.level not in osdi.LIBRARIES:
        raise InputError(
            f"model card {mosfet.card.name}: level {mosfet.card.level!r} has a closed form, it needs no "
            f"table; tables are for {', '.join(osdi.LIBRARIES)}."
        )
    if reason := why_no_table(mosfet):
        raise ModelError(f"{mosfet.card.name}: cannot have a three-axis table: {reason}.")
    single = dataclasses.replace(mosfet, multiplier=1.0)
    key = table_files.device_key(single, f"bulk {TABLE_VERSION} {kernel.NODES} {kernel.SIZE}")
    path = cache_folder() / f"bulk-{key[:32]}.npz"
    made = table_files.load(path, key, (kernel.SIZE,))
    if made is None:
        made = _numbers(single)
        table_files.save(path, key, made)
    numbers = table_files.aligned(kernel.SIZE)
    numbers[:] = made
    numbers.flags.writeable = False
    return BulkTable(mosfet, numbers, key)


@lru_cache(maxsize=4096)
def why_no_table(mosfet: Mosfet) -> str | None:
    """Returns why a transistor with an OSDI model cannot have a three-axis table, or None if it can."""
    return _Sampler(mosfet).why_not()


class _Sampler:
    """The compact model over (x, y, z), mirrored for p-channel, without its junction currents."""

    def __init__(self, mosfet: Mosfet) -> None:
        self.polarity = float(mosfet.card.polarity)
        self._model = osdi.compact_model(mosfet)
        grid = kernel.JUNCTION_LOW + kernel.JUNCTION_STEP * np.arange(kernel.JUNCTION_CELLS + 1)
        zero = np.zeros_like(grid)
        # Drain and source together, channel off: each junction carries half of the bulk's current.
        found = self._at(grid, zero + kernel.GATE_LOW, grid)
        self.junction_coefficients = splines.fit_uniform(-0.5 * self.polarity * found.current[:, 3:]).ravel()

    def values(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Returns (I_high, Q_g, Q_high, Q_low, impact current into the bulk) on a grid, (X, Y, Z, 5).

        Where z is zero both ends carry the same current and hold the same charge, exactly.
        """
        shape = (len(x), len(y), len(z))
        x, y, z = _grid(x, y, z)
        found = self._at(y + z, x + y, y)
        (high, _), (low, _) = self.junction(y + z), self.junction(y)
        current, charge = self.polarity * found.current, self.polarity * found.charge
        impact = current[:, 3] + high + low
        result = np.stack([current[:, 0] - high, *charge[:, [1, 0, 2]].T, impact], axis=1)
        at_rest = z == 0.0
        result[at_rest & (np.abs(impact) < _NO_IMPACT), 4] = 0.0
        result[at_rest, 0] = -0.5 * result[at_rest, 4]
        result[at_rest, 2:4] = result[at_rest, 2:4].mean(axis=1, keepdims=True)
        return result.reshape(*shape, 5)

    def slopes(self, x: Floats, y: Floats) -> Floats:
        """Returns d/dz of the values just above z = 0, (X, Y, 5)."""
        shape = (len(x), len(y))
        x, y = _grid(x, y)
        found = self._at(y + _BESIDE, x + y, y)
        _, own = self.junction(y)
        g, c = found.conductance[:, :, 0], found.capacitance[:, :, 0]
        result = np.stack([g[:, 0] - own, c[:, 1], c[:, 0], c[:, 2], g[:, 3] + own], axis=1)
        return result.reshape(*shape, 5)

    def junction(self, v: Floats) -> tuple[Floats, Floats]:
        """Returns the current from a terminal at v into the bulk by its junction, and its derivative."""
        out = np.empty((len(v), 2))
        kernel.junction_many(self.junction_coefficients, v, out)
        return out[:, 0], out[:, 1]

    def _at(self, drain: NDArray[Any], gate: NDArray[Any], source: NDArray[Any]) -> osdi.Evaluation:
        points = np.stack([drain, gate, source, np.zeros_like(drain)], axis=1)
        return self._model.evaluate(self.polarity * points)

    def why_not(self) -> str | None:
        """Returns why this device cannot be held, or None."""
        grid = np.linspace(kernel.LOW, kernel.HIGH, 6)
        g, a, b = _grid(grid, grid, grid + 0.01)
        found, exchanged = self._at(a, g, b), self._at(b, g, a)
        for own, other in ((found.current, exchanged.current), (found.charge, exchanged.charge)):
            if np.abs(own - other[:, [2, 1, 0, 3]]).max() > _ASYMMETRY * np.abs(own).max():
                return "it is not the same device with drain and source exchanged"
        gate = float(np.abs(found.current[:, 1]).max())
        if gate > _NO_GATE_CURRENT:
            return f"it carries gate current, up to {gate:.2g} A"
        return None


def _grid(*axes: Floats) -> tuple[Floats, ...]:
    """Returns the coordinates of all points of a grid, the last axis running fastest."""
    return tuple(part.ravel() for part in np.meshgrid(*axes, indexing="ij"))


def _numbers(mosfet: Mosfet) -> Floats:
    """Evaluates the model and fits the splines; returns all numbers of a table."""
    sampler = _Sampler(mosfet)
    sites = _sites(sampler)
    fitted = sampler.values(*sites)
    knots: list[Floats] = [np.empty(0)] * 3
    knots[2], fitted = splines.interpolate(sites[2], fitted, 2, slope=sampler.slopes(*sites[:2]))
    for axis in (1, 0):
        knots[axis], fitted = splines.interpolate(sites[axis], fitted, axis)
    numbers = np.zeros(kernel.SIZE)
    numbers[kernel.POLARITY] = sampler.polarity
    for axis in range(3):
        start = kernel.AXES_AT + axis * kernel.AXIS_SIZE
        block = _axis_block(knots[axis])
        numbers[start : start + len(block)] = block
    junction = sampler.junction_coefficients
    numbers[kernel.JUNCTION_AT : kernel.JUNCTION_AT + len(junction)] = junction
    impact = fitted[..., 4]
    flows = np.flatnonzero(np.abs(impact).max(axis=(0, 1)) > _NO_IMPACT)
    first = int(flows[0]) if len(flows) else kernel.NODES[2]
    impact[..., :first] = 0.0
    numbers[kernel.IMPACT_FROM] = first
    numbers[kernel.COEFFICIENTS_AT : kernel.IMPACT_AT] = fitted[..., :4].ravel()
    numbers[kernel.IMPACT_AT : kernel.IMPACT_AT + impact.size] = impact.ravel()
    return numbers


def _sites(sampler: _Sampler) -> list[Floats]:
    """Returns where the device is tabulated along x, y and z."""
    ends = [(lines[0], lines[-1]) for lines in _LINES[:2]] + [(0.0, kernel.HIGH - kernel.LOW)]
    counts = (kernel.NODES[0], kernel.NODES[1], kernel.NODES[2] - 1)  # the slope adds one along z
    result = []
    for axis, ((low, high), count) in enumerate(zip(ends, counts, strict=True)):
        grid = np.linspace(low, high, round((high - low) / _FINE) + 1)
        lines = [grid if axis == k else line for k, line in enumerate(_LINES)]
        spacing = splines.allowed_spacing(
            _fourth(sampler.values(*lines), lines, axis), _LARGEST_SPACING, _GROWTH, _FINE
        )
        result.append(splines.equidistribute(grid, spacing, count))
    return result


def _fourth(values: Floats, lines: list[Floats], axis: int) -> Floats:
    """Returns the fourth derivatives along an axis over what is allowed, the largest at each point."""
    allowed = np.empty_like(values[..., :4])
    floor = _CURRENT_FLOOR if axis < 2 else 0.01 * _CURRENT_FLOOR
    allowed[..., 0] = _TOLERANCE * (np.abs(values[..., 0]) + floor)
    allowed[..., 1:] = _CHARGE_TOLERANCE * np.abs(values[..., 1]).max()
    x, y, z = np.ix_(*lines)
    low, high, gate = y, y + z, x + y
    near = (gate > kernel.GATE_LOW - _MARGIN) & (gate < kernel.GATE_HIGH + _MARGIN)
    near = near & (low > kernel.LOW - _MARGIN) & (high < kernel.HIGH + _MARGIN)
    allowed[~np.broadcast_to(near, values.shape[:3])] = np.inf
    ratio = np.abs(np.diff(values[..., :4], 4, axis=axis)) / _FINE**4
    inner = np.moveaxis(allowed, axis, 0)[2:-2]
    largest: Floats = (np.moveaxis(ratio, axis, 0) / inner).max(axis=(1, 2, 3))
    return np.pad(largest, 2, mode="edge")


def _axis_block(knots: Floats) -> Floats:
    """Returns an axis as the kernel reads it: lowest value, bins per volt, bins, edges, polynomials."""
    edges, polynomials = splines.cell_polynomials(knots)
    block = np.zeros(kernel.AXIS_SIZE)
    width = (edges[-1] - edges[0]) / kernel.BINS
    block[:2] = edges[0], 1.0 / width
    lower = edges[0] + width * np.arange(kernel.BINS)
    # A hair below, so that rounding in the kernel never starts it behind the cell.
    cells = np.searchsorted(edges, lower - 1e-9 * width, side="right") - 1
    block[kernel.BINS_AT : kernel.BINS_AT + kernel.BINS] = np.clip(cells, 0, len(edges) - 2)
    block[kernel.EDGES_AT : kernel.EDGES_AT + len(edges)] = edges
    block[kernel.POLYNOMIALS_AT : kernel.POLYNOMIALS_AT + polynomials.size] = polynomials.ravel()
    return block
