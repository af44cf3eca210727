"""Rows grouped by id: sums, normal equations and ridge steps of every id at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import NamedTuple

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

# A batch that has this many rows, padding included, is closed where counts differ.
SMALL_BATCH = 4_096
LARGE_BATCH = 8_192
IDS_OF_A_BATCH = 1_024
# Ids share a batch if the smallest has this portion of the rows of the largest.
LEAST_FILL = 0.8
# A thread takes as long to start as the work on some ten thousand rows.
ROWS_OF_A_THREAD = 50_000
# Keeps the normal matrix of an id regular whose rows all have weight 0.
LEAST_PENALTY = 1e-10


class Batch(NamedTuple):
    """Ids with similar numbers of rows, padded to a rectangle.

    A pad repeats the first row of its id, ahead of it: what is written to `rows`
    leaves the value of the real row behind.
    """

    ids: np.ndarray
    rows: np.ndarray  # (n_batch_ids, width)
    pads: np.ndarray  # positions in rows.ravel()


def _batches(codes, counts):
    """Cut the ids that have rows into batches, the most frequent ids first."""
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(counts) - counts
    ids = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    by_count = counts[ids].tolist()
    batches, first = [], 0
    while first < len(ids):
        width = by_count[first]
        least = width * LEAST_FILL
        few = max(SMALL_BATCH // width, 1)
        most = min(max(LARGE_BATCH // width, 1), IDS_OF_A_BATCH, len(ids) - first)
        size = 1
        while size < most and (size < few or by_count[first + size] >= least):
            size += 1
        batch = ids[first : first + size]
        shift = np.arange(width) - (width - counts[batch])[:, None]
        rows = order[starts[batch][:, None] + np.maximum(shift, 0)]
        batches.append(Batch(batch, rows, np.flatnonzero(shift < 0)))
        first += size
    return batches


class Segments:
    """The rows of each id of one id column, ordered once for many passes.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        Id of each row, 0 to n_ids - 1.
    n_ids : int
        Number of ids; those without a row are allowed.
    n_jobs : int, default=None
        Threads over the batches of ids, as joblib counts them.

    Notes
    -----
    Ids are sorted by their number of rows and cut into batches of similar ones, which
    are padded to a rectangle. Every sum over rows is then a batched matrix product,
    which NumPy computes without the interpreter's lock; memory is bounded by the size
    of a batch, and padding adds less than a quarter to large batches.
    """

    def __init__(self, codes, n_ids, n_jobs=None):
        self.codes = np.ascontiguousarray(codes, dtype=np.intp)
        self.n_ids = n_ids
        self.counts = np.bincount(self.codes, minlength=n_ids)
        self.batches = _batches(self.codes, self.counts)
        self.n_threads = len(self.codes) // ROWS_OF_A_THREAD
        if self.n_threads > 1:
            self.n_threads = min(effective_n_jobs(n_jobs), self.n_threads)

    @cached_property
    def _indicator(self):
        """Return the sparse (n_ids, n_rows) matrix of ones where a row has an id."""
        n_rows = len(self.codes)
        order = np.argsort(self.codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.counts)])
        return csr_array((np.ones(n_rows), order, starts), shape=(self.n_ids, n_rows))

    def sums(self, values):
        """Sum values over the rows of each id.

        Parameters
        ----------
        values : ndarray of shape (n_rows,) or (n_rows, n_columns)

        Returns
        -------
        sums : ndarray of shape (n_ids,) or (n_ids, n_columns)
        """
        if values.ndim == 1:
            return np.bincount(self.codes, weights=values, minlength=self.n_ids)
        return self._indicator @ values

    def normal_equations(self, H, r, weights=None):
        """Return the weighted normal equations of a regression of r on H per id.

        Parameters
        ----------
        H : ndarray of shape (n_rows, n_columns), or callable
            The regressors, or a function from row numbers of shape (a, b) to a new
            array of shape (a, b, n_columns), which saves a full copy.
        r : ndarray of shape (n_rows,)
        weights : ndarray of shape (n_rows,), default=None

        Returns
        -------
        G : ndarray of shape (n_ids, n_columns, n_columns)
            Sum of w H H^T over the rows of an id.
        h : ndarray of shape (n_ids, n_columns)
            Sum of w r H over the rows of an id.
        """
        n_columns = H.shape[1] if not callable(H) else H(np.zeros((1, 1), int)).shape[2]
        G = np.zeros((self.n_ids, n_columns, n_columns))
        h = np.zeros((self.n_ids, n_columns))

        def accumulate(batch):
            X, weighted = _regressors(batch, H, weights)
            G[batch.ids] = X.mT @ weighted
            h[batch.ids] = (weighted.mT @ r[batch.rows][..., None])[..., 0]

        self._for_each_batch(accumulate)
        return G, h

    def ridge_step(self, H, values, residual, weights, penalty):
        """Replace the coefficients of every id by its ridge solution, in place.

        Parameters
        ----------
        H : ndarray of shape (n_rows, n_columns), or callable
            As in `normal_equations`.
        values : ndarray of shape (n_ids, n_columns)
            Coefficients; overwritten where an id has rows.
        residual : ndarray of shape (n_rows,)
            Target less the fit that includes H . values; kept so.
        weights : ndarray of shape (n_rows,) or None
        penalty : ndarray of shape (n_columns,) or (n_ids, n_columns)
            Added to the diagonal of the normal matrix.
        """
        penalty = np.broadcast_to(np.maximum(penalty, LEAST_PENALTY), values.shape)

        def step(batch):
            X, weighted = _regressors(batch, H, weights)
            target = residual[batch.rows][..., None] + X @ values[batch.ids][..., None]
            G = X.mT @ weighted
            np.einsum("bii->bi", G)[:] += penalty[batch.ids]
            solution = np.linalg.solve(G, weighted.mT @ target)
            values[batch.ids] = solution[..., 0]
            target -= X @ solution
            residual[batch.rows] = target[..., 0]

        self._for_each_batch(step)

    def _for_each_batch(self, function: Callable[[Batch], None]):
        """Call a function that writes only to its batch's ids and rows."""
        if self.n_threads <= 1:
            for batch in self.batches:
                function(batch)
            return
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(self.n_threads) as pool,
        ):
            for _ in pool.map(function, self.batches):
                pass


def _regressors(batch, H, weights):
    """Return the regressors of a batch, pads zero, without and with weights."""
    X = H(batch.rows) if callable(H) else H[batch.rows]
    X.reshape(-1, X.shape[2])[batch.pads] = 0
    if weights is None:
        return X, X
    return X, X * weights[batch.rows][..., None]
