"""The regressors that "auto" puts together, each blind to something different."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import RidgeCV

from proxylm.regression._factorization import MatrixFactorizationRegressor
from proxylm.regression._gaussian_process import DRAWN_ROWS, fit_gaussian_process
from proxylm.regression._kernels import (
    Identity,
    LanguageFunctions,
    Matern,
    SquaredExponential,
    Trend,
)
from proxylm.regression._left_out import LeftOut

PENALTIES = np.logspace(-1, 4, 11)
# Below this number of records fewer trees say as much.
SMALL_TABLE = 500
# Covariances of more rows than this would take gigabytes; a random part is enough.
LARGEST_PROCESS = 4_000
# Processes whose mean is taken learn their parameters from different rows: from records
# drawn at random, or from all records among a few languages.
DRAWS = ("records", "records")


@dataclass
class ProcessMember:
    """Gaussian processes; their predictions for left-out rows are closed-form.

    The parameters of each are the best of a different draw of rows. The mean of the
    processes stands for the integral over the parameters: one draw alone is a guess at
    dozens of length scales.
    """

    kernels: list
    random_state: int
    uses_profiles: bool
    draws: tuple[str, ...] = DRAWS

    def fit(self, rows, y, weights):
        """Fit to rows."""
        self._kept = np.arange(len(y))
        if len(y) > LARGEST_PROCESS:
            rng = np.random.RandomState(self.random_state)
            drawn = rng.choice(len(y), LARGEST_PROCESS, replace=False)
            self._kept = np.sort(drawn)
        self._mean = np.average(y, weights=weights)
        spread = np.sqrt(np.average((y - self._mean) ** 2, weights=weights))
        self._spread = spread if spread > 0 else 1.0
        draws = self.draws if len(self._kept) > DRAWN_ROWS else self.draws[:1]
        self.processes = [
            fit_gaussian_process(
                self.kernels,
                rows.gp_rows.take(self._kept),
                ((y - self._mean) / self._spread)[self._kept],
                np.maximum(weights / weights.mean(), 1e-6)[self._kept],
                learn_from=learn_from,
                random_state=self.random_state + draw,
            )
            for draw, learn_from in enumerate(draws)
        ]
        return self

    def predict(self, rows):
        """Predict scores of rows."""
        means = [process.predict(rows.gp_rows) for process in self.processes]
        return self._mean + self._spread * np.mean(means, axis=0)

    def predict_with_deviation(self, rows):
        """Predict scores of rows; return the standard deviations beside them."""
        gp_rows = rows.gp_rows
        return self._of_mixture(
            [p.predict_with_variance(gp_rows) for p in self.processes]
        )

    def _of_mixture(self, found):
        """Return means and deviations of scores from those of the processes.

        `found` has the means and variances of each, in its units.
        """
        means, variances = np.moveaxis(np.array(found), 1, 0)
        variance = variances.mean(axis=0) + means.var(axis=0)
        mean = self._mean + self._spread * means.mean(axis=0)
        return mean, self._spread * np.sqrt(variance)

    def left_out(self, rows, y, weights, folds, units):
        """Predict the rows of each fold without the fold, and say how surely.

        Rows that the processes don't have, of a large table, have no deviations (NaN).

        Returns
        -------
        found : LeftOut
        """
        position = np.full(len(y), -1)
        position[self._kept] = np.arange(len(self._kept))
        every = [*folds, *units]
        groups = [position[group] for group in every]
        inside = [group[group >= 0] for group in groups]
        beside = [rows.take([]).gp_rows] * len(every)
        for k, fold in enumerate(folds):
            beside[k] = rows.take(fold[groups[k] < 0]).gp_rows
        shape = len(self.processes), 2
        found = [np.full((*shape, len(group)), np.nan) for group in every]
        alone = np.full((*shape, len(y)), np.nan)
        for k, process in enumerate(self.processes):
            precision = process.precision()
            alone[k][:, self._kept] = process.leave_one_out(precision)
            left_out = process.leave_out(precision, inside, beside)
            for values, group, parts in zip(found, groups, left_out, strict=True):
                values[k][:, group >= 0] = parts[0]
                if len(parts[1]):
                    values[k][0, group < 0] = parts[1]
        mixed = [self._of_mixture(values) for values in found]
        return LeftOut(
            [means for means, _ in mixed[: len(folds)]],
            self._of_mixture(alone)[1],
            [deviations for _, deviations in mixed[len(folds) :]],
        )


@dataclass
class EstimatorMember:
    """A scikit-learn regressor on what `pick` takes of the rows.

    With `line` it learns what a ridge regression on those columns leaves: trees alone
    predict nothing beyond the scores that they have seen. `light` are parameters of
    the many fits without a fold, which only tell how good the member is.
    """

    estimator: object
    pick: Callable
    uses_profiles: bool
    line: Callable | None = None
    light: dict | None = None

    def fit(self, rows, y, weights):
        """Fit to rows."""
        if self.line is not None:
            self._line = RidgeCV(PENALTIES).fit(self.line(rows), y, weights)
            y = y - self._line.predict(self.line(rows))
        self._fitted = clone(self.estimator).fit(
            self.pick(rows), y, sample_weight=weights
        )
        return self

    def predict(self, rows):
        """Predict scores of rows."""
        predicted = np.asarray(self._fitted.predict(self.pick(rows)), dtype=np.float64)
        if self.line is not None:
            predicted = predicted + self._line.predict(self.line(rows))
        return predicted

    def predict_with_deviation(self, rows):
        """Predict scores of rows; how sure it is, it can't tell."""
        return self.predict(rows), None

    def left_out(self, rows, y, weights, folds, units):
        """Predict the rows of each fold without the fold, in refits."""
        estimator = clone(self.estimator).set_params(**(self.light or {}))
        means = []
        for fold in folds:
            rest = np.delete(np.arange(len(y)), fold)
            member = replace(self, estimator=estimator)
            member.fit(rows.take(rest), y[rest], weights[rest])
            means.append(member.predict(rows.take(fold)))
        return LeftOut(means)


