"""Predicted against true scores."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from proxylm.inspection._style import (
    BLUE,
    GREEN,
    INK,
    VERMILION,
    bare_axes,
    error_unit,
    largest_size,
    new_axes,
    resolve_model,
    score_label,
    short_number,
    summary_at_largest_size,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = {
    "source": ("source language left out", BLUE),
    "target": ("target language left out", VERMILION),
    "both": ("both left out", GREEN),
    "": ("record left out", BLUE),
}


def _limits(truth, prediction):
    """Choose the axes: the true scores, and the predictions not far from them."""
    low, high = truth.min(), truth.max()
    span = (high - low) or 1.0
    low = max(low - 0.25 * span, min(low, prediction.min()))
    high = min(high + 0.25 * span, max(high, prediction.max()))
    if 0 < low < high / 3:
        low = 0.0
    margin = 0.025 * ((high - low) or 1.0)
    return low - margin, high + margin


class PredictionDisplay:
    """Scatter plot of predicted against true scores.

    Each point is a prediction for a record that was left out. Points on the diagonal
    are right; the colour tells on which side of the record the left-out language is.
    Intervals are thin lines: those that cross the diagonal hold.

    Parameters
    ----------
    truth : array-like of shape (n_predictions,)
        True scores.
    prediction : array-like of shape (n_predictions,)
        Predicted scores.
    interval : array-like of shape (n_predictions, 2), default=None
        Lower and upper end of the interval of each prediction.
    side : array-like of shape (n_predictions,), default=None
        Side of each record that its left-out language is on: "source", "target",
        "both", or "" where no language was left out.
    rmse : float, default=None
        Root mean squared error to be written in the corner.
    spearman : float, default=None
        Rank correlation to be written in the corner.
    n_languages : int, default=None
        Number of languages over which both are means, to be written beside them.
    name : str, default=None
        Name of the model, for the title.
    metric : str, default=None
        Metric of the scores, for the labels.
    confidence_level : float, default=None
        That of the intervals, for their label.

    Attributes
    ----------
    scatter_ : matplotlib.collections.PathCollection
        The points.
    line_ : matplotlib.lines.Line2D
        The diagonal.
    intervals_ : matplotlib.collections.LineCollection or None
        The intervals, None where there are none.
    text_ : matplotlib.text.Text
        The figures in the corner.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    LanguageErrorDisplay : The error of each language.
    sklearn.metrics.PredictionErrorDisplay : Residuals of any regressor.

    Examples
    --------
    >>> from proxylm.inspection import PredictionDisplay
    >>> display = PredictionDisplay(
    ...     truth=[10.4, 21.0, 35.5], prediction=[12.0, 20.1, 33.9], metric="spBLEU"
    ... ).plot()
    >>> display.ax_.get_ylabel()
    'Predicted spBLEU'
    """

    def __init__(
        self,
        *,
        truth: ArrayLike,
        prediction: ArrayLike,
        interval: ArrayLike | None = None,
        side: ArrayLike | None = None,
        rmse: float | None = None,
        spearman: float | None = None,
        n_languages: int | None = None,
        name: str | None = None,
        metric: str | None = None,
        confidence_level: float | None = None,
    ) -> None:
        self.truth = truth
        self.prediction = prediction
        self.interval = interval
        self.side = side
        self.rmse = rmse
        self.spearman = spearman
        self.n_languages = n_languages
        self.name = name
        self.metric = metric
        self.confidence_level = confidence_level

    @classmethod
    def from_evaluation(
        cls,
        evaluation: Any,
        *,
        model: str | None = None,
        ax: "Axes | None" = None,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> "PredictionDisplay":
        """Plot the predictions of an evaluation.

        Where several sizes of the training set were tried, the largest is shown.

        Parameters
        ----------
        evaluation : Evaluation
            What :func:`proxylm.evaluate` returned.
        model : str, default=None
            Name of the model to show, also that of a baseline. None takes the
            estimator that was evaluated.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`.
        line_kwargs : dict, default=None
            Keywords for the diagonal.

        Returns
        -------
        PredictionDisplay
            The display, drawn.
        """
        model = resolve_model(evaluation, model)
        predictions = evaluation.predictions
        predictions = largest_size(predictions[predictions["model"] == model])
        left_out = predictions["language"]
        figures = summary_at_largest_size(evaluation).loc[model]
        interval = None
        # Baselines have none.
        if "lower" in predictions and predictions["lower"].notna().all():
            interval = predictions[["lower", "upper"]].to_numpy()
        display = cls(
            truth=predictions["truth"].to_numpy(),
            prediction=predictions["prediction"].to_numpy(),
            interval=interval,
            side=predictions["side"].to_numpy(),
            rmse=figures["rmse"],
            spearman=figures["spearman"],
            n_languages=left_out[left_out != ""].nunique(),
            name=model,
            metric=evaluation.metric,
            confidence_level=evaluation.signature.get("confidence_level"),
        )
        return display.plot(ax, scatter_kwargs=scatter_kwargs, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> "PredictionDisplay":
        """Draw the display.

        Predictions far beyond every true score are drawn at the edge and counted in
        the corner, so that a few of them don't flatten the rest.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure.
        scatter_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.scatter`.
        line_kwargs : dict, default=None
            Keywords for the diagonal.

        Returns
        -------
        PredictionDisplay
            The display itself.
        """
        from matplotlib.lines import Line2D

        ax = new_axes(4.8, 4.8) if ax is None else ax
        truth = np.asarray(self.truth, dtype=float)
        prediction = np.asarray(self.prediction, dtype=float)
        side = np.full(len(truth), "") if self.side is None else np.asarray(self.side)
        low, high = _limits(truth, prediction)
        n_beyond = int(((prediction < low) | (prediction > high)).sum())

        self.intervals_ = None
        if self.interval is not None:
            ends = np.asarray(self.interval, dtype=float).clip(low, high)
            style = {"color": "0.8", "linewidth": 1.2, "zorder": 0}
            self.intervals_ = ax.vlines(truth, *ends.T, **style)

        # Shuffled, so that no colour lies on top of another one.
        order = np.random.default_rng(0).permutation(len(truth))
        style = {
            "s": np.clip(900 / np.sqrt(len(truth)), 9, 36),
            "alpha": 0.75 if len(truth) < 300 else 0.45,
            "linewidths": 0,
            "rasterized": len(truth) > 5000,
        }
        self.scatter_ = ax.scatter(
            truth[order],
            prediction[order].clip(low, high),
            c=[SIDES[word][1] for word in side[order]],
            **style | (scatter_kwargs or {}),
        )
        style = {"color": INK, "linewidth": 1, "linestyle": (0, (5, 3)), "zorder": 3}
        self.line_ = ax.plot([low, high], [low, high], **style | (line_kwargs or {}))[0]

        self.text_ = ax.annotate(
            "\n".join(self._corner(len(truth), n_beyond)),
            xy=(0, 1),
            xytext=(6, -6),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize="small",
            linespacing=1.4,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
        )
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="", label=label)
            for key, (label, colour) in SIDES.items()
            if (side == key).any()
        ]
        self.line_.set_label("prediction = truth")
        handles = handles if len(handles) > 1 else []
        if self.intervals_ is not None:
            level = self.confidence_level
            self.intervals_.set_label(
                "interval" if level is None else f"{level:.0%} interval"
            )
            handles = [*handles, self.intervals_]
        ax.legend(
            handles=[*handles, self.line_],
            loc="lower right",
            fontsize="small",
            handlelength=1.6,
            borderaxespad=0.2,
            framealpha=0.8,
            edgecolor="none",
        )
        ax.set(
            xlim=(low, high),
            ylim=(low, high),
            xlabel=score_label("True", self.metric),
            ylabel=score_label("Predicted", self.metric),
        )
        ax.set_aspect("equal")
        if self.name is not None:
            ax.set_title(self.name, loc="left", fontsize="medium", fontweight="bold")
        bare_axes(ax)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _corner(self, n_predictions, n_beyond):
        """Lines of text for the corner."""
        if self.rmse is not None:
            unit = error_unit(self.metric)
            yield f"RMSE {short_number(self.rmse)} {unit}".rstrip()
        if self.spearman is not None:
            yield f"Spearman {self.spearman:.2f}"
        if self.n_languages:
            yield f"(means over {self.n_languages} languages)"
        yield f"{n_predictions:,} predictions"
        if n_beyond:
            yield f"({n_beyond:,} beyond the axis, at its edge)"
