"""The columns that the members of a stack are handed."""

import warnings
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.preprocessing import PowerTransformer

from proxylm.languages import is_pretrained, to_iso639_3
from proxylm.languages._pretraining import MODELS
from proxylm.languages._web_share import log_web_share
from proxylm.regression._gaussian_process import Rows
from proxylm.regression._ids import IdCoder
from proxylm.regression._kernels import NO_ID, UNSEEN
from proxylm.regression._profiles import LanguageProfiles

# Standardised features beyond this many deviations are drawn back to it.
FARTHEST = 5.0
LEAST_SPREAD = 1e-9
# A fine-tuned model is seldom worse than the best of the cheap ones.
BEST = "best proxy"


def _row_maxima(values):
    """Return the largest number of each row, NaN where there is none."""
    maxima = np.where(np.isnan(values), -np.inf, values).max(axis=1)
    return np.where(np.isinf(maxima), np.nan, maxima)


def _of_languages(languages, knowledge):
    """Return a column of what is known of languages, NaN for codes nobody knows."""
    known = {
        code: knowledge(code)
        for code in languages.dropna().unique()
        if isinstance(code, str) and to_iso639_3(code, errors="coerce")
    }
    return languages.map(known).to_numpy(dtype=np.float64)[:, None]


@dataclass(frozen=True)
class DesignRows:
    """Some rows, in every form that a member asks for.

    Attributes
    ----------
    raw : ndarray of shape (n_rows, n_columns)
        Features, proxies, `self` and profiles in their units, NaN where missing.
    gaussian : ndarray of shape (n_rows, n_columns)
        The same columns, transformed to look normal; 0 where missing.
    scaled : ndarray of shape (n_rows, n_columns)
        The same columns, standardised; 0 where missing.
    ids : ndarray of shape (n_rows, n_ids)
        Numbers of the languages of each side and of their pair, -1 if new;
        a language with itself is no pair, -2.
    frame : DataFrame
        The languages and numbers as they came.
    languages : ndarray of shape (n_rows, n_language_columns)
        Numbers of the languages of each side, -1 if new. Other than in `ids`, a
        language that meets itself keeps its number.
    is_profiled : ndarray of bool of shape (n_rows,)
        Whether all languages of the row have a profile.
    """

    raw: np.ndarray
    gaussian: np.ndarray
    scaled: np.ndarray
    ids: np.ndarray
    frame: pd.DataFrame
    languages: np.ndarray
    is_profiled: np.ndarray

    @property
    def n_unseen(self):
        """On how many sides the language of each row is new."""
        return (self.languages < 0).sum(axis=1)

    @property
    def gp_rows(self):
        """The rows as covariances take them: normal columns, then standardised ones."""
        return Rows(np.hstack([self.gaussian, self.scaled]), self.ids)

    def take(self, index):
        """Return some of the rows."""
        return DesignRows(
            self.raw[index],
            self.gaussian[index],
            self.scaled[index],
            self.ids[index],
            self.frame.iloc[index],
            self.languages[index],
            self.is_profiled[index],
        )

    def __len__(self):
        return len(self.raw)


