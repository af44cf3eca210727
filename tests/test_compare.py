"""Which of two models is better: differences, probabilities, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from proxylm import LanguageConformalRegressor, ProxyRegressor, compare

LANGUAGES = ["aai", "aak", "aau", "abt", "abx", "acr", "adz", "agr", "ain", "aly"]


@pytest.fixture(scope="module")
def scores():
    """Two models that err together by language; the second gains from more data."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"source_lang": np.repeat(LANGUAGES, 12)})
    frame["size"] = rng.uniform(0, 1, len(frame))
    effect = pd.Series(rng.normal(0, 15, len(LANGUAGES)), LANGUAGES)
    shared = 40 + effect[frame["source_lang"]].to_numpy()
    first = shared + rng.normal(0, 0.5, len(frame))
    second = shared + 10 * (frame["size"] - 0.5) + rng.normal(0, 0.5, len(frame))
    return frame, first, second.to_numpy()


@pytest.fixture(scope="module")
def comparison(scores):
    frame, first, second = scores
    new = frame["source_lang"].isin(LANGUAGES[:2]).to_numpy()
    known = ~new
    X_new = frame[new].set_index(np.arange(1000, 1000 + new.sum()))
    found = compare(frame[known], first[known], second[known], X_new)
    return found, (first - second)[new], X_new


def test_what_both_share_does_not_make_the_difference_uncertain(comparison):
    found, truth, X_new = comparison
    pd.testing.assert_index_equal(found.index, X_new.index)
    # The languages' effects have a spread of 15; the difference knows nothing of them.
    assert np.abs(found["difference"] - truth).max() < 3
    assert (found["upper"] - found["lower"]).max() < 8
    assert ((found["lower"] <= truth) & (truth <= found["upper"])).mean() > 0.8


def test_the_probability_tells_who_wins(comparison):
    found, truth, _ = comparison
    clear = np.abs(truth) > 2
    assert ((found["probability"] > 0.5) == (truth > 0))[clear].all()
    assert found["probability"][clear & (truth > 0)].min() > 0.7


def test_the_lesser_score_may_be_the_better_one(scores, comparison):
    frame, first, second = scores
    known = ~frame["source_lang"].isin(LANGUAGES[:2])
    X_new = comparison[2]
    flipped = compare(
        frame[known], first[known], second[known], X_new, greater_is_better=False
    )
    np.testing.assert_allclose(
        flipped["probability"], 1 - comparison[0]["probability"], atol=1e-12
    )


def test_records_with_one_score_are_passed_over(scores):
    frame, first, second = scores
    holes = first.copy()
    holes[:60:2] = np.nan
    regressor = LanguageConformalRegressor(ProxyRegressor("ridge"), random_state=0)
    kept = np.isfinite(holes)
    results = [
        compare(*given, frame[:5], regressor=regressor, confidence_level=0.5)
        for given in (
            (frame, holes, second),
            (frame[kept], first[kept], second[kept]),
        )
    ]
    pd.testing.assert_frame_equal(*results)


def test_too_few_common_records_are_refused(scores):
    frame, first, second = scores
    first = np.where(np.arange(len(first)) < 9, first, np.nan)
    with pytest.raises(ValueError, match=r"at least 10 records .* Got 9\. Try both"):
        compare(frame, first, second, frame)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(frame, first[:-1], second, frame)
