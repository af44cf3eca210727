import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from proxylm import CostAccuracyDisplay, Evaluation
from proxylm.inspection._cost_accuracy import front_of
from proxylm.inspection._placement import covered_areas, line_boxes

matplotlib.use("Agg")

COSTS = {"free": 0, "small": 1.0, "worse": 2.0, "large": 20.0, "dear": 400.0}
OFF = {"free": 5.0, "small": 3.0, "worse": 3.5, "large": 1.0, "dear": 7.0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def evaluation(off, *, seeds=(42, 43), name="ridge", metric="spBLEU", **signature):
    """Predictions that are off by so much, and by 0.5 more with each seed."""
    blocks = [
        pd.DataFrame(
            {
                "record": np.arange(4),
                "source": "ind",
                "target_language": "jav",
                "language": "",
                "side": "",
                "fold": 0,
                "seed": seed,
                "train_size": 1.0,
                "n_train": 10,
                "model": model,
                "truth": np.arange(4.0),
                "prediction": np.arange(4) + error + 0.5 * (seed - 42),
            }
        )
        for seed in seeds
        for model, error in ((name, off), ("baseline: mean", 6.0))
    ]
    return Evaluation(pd.concat(blocks), name=name, metric=metric, signature=signature)


def display_of(costs=COSTS, off=OFF, target_cost=100.0, **options):
    evaluations = {name: evaluation(off[name]) for name in costs}
    return CostAccuracyDisplay.from_evaluations(
        evaluations, costs, target_cost=target_cost, **options
    )


def test_table_has_the_errors_of_seeds_and_what_is_saved():
    table = display_of().table
    assert list(table.index) == ["free", "small", "worse", "large", "dear"]
    assert list(table["times_cheaper"]) == [np.inf, 100, 50, 5, 0.25]
    # Seeds are off by 3 and 3.5: a mean of 3.25, a standard deviation of sqrt(1/8).
    assert table.loc["small", "rmse"] == pytest.approx(3.25)
    assert table.loc["small", "standard_error"] == pytest.approx(0.25)


def test_the_front_has_what_nothing_as_cheap_beats():
    table = display_of().table
    assert list(table.index[table["on_front"]]) == ["free", "small", "large"]
    costs, errors = np.array([1.0, 1, 2, 3]), np.array([2.0, 1, 1, 0.5])
    assert front_of(costs, errors).tolist() == [False, True, False, True]
    # What is worse than a naive guess is not worth its cost.
    assert front_of(costs, errors, bound=0.7).tolist() == [False, False, False, True]


def test_the_order_of_the_sets_does_not_matter():
    backwards = {name: COSTS[name] for name in reversed(COSTS)}
    pd.testing.assert_frame_equal(display_of().table, display_of(backwards).table)


def test_points_lie_at_their_costs_and_errors():
    display = display_of()
    ax, table = display.ax_, display.table
    for name, row in table[table["cost"] > 0].iterrows():
        x, y = display.points_[name].get_xydata()[0]
        assert (x, y) == pytest.approx((row["times_cheaper"], row["rmse"]))
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    assert left > 100 > 0.25 > right  # the cheaper the farther to the left
    assert display.points_["free"].get_ydata()[0] == table.loc["free", "rmse"]
    assert display.baseline_.get_ydata()[0] == pytest.approx(6.25)
    assert display.target_.get_xdata()[0] == 1
    assert ax.get_xlabel() == "Times cheaper than the target"
    assert ax.get_ylabel() == "RMSE (spBLEU points)"


def test_the_line_of_the_front_is_the_lowest_error_at_each_cost():
    display = display_of()
    left, right = display.ax_.get_xlim()
    free, small, large = (
        display.table.loc[x, "rmse"] for x in ("free", "small", "large")
    )
    expected = [
        *[(left, free), (100, free), (100, small)],
        *[(5, small), (5, large), (right, large)],
    ]
    np.testing.assert_allclose(display.front_.get_xydata(), expected)


def test_without_anything_free_the_front_begins_at_the_cheapest():
    costs = {"small": 1.0, "large": 20.0}
    display = display_of(costs, baseline=None)
    assert display.baseline_ is None
    np.testing.assert_allclose(display.front_.get_xydata()[0], (100, 3.25))
    bad = display_of({"dear": 400.0})
    assert bad.front_ is None and not bad.table["on_front"].any()
    assert display_of({"free": 0}).front_ is None


def test_another_error_and_a_single_seed():
    evaluations = {"small": evaluation(3.0, seeds=[42])}
    display = CostAccuracyDisplay.from_evaluations(
        evaluations, {"small": 1, "unused": -1}, target_cost=10, error="mae"
    )
    assert display.table.loc["small", "mae"] == pytest.approx(3)
    assert np.isnan(display.table.loc["small", "standard_error"])
    assert display.ax_.get_ylabel() == "MAE (spBLEU points)"
    display.figure_.canvas.draw()


def test_display_draws_on_given_axes_with_given_points():
    figure, ax = plt.subplots()
    display = display_of(ax=ax, point_kwargs={"markersize": 11})
    assert display.ax_ is ax and display.figure_ is figure
    assert display.points_["small"].get_markersize() == 11
    assert display.points_["small"].get_color() != display.points_["worse"].get_color()


@pytest.mark.parametrize("n_sets", [3, 8, 12])
def test_names_cover_neither_each_other_nor_the_points(n_sets):
    rng = np.random.default_rng(n_sets)
    names = [f"proxies number {i}" for i in range(n_sets)]
    costs = dict(zip(names, 10 ** rng.uniform(0, 3, n_sets), strict=True))
    off = dict(zip(names, rng.uniform(1, 6, n_sets), strict=True))
    display = display_of(costs, off, target_cost=2_000)
    display.figure_.draw_without_rendering()
    boxes = np.array([name.get_window_extent().extents for name in display.names_])
    assert [name.get_text() for name in display.names_[1:]] == list(display.table.index)
    for i, box in enumerate(boxes):
        others = np.delete(boxes, i, axis=0)
        assert covered_areas(box[None], others) == 0
    spots = [
        line_boxes(display.ax_, np.repeat(display.points_[x].get_xydata(), 2, 0))
        for x in names
    ]
    assert covered_areas(boxes, np.vstack(spots)).sum() == 0
    frame = np.array([display.ax_.get_window_extent().extents])
    sizes = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    np.testing.assert_allclose(covered_areas(boxes, frame), sizes)


def test_covered_areas_are_those_of_the_overlaps():
    boxes = np.array([[0.0, 0, 4, 2], [10, 10, 11, 11]])
    others = np.array([[3.0, 1, 9, 9], [0, 0, 1, 1], [4, 0, 5, 2]])
    assert covered_areas(boxes, others).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"costs": {"a": 1}}, r"number for each of \['a', 'b'\]. Got none for \['b'\]"),
        ({"costs": {"a": 1, "b": -2}}, r"costs\['b'\] expects a number from 0. Got -2"),
        ({"costs": {"a": np.nan, "b": 2}}, r"costs\['a'\] expects .* Got nan"),
        ({"costs": {"a": "1", "b": 2}}, r"costs\['a'\] expects .* Got '1'"),
        ({"target_cost": 0}, r"target_cost expects a number above 0. Got 0"),
        ({"error": "r2"}, r"error expects one of \['rmse', 'mae'\]. Got 'r2'"),
        ({"baseline": "mean"}, r"'baseline: mean'\] or None. Got 'mean'"),
        ({"evaluations": {}}, "at least 1 evaluation"),
        (
            {"evaluations": {"a": evaluation(1.0), "b": evaluation(1.0, metric="TER")}},
            "the same metric in all. Got {'a': 'spBLEU', 'b': 'TER'}",
        ),
        (
            {"evaluations": {"a": evaluation(1.0), "b": evaluation(1.0, target="x")}},
            "the same target in all",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, message):
    evaluations = {"a": evaluation(1.0), "b": evaluation(2.0)}
    arguments = {"evaluations": evaluations, "costs": {"a": 1, "b": 2}}
    arguments |= {"target_cost": 9} | changes
    with pytest.raises(ValueError, match=message):
        CostAccuracyDisplay.from_evaluations(**arguments)
