import subprocess
import sys
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from proxylm import Evaluation
from proxylm.inspection import (
    CoverageDisplay,
    LanguageErrorDisplay,
    LanguagePairDisplay,
    LearningCurveDisplay,
    PredictionDisplay,
)
from proxylm.inspection._style import METRIC_WORDS
from proxylm.records import SCORE_RANGES

matplotlib.use("Agg")

LANGUAGES = ["ind", "jav", "swh", "fin"]
# How far the predictions of each model are off where the language is left out.
OFF = {"ridge": 1.0, "baseline: mean": 4.0, "baseline: best proxy": 2.0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def pairs():
    """Every ordered pair of languages but ind -> fin, the true score first."""
    table = pd.DataFrame(
        [(i, j) for i in LANGUAGES for j in LANGUAGES if (i, j) != ("ind", "fin")],
        columns=["source", "target_language"],
    )
    rank = {language: place for place, language in enumerate(LANGUAGES)}
    table["truth"] = 20.0 + 5 * table["source"].map(rank)
    table["truth"] += table["target_language"].map(rank)
    return table


def leave_one_language_out(metric="spBLEU", name="ridge"):
    """Evaluation with every language left out in turn, the later the worse."""
    blocks = []
    for fold, language in enumerate(LANGUAGES):
        test = pairs().query("source == @language or target_language == @language")
        on_source = test["source"] == language
        on_target = test["target_language"] == language
        side = np.select(
            [on_source & on_target, on_source], ["both", "source"], default="target"
        )
        for model, off in OFF.items():
            errors = off * (1 + fold) * np.where(side == "source", 2.0, 1.0)
            blocks.append(
                test.assign(
                    record=test.index,
                    language=language,
                    side=side,
                    fold=fold,
                    seed=42,
                    train_size=1.0,
                    n_train=10,
                    model=model,
                    prediction=test["truth"] - errors,
                )
            )
    table = pd.concat(blocks, ignore_index=True)
    return Evaluation(table, name=name, metric=metric)


def random_split(sizes=(0.5, 1.0), seeds=(42, 43)):
    """Evaluation without left-out languages, the better the more it trains on."""
    blocks = [
        pairs().assign(
            record=np.arange(15),
            language="",
            side="",
            fold=0,
            seed=seed,
            train_size=size,
            n_train=int(100 * size),
            model=model,
            prediction=pairs()["truth"] + off / size + (seed - 42) * 0.5,
        )
        for size in sizes
        for seed in seeds
        for model, off in OFF.items()
    ]
    table = pd.concat(blocks, ignore_index=True)
    return Evaluation(table, name="ridge", metric="accuracy")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize(
    "display",
    [PredictionDisplay, LanguageErrorDisplay, LanguagePairDisplay],
)
def test_display_makes_a_figure_or_draws_on_given_axes(display):
    evaluation = leave_one_language_out()
    own = display.from_evaluation(evaluation)
    assert own.figure_ is own.ax_.figure
    figure, ax = plt.subplots()
    given = display.from_evaluation(evaluation, ax=ax)
    assert given.ax_ is ax
    assert given.figure_ is figure
    figure.canvas.draw()


@pytest.mark.parametrize(
    "display",
    [
        PredictionDisplay,
        LanguageErrorDisplay,
        LanguagePairDisplay,
        LearningCurveDisplay,
    ],
)
def test_unknown_model_is_refused_with_the_known_ones(display):
    with pytest.raises(ValueError, match=r"'ridge', 'baseline: mean'.*Got 'rigde'"):
        display.from_evaluation(random_split(), model="rigde")


def test_every_metric_has_words_for_the_axes():
    assert METRIC_WORDS.keys() == SCORE_RANGES.keys()


def test_import_does_not_load_matplotlib():
    code = "import proxylm.inspection, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# PredictionDisplay


def test_each_prediction_is_one_point():
    evaluation = leave_one_language_out()
    display = PredictionDisplay.from_evaluation(evaluation)
    own = evaluation.predictions.query("model == 'ridge'")
    drawn = np.sort(display.scatter_.get_offsets(), axis=0)
    expected = np.sort(own[["truth", "prediction"]], axis=0)
    np.testing.assert_allclose(drawn, expected)


def test_colour_tells_the_side_of_the_left_out_language():
    evaluation = leave_one_language_out()
    display = PredictionDisplay.from_evaluation(evaluation)
    own = evaluation.predictions.query("model == 'ridge'")
    sides = {}
    for x, y, side in zip(own["truth"], own["prediction"], own["side"], strict=True):
        sides.setdefault((x, y), set()).add(side)
    colours = {}
    for point, colour in zip(
        display.scatter_.get_offsets(), display.scatter_.get_facecolors(), strict=True
    ):
        for side in sides[tuple(point)] if len(sides[tuple(point)]) == 1 else ():
            colours.setdefault(side, set()).add(tuple(colour))
    assert {side: len(found) for side, found in colours.items()} == {
        "source": 1,
        "target": 1,
        "both": 1,
    }
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [
        "source language left out",
        "target language left out",
        "both left out",
        "prediction = truth",
    ]


def test_corner_says_the_figures_of_the_summary():
    evaluation = leave_one_language_out()
    display = PredictionDisplay.from_evaluation(evaluation)
    row = evaluation.summary().set_index("model").loc["ridge"]
    assert display.text_.get_text().splitlines() == [
        f"RMSE {row['rmse']:.2f} spBLEU points",
        f"Spearman {row['spearman']:.2f}",
        "(means over 4 languages)",
        "26 predictions",
    ]


def test_prediction_axes_are_equal_and_named_after_the_metric():
    display = PredictionDisplay.from_evaluation(random_split(), model="baseline: mean")
    assert display.ax_.get_xlim() == display.ax_.get_ylim()
    assert display.ax_.get_xlabel() == "True accuracy (%)"
    assert display.ax_.get_ylabel() == "Predicted accuracy (%)"
    assert display.ax_.get_title(loc="left") == "baseline: mean"


def test_prediction_display_draws_intervals_where_there_are_some():
    ends = np.array([[9.0, 13.0], [18.0, 24.0]])
    options = {"truth": [10.0, 21.0], "prediction": [11.0, 20.0]}
    assert PredictionDisplay(**options).plot().intervals_ is None
    display = PredictionDisplay(
        **options, interval=ends, confidence_level=0.9, metric="bits_per_text"
    ).plot()
    low, high = display.ax_.get_ylim()
    drawn = np.array(display.intervals_.get_segments())
    np.testing.assert_allclose(drawn[:, :, 0], [[10, 10], [21, 21]])
    np.testing.assert_allclose(drawn[:, :, 1], ends.clip(low, high))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["90% interval", "prediction = truth"]
    assert display.ax_.get_ylabel() == "Predicted bits per text"


def test_prediction_display_shows_the_largest_training_set():
    evaluation = random_split()
    display = PredictionDisplay.from_evaluation(evaluation)
    largest = evaluation.predictions.query("model == 'ridge' and train_size == 1")
    drawn = display.scatter_.get_offsets()[:, 1]
    np.testing.assert_allclose(np.sort(drawn), np.sort(largest["prediction"]))
    assert "languages" not in display.text_.get_text()


def test_absurd_predictions_stay_at_the_edge_and_are_counted():
    truth = np.linspace(10, 40, 31)
    display = PredictionDisplay(
        truth=truth, prediction=np.r_[truth[:-1], 28_000], rmse=5029.0
    ).plot()
    assert display.ax_.get_ylim()[1] < 60
    assert display.scatter_.get_offsets()[:, 1].max() == display.ax_.get_ylim()[1]
    assert "RMSE 5,029" in display.text_.get_text()
    assert "(1 beyond the axis, at its edge)" in display.text_.get_text()


def test_constant_scores_can_be_drawn():
    display = PredictionDisplay(truth=[5.0, 5.0], prediction=[5.0, 5.0]).plot()
    low, high = display.ax_.get_xlim()
    assert low < 5 < high


def test_scores_far_from_zero_have_axes_of_their_own():
    display = PredictionDisplay(truth=[0.7, 0.9], prediction=[0.75, 0.8]).plot()
    assert display.ax_.get_xlim()[0] > 0.6


def test_style_keywords_reach_matplotlib():
    display = PredictionDisplay.from_evaluation(
        random_split(), scatter_kwargs={"s": 3}, line_kwargs={"linewidth": 7}
    )
    assert display.scatter_.get_sizes() == [3]
    assert display.line_.get_linewidth() == 7


# LanguageErrorDisplay


def test_languages_are_sorted_with_the_largest_error_on_top():
    evaluation = leave_one_language_out()
    display = LanguageErrorDisplay.from_evaluation(evaluation)
    assert display.languages_ == LANGUAGES
    mean = evaluation.by_language()[["rmse_as_source", "rmse_as_target"]].mean(axis=1)
    assert mean[display.languages_].is_monotonic_increasing
    assert tick_labels(display.ax_.yaxis) == [
        "Indonesian (ind)",
        "Javanese (jav)",
        "Swahili (swh)",
        "Finnish (fin)",
    ]


def test_marks_lie_at_the_errors_of_their_side():
    evaluation = leave_one_language_out()
    display = LanguageErrorDisplay.from_evaluation(evaluation)
    errors = evaluation.by_language().loc[display.languages_]
    for column, dots in display.dots_.items():
        np.testing.assert_allclose(dots.get_xdata(), errors[column])
    shapes = {dots.get_marker() for dots in display.dots_.values()}
    assert len(shapes) == 2


def test_means_of_model_and_best_baseline_are_marked_and_named():
    evaluation = leave_one_language_out()
    display = LanguageErrorDisplay.from_evaluation(evaluation)
    rmse = evaluation.summary().set_index("model")["rmse"]
    assert display.lines_["model"].get_xdata()[0] == rmse["ridge"]
    assert display.lines_["baseline"].get_xdata()[0] == rmse["baseline: best proxy"]
    assert set(texts(display.ax_)) == {
        f"ridge\nmean {rmse['ridge']:.2f}",
        f"best baseline: best proxy\nmean {rmse['baseline: best proxy']:.2f}",
    }


def test_names_of_the_means_lie_on_either_side_of_them():
    display = LanguageErrorDisplay.from_evaluation(leave_one_language_out())
    display.figure_.canvas.draw()
    upper, lower = (text.get_window_extent() for text in display.ax_.texts)
    assert lower.x1 < upper.x0


def test_error_axis_starts_at_zero_and_has_a_unit():
    display = LanguageErrorDisplay.from_evaluation(leave_one_language_out("TER"))
    assert display.ax_.get_xlim()[0] == 0
    assert display.ax_.get_xlabel() == "RMSE (percentage points of TER)"


def test_a_baseline_beyond_all_languages_is_on_the_axis():
    errors = pd.DataFrame(
        {"rmse_as_source": [1.0, 1.5], "rmse_as_target": [1.2, 2.0]},
        index=["ind", "swh"],
    )
    display = LanguageErrorDisplay(
        errors=errors, mean=1.4, baseline=9.0, baseline_name="mean"
    )
    display.plot()
    assert display.ax_.get_xlim()[1] > 9
    display.figure_.draw_without_rendering()


def test_one_wild_error_does_not_squeeze_the_others():
    errors = pd.DataFrame(
        {"rmse_as_source": [2.0, 3.0, 28_000.0], "rmse_as_target": [4.0, 2.5, 3.5]},
        index=["ind", "jav", "zho"],
    )
    display = LanguageErrorDisplay(errors=errors, mean=4_700.0).plot()
    assert display.ax_.get_xscale() == "log"
    low, high = display.ax_.get_xlim()
    assert low < 2.0
    assert high > 28_000


def test_language_known_on_one_side_only_has_one_mark():
    errors = pd.DataFrame(
        {"rmse_as_source": [np.nan, np.nan], "rmse_as_target": [2.0, 1.0]},
        index=["ind", "jav"],
    )
    display = LanguageErrorDisplay(errors=errors).plot()
    assert list(display.dots_) == ["rmse_as_target"]
    assert display.languages_ == ["jav", "ind"]
    assert display.lines_ == {}


@pytest.mark.parametrize("ax_given", [False, True])
def test_labels_of_51_languages_do_not_overlap(ax_given):
    codes = "af am ar az bn cy da de el en es fa fi fr he hi hu hy id is it ja jv ka km"
    codes += " kn ko lv ml mn ms my nb nl pl pt ro ru sl sq sv sw ta te th tl tr ur vi"
    codes = [*codes.split(), "zh-CN", "zh-TW"]
    errors = pd.DataFrame(
        {"rmse_as_source": np.arange(51.0), "rmse_as_target": np.arange(51.0)},
        index=codes,
    )
    ax = plt.subplots()[1] if ax_given else None
    display = LanguageErrorDisplay(errors=errors).plot(ax)
    display.figure_.canvas.draw()
    labels = display.ax_.yaxis.get_ticklabels()
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) == 51
    for below, above in pairwise(boxes):
        assert below.y1 <= above.y0 + 1  # a pixel of the box is no ink


