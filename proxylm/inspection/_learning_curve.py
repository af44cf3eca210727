"""The error against the number of training records."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from proxylm.inspection._style import (
    BLUE,
    GREY,
    apart,
    bare_axes,
    error_label,
    new_axes,
    resolve_model,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE_STYLES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (2, 2)))


class LearningCurveDisplay:
    """Error against the number of training records.

    The evaluated model is drawn in colour with a band of one standard deviation over
    the seeds on either side, the naive baselines in grey.

    Parameters
    ----------
    curve : DataFrame
        One row per model and size, with the columns `model`, `n_train`, `rmse` and
        `rmse_std`.
    name : str, default=None
        The model to be drawn in colour. None takes the first one.
    metric : str, default=None
        Metric of the scores, for the labels.

    Attributes
    ----------
    lines_ : dict of str to matplotlib.lines.Line2D
        The line of each model.
    band_ : matplotlib.collections.FillBetweenPolyCollection or None
        The band around the model's line; None with a single seed.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : The same for any estimator, without
        seeds and baselines.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.inspection import LearningCurveDisplay
    >>> curve = pd.DataFrame(
    ...     {"model": "ridge", "n_train": [50, 100, 200], "rmse": [6.0, 4.1, 3.3],
    ...      "rmse_std": [0.8, 0.4, 0.2]}
    ... )
    >>> display = LearningCurveDisplay(curve=curve, metric="spBLEU").plot()
    >>> display.ax_.get_xlabel()
    'Training records'
    """

    def __init__(
        self, *, curve: pd.DataFrame, name: str | None = None, metric: str | None = None
    ) -> None:
        self.curve = curve
        self.name = name
        self.metric = metric

    @classmethod
    def from_evaluation(
        cls,
        evaluation: Any,
        *,
        model: str | None = None,
        ax: "Axes | None" = None,
        baselines: bool = True,
        line_kwargs: dict[str, Any] | None = None,
    ) -> "LearningCurveDisplay":
        """Plot the learning curve of an evaluation.

        Parameters
        ----------
        evaluation : Evaluation
            What :func:`proxylm.evaluate` returned with several `train_sizes`.
        model : str, default=None
            Name of the model to be drawn in colour. None takes the estimator that was
            evaluated.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        baselines : bool, default=True
            Whether to draw the naive baselines too.
        line_kwargs : dict, default=None
            Keywords for the model's line.

        Returns
        -------
        LearningCurveDisplay
            The display, drawn.
        """
        model = resolve_model(evaluation, model)
        curve = evaluation.learning_curve().reset_index()
        naive = curve["model"].str.startswith("baseline: ")
        curve = curve[(curve["model"] == model) | (naive & baselines)]
        n_sizes = curve["train_size"].nunique()
        if n_sizes < 2:
            raise ValueError(
                "LearningCurveDisplay expects an evaluation with at least 2 sizes of "
                f"the training set. Got {n_sizes}. Evaluate with cv='incremental' or "
                "train_sizes=[...]."
            )
        display = cls(curve=curve, name=model, metric=evaluation.metric)
        return display.plot(ax, line_kwargs=line_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, line_kwargs: dict[str, Any] | None = None
    ) -> "LearningCurveDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        line_kwargs : dict, default=None
            Keywords for the model's line.

        Returns
        -------
        LearningCurveDisplay
            The display itself.
        """
        ax = new_axes(6.4, 3.8) if ax is None else ax
        name = self.curve["model"].iloc[0] if self.name is None else self.name
        curves = {
            model: rows.sort_values("n_train")
            for model, rows in self.curve.groupby("model", sort=False)
        }
        dashes = iter(BASELINE_STYLES)
        styles = {
            model: {"color": GREY, "linewidth": 1.1, "linestyle": next(dashes)}
            for model in curves
            if model != name
        }
        styles[name] = {"color": BLUE, "linewidth": 1.8, "marker": "o"}
        styles[name] |= {"markersize": 4.5, "zorder": 3, **(line_kwargs or {})}

        self.lines_ = {
            model: ax.plot(rows["n_train"], rows["rmse"], **styles[model])[0]
            for model, rows in curves.items()
        }
        self.band_ = None
        own = curves[name]
        if (own["rmse_std"] > 0).any():
            self.band_ = ax.fill_between(
                own["n_train"],
                own["rmse"] - own["rmse_std"],
                own["rmse"] + own["rmse_std"],
                color=self.lines_[name].get_color(),
                alpha=0.18,
                linewidth=0,
            )
        ax.set_xlim(0, 1.02 * self.curve["n_train"].max())
        ax.set_ylim(0, 1.05 * self.curve["rmse"].max())
        ax.set(xlabel="Training records", ylabel=error_label("RMSE", self.metric))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        self._label_lines(ax)
        bare_axes(ax)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _label_lines(self, ax):
        """Name each line at its right end, the names apart from each other."""
        ends = [float(line.get_ydata()[-1]) for line in self.lines_.values()]
        height = ax.get_position().height * ax.figure.get_figheight() * 72
        gap = 13 / height * (ax.get_ylim()[1] - ax.get_ylim()[0])
        for (model, line), y in zip(self.lines_.items(), apart(ends, gap), strict=True):
            ax.annotate(
                model,
                xy=(1, y),
                xytext=(5, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize="small",
                color=line.get_color(),
                fontweight="bold" if line.get_zorder() == 3 else "normal",
                annotation_clip=False,
            )
