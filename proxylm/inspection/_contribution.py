"""What moves the predictions of a language away from the average."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from proxylm.inspection._shapley import contributions_of
from proxylm.inspection._style import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    bare_axes,
    new_axes,
    score_label,
    short_number,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ContributionDisplay:
    """What moves the mean prediction of some records away from the average record.

    One bar per feature, the largest first, from the mean prediction of the background
    to that of the records: each bar starts where the one above it ends. Bars are
    Shapley values, with their standard errors as lines.

    Parameters
    ----------
    contributions : DataFrame of shape (n_features, n_columns)
        Indexed by the name of the feature, with the columns `contribution` and
        `standard_error`, in units of the score.
    start, end : float
        Mean prediction of the background and of the records.
    name : str, default=None
        What the records have in common, for the title.
    metric : str, default=None
        Metric of the scores, for the label.

    Attributes
    ----------
    bars_ : matplotlib.container.BarContainer
        The bars.
    errors_ : matplotlib.container.ErrorbarContainer
        The lines of the standard errors.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    LanguageErrorDisplay : The error of each language.

    Notes
    -----
    The languages of a record count as one feature: what its profile, its random effect
    and what is known of it bring. A column that is replaced by that of another record
    may make a record that can't be, as with any explanation that hides one column of
    several that go together.

    Examples
    --------
    >>> from proxylm import ContributionDisplay, ProxyRegressor, fetch_nusa
    >>> records = fetch_nusa(target="nllb")
    >>> new = records.groups.eq("mad").any(axis=1)
    >>> regressor = ProxyRegressor(context=records.data, random_state=0)
    >>> regressor = regressor.fit(records.data[~new], records.target[~new])
    >>> display = ContributionDisplay.from_estimator(
    ...     regressor, records.data[new], background=records.data[~new], n_draws=20
    ... )
    >>> display.contributions.columns.tolist()
    ['contribution', 'standard_error']
    """

    def __init__(
        self,
        *,
        contributions: pd.DataFrame,
        start: float,
        end: float,
        name: str | None = None,
        metric: str | None = None,
    ) -> None:
        self.contributions = contributions
        self.start = start
        self.end = end
        self.name = name
        self.metric = metric

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame,
        *,
        background: pd.DataFrame,
        n_draws: int = 200,
        max_features: int = 12,
        random_state: int | None = 0,
        name: str | None = None,
        ax: "Axes | None" = None,
        bar_kwargs: dict[str, Any] | None = None,
    ) -> "ContributionDisplay":
        """Plot what moves the predictions of some records.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor, or a pipeline that ends with one.
        X : DataFrame of shape (n_samples, n_features)
            The records to explain, such as those of a language.
        background : DataFrame of shape (n_background, n_features)
            The records that they are compared with, such as those of `fit`.
        n_draws : int, default=200
            How often a record, one of the background and an order of the features are
            drawn. Each takes as many predictions as there are features.
        max_features : int, default=12
            The smallest contributions beyond so many are drawn as one.
        random_state : int or None, default=0
            Seed of the draws.
        name : str, default=None
            What the records have in common, for the title.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        bar_kwargs : dict, default=None
            Keywords for the bars.

        Returns
        -------
        ContributionDisplay
            The display, drawn.
        """
        for given, label in ((X, "X"), (background, "background")):
            if not isinstance(given, pd.DataFrame) or not len(given):
                raise ValueError(
                    f"{label} expects a DataFrame with records. Got "
                    f"{type(given).__name__} of length {len(given)}."
                )
        if n_draws < 2:
            raise ValueError(f"n_draws expects at least 2. Got {n_draws}.")
        contributions, start, end = contributions_of(
            estimator,
            X,
            background,
            n_draws=n_draws,
            max_features=max_features,
            random_state=random_state,
        )
        schema = X.attrs.get("schema")
        display = cls(
            contributions=contributions,
            start=start,
            end=end,
            name=name,
            metric=getattr(schema, "metric", None),
        )
        return display.plot(ax, bar_kwargs=bar_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, bar_kwargs: dict[str, Any] | None = None
    ) -> "ContributionDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        bar_kwargs : dict, default=None
            Keywords for the bars.

        Returns
        -------
        ContributionDisplay
            The display itself.
        """
        moves = self.contributions["contribution"].to_numpy()
        ax = new_axes(6.4, 1.2 + 0.28 * len(moves)) if ax is None else ax
        rank = np.arange(len(moves))
        left = self.start + np.concatenate([[0], np.cumsum(moves)[:-1]])
        colors = [BLUE if move >= 0 else VERMILION for move in moves]
        style = {"height": 0.62, "color": colors} | (bar_kwargs or {})
        self.bars_ = ax.barh(rank, moves, left=left, **style)
        self.errors_ = ax.errorbar(
            left + moves,
            rank,
            xerr=self.contributions["standard_error"],
            fmt="none",
            ecolor=INK,
            elinewidth=1,
        )
        for value, label, height in (
            (self.start, "average", 1),
            (self.end, "prediction", 0),
        ):
            ax.axvline(value, color=GREY, linestyle=(0, (5, 3)), linewidth=1, zorder=0)
            ax.annotate(
                f"{label} {short_number(value)}",
                xy=(value, height),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize="small",
                color=GREY,
            )
        ax.set_yticks(rank, self.contributions.index)
        ax.set_ylim(len(moves) + 0.5, -0.6)
        ax.margins(x=0.08)
        ax.set_xlabel(score_label("Predicted", self.metric))
        if self.name:
            ax.set_title(self.name, loc="left", fontsize="medium", pad=18)
        bare_axes(ax, spines=("bottom",))
        ax.tick_params(axis="y", length=0)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
