"""What moves a prediction: Shapley values of columns, and their display."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proxylm import ContributionDisplay, ProxyRegressor
from proxylm.inspection._shapley import contributions_of, players_of, shapley_values

matplotlib.use("Agg")
RNG = np.random.default_rng(0)
NAMES = ["size", "bleu", "noise"]
BACKGROUND = pd.DataFrame(RNG.normal(size=(40, 3)), columns=NAMES)
X = pd.DataFrame(RNG.normal(2, 1, size=(7, 3)), columns=NAMES)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


class Given(RegressorMixin, BaseEstimator):
    """Predicts what a function says."""

    def __init__(self, function, languages=()):
        self.function = function
        self.languages_ = languages

    def predict(self, table):
        return self.function(table)


def moves_of(function, n_draws=280):
    players = players_of(Given(function), X)
    return shapley_values(function, X, BACKGROUND, players, n_draws, 0)


def test_of_a_line_they_are_its_terms():
    def line(table):
        return 3 * table["size"] - 2 * table["bleu"]

    moves, start, end = moves_of(line)
    # 140 draws of 7 rows and of 40: each of the rows as often, of the 40 nearly so.
    expected = 3 * (X["size"].mean() - BACKGROUND["size"].mean())
    assert moves[:, 0].mean() == pytest.approx(expected, abs=0.3)
    assert np.abs(moves[:, 2]).max() < 1e-12  # what the line does not use
    assert end == pytest.approx(line(X).mean())
    np.testing.assert_allclose(moves.mean(axis=0).sum(), end - start)


def test_an_interaction_is_shared_by_halves():
    """Of a product with a background of zeros each factor brings the half."""
    zeros = BACKGROUND * 0
    players = players_of(Given(None), X)
    moves, start, end = shapley_values(
        lambda table: table["size"] * table["bleu"], X, zeros, players, 14, 0
    )
    half = (X["size"] * X["bleu"]).mean() / 2
    # An order and its reverse give exactly the half, with so few draws too.
    np.testing.assert_allclose(moves.mean(axis=0), [half, half, 0], atol=1e-12)
    assert start == 0 and end == pytest.approx(2 * half)


def test_languages_are_shown_and_hidden_together():
    frame = X.assign(source_lang="aai", target_lang="aak")
    others = BACKGROUND.assign(source_lang="abt", target_lang="abx")
    pairs = []

    def function(table):
        pairs.extend(zip(table["source_lang"], table["target_lang"], strict=True))
        return 5.0 * (table["source_lang"] == "aai")

    estimator = Given(function, ("source_lang", "target_lang"))
    table, start, end = contributions_of(estimator, frame, others, random_state=0)
    assert set(pairs) == {("aai", "aak"), ("abt", "abx")}
    assert table.index[0] == "languages"
    assert table["contribution"].iloc[0] == pytest.approx(5)
    assert table["standard_error"].iloc[0] == pytest.approx(0)
    assert (start, end) == (0, 5)


def test_the_smallest_are_one_row_and_nothing_is_lost():
    estimator = Given(lambda table: table @ [1.0, 4.0, 0.5])
    full, start, end = contributions_of(estimator, X, BACKGROUND, random_state=0)
    short, *_ = contributions_of(
        estimator, X, BACKGROUND, max_features=1, random_state=0
    )
    assert list(full.index) == ["bleu", "size", "noise"]
    assert list(short.index) == ["bleu", "2 others"]
    assert short["contribution"].sum() == pytest.approx(end - start)


def test_other_seeds_are_no_farther_than_the_standard_errors_say():
    estimator = Given(lambda table: np.exp(table["size"]) * (1 + table["bleu"] ** 2))
    results = [
        contributions_of(estimator, X, BACKGROUND, n_draws=100, random_state=seed)[0]
        for seed in range(30)
    ]
    found = pd.concat(results)["contribution"].groupby("feature").std()
    said = pd.concat(results)["standard_error"].groupby("feature").mean()
    assert (found < 1.3 * said)[["size", "bleu"]].all()
    assert found["noise"] == said["noise"] == 0


def test_bars_lead_from_the_average_to_the_prediction():
    pipeline = make_pipeline(
        StandardScaler().set_output(transform="pandas"), LinearRegression()
    )
    pipeline.fit(BACKGROUND, BACKGROUND @ [1.0, 2.0, 0.0])
    display = ContributionDisplay.from_estimator(
        pipeline, X, background=BACKGROUND, name="new"
    )
    bars = display.bars_.patches
    assert bars[0].get_x() == pytest.approx(display.start)
    ends = [bar.get_x() + bar.get_width() for bar in bars]
    assert ends[-1] == pytest.approx(display.end)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == list(display.contributions.index)
    assert display.ax_.get_title(loc="left") == "new"
    ax = plt.subplots()[1]
    again = display.plot(ax, bar_kwargs={"height": 0.3})
    assert again.ax_ is ax and again.bars_.patches[0].get_height() == 0.3


def test_a_fitted_default_is_explained_in_one_line():
    frame = pd.concat([BACKGROUND, X], ignore_index=True)
    frame.insert(0, "source_lang", np.resize(["aai", "aak", "aau", "abt"], len(frame)))
    regressor = ProxyRegressor(random_state=0).fit(frame, 10 * frame["bleu"])
    new = frame[frame["source_lang"] == "aai"]
    display = ContributionDisplay.from_estimator(
        regressor, new, background=frame, n_draws=10
    )
    assert display.contributions.index[0] == "bleu"
    assert "languages" in display.contributions.index


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X": X[:0]}, "X expects a DataFrame with records. Got DataFrame of length 0"),
        ({"X": X.to_numpy()}, "X expects a DataFrame .* Got ndarray"),
        ({"background": BACKGROUND[:0]}, "background expects a DataFrame"),
        ({"n_draws": 1}, "n_draws expects at least 2. Got 1."),
    ],
)
def test_what_cannot_be_explained_is_refused(given, message):
    arguments = {"X": X, "background": BACKGROUND} | given
    with pytest.raises(ValueError, match=message):
        ContributionDisplay.from_estimator(Given(None), **arguments)
