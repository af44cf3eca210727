"""A score that says how it was made, and its standard error by the bootstrap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# So many counts of segments are held at a time.
BLOCK = 1 << 22


@dataclass(frozen=True)
class Score:
    """A score with its standard error and its signature.

    Attributes
    ----------
    metric : str
        Name, as record tables have it.
    value : float
        In the units of the metric.
    standard_error : float
        Standard deviation of the score over bootstrap samples of the segments; NaN
        where none were drawn.
    signature : str
        How the score was made: two scores can be compared if theirs are the same.
    n_digits : int, default=2
        Digits behind the point that are shown.
    """

    metric: str
    value: float
    standard_error: float
    signature: str
    n_digits: int = 2

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        numbers = (self.value, self.standard_error)
        value, error = (f"{number:.{self.n_digits}f}" for number in numbers)
        return f"{self.metric} = {value} ± {error} ({self.signature})"


def check_segments(**segments: Sequence[str]) -> list[list[str]]:
    """Return lists of as many strings each, or say what is wrong."""
    lists = []
    for name, given in segments.items():
        if isinstance(given, str):
            raise TypeError(
                f"{name} expects a sequence of strings. Got one string, "
                f"{given[:40]!r}. Pass [text]."
            )
        given = list(given)
        for number, segment in enumerate(given):
            if not isinstance(segment, str):
                raise TypeError(
                    f"{name} expects strings. Number {number} is {segment!r:.60} of "
                    f"type {type(segment).__name__}."
                )
        lists.append(given)
    lengths = [len(given) for given in lists]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{' and '.join(segments)} expect the same number of segments. Got "
            f"{' and '.join(map(str, lengths))}."
        )
    if not lengths[0]:
        raise ValueError("A score expects at least one segment. Got none.")
    return lists


def bootstrap_error(
    statistics: np.ndarray,
    score: Callable[[np.ndarray], float],
    n_bootstrap: int,
    random_state: int,
) -> float:
    """Return the standard deviation of a score over resampled segments.

    Parameters
    ----------
    statistics : ndarray of shape (n_segments, n_statistics)
        What is added up over segments before a score is made of it.
    score : callable
        From the sum, of shape (n_statistics,), to the score.
    n_bootstrap : int
        Number of samples.
    random_state : int
        Seed of the samples: the same for every system and metric, so that their
        samples are of the same segments.

    Returns
    -------
    standard_error : float
        NaN with fewer than two samples.

    References
    ----------
    .. [1] Koehn (2004). "Statistical significance tests for machine translation
       evaluation". EMNLP.
    """
    if n_bootstrap < 2:
        return np.nan
    n_segments = len(statistics)
    shares = np.full(n_segments, 1 / n_segments)
    rng = np.random.default_rng(random_state)
    step = max(BLOCK // n_segments, 1)
    scores = []
    for start in range(0, n_bootstrap, step):
        n_samples = min(step, n_bootstrap - start)
        counts = rng.multinomial(n_segments, shares, size=n_samples)
        scores += [score(row) for row in counts @ statistics]
    return float(np.std(scores, ddof=1))