def _identities(design):
    """Return random effects of the languages of each side, and of their pairs."""
    return [Identity(k) for k in range(design.n_ids)]


def _language_kernels(design):
    """Return random effects and functions of the languages and of their pairs."""
    if not design.n_ids:
        return []
    ids = tuple(range(design.n_ids))
    return [*_identities(design), LanguageFunctions(ids, design.row)]


def _pair_kernels(design):
    """Return covariances of the profiles, and how each language goes with others'.

    Every language has a function of its own of what is known of the other side's.
    """
    return _profile_kernels(design) + [
        LanguageFunctions((side,), design.sides[1 - side] + design.own)
        for side in (0, 1)
        if design.sides[1 - side]
    ]


def _scaled(design, positions):
    """Return the positions of columns in their standardised form."""
    return tuple(design.n_columns + j for j in positions)


def _own_kernels(design):
    """Return covariances of what the row itself says."""
    linear = _scaled(design, design.proxy or design.row)
    rest = tuple(j for j in design.row if j not in design.proxy)
    kernels = [Trend(linear), Matern(rest + _scaled(design, design.proxy))]
    if design.proxy:
        kernels.append(SquaredExponential(linear))
    return kernels + _language_kernels(design)


def _proxy_kernels(design):
    """Return covariances of the proxies alone, which carry over farthest."""
    kernels = [Trend(_scaled(design, design.proxy)), SquaredExponential(design.proxy)]
    return kernels + _identities(design)


def _profile_kernels(design):
    """Return covariances of the row and of what is known of its languages."""
    sides = [side for side in design.sides if side]
    together = design.proxy + design.own + tuple(j for side in sides for j in side)
    linear = _scaled(design, design.proxy)
    kernels = [Trend(linear), SquaredExponential(linear), Matern(design.row)]
    kernels += [Matern(side) for side in sides]
    return [*kernels, Matern(together), *_language_kernels(design)]


@dataclass(frozen=True)
class _Columns:
    """Takes some columns of rows, in their units ("raw") or "gaussian"."""

    positions: tuple[int, ...]
    form: str

    def __call__(self, rows):
        return getattr(rows, self.form)[:, list(self.positions)]


def _frame(rows):
    """Return the languages and numbers of rows as they came."""
    return rows.frame


def make_members(design, n_samples, random_state):
    """Return {name: member} of what suits the columns of a design.

    Without a column that varies there are none.
    """
    from lightgbm import LGBMRegressor
    from sklearn.ensemble import ExtraTreesRegressor

    if not design.row:
        return {}
    is_small = n_samples < SMALL_TABLE
    boosting = LGBMRegressor(
        n_estimators=150 if is_small else 300,
        learning_rate=0.06,
        num_leaves=16,
        min_child_samples=5,
        subsample=0.8,
        subsample_freq=1,
        feature_fraction_bynode=0.5,
        max_bin=63,
        reg_lambda=1.0,
        random_state=random_state,
        deterministic=True,
        force_row_wise=True,
        n_jobs=1,
        verbose=-1,
    )
    trees = ExtraTreesRegressor(
        50 if is_small else 100,
        min_samples_leaf=2,
        max_features=0.4,
        random_state=random_state,
        n_jobs=1,
    )
    faster = {"n_estimators": 75 if is_small else 100, "learning_rate": 0.15}
    fewer = {"n_estimators": 20}
    ridge = RidgeCV(PENALTIES)
    row = _Columns(design.row, "raw")
    linear = design.proxy or design.row
    line = _Columns(linear, "scaled")
    members = {
        "gp": ProcessMember(_own_kernels(design), random_state, False),
        "lightgbm": EstimatorMember(boosting, row, False, line, faster),
        "extra_trees": EstimatorMember(trees, row, False, line, fewer),
        "ridge": EstimatorMember(ridge, line, False),
    }
    if design.proxy and design.row != design.proxy:
        members["gp_proxies"] = ProcessMember(
            _proxy_kernels(design), random_state, False, draws=("records",)
        )
    if len(design.languages) == 2:
        factorization = MatrixFactorizationRegressor(
            id_columns=list(design.languages), random_state=random_state
        )
        members["mf"] = EstimatorMember(factorization, _frame, False)
    profiles = tuple(j for side in design.sides for j in side)
    if profiles:
        wide = _Columns(design.row + profiles, "raw")
        members |= {
            "gp_profiles": ProcessMember(_profile_kernels(design), random_state, True),
            "lightgbm_profiles": EstimatorMember(boosting, wide, True, light=faster),
            "extra_trees_profiles": EstimatorMember(trees, wide, True, light=fewer),
            "ridge_profiles": EstimatorMember(
                ridge, _Columns(linear + profiles, "scaled"), True
            ),
        }
        if len(design.languages) == 2 and n_samples > DRAWN_ROWS:
            members["gp_pairs"] = ProcessMember(
                _pair_kernels(design), random_state, True, ("languages",)
            )
    # The slowest first, so that threads end together.
    is_fast = {name: isinstance(m, EstimatorMember) for name, m in members.items()}
    return {name: members[name] for name in sorted(members, key=is_fast.get)}