def test_split_without_languages_is_refused():
    with pytest.raises(ValueError, match="language left out"):
        LanguageErrorDisplay.from_evaluation(random_split())


# LanguagePairDisplay


def test_pairs_are_ordered_by_mean_truth_whatever_is_shown():
    for values in ("error", "truth", "prediction"):
        display = LanguagePairDisplay.from_evaluation(
            leave_one_language_out(), values=values
        )
        assert list(display.matrix.index) == LANGUAGES[::-1]
        # ind -> fin has no record, so the mean of fin is that of better sources.
        assert list(display.matrix.columns) == LANGUAGES[::-1]


def test_error_is_prediction_less_truth_averaged_over_folds():
    display = LanguagePairDisplay.from_evaluation(leave_one_language_out())
    # As source of fold 0 off by 2, as target of fold 1 off by 2.
    assert display.matrix.loc["ind", "jav"] == -2.0
    # As source of fold 3 off by 8, as target of fold 0 off by 1.
    assert display.matrix.loc["fin", "ind"] == -4.5
    np.testing.assert_allclose(display.image_.get_array(), display.matrix)


def test_error_scale_is_centred_at_zero():
    display = LanguagePairDisplay.from_evaluation(leave_one_language_out())
    low, high = display.image_.get_clim()
    assert low == -high < 0
    assert display.colorbar_.ax.get_ylabel() == "Prediction − truth\n(spBLEU points)"


