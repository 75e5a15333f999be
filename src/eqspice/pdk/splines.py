"""Cubic B-splines on knots that lie where a function needs them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import solve_banded

Floats = NDArray[np.float64]

_CUBIC = 384.0  # a cubic spline errs by h^4 / 384 times the fourth derivative (Hall & Meyer 1976)


def allowed_spacing(fourth: Floats, largest: float, growth: float, step: float) -> Floats:
    """Returns how far apart the knots may lie at each point of a fine grid, in its unit, (n,).

    Args:
        fourth: fourth derivative over allowed error, the largest of all functions, (n,).
        largest: cap on the spacing.
        growth: most that the spacing may grow per length; neighbours then differ little.
        step: of the fine grid.
    """
    spacing = np.minimum((_CUBIC / np.maximum(fourth, 1e-30)) ** 0.25, largest)
    for k in range(1, len(spacing)):
        spacing[k] = min(spacing[k], spacing[k - 1] + growth * step)
    for k in range(len(spacing) - 2, -1, -1):
        spacing[k] = min(spacing[k], spacing[k + 1] + growth * step)
    return spacing


def equidistribute(grid: Floats, spacing: Floats, count: int) -> Floats:
    """Returns count sites over the grid, everywhere in the same ratio to the allowed spacing."""
    per_length = 1.0 / spacing
    passed = np.concatenate([[0.0], np.cumsum(0.5 * (per_length[1:] + per_length[:-1]) * np.diff(grid))])
    return np.interp(np.linspace(0.0, passed[-1], count), passed, grid)


def interpolate(
    sites: Floats, values: Floats, axis: int, slope: Floats | None = None
) -> tuple[Floats, Floats]:
    """Returns (knots, coefficients) of the cubic spline through values along an axis.

    Both ends are "not a knot"; with a slope the first site is a knot and the spline starts with that
    derivative there, which adds one coefficient.

    Args:
        sites: where the values stand, ascending (n,).
        values: length n along the axis.
        axis: the axis of the sites.
        slope: derivatives at the first site, the shape of values without the axis.
    """
    inner = sites[2:-2] if slope is None else sites[1:-2]
    knots = np.concatenate([[sites[0]] * 4, inner, [sites[-1]] * 4])
    matrix = BSpline.design_matrix(sites, knots, 3).toarray()
    right = np.moveaxis(values, axis, 0)
    shape = right.shape[1:]
    right = right.reshape(len(sites), -1)
    if slope is not None:
        start = BSpline(knots, np.eye(len(knots) - 4), 3).derivative()(sites[0])
        matrix, right = np.vstack([start, matrix]), np.vstack([slope.reshape(1, -1), right])
    solved = np.linalg.solve(matrix, right).reshape(-1, *shape)
    return knots, np.moveaxis(solved, 0, axis)


def cell_polynomials(knots: Floats) -> tuple[Floats, Floats]:
    """Returns the edges of the cells (c + 1,) and the basis in each as polynomials, (c, 4, 4).

    In cell k, at t beyond its lower edge, basis function k + j is sum over p of [k, p, j] t^p.
    """
    edges = knots[3:-3]
    cells = len(edges) - 1
    spline = BSpline(knots, np.eye(cells + 3), 3)
    polynomials = np.empty((cells, 4, 4))
    factorial = 1.0
    for power in range(4):
        factorial *= max(power, 1)
        at_edges = spline(edges[:-1], nu=power) / factorial
        for k in range(cells):
            polynomials[k, power] = at_edges[k, k : k + 4]
    return edges, polynomials


def fit_uniform(values: Floats, slope: Floats | None = None) -> Floats:
    """Returns the uniform cubic B-spline through values, (n, m) -> (n + 2, m), along the first axis.

    Interpolation is (c[k-1] + 4 c[k] + c[k+1]) / 6 = value[k]. At the ends the third derivative is
    continuous across the first inner node ("not a knot"): a fourth difference of zero.

    Args:
        values: (n, m).
        slope: (m,) derivative per cell at the first value, instead of "not a knot" there. A current
            that starts as 1 - exp(-V_ds / Vt) needs it for its relative accuracy near V_ds = 0.
    """
    n = len(values)
    bands = np.zeros((9, n + 2))
    for row in range(1, n + 1):
        for offset, weight in ((-1, 1 / 6), (0, 4 / 6), (1, 1 / 6)):
            bands[4 - offset, row + offset] = weight
    for k, weight in enumerate((1.0, -4.0, 6.0, -4.0, 1.0)):
        bands[4 + k, n + 1 - k] = weight
        if slope is None:
            bands[4 - k, k] = weight
    right = np.zeros((n + 2, values.shape[1]))
    right[1:-1] = values
    if slope is not None:
        bands[4, 0], bands[2, 2] = -0.5, 0.5
        right[0] = slope
    fitted: Floats = solve_banded((4, 4), bands, right)
    return fitted
