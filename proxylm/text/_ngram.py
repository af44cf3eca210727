"""NGramLanguageModel, the cheapest proxy: how probable texts are after others."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

# What stands before a text: no character.
START = -1
# Unicode scalar values: what a character may be.
N_CHARACTERS = 0x110000 - 0x800


class _Order(NamedTuple):
    """The n-grams of one length: which there are, and what follows contexts."""

    keys: np.ndarray  # (n_grams,), sorted: shorter n-gram and the symbol before it
    counts: np.ndarray  # (n_grams,), less what is discounted
    totals: np.ndarray  # (n_contexts,)
    backoff: np.ndarray  # (n_contexts,), weight of the shorter n-gram


class NGramLanguageModel(BaseEstimator):
    r"""A language model of characters, with interpolated Kneser-Ney smoothing.

    It learns millions of characters in seconds, and needs nothing but texts.

    Parameters
    ----------
    order : int, default=6
        The longest n-grams, in characters: one more than what a character is
        predicted from.

    Attributes
    ----------
    alphabet_ : ndarray of shape (n_characters,)
        Code points of the characters that were seen.
    n_ngrams_ : ndarray of shape (order,)
        How many n-grams of each length were seen.

    See Also
    --------
    proxylm.ProxyScorer : Scores of small neural language models.

    Notes
    -----
    Modified Kneser-Ney smoothing [1]_: with the character w after the context h,

    .. math:: p(w | h) = \frac{a(hw) - D(a(hw))}{\sum_v a(hv)} +
        \frac{\sum_v D(a(hv))}{\sum_v a(hv)} \, p(w | h')

    where h' is h without its first character. For the longest n-grams a is how often
    one was seen, for shorter ones before how many different characters; of n-grams at
    the start of a text always how often. With N_c the n-grams of a length with a = c
    and Y = N_1 / (N_1 + 2 N_2), D(c) = c - (c + 1) Y N_{c+1} / N_c for c of 1 and 2,
    and D(3) for all above; where there are too few n-grams for that, D = Y or 1/2. The
    shortest context is none, below which all characters of Unicode are alike. The
    start of a text is known to the model, its end is not predicted. Probabilities of
    all characters add up to 1 after any context.

    References
    ----------
    .. [1] Chen and Goodman (1999). "An empirical study of smoothing techniques for
       language modeling". Computer Speech & Language 13 (4).

    Examples
    --------
    >>> import numpy as np
    >>> from proxylm.text import NGramLanguageModel
    >>> model = NGramLanguageModel(order=3).fit(["banana", "bandana"])
    >>> bits = -model.score_samples(["banana", "xylem"]) / np.log(2)
    >>> bits.round(1)
    array([  1.3, 112.3])
    """

    _parameter_constraints: ClassVar[dict] = {
        "order": [Interval(Integral, 1, None, closed="left")]
    }

    def __init__(self, order: int = 6) -> None:
        self.order = order

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Sequence[str], y: Any = None) -> "NGramLanguageModel":
        """Learn from texts.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
        y : None
            Ignored.

        Returns
        -------
        self : NGramLanguageModel

        Raises
        ------
        TypeError
            If X is a single text, or one of its texts is none.
        ValueError
            If there is no character to learn from.
        """
        code_points, starts, is_text = _read(X, self.order)
        if not is_text.any():
            raise ValueError("fit expects texts with at least 1 character. Got none.")
        self.alphabet_ = np.unique(code_points[is_text])
        symbols = self._symbols(code_points)
        self._orders = _count(
            symbols, starts, is_text, self.order, len(self.alphabet_) + 1
        )
        self.n_ngrams_ = np.array([len(order.counts) for order in self._orders])
        return self

    def score_samples(self, X: Sequence[str]) -> np.ndarray:
        """Return the log-likelihood of texts.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)

        Returns
        -------
        scores : ndarray of shape (n_texts,)
            Natural logarithms of probabilities; 0 of an empty text.
        """
        check_is_fitted(self)
        code_points, starts, is_text = _read(X, self.order)
        symbols = self._symbols(code_points)
        logs = _score(symbols, starts, is_text, self._orders, len(self.alphabet_) + 1)
        texts = np.cumsum(np.arange(len(starts)) == starts) - 1
        return np.bincount(texts[is_text], weights=logs, minlength=len(X))

    def score(self, X: Sequence[str], y: Any = None) -> float:
        """Return the log-likelihood of all texts together.

        Parameters
        ----------
        X : sequence of str of shape (n_texts,)
        y : None
            Ignored.

        Returns
        -------
        score : float
            Natural logarithm of the probability.
        """
        return float(self.score_samples(X).sum())

    def _symbols(self, code_points: np.ndarray) -> np.ndarray:
        """Return 0 for the start, the numbers of known characters from 1, else -1."""
        places = np.searchsorted(self.alphabet_, code_points)
        places[places == len(self.alphabet_)] = 0
        known = self.alphabet_[places] == code_points
        symbols = np.where(known, places + 1, -1)
        symbols[code_points == START] = 0
        return symbols


def _read(texts: Sequence[str], order: int):
    """Return the code points of texts, each behind so many starts as are looked back.

    Returns
    -------
    code_points : ndarray of shape (n_symbols,)
    starts : ndarray of shape (n_symbols,)
        Where the text of each begins.
    is_text : ndarray of shape (n_symbols,)
        What is a character.
    """
    if isinstance(texts, str):
        raise TypeError(f"X expects a sequence of texts. Got a text, {texts[:40]!r}.")
    n_starts = max(order - 1, 1)
    parts, lengths = [], []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"X expects texts. Got {text!r:.60} at {number}.")
        encoded = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        parts += [np.full(n_starts, START), encoded.astype(np.int64)]
        lengths.append(n_starts + len(encoded))
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool)
    code_points = np.concatenate(parts)
    ends = np.cumsum(lengths)
    starts = np.repeat(ends - lengths, lengths)
    return code_points, starts, code_points != START


def _before(symbols: np.ndarray, starts: np.ndarray, distance: int) -> np.ndarray:
    """Return the symbols so many places before; there are starts before a text."""
    return symbols[np.maximum(np.arange(len(symbols)) - distance, starts)]


def _previous(grams: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the n-grams that end one place before: the contexts."""
    return grams[np.maximum(np.arange(len(grams)) - 1, starts)]


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return what is taken from n-grams by their count: 0, 1, 2, and 3 or more."""
    n = np.bincount(np.minimum(counts, 5), minlength=6)[:5].astype(float)
    if n[1] == 0 or n[2] == 0:
        share = 0.5
    else:
        share = n[1] / (n[1] + 2 * n[2])
    plain = np.array([0.0, share, share, share])
    if (n[1:] == 0).any():
        return plain
    c = np.arange(1, 4)
    found = np.r_[0.0, c - (c + 1) * share * n[2:5] / n[1:4]]
    return found if (found[1:] > 0).all() else plain


def _count(symbols, starts, is_text, order, n_symbols) -> list[_Order]:
    """Count n-grams of all lengths up to the order."""
    grams = [np.zeros(len(symbols), dtype=np.int64)]
    found, keys, firsts = [], [], []
    for length in range(1, order + 1):
        # An n-gram is a shorter one that ends at the same place, and what is before.
        before = _before(symbols, starts, length - 1)
        unique, first, numbers = np.unique(
            grams[-1] * n_symbols + before, return_index=True, return_inverse=True
        )
        keys.append(unique)
        firsts.append(first)
        grams.append(numbers)
    for length in range(1, order + 1):
        n_grams = len(keys[length - 1])
        counts = np.bincount(grams[length][is_text], minlength=n_grams)
        if length < order:
            longer = np.unique(grams[length + 1][is_text])
            shorter = keys[length][longer] // n_symbols
            is_start = keys[length - 1] % n_symbols == 0
            different = np.bincount(shorter, minlength=n_grams)
            counts = np.where(is_start, counts, different)
        discounts = _discounts(counts[counts > 0])[np.minimum(counts, 3)]
        contexts = _previous(grams[length - 1], starts)[firsts[length - 1]]
        n_contexts = len(keys[length - 2]) if length > 1 else 1
        is_seen = counts > 0
        totals = np.bincount(contexts[is_seen], counts[is_seen], n_contexts)
        taken = np.bincount(contexts[is_seen], discounts[is_seen], n_contexts)
        backoff = np.divide(taken, totals, out=np.ones(n_contexts), where=totals > 0)
        found.append(_Order(keys[length - 1], counts - discounts, totals, backoff))
    return found


def _score(symbols, starts, is_text, orders, n_symbols) -> np.ndarray:
    """Return the natural logarithm of the probability of each character."""
    probabilities = np.full(is_text.sum(), 1 / N_CHARACTERS)
    grams = np.zeros(len(symbols), dtype=np.int64)
    for length, order in enumerate(orders, 1):
        contexts = _previous(grams, starts)[is_text]
        before = _before(symbols, starts, length - 1)
        keys = grams * n_symbols + before
        places = np.searchsorted(order.keys, keys)
        places[places == len(order.keys)] = 0
        known = (grams >= 0) & (before >= 0) & (order.keys[places] == keys)
        grams = np.where(known, places, -1)
        ending = grams[is_text]
        counts = np.where(ending >= 0, order.counts[ending], 0.0)
        totals = np.where(contexts >= 0, order.totals[contexts], 0.0)
        own = np.divide(counts, totals, out=np.zeros(len(counts)), where=totals > 0)
        backoff = np.where(totals > 0, order.backoff[contexts], 1.0)
        probabilities = own + backoff * probabilities
    return np.log(probabilities)
