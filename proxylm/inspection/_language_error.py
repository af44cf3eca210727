"""The error of each language."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from proxylm.inspection._style import (
    BLUE,
    GREY,
    INK,
    PALE,
    VERMILION,
    bare_axes,
    error_label,
    language_labels,
    new_axes,
    resolve_model,
    short_name,
    short_number,
    summary_at_largest_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = {
    "rmse_as_source": {"label": "as source", "color": BLUE, "marker": "o"},
    "rmse_as_target": {"label": "as target", "color": VERMILION, "marker": "D"},
}
ROW_HEIGHT = 0.165  # inches
# Times the median error from which on the largest one needs a logarithmic scale.
WILD = 25


class LanguageErrorDisplay:
    """Dot plot of the error of each language when it was left out.

    One row per language, the hardest on top: its root mean squared error where it is
    the source of a record and where it is the target. Lines mark the means over all
    languages of the model and of the best naive baseline. The scale starts at 0, but is
    logarithmic where single errors exceed all others by far.

    Parameters
    ----------
    errors : DataFrame of shape (n_languages, n_columns)
        Errors, indexed by language code, in the columns `rmse_as_source` and
        `rmse_as_target` (either may hold missing values).
    mean : float, default=None
        Mean error of the model.
    baseline : float, default=None
        Mean error of the best naive baseline.
    baseline_name : str, default=None
        Name of that baseline.
    name : str, default=None
        Name of the model.
    metric : str, default=None
        Metric of the scores, for the labels.

    Attributes
    ----------
    dots_ : dict of str to matplotlib.lines.Line2D
        The marks of each column of `errors`.
    lines_ : dict of str to matplotlib.lines.Line2D
        The lines of the means, "model" and "baseline".
    languages_ : list of str
        Language codes from the lowest row, the smallest error, to the highest.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    PredictionDisplay : Every prediction against its true score.
    LanguagePairDisplay : The errors of all pairs of languages.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.inspection import LanguageErrorDisplay
    >>> errors = pd.DataFrame(
    ...     {"rmse_as_source": [3.1, 2.0], "rmse_as_target": [2.5, 4.5]},
    ...     index=["ind", "swh"],
    ... )
    >>> display = LanguageErrorDisplay(errors=errors, metric="chrF2++").plot()
    >>> display.languages_
    ['ind', 'swh']
    """

    def __init__(
        self,
        *,
        errors: pd.DataFrame,
        mean: float | None = None,
        baseline: float | None = None,
        baseline_name: str | None = None,
        name: str | None = None,
        metric: str | None = None,
    ) -> None:
        self.errors = errors
        self.mean = mean
        self.baseline = baseline
        self.baseline_name = baseline_name
        self.name = name
        self.metric = metric

    @classmethod
    def from_evaluation(
        cls,
        evaluation: Any,
        *,
        model: str | None = None,
        ax: "Axes | None" = None,
        dot_kwargs: dict[str, Any] | None = None,
    ) -> "LanguageErrorDisplay":
        """Plot the errors of the languages of an evaluation.

        Parameters
        ----------
        evaluation : Evaluation
            What :func:`proxylm.evaluate` returned for a split that leaves languages
            out.
        model : str, default=None
            Name of the model to show, also that of a baseline. None takes the
            estimator that was evaluated.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure, high enough for the languages.
        dot_kwargs : dict, default=None
            Keywords for the marks.

        Returns
        -------
        LanguageErrorDisplay
            The display, drawn.
        """
        model = resolve_model(evaluation, model)
        errors = evaluation.by_language(model=model)
        rmse = summary_at_largest_size(evaluation)["rmse"]
        naive = rmse[rmse.index.str.startswith("baseline: ") & (rmse.index != model)]
        best = naive.idxmin() if len(naive) else None
        display = cls(
            errors=errors,
            mean=rmse[model],
            baseline=None if best is None else naive[best],
            baseline_name=None if best is None else short_name(best),
            name=short_name(model),
            metric=evaluation.metric,
        )
        return display.plot(ax, dot_kwargs=dot_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, dot_kwargs: dict[str, Any] | None = None
    ) -> "LanguageErrorDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure, high enough for the languages.
        dot_kwargs : dict, default=None
            Keywords for the marks.

        Returns
        -------
        LanguageErrorDisplay
            The display itself.
        """
        sides = [column for column in SIDES if self.errors[column].notna().any()]
        errors = self.errors[sides]
        errors = errors.loc[errors.mean(axis=1).sort_values(kind="stable").index]
        self.languages_ = list(errors.index)
        rows = range(len(errors))
        if ax is None:
            ax = new_axes(5.4, 1.1 + ROW_HEIGHT * max(len(errors), 6))

        ax.hlines(
            rows, errors.min(axis=1), errors.max(axis=1), color=GREY, linewidth=0.9
        )
        # The circle is wider than the diamond, so that it shows behind it.
        self.dots_ = {
            column: ax.plot(
                errors[column],
                rows,
                **{"linestyle": "", "markersize": size, "markeredgewidth": 0}
                | SIDES[column]
                | (dot_kwargs or {}),
            )[0]
            for column, size in zip(sides, (6, 4.2), strict=False)
        }
        # Under the names of the languages, where no mark can be.
        ax.legend(
            loc="upper right",
            bbox_to_anchor=(0, 0),
            borderaxespad=1.0,
            frameon=False,
            fontsize="small",
            handletextpad=0.2,
        )

        ax.set(ylim=(-0.8, len(errors) - 0.2), xlabel=error_label("RMSE", self.metric))
        largest = errors.max(axis=None)
        if largest > WILD * errors.stack().median():
            ax.set(
                xscale="log",
                xlim=(0.8 * errors[errors > 0].min(axis=None), 1.25 * largest),
            )
        else:
            means = [mean for mean in (self.mean, self.baseline) if mean is not None]
            ax.set_xlim(0, 1.04 * max([largest, *means]))
        self._draw_means(ax)
        bare_axes(ax, spines=("bottom",))
        ax.grid(axis="y", color=PALE, linewidth=0.6)
        ax.set_yticks(rows, language_labels(self.languages_))
        ax.tick_params(axis="y", length=0, labelsize=self._label_size(ax))
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _draw_means(self, ax):
        """Mark both means, each named above its line, away from the other."""
        means = [
            (self.mean, "model", self.name or "model", INK, "-"),
            (
                self.baseline,
                "baseline",
                f"best baseline: {self.baseline_name}",
                GREY,
                (0, (5, 3)),
            ),
        ]
        means = sorted((mean for mean in means if mean[0] is not None), reverse=True)
        self.lines_ = {}
        for (value, key, label, colour, linestyle), side in zip(
            means, ("left", "right"), strict=False
        ):
            self.lines_[key] = ax.axvline(
                value, color=colour, linestyle=linestyle, linewidth=1, zorder=1
            )
            ax.annotate(
                f"{label}\nmean {short_number(value)}",
                xy=(value, 1),
                xytext=(3 if side == "left" else -3, 3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha=side,
                va="bottom",
                fontsize="small",
                color=colour,
            )

    def _label_size(self, ax):
        """Size of the labels of the rows in points, less where rows are low."""
        height = ax.get_position().height * ax.figure.get_figheight() * 72
        return float(min(8.0, max(3.0, 0.8 * height / len(self.languages_))))