def test_truth_scale_is_sequential_and_names_no_model():
    display = LanguagePairDisplay.from_evaluation(
        leave_one_language_out(), values="truth"
    )
    assert display.image_.get_clim() == (20.0, 38.0)
    assert display.colorbar_.ax.get_ylabel() == "True spBLEU"
    assert display.ax_.get_title(loc="left") == ""


def test_missing_pair_is_empty_and_explained():
    display = LanguagePairDisplay.from_evaluation(leave_one_language_out())
    assert display.image_.get_array().mask.sum() == 1
    assert np.isnan(display.matrix.loc["ind", "fin"])
    legend = display.colorbar_.ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["no record"]
    full = LanguagePairDisplay(matrix=display.matrix.drop(index="ind")).plot()
    assert full.colorbar_.ax.get_legend() is None


def test_pair_axes_name_the_languages():
    display = LanguagePairDisplay.from_evaluation(leave_one_language_out())
    assert tick_labels(display.ax_.xaxis) == LANGUAGES[::-1]
    assert tick_labels(display.ax_.yaxis)[0] == "Finnish (fin)"


def test_unknown_values_are_refused():
    with pytest.raises(ValueError, match=r"one of error, truth.*Got 'residual'"):
        LanguagePairDisplay.from_evaluation(random_split(), values="residual")


