"""The true gradient of a circuit's loss by the adjoint method, and how a circuit's update compares.

In the free phase a circuit settles where every conducting node's current vanishes, I(v) = 0, while
every floating node keeps its charge, Q(v) = q. With A the Jacobian of these equations (rows of G for
conducting nodes, rows of C for floating ones) and L a loss of the voltages, A^T lambda = dL/dv gives
dL/dq = lambda at the floating nodes: the gradient with respect to every stored weight from one solve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from eqspice.errors import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LEAK = 1e-2  # a node floats if it would lose less than this part of its charge in the given time


def floating(conductance: csr_array, capacitance: csr_array, duration: float) -> BoolArray:
    """Returns which nodes keep their charge for a while, shape (n,).

    Args:
        conductance: G, S, shape (n, n).
        capacitance: C, F, shape (n, n).
        duration: s.
    """
    leak = np.asarray(abs(conductance).sum(axis=1)) * duration
    held = np.asarray(abs(capacitance).sum(axis=1))
    return np.asarray(leak < LEAK * held)


class Linearisation:
    """A circuit linearised where it has settled: conducting nodes balance currents, others hold charge."""

    def __init__(self, conductance: csr_array, capacitance: csr_array, floats: BoolArray) -> None:
        """Factorises.

        Args:
            conductance: G, S, shape (n, n).
            capacitance: C, F, shape (n, n).
            floats: nodes that hold their charge, shape (n,).

        Raises:
            InputError: the matrix is singular: a node neither conducts nor holds charge.
        """
        rows = diags_array((~floats).astype(float)) @ conductance
        rows = csr_array(rows + diags_array(floats.astype(float)) @ capacitance)
        largest = np.asarray(abs(rows).max(axis=1).todense()).ravel()
        if not largest.all():
            node = int(np.argmin(largest))
            raise InputError(f"linearisation: node {node} neither conducts nor holds charge.")
        self._scale = 1.0 / largest
        self.size = len(largest)
        scaled = csc_array(diags_array(self._scale) @ rows)
        scaled.eliminate_zeros()
        # The pattern is nearly symmetric: ordering that of A + A^T keeps the factors small.
        self._factors = splu(scaled, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.1)

    def adjoint(self, slope: FloatArray) -> FloatArray:
        """Returns lambda of A^T lambda = slope: dL per ampere into, or coulomb onto, every node.

        Args:
            slope: dL/dv of every node, shape (n,) or (n, k).
        """
        found = self._factors.solve(np.asarray(slope, float), trans="T")
        return np.asarray((found.T * self._scale).T)

    def response(self, injected: FloatArray) -> FloatArray:
        """Returns the change of voltages by currents into conducting nodes and charges onto others.

        Args:
            injected: A or C, shape (n,) or (n, k).
        """
        return np.asarray(self._factors.solve((np.asarray(injected, float).T * self._scale).T))


def contrastive(before: csr_array, after: csr_array, change: FloatArray) -> FloatArray:
    """Returns the difference of dG/dtheta between two states, G the co-content, shape (weights,).

    dG/dtheta is the work integral of dI/dtheta from zero voltage; between two near states it changes
    by the mean of dI/dtheta at both times the change of the voltages, to third order in it.

    Args:
        before: dI/dtheta in the first state, A/V, shape (nodes, weights).
        after: the same in the second state.
        change: of the voltages from the first to the second state, V, shape (nodes,).
    """
    return np.asarray(0.5 * ((before + after).T @ change))


def cosine(one: FloatArray, other: FloatArray) -> float:
    """Returns the cosine of the angle between two arrays of equal size; NaN if one of them is zero."""
    a, b = np.ravel(one), np.ravel(other)
    if a.shape != b.shape:
        raise InputError(f"cosine: arrays of {a.size} and {b.size} values have no angle.")
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0.0 else float("nan")


def mean_cosine(ones: FloatArray, others: FloatArray) -> float:
    """Returns the mean over samples of the cosine, samples along the first axis; NaN ones left out."""
    found = sample_cosines(ones, others)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def sample_cosines(ones: FloatArray, others: FloatArray) -> FloatArray:
    """Returns the cosine of every sample, shape (S,)."""
    return np.array([cosine(one, other) for one, other in zip(ones, others, strict=True)])


def received(found: FloatArray, wanted: FloatArray) -> float:
    """Returns the fraction of a wanted signal that is in a found one: <found, wanted> / <wanted, wanted>."""
    a, b = np.ravel(found), np.ravel(wanted)
    return float(a @ b / (b @ b)) if np.any(b) else float("nan")


def size_ratio(found: FloatArray, wanted: FloatArray) -> float:
    """Returns |found| / |wanted| in the Euclidean norm; NaN if nothing was wanted."""
    length = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(found)) / length if length > 0.0 else float("nan")
