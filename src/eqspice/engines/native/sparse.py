"""Sparse LU with a fixed pattern: order and fill once, refactor often.

The matrix has a symmetric pattern and is factored with static diagonal pivots, which suits node
equations: every node has a conductance or a capacitance to somewhere. A pivot that cancels to
rounding against the node's own diagonal counts as zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

from eqspice.jit import kernel

IntArray = NDArray[np.int32]
IndexArray = NDArray[np.uint32]  # unsigned: compiled code need not look for negative indices
FloatArray = NDArray[np.float64]
ROUNDING = 1e-15  # a pivot this small against its assembled diagonal has no correct digit


class Pattern(NamedTuple):
    """Pattern of L + U by rows, columns sorted.

    Attributes:
        start: row starts, shape (n + 1,).
        column: column of each entry, shape (nnz,).
        diagonal: position of each row's diagonal, shape (n,).
    """

    start: IndexArray
    column: IndexArray
    diagonal: IndexArray


def order(size: int, rows: IntArray, columns: IntArray) -> IntArray:
    """Returns a minimum-degree elimination order of the symmetrised pattern.

    Args:
        size: number of unknowns n.
        rows: row of each entry.
        columns: column of each entry.

    Returns:
        permutation, shape (n,): permutation[old] = new position.
    """
    ones = np.ones(len(rows))
    pattern = coo_matrix((ones, (rows, columns)), shape=(size, size))
    pattern = pattern + pattern.T
    pattern.data[:] = 1.0
    # Diagonally dominant stand-in: SuperLU's ordering needs numbers that can be factored.
    degree = np.asarray(pattern.sum(axis=1)).ravel()
    stand_in = csc_matrix(coo_matrix((degree + 1.0, (np.arange(size), np.arange(size)))) + 0.1 * pattern)
    factors = splu(
        stand_in, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    return np.asarray(factors.perm_c, dtype=np.int32)


def symbolic(size: int, rows: IntArray, columns: IntArray) -> Pattern:
    """Returns the pattern of L + U of an already ordered matrix.

    Args:
        size: number of unknowns n.
        rows: row of each entry, in elimination order.
        columns: column of each entry, in elimination order.
    """
    lower_row = np.maximum(rows, columns)
    lower_column = np.minimum(rows, columns)
    keep = lower_row != lower_column
    lower = coo_matrix(
        (np.ones(int(keep.sum())), (lower_row[keep], lower_column[keep])), shape=(size, size)
    ).tocsr()
    lower.sum_duplicates()
    counts, flat = _fill(size, lower.indptr.astype(np.int32), lower.indices.astype(np.int32))
    fill_rows = np.repeat(np.arange(size, dtype=np.int32), counts)
    all_rows = np.concatenate([fill_rows, flat, np.arange(size, dtype=np.int32)])
    all_columns = np.concatenate([flat, fill_rows, np.arange(size, dtype=np.int32)])
    permutation = np.lexsort((all_columns, all_rows))
    all_rows, all_columns = all_rows[permutation], all_columns[permutation]
    start = np.searchsorted(all_rows, np.arange(size + 1)).astype(np.uint32)
    diagonal = np.flatnonzero(all_rows == all_columns).astype(np.uint32)
    return Pattern(start, all_columns.astype(np.uint32), diagonal)


@kernel()
def _fill(size, start, column):  # type: ignore[no-untyped-def]
    """Row patterns of L by climbing the elimination tree (Liu 1990)."""
    parent = np.full(size, -1, np.int32)
    ancestor = np.full(size, -1, np.int32)
    for i in range(size):
        for p in range(start[i], start[i + 1]):
            k = column[p]
            while k != -1 and k < i:
                up = ancestor[k]
                ancestor[k] = i
                if up == -1:
                    parent[k] = i
                k = up
    counts = np.zeros(size, np.int32)
    mark = np.full(size, -1, np.int32)
    total = 0
    for count_pass in range(2):
        if count_pass == 1:
            flat = np.empty(total, np.int32)
            mark[:] = -1
            total = 0
        for i in range(size):
            mark[i] = i
            for p in range(start[i], start[i + 1]):
                k = column[p]
                while mark[k] != i:
                    mark[k] = i
                    if count_pass == 0:
                        counts[i] += 1
                    else:
                        flat[total] = k
                    total += 1
                    k = parent[k]
    return counts, flat


@kernel()
def factorise(start, column, diagonal, values, inverse_pivot, work):  # type: ignore[no-untyped-def]
    """Replaces values (nnz + 1,) by L (unit diagonal) and U. Returns -1, or the row of a bad pivot."""
    size = len(diagonal)
    for i in range(size):
        first, middle, last = start[i], diagonal[i], start[i + 1]
        for p in range(first, last):
            work[column[p]] = values[p]
        smallest = ROUNDING * abs(values[middle])
        for p in range(first, middle):
            k = column[p]
            factor = work[k] * inverse_pivot[k]
            values[p] = factor
            if factor != 0.0:
                for q in range(diagonal[k] + np.uint32(1), start[k + 1]):
                    work[column[q]] -= factor * values[q]
        for p in range(middle, last):
            values[p] = work[column[p]]
        pivot = values[middle]
        if not smallest < abs(pivot) < np.inf:  # also true for not-a-number
            return i
        inverse_pivot[i] = 1.0 / pivot
    return -1


@kernel()
def solve(start, column, diagonal, values, inverse_pivot, right_hand_side):  # type: ignore[no-untyped-def]
    """Solves in place with the factors."""
    size = len(diagonal)
    for i in range(size):
        total = right_hand_side[i]
        for p in range(start[i], diagonal[i]):
            total -= values[p] * right_hand_side[column[p]]
        right_hand_side[i] = total
    for i in range(size - 1, -1, -1):
        total = right_hand_side[i]
        for p in range(diagonal[i] + np.uint32(1), start[i + 1]):
            total -= values[p] * right_hand_side[column[p]]
        right_hand_side[i] = total * inverse_pivot[i]