def test_records_of_one_language_have_no_pairs():
    evaluation = leave_one_language_out()
    evaluation.predictions["source"] = ""
    with pytest.raises(ValueError, match="Got records without 'source'"):
        LanguagePairDisplay.from_evaluation(evaluation)


def test_one_extreme_pair_does_not_wash_out_the_others():
    matrix = pd.DataFrame(np.ones((20, 20)), index=["ind"] * 20, columns=["ind"] * 20)
    matrix.iloc[0, 0] = 1000.0
    display = LanguagePairDisplay(matrix=matrix).plot()
    assert display.image_.get_clim() == (-1.0, 1.0)
    assert display.colorbar_.extend == "both"


def test_perfect_predictions_can_be_drawn():
    matrix = pd.DataFrame([[0.0, 0.0]], index=["ind"], columns=["jav", "swh"])
    LanguagePairDisplay(matrix=matrix).plot().figure_.canvas.draw()


# LearningCurveDisplay


def test_curve_has_a_line_per_model_through_its_errors():
    evaluation = random_split()
    display = LearningCurveDisplay.from_evaluation(evaluation)
    curve = evaluation.learning_curve()
    assert set(display.lines_) == set(OFF)
    for model, line in display.lines_.items():
        rows = curve[curve["model"] == model].sort_values("n_train")
        np.testing.assert_allclose(line.get_xdata(), [50, 100])
        np.testing.assert_allclose(line.get_ydata(), rows["rmse"])


