"""The coverage of each language's intervals against their width."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from proxylm.inspection._style import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    apart,
    bare_axes,
    error_label,
    language_labels,
    new_axes,
    short_name,
    short_number,
    summary_at_largest_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Languages with a coverage below this are named.
LOW = 0.7


class CoverageDisplay:
    """Coverage of the intervals of each left-out language against their mean width.

    One dot per language. Intervals that know their own uncertainty are wide for
    languages that are hard to predict, and the dots of wide and of narrow intervals lie
    at the same height. A line marks the confidence level and a cross the means over
    languages. Languages whose intervals hold less than 70% of their scores are named.

    Parameters
    ----------
    coverages : DataFrame of shape (n_languages, n_columns)
        Indexed by language code, with the columns `coverage`, a share, and `width`.
    confidence_level : float, default=None
        Share of the scores that the intervals were to hold.
    mean : tuple of (float, float), default=None
        Mean width and coverage.
    name : str, default=None
        Name of the model.
    metric : str, default=None
        Metric of the scores, for the labels.

    Attributes
    ----------
    dots_ : matplotlib.collections.PathCollection
        The dots of the languages.
    line_ : matplotlib.lines.Line2D or None
        The line of the confidence level.
    mean_ : matplotlib.lines.Line2D or None
        The cross of the means.
    named_ : list of str
        Codes of the languages that are named, from the highest coverage down.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    LanguageErrorDisplay : The error of each language.
    proxylm.LanguageConformalRegressor : Intervals for any regressor.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.inspection import CoverageDisplay
    >>> coverages = pd.DataFrame(
    ...     {"coverage": [0.95, 0.6], "width": [8.0, 6.5]}, index=["ind", "swh"]
    ... )
    >>> display = CoverageDisplay(coverages=coverages, confidence_level=0.9).plot()
    >>> display.named_
    ['swh']
    """

    def __init__(
        self,
        *,
        coverages: pd.DataFrame,
        confidence_level: float | None = None,
        mean: tuple[float, float] | None = None,
        name: str | None = None,
        metric: str | None = None,
    ) -> None:
        self.coverages = coverages
        self.confidence_level = confidence_level
        self.mean = mean
        self.name = name
        self.metric = metric

    @classmethod
    def from_evaluation(
        cls,
        evaluation: Any,
        *,
        ax: "Axes | None" = None,
        dot_kwargs: dict[str, Any] | None = None,
    ) -> "CoverageDisplay":
        """Plot the coverage of the languages of an evaluation.

        Parameters
        ----------
        evaluation : Evaluation
            What :func:`proxylm.evaluate` returned with a `confidence_level`, for a
            split that leaves languages out.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        dot_kwargs : dict, default=None
            Keywords for the dots.

        Returns
        -------
        CoverageDisplay
            The display, drawn.
        """
        coverages = evaluation.by_language()
        if "coverage" not in coverages:
            raise ValueError(
                "CoverageDisplay expects an evaluation with intervals. Got columns "
                f"{list(evaluation.predictions)}. Pass confidence_level to evaluate."
            )
        mean = summary_at_largest_size(evaluation).loc[evaluation.name]
        display = cls(
            coverages=coverages[["coverage", "width"]],
            confidence_level=evaluation.signature.get("confidence_level"),
            mean=(mean["width"], mean["coverage"]),
            name=short_name(evaluation.name),
            metric=evaluation.metric,
        )
        return display.plot(ax, dot_kwargs=dot_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, dot_kwargs: dict[str, Any] | None = None
    ) -> "CoverageDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        dot_kwargs : dict, default=None
            Keywords for the dots.

        Returns
        -------
        CoverageDisplay
            The display itself.
        """
        ax = new_axes(6.4, 4.2) if ax is None else ax
        coverage, width = self.coverages["coverage"], self.coverages["width"]
        low = coverage < LOW
        self.line_ = self.mean_ = None
        if self.confidence_level is not None:
            self.line_ = ax.axhline(
                self.confidence_level, color=GREY, linestyle=(0, (5, 3)), linewidth=1
            )
            ax.annotate(
                f"confidence level {self.confidence_level:.0%}",
                xy=(0, self.confidence_level),  # no interval is as narrow as 0
                xytext=(3, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="left",
                fontsize="small",
                color=GREY,
            )
        style = {"s": 26, "linewidth": 0, "alpha": 0.75, "clip_on": False, "zorder": 3}
        style["c"] = [VERMILION if is_low else BLUE for is_low in low]
        self.dots_ = ax.scatter(width, coverage, **(style | (dot_kwargs or {})))
        if self.mean is not None:
            (self.mean_,) = ax.plot(
                *self.mean,
                color=INK,
                marker="+",
                markersize=13,
                markeredgewidth=1.6,
                linestyle="",
                zorder=4,
                label=f"mean {self.mean[1]:.0%}, width {short_number(self.mean[0])}",
            )
            ax.legend(
                loc="lower left", frameon=False, fontsize="small", handletextpad=0.2
            )
        if self.name:
            ax.set_title(self.name, loc="left", fontsize="medium")
        ax.set_xlim(0, 1.05 * width.max() if width.max() > 0 else 1)
        ax.set_ylim(min(0.5, coverage.min() - 0.05), 1.0)
        ax.set(
            xlabel=error_label("Mean width of the intervals", self.metric),
            ylabel="Share of the scores in their intervals",
        )
        ax.yaxis.set_major_formatter("{x:.0%}")
        bare_axes(ax)
        self._name_low(ax, self.coverages[low].sort_values("coverage")[::-1])
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _name_low(self, ax, low):
        """Name dots on their right, or left beyond the middle, apart in height."""
        self.named_ = list(low.index)
        if not self.named_:
            return
        points = ax.get_position().height * ax.figure.get_figheight() * 72
        gap = 11 / points * (ax.get_ylim()[1] - ax.get_ylim()[0])
        heights = apart(low["coverage"].to_numpy(), gap)
        middle = ax.get_xlim()[1] / 2
        for label, height, width in zip(
            language_labels(self.named_), heights, low["width"], strict=True
        ):
            on_left = width > middle
            ax.text(
                width + (-1 if on_left else 1) * middle / 40,
                height,
                label,
                ha="right" if on_left else "left",
                va="center",
                fontsize="small",
                color=VERMILION,
            )
