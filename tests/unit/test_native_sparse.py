"""Sparse LU with a fixed pattern against scipy, on random patterns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.linalg import spsolve

from eqspice.engines.native import sparse


def matrix(size: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """Diagonally dominant, unsymmetric values on an unsymmetric pattern, as node equations are."""
    dense = rng.normal(size=(size, size)) * (rng.random((size, size)) < density)
    np.fill_diagonal(dense, 0.0)
    return dense + np.diag(np.abs(dense).sum(1) + rng.uniform(0.1, 1.0, size))


def solve(dense: np.ndarray, right: np.ndarray) -> tuple[int, np.ndarray, sparse.Pattern]:
    """Orders, fills, factorises and solves as the engine does."""
    size = len(dense)
    rows, columns = (index.astype(np.int32) for index in np.nonzero(dense))
    permutation = sparse.order(size, rows, columns)
    assert sorted(permutation) == list(range(size))
    pattern = sparse.symbolic(size, permutation[rows], permutation[columns])
    ordered = np.zeros_like(dense)
    ordered[np.ix_(permutation, permutation)] = dense
    at = np.repeat(np.arange(size), np.diff(pattern.start))
    values = np.append(ordered[at, pattern.column], 0.0)
    inverse, scratch, x = np.zeros(size), np.zeros(size), np.zeros(size)
    row = sparse.factorise(*pattern, values, inverse, scratch)
    x[permutation] = right
    sparse.solve(*pattern, values, inverse, x)
    return int(row), x[permutation], pattern


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 40), density=st.floats(0.0, 0.5), seed=st.integers(0, 2**32 - 1))
def test_solutions_are_those_of_scipy(size: int, density: float, seed: int):
    rng = np.random.default_rng(seed)
    dense, right = matrix(size, density, rng), rng.normal(size=size)
    row, x, _ = solve(dense, right)
    assert row == -1
    expected = np.atleast_1d(spsolve(csr_array(dense), right))
    assert np.abs(x - expected).max() <= 1e-10 * max(1.0, np.abs(expected).max())


def test_a_large_mesh_fills_little():
    n = 40
    size = n * n
    dense = np.zeros((size, size))
    for k in range(size):
        for other in (k + 1 if (k + 1) % n else size, k + n):
            if other < size:
                dense[k, other] = dense[other, k] = -1.0
    dense += np.diag(np.abs(dense).sum(1) + 1e-3)
    right = np.random.default_rng(1).normal(size=size)
    row, x, pattern = solve(dense, right)
    assert row == -1 and np.abs(dense @ x - right).max() < 1e-9
    assert len(pattern.column) < 0.05 * size * size  # in the given order the band alone is 0.05


def test_a_pattern_without_couplings_is_its_diagonal():
    _, x, pattern = solve(np.diag([2.0, 4.0, 8.0]), np.ones(3))
    assert len(pattern.column) == 3 and x == pytest.approx([0.5, 0.25, 0.125])


@pytest.mark.parametrize("conductance", [1.0, 1e-3, 0.3])
def test_a_pair_that_floats_is_a_bad_pivot_although_rounding_leaves_something(conductance: float):
    g = conductance * np.array([[3.0, -1.0, -2.0], [-1.0, 1.1, -0.1], [-2.0, -0.1, 2.1]])
    row, _, _ = solve(g, np.array([1.0, -1.0, 0.0]))
    assert row >= 0
    held = g + np.diag([0.0, 0.0, 1e-12 * conductance])
    row, x, _ = solve(held, np.array([0.0, 0.0, 1e-12 * conductance]))
    assert row == -1 and x == pytest.approx([1.0, 1.0, 1.0], rel=1e-2)


def test_not_a_number_is_a_bad_pivot():
    row, _, _ = solve(np.array([[np.nan, 1.0], [1.0, 2.0]]), np.ones(2))
    assert row >= 0
