"""Covariance functions with gradients, for Gaussian processes that add them up."""

from dataclasses import dataclass

import numpy as np

SQRT_5 = np.sqrt(5.0)
# Of an id that was not seen, and of a row that has none.
UNSEEN, NO_ID = -1, -2


def _squared_distances(A, B):
    """Return squared Euclidean distances of shape (len(A), len(B))."""
    distances = A @ B.T
    distances *= -2.0
    distances += np.einsum("ij,ij->i", A, A)[:, None]
    distances += np.einsum("ij,ij->i", B, B)[None]
    return np.maximum(distances, 0.0, out=distances)


def _length_gradient(A, M):
    """Return sum_ij M_ij (a_i - a_j)^2 for each column, for a symmetric M."""
    return 2 * ((A * A).T @ M.sum(axis=1) - np.einsum("ij,ij->j", A, M @ A))


def _matches(codes, others):
    """Say which pairs of ids are the same; one that was not seen is like no other."""
    return (codes[:, None] == others[None]) & (codes[:, None] >= 0)


@dataclass(frozen=True)
class Trend:
    """Covariance of a linear function of some columns with vague coefficients.

    Far from all that was seen, a process with it goes back to a fitted line, not to
    a constant, as universal kriging does.
    """

    columns: tuple[int, ...]
    amplitude = 2.0

    @property
    def start(self):
        """There is nothing to learn."""
        return np.empty(0)

    def value(self, theta, rows, others):
        """Return the covariance of two sets of rows, and what the gradient needs."""
        columns = list(self.columns)
        product = rows.Z[:, columns] @ others.Z[:, columns].T
        return product * (self.amplitude**2 / len(columns)), None

    def variance(self, theta, rows):
        """Return the covariance of each row with itself."""
        squares = np.mean(rows.Z[:, list(self.columns)] ** 2, axis=1)
        return self.amplitude**2 * squares

    def gradient(self, theta, rows, K, kept, W):
        """Return sum(W * dK / dtheta) for every parameter: none."""
        return np.empty(0)


@dataclass(frozen=True)
class Identity:
    """Covariance s^2 between rows with the same id: a random effect of the id."""

    column: int

    @property
    def start(self):
        """Logarithms of the parameters to start from: the amplitude s."""
        return np.log([0.3])

    def value(self, theta, rows, others):
        """Return the covariance of two sets of rows, and what the gradient needs."""
        same = _matches(rows.ids[:, self.column], others.ids[:, self.column])
        return same * np.exp(2 * theta[0]), None

    def variance(self, theta, rows):
        """Return the covariance of each row with itself, that of its unseen id too."""
        return (rows.ids[:, self.column] != NO_ID) * np.exp(2 * theta[0])

    def gradient(self, theta, rows, K, kept, W):
        """Return sum(W * dK / dtheta) for every parameter."""
        return np.array([2 * np.vdot(W, K)])


@dataclass(frozen=True)
class Matern:
    """Matern covariance of smoothness 5/2 with a length scale for each column."""

    columns: tuple[int, ...]

    @property
    def start(self):
        """Logarithms of the parameters to start from: amplitude, length scales."""
        scale = 1.5 * np.sqrt(len(self.columns))
        return np.log([0.5, *([scale] * len(self.columns))])

    def _scaled(self, theta, Z):
        return Z[:, list(self.columns)] / np.exp(theta[1:])

    def value(self, theta, rows, others):
        """Return the covariance of two sets of rows, and what the gradient needs."""
        left = self._scaled(theta, rows.Z)
        right = left if rows is others else self._scaled(theta, others.Z)
        distance = np.sqrt(_squared_distances(left, right))
        distance *= SQRT_5
        decay = np.exp(2 * theta[0] - distance)
        # (1 + d + d^2 / 3) exp(-d)
        K = (1 + distance + distance * distance / 3) * decay
        return K, (distance, decay)

    def variance(self, theta, rows):
        """Return the covariance of each row with itself."""
        return np.full(len(rows.Z), np.exp(2 * theta[0]))

    def gradient(self, theta, rows, K, kept, W):
        """Return sum(W * dK / dtheta) for every parameter."""
        distance, decay = kept
        M = W * ((5 / 3) * (1 + distance) * decay)
        lengths = _length_gradient(self._scaled(theta, rows.Z), M)
        return np.append(2 * np.vdot(W, K), lengths)


@dataclass(frozen=True)
class SquaredExponential(Matern):
    """Squared exponential covariance with a length scale for each column."""

    def value(self, theta, rows, others):
        """Return the covariance of two sets of rows, and what the gradient needs."""
        left = self._scaled(theta, rows.Z)
        right = left if rows is others else self._scaled(theta, others.Z)
        return np.exp(2 * theta[0] - _squared_distances(left, right) / 2), None

    def gradient(self, theta, rows, K, kept, W):
        """Return sum(W * dK / dtheta) for every parameter."""
        lengths = _length_gradient(self._scaled(theta, rows.Z), W * K)
        return np.append(2 * np.vdot(W, K), lengths)


@dataclass(frozen=True)
class LanguageFunctions:
    """Covariance of a function of some columns that every id has for itself.

    K = sum_k s_k^2 [same id k] * M with a Matern covariance M of amplitude one: where
    `Identity` lets a language raise or lower its scores, this lets them rise and fall
    differently with the columns.
    """

    ids: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def start(self):
        """Logarithms to start from: an amplitude for each id, length scales."""
        lengths = self._matern.start[1:]
        return np.concatenate([np.full(len(self.ids), np.log(0.3)), lengths])

    @property
    def _matern(self):
        return Matern(self.columns)

    def _matern_theta(self, theta):
        return np.append(0.0, theta[len(self.ids) :])

    def value(self, theta, rows, others):
        """Return the covariance of two sets of rows, and what the gradient needs."""
        shape, kept = self._matern.value(self._matern_theta(theta), rows, others)
        same = [_matches(rows.ids[:, k], others.ids[:, k]) for k in self.ids]
        factor = np.zeros(shape.shape)
        for match, amplitude in zip(same, theta, strict=False):
            factor += match * np.exp(2 * amplitude)
        return shape * factor, (shape, kept, same, factor)

    def variance(self, theta, rows):
        """Return the covariance of each row with itself, that of unseen ids too."""
        has_id = rows.ids[:, list(self.ids)] != NO_ID
        return has_id @ np.exp(2 * theta[: len(self.ids)])

    def gradient(self, theta, rows, K, kept, W):
        """Return sum(W * dK / dtheta) for every parameter."""
        shape, inner, same, factor = kept
        amplitudes = [
            2 * np.exp(2 * amplitude) * np.vdot(W, shape * match)
            for match, amplitude in zip(same, theta, strict=False)
        ]
        lengths = self._matern.gradient(
            self._matern_theta(theta), rows, shape, inner, W * factor
        )
        return np.append(amplitudes, lengths[1:])