def test_lines_are_named_at_their_ends_without_overlap():
    display = LearningCurveDisplay.from_evaluation(random_split())
    assert set(texts(display.ax_)) == set(OFF)
    display.figure_.canvas.draw()
    boxes = sorted(
        (text.get_window_extent() for text in display.ax_.texts), key=lambda b: b.y0
    )
    for below, above in pairwise(boxes):
        assert below.y1 <= above.y0


def test_equal_curves_keep_their_names_apart():
    curve = pd.DataFrame(
        {"model": np.repeat(list("abcd"), 2), "n_train": [1, 2] * 4, "rmse": 3.0}
    ).assign(rmse_std=0.0)
    display = LearningCurveDisplay(curve=curve).plot()
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    heights = sorted(box.y0 for box in boxes)
    assert np.diff(heights).min() >= boxes[0].height


def test_curve_axes_start_at_zero():
    ax = LearningCurveDisplay.from_evaluation(random_split()).ax_
    assert ax.get_xlim()[0] == ax.get_ylim()[0] == 0
    assert ax.get_xlabel() == "Training records"
    assert ax.get_ylabel() == "RMSE (percentage points of accuracy)"


def test_band_needs_more_than_one_seed():
    display = LearningCurveDisplay.from_evaluation(random_split())
    assert display.band_ is not None
    display = LearningCurveDisplay.from_evaluation(random_split(seeds=(42,)))
    assert display.band_ is None


def test_baselines_can_be_left_away_and_two_curves_share_axes():
    first = LearningCurveDisplay.from_evaluation(random_split(), baselines=False)
    assert set(first.lines_) == {"ridge"}
    second = LearningCurveDisplay.from_evaluation(
        random_split(), model="baseline: mean", baselines=False, ax=first.ax_
    )
    assert len(second.ax_.lines) > 1


def test_one_size_is_no_curve():
    with pytest.raises(ValueError, match=r"at least 2 sizes.*Got 1"):
        LearningCurveDisplay.from_evaluation(random_split(sizes=(1.0,)))


# CoverageDisplay


def with_intervals(half=3.0):
    """Evaluation of intervals of one width, for the estimator only."""
    evaluation = leave_one_language_out()
    table = evaluation.predictions
    own = table["prediction"].where(table["model"] == "ridge")
    table = table.assign(lower=own - half, upper=own + half)
    return Evaluation(
        table, name="ridge", metric="spBLEU", signature={"confidence_level": 0.8}
    )


def test_dots_lie_at_coverage_and_width_of_the_languages():
    evaluation = with_intervals()
    display = CoverageDisplay.from_evaluation(evaluation)
    expected = evaluation.by_language()[["width", "coverage"]]
    np.testing.assert_allclose(display.dots_.get_offsets(), expected)
    row = evaluation.summary().set_index("model").loc["ridge"]
    assert display.mean_.get_xdata() == [row["width"]]
    assert display.mean_.get_ydata() == [row["coverage"]]
    assert display.line_.get_ydata()[0] == 0.8
    assert display.ax_.get_xlabel() == "Mean width of the intervals (spBLEU points)"


def test_languages_of_low_coverage_are_named_apart():
    # As source fold f errs by 2 (f + 1), as target by half of it.
    display = CoverageDisplay.from_evaluation(with_intervals())
    assert set(display.named_[:2]) == {"jav", "swh"}
    assert display.named_[2:] == ["fin"]
    named = {f"({code})" for code in display.named_}
    said = [text for text in texts(display.ax_) if "confidence" not in text]
    assert {text.split()[-1] for text in said} == named
    display.figure_.canvas.draw()
    boxes = [
        text.get_window_extent()
        for text in display.ax_.texts
        if "confidence" not in text.get_text()
    ]
    boxes.sort(key=lambda box: box.y0)
    for below, above in pairwise(boxes):
        assert below.y1 <= above.y0 + 1


def test_coverage_display_draws_on_given_axes_and_needs_intervals():
    ax = plt.subplots()[1]
    assert CoverageDisplay.from_evaluation(with_intervals(), ax=ax).ax_ is ax
    with pytest.raises(ValueError, match="Pass confidence_level to evaluate"):
        CoverageDisplay.from_evaluation(leave_one_language_out())


def test_coverages_alone_can_be_drawn():
    coverages = pd.DataFrame({"coverage": [1.0, 0.9], "width": [4.0, 0.0]})
    display = CoverageDisplay(coverages=coverages).plot()
    assert display.line_ is display.mean_ is None
    assert display.named_ == []