class StackDesign:
    """Make the columns of a table, with what the languages' profiles add to them.

    Parameters
    ----------
    languages : sequence of str
        Language columns, none to two.
    proxies : sequence of str
        Columns with scores of proxies.
    model : str or None
        Name of the target model. Where its pre-training languages are known, whether
        it has seen the language of each side is a column.

    Attributes
    ----------
    row, proxy, own : tuple of int
        Positions of the row's columns, of the proxies and the best of them in each
        row, and of the columns that say whether a language meets itself and whether
        the model has seen it.
    sides : list of tuple of int
        Positions of the profiles of each language column. Columns without variance
        are in none.
    """

    def __init__(self, languages, proxies, model=None):
        self.languages = tuple(languages)
        self.proxies = tuple(proxies)
        self._knowledge = [log_web_share]
        if model in MODELS:
            self._knowledge.append(partial(is_pretrained, model=model))

    def fit(self, table, context):
        """Learn ids from the table, scales and profiles from table and context."""
        numbers = [name for name in table.columns if name not in self.languages]
        self.numbers = tuple(numbers)
        everything = table
        if context is not None:
            everything = pd.concat([table, context[table.columns]], ignore_index=True)
            everything = everything.drop_duplicates(ignore_index=True)
        self.coder = IdCoder(self.languages)
        self.coder.fit(table, len(table))
        self.profiles = LanguageProfiles(self.languages, self.proxies)
        self.profiles.fit(everything)
        raw, _ = self._raw(everything)
        self._fit_scales(raw)
        self._find_blocks(self._gaussian(self._raw(table)[0]))
        return self

    def transform(self, table):
        """Return the DesignRows of a table."""
        raw, is_profiled = self._raw(table)
        codes = self.coder.codes(table, len(table))
        languages = np.empty_like(codes)
        for k, name in enumerate(self.languages):
            labels = pd.Index(self.coder.labels[name])
            languages[:, k] = labels.get_indexer(table[name])
        ids = codes
        if len(self.languages) == 2:
            own = (table[self.languages[0]] == table[self.languages[1]]).to_numpy()
            pair = codes[:, 0] * (self.coder.n_codes[1] + 1) + codes[:, 1]
            pair[(codes < 0).any(axis=1)] = UNSEEN
            pair[own] = NO_ID
            ids = np.column_stack([codes, pair])
        frame = table.reset_index(drop=True)
        if self.proxies:
            frame[BEST] = raw[:, len(self.numbers)]
        gaussian, scaled = self._gaussian(raw), self._scaled(raw)
        return DesignRows(raw, gaussian, scaled, ids, frame, languages, is_profiled)

    def _raw(self, table):
        """Return all columns in their units, and which rows have profiles."""
        numbers = table[list(self.numbers)].to_numpy(dtype=np.float64)
        blocks = [numbers]
        if self.proxies:
            is_proxy = [name in self.proxies for name in self.numbers]
            blocks.append(_row_maxima(numbers[:, is_proxy])[:, None])
        is_profiled = np.ones(len(table), dtype=bool)
        if len(self.languages) == 2:
            own = table[self.languages[0]] == table[self.languages[1]]
            blocks.append(own.to_numpy(dtype=np.float64)[:, None])
        for knowledge in self._knowledge:
            blocks += [_of_languages(table[name], knowledge) for name in self.languages]
        if self.proxies:
            for name, profile, values in zip(
                self.languages,
                self.profiles.tables,
                self.profiles.transform(table),
                strict=True,
            ):
                blocks.append(values)
                is_profiled &= table[name].isin(profile.index).to_numpy()
        return np.hstack(blocks), is_profiled

    def _fit_scales(self, raw):
        """Learn a monotone transformation of every column that makes it normal."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            centre, spread = np.nanmean(raw, axis=0), np.nanstd(raw, axis=0)
            self._centre = np.nan_to_num(centre)
            varies = spread > LEAST_SPREAD * np.maximum(1.0, np.abs(self._centre))
            self._spread = np.where(varies, spread, 1.0)
            values = (raw - self._centre) / self._spread
            values[:, np.isnan(values).all(axis=0)] = 0.0  # nothing to transform
            self._power = PowerTransformer().fit(values)

    def _scaled(self, raw):
        values = np.nan_to_num((raw - self._centre) / self._spread)
        return np.clip(values, -FARTHEST, FARTHEST)

    def _gaussian(self, raw):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            values = self._power.transform((raw - self._centre) / self._spread)
        return np.clip(np.nan_to_num(values), -FARTHEST, FARTHEST)

    def _find_blocks(self, gaussian):
        """Set the positions of the columns that vary."""
        varies = gaussian.std(axis=0) > LEAST_SPREAD
        is_proxy = [name in self.proxies for name in self.numbers]
        n_own = len(self.numbers) + bool(self.proxies)
        n_row = n_own + (len(self.languages) == 2)
        n_row += len(self.languages) * len(self._knowledge)
        # The best proxy stands behind the numbers.
        proxy = np.append(np.flatnonzero(is_proxy), range(len(self.numbers), n_own))
        self.row = tuple(j for j in range(n_row) if varies[j])
        self.proxy = tuple(int(j) for j in proxy if varies[int(j)])
        self.own = tuple(j for j in range(n_own, n_row) if varies[j])
        self.sides, start = [], n_row
        if self.proxies:
            for profile in self.profiles.tables:
                stop = start + profile.shape[1]
                self.sides.append(tuple(j for j in range(start, stop) if varies[j]))
                start = stop

    @property
    def n_ids(self):
        """Number of ids: of the languages of each side, and of their pair."""
        return len(self.languages) + (len(self.languages) == 2)

    @property
    def n_columns(self):
        """Number of columns."""
        return len(self._centre)
