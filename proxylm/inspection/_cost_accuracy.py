"""The error of predictions against the cost of the proxies that they rest on."""

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from proxylm.inspection._placement import line_boxes, place_names
from proxylm.inspection._style import (
    BLUE,
    GREY,
    bare_axes,
    error_label,
    largest_size,
    new_axes,
    short_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ERRORS = {"rmse": "RMSE", "mae": "MAE"}


def _check_cost(name, cost, *, can_be_free=True):
    """Return a cost; a proxy may be free, the target not."""
    bound = "from 0" if can_be_free else "above 0"
    is_number = isinstance(cost, Real) and np.isfinite(cost)
    if not is_number or cost < 0 or (cost == 0 and not can_be_free):
        raise ValueError(f"{name} expects a number {bound}. Got {cost!r}.")
    return float(cost)


def _check_comparable(evaluations):
    """Refuse evaluations whose errors say nothing about each other."""
    if not evaluations:
        raise ValueError("evaluations expects at least 1 evaluation. Got none.")
    signatures = [evaluation.signature for evaluation in evaluations.values()]
    facts = {
        "metric": [evaluation.metric for evaluation in evaluations.values()],
        "target": [signature.get("target") for signature in signatures],
        "split": [signature.get("split") for signature in signatures],
    }
    for name, values in facts.items():
        if len(set(values)) > 1:
            raise ValueError(
                f"evaluations expects the same {name} in all. Got "
                f"{dict(zip(evaluations, values, strict=True))}."
            )


def _error_of(evaluation, model, error):
    """Return the mean error over seeds, and its standard error or NaN."""
    rows = evaluation.predictions
    rows = largest_size(rows[rows["model"] == model])
    per_seed = [
        type(evaluation)(part, name=model).summary()[error].iloc[0]
        for _, part in rows.groupby("seed")
    ]
    n_seeds = len(per_seed)
    spread = np.std(per_seed, ddof=1) / np.sqrt(n_seeds) if n_seeds > 1 else np.nan
    return float(np.mean(per_seed)), spread


def front_of(costs, errors, bound=np.inf):
    """Mark what has a lower error than a bound and than all that is no more costly."""
    on_front = np.zeros(len(costs), dtype=bool)
    for i in np.lexsort([errors, costs]):
        if errors[i] < bound:
            on_front[i], bound = True, errors[i]
    return on_front


class CostAccuracyDisplay:
    """Error of predictions against the cost of the proxies that they rest on.

    One point per set of proxies with its name, the cheaper the farther to the left, and
    a line of one standard error on either side. The front, in colour, has the sets that
    nothing beats which costs no more, and a line of the lowest error at each cost. Sets
    that cost nothing and the naive baseline are lines.

    Parameters
    ----------
    table : DataFrame of shape (n_sets, 5)
        Indexed by the name of the set, with the columns `cost`, `times_cheaper` (than
        the target), `rmse` or `mae`, `standard_error` and `on_front`.
    error : {"rmse", "mae"}, default="rmse"
        The error.
    baseline : tuple of (str, float), default=None
        Name and error of the naive baseline.
    metric : str, default=None
        Metric of the scores, for the label.

    Attributes
    ----------
    points_ : dict of str to matplotlib.lines.Line2D
        The point of each set, or its line.
    front_ : matplotlib.lines.Line2D or None
        The line of the front; None without a point on it.
    baseline_ : matplotlib.lines.Line2D or None
        The line of the naive baseline.
    target_ : matplotlib.lines.Line2D
        The line at the cost of the target.
    names_ : list of matplotlib.text.Annotation
        The names of lines and points.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    proxylm.ComputeCost : The operations that a model needs.
    LearningCurveDisplay : The error against the number of training records.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.inspection import CostAccuracyDisplay
    >>> table = pd.DataFrame(
    ...     {"cost": [1.0, 4.0], "times_cheaper": [40.0, 10.0], "rmse": [3.1, 2.6],
    ...      "standard_error": [0.1, 0.1], "on_front": [True, True]},
    ...     index=["small", "large"],
    ... )
    >>> display = CostAccuracyDisplay(table=table, metric="spBLEU").plot()
    >>> display.ax_.get_ylabel()
    'RMSE (spBLEU points)'
    """

    def __init__(
        self,
        *,
        table: pd.DataFrame,
        error: str = "rmse",
        baseline: tuple[str, float] | None = None,
        metric: str | None = None,
    ) -> None:
        self.table = table
        self.error = error
        self.baseline = baseline
        self.metric = metric

    @classmethod
    def from_evaluations(
        cls,
        evaluations: Mapping[str, Any],
        costs: Mapping[str, float],
        *,
        target_cost: float,
        error: str = "rmse",
        baseline: str | None = "baseline: mean",
        ax: "Axes | None" = None,
        point_kwargs: dict[str, Any] | None = None,
    ) -> "CostAccuracyDisplay":
        """Plot evaluations with one set of proxies each.

        Parameters
        ----------
        evaluations : mapping of str to Evaluation
            What :func:`proxylm.evaluate` returned with each set of proxies, by the name
            of the set.
        costs : mapping of str to float
            What the scores of each set cost, by the same names: operations, seconds,
            money. 0 is free.
        target_cost : float
            What the score of the target model costs, in the same unit.
        error : {"rmse", "mae"}, default="rmse"
            The error.
        baseline : str, default="baseline: mean"
            Name of the naive baseline to show, from the first evaluation. It is free,
            and nothing worse than it is on the front. None shows none.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        point_kwargs : dict, default=None
            Keywords for the points.

        Returns
        -------
        CostAccuracyDisplay
            The display, drawn.
        """
        if error not in ERRORS:
            raise ValueError(f"error expects one of {list(ERRORS)}. Got {error!r}.")
        _check_comparable(evaluations)
        missing = [name for name in evaluations if name not in costs]
        if missing:
            raise ValueError(
                f"costs expects a number for each of {list(evaluations)}. Got none for "
                f"{missing}."
            )
        target_cost = _check_cost("target_cost", target_cost, can_be_free=False)
        naive = None
        if baseline is not None:
            first = next(iter(evaluations.values()))
            known = list(first.predictions["model"].unique())
            if baseline not in known:
                raise ValueError(
                    f"baseline expects one of {known} or None. Got {baseline!r}."
                )
            naive = (short_name(baseline), _error_of(first, baseline, error)[0])
        rows = {}
        for name, evaluation in evaluations.items():
            cost = _check_cost(f"costs[{name!r}]", costs[name])
            rows[name] = (
                cost,
                target_cost / cost if cost else np.inf,
                *_error_of(evaluation, evaluation.name, error),
            )
        columns = ["cost", "times_cheaper", error, "standard_error"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        table = table.sort_values(["cost", error]).rename_axis("proxies")
        bound = np.inf if naive is None else naive[1]
        table["on_front"] = front_of(
            table["cost"].to_numpy(), table[error].to_numpy(), bound
        )
        metric = next(iter(evaluations.values())).metric
        display = cls(table=table, error=error, baseline=naive, metric=metric)
        return display.plot(ax, point_kwargs=point_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, point_kwargs: dict[str, Any] | None = None
    ) -> "CostAccuracyDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        point_kwargs : dict, default=None
            Keywords for the points.

        Returns
        -------
        CostAccuracyDisplay
            The display itself.
        """
        from matplotlib.ticker import LogLocator

        ax = new_axes(6.4, 4.2) if ax is None else ax
        is_free = np.isinf(self.table["times_cheaper"])
        free, paid = self.table[is_free], self.table[~is_free]
        style = {"marker": "o", "markersize": 6, "elinewidth": 1.1, "zorder": 3}
        self.points_ = {}
        for name, row in paid.iterrows():
            bar = row["standard_error"]
            color = BLUE if row["on_front"] else GREY
            self.points_[name] = ax.errorbar(
                row["times_cheaper"],
                row[self.error],
                yerr=None if np.isnan(bar) else bar,
                **(style | {"color": color} | (point_kwargs or {})),
            ).lines[0]
        thin = {"color": GREY, "linewidth": 1, "zorder": 1}
        heights = dict(free[self.error])
        for name, height in heights.items():
            self.points_[name] = ax.axhline(height, linestyle=(0, (1, 1.5)), **thin)
        self.baseline_ = None
        if self.baseline is not None:
            name, height = self.baseline
            self.baseline_ = ax.axhline(height, linestyle=(0, (5, 3)), **thin)
            heights[name] = height
        self.target_ = ax.axvline(1, **thin)
        ax.annotate(
            "target",
            xy=(1, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize="small",
            color=GREY,
        )
        ax.set_xscale("log")
        ends = np.log10([*paid["times_cheaper"], 1.0])
        steps = (1,) if np.ptp(ends) > 2 else (1, 2, 5)
        # From the cheapest set to the target, with room for names on either side.
        room = 0.12 * max(np.ptp(ends), 1)
        ax.set_xlim(10 ** (ends.max() + room), 10 ** (ends.min() - room / 2))
        ax.margins(y=0.1)
        ax.autoscale_view(scalex=False)
        ax.set(
            xlabel="Times cheaper than the target",
            ylabel=error_label(ERRORS[self.error], self.metric),
        )
        ax.xaxis.set_major_locator(LogLocator(subs=steps))
        ax.xaxis.set_major_formatter("{x:,.10g}×")
        ax.xaxis.set_minor_formatter("")
        bare_axes(ax)
        self._draw_front(ax, paid, heights)
        self._write_names(ax, paid, heights)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _draw_front(self, ax, paid, heights):
        """Draw the lowest error that is known at each cost."""
        self.front_ = None
        front = paid[paid["on_front"]]
        if front.empty:
            return
        left, right = ax.get_xlim()
        free = min(heights.values(), default=np.nan)
        times = [left, *np.repeat(front["times_cheaper"], 2), right]
        levels = np.repeat([free, *front[self.error]], 2)
        vertices = np.column_stack([times, levels])
        vertices = vertices[~np.isnan(levels)]
        (self.front_,) = ax.plot(*vertices.T, color=BLUE, linewidth=1.1, zorder=2)

    def _write_names(self, ax, paid, heights):
        """Name points and lines, where the names cover nothing."""
        ax.figure.canvas.figure.draw_without_rendering()  # settles the layout
        left, right = ax.get_xlim()
        drawn = [[(left, height), (right, height)] for height in heights.values()]
        drawn += [[(1, bound) for bound in ax.get_ylim()]]
        for _, row in paid.iterrows():
            ends = row[self.error] + row["standard_error"] * np.array([-1, 1])
            drawn += [[(row["times_cheaper"], end) for end in np.nan_to_num(ends)]]
        if self.front_ is not None:
            drawn.append(self.front_.get_xydata())
        names = [(name, (left, height), GREY) for name, height in heights.items()]
        for name, row in paid.iterrows():
            color = BLUE if row["on_front"] else GREY
            names.append((name, (row["times_cheaper"], row[self.error]), color))
        boxes = np.vstack([line_boxes(ax, vertices) for vertices in drawn])
        self.names_ = place_names(ax, names, boxes)
