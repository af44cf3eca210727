"""Scores and errors of all pairs of languages."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from proxylm.inspection._style import (
    GREY,
    error_label,
    language_labels,
    largest_size,
    new_axes,
    resolve_model,
    score_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALUES = ("error", "truth", "prediction")
CELL = 0.135  # inches
BAR = 3.0  # inches
EMPTY = "0.86"


class LanguagePairDisplay:
    """Heat map of a value for each pair of a source and a target language.

    Languages are ordered by the mean of their true scores, the highest first, so that
    maps of the error, the truth and the prediction lie over each other.

    Parameters
    ----------
    matrix : DataFrame of shape (n_sources, n_targets)
        Value of each pair, in the order of drawing; missing where there is no record.
    values : {"error", "truth", "prediction"}, default="error"
        What the values are. The error is the prediction less the truth.
    name : str, default=None
        Name of the model, for the title.
    metric : str, default=None
        Metric of the scores, for the labels.

    Attributes
    ----------
    image_ : matplotlib.image.AxesImage
        The cells.
    colorbar_ : matplotlib.colorbar.Colorbar
        The scale of colours.
    ax_ : matplotlib.axes.Axes
        Axes with the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    LanguageErrorDisplay : The error of each language.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm.inspection import LanguagePairDisplay
    >>> matrix = pd.DataFrame(
    ...     [[1.5, -0.5], [float("nan"), 0.2]], index=["ind", "jav"],
    ...     columns=["ind", "jav"],
    ... )
    >>> display = LanguagePairDisplay(matrix=matrix, metric="spBLEU").plot()
    >>> display.image_.get_clim()
    (-1.5, 1.5)
    """

    def __init__(
        self,
        *,
        matrix: pd.DataFrame,
        values: str = "error",
        name: str | None = None,
        metric: str | None = None,
    ) -> None:
        self.matrix = matrix
        self.values = values
        self.name = name
        self.metric = metric

    @classmethod
    def from_evaluation(
        cls,
        evaluation: Any,
        *,
        model: str | None = None,
        ax: "Axes | None" = None,
        values: str = "error",
        image_kwargs: dict[str, Any] | None = None,
    ) -> "LanguagePairDisplay":
        """Plot the pairs of languages of an evaluation.

        A pair that was predicted more than once, for several data sets, folds or
        seeds, shows the mean.

        Parameters
        ----------
        evaluation : Evaluation
            What :func:`proxylm.evaluate` returned for records with two languages.
        model : str, default=None
            Name of the model to show, also that of a baseline. None takes the
            estimator that was evaluated.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure, large enough for the languages.
        values : {"error", "truth", "prediction"}, default="error"
            What to show. The error is the prediction less the truth.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        LanguagePairDisplay
            The display, drawn.
        """
        if values not in VALUES:
            raise ValueError(
                f"values expects one of {', '.join(VALUES)}. Got {values!r}."
            )
        model = resolve_model(evaluation, model)
        predictions = evaluation.predictions
        for column in ("source", "target_language"):
            if predictions[column].eq("").all():
                raise ValueError(
                    "LanguagePairDisplay expects records with a source and a target "
                    f"language. Got records without {column!r}. LanguageErrorDisplay "
                    "shows records of one language."
                )
        predictions = largest_size(predictions[predictions["model"] == model])
        predictions = predictions.assign(
            error=predictions["prediction"] - predictions["truth"]
        )
        by_pair = predictions.groupby(["source", "target_language"])
        truth = by_pair["truth"].mean().unstack()
        matrix = by_pair[values].mean().unstack()
        rows = truth.mean(axis=1).sort_values(ascending=False, kind="stable").index
        columns = truth.mean(axis=0).sort_values(ascending=False, kind="stable").index
        display = cls(
            matrix=matrix.loc[rows, columns],
            values=values,
            name=None if values == "truth" else model,
            metric=evaluation.metric,
        )
        return display.plot(ax, image_kwargs=image_kwargs)

    def plot(
        self, ax: "Axes | None" = None, *, image_kwargs: dict[str, Any] | None = None
    ) -> "LanguagePairDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. None makes a new figure, large enough for the languages.
        image_kwargs : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        LanguagePairDisplay
            The display itself.
        """
        from matplotlib.patches import Patch

        n_rows, n_columns = self.matrix.shape
        if ax is None:
            ax = new_axes(
                2.4 + CELL * max(n_columns, 18),
                1.2 + CELL * max(n_rows, 18),
                layout="compressed",
            )
        cells = self.matrix.to_numpy(dtype=float)
        style, extend, label = self._scale(cells)
        style |= {"interpolation": "none", "aspect": "equal"}
        self.image_ = ax.imshow(
            np.ma.masked_invalid(cells), **style | (image_kwargs or {})
        )
        ax.set_facecolor(EMPTY)
        self.colorbar_ = ax.figure.colorbar(
            self.image_,
            ax=ax,
            extend=extend,
            shrink=min(1.0, BAR / (CELL * max(n_rows, 18))),
            aspect=20,
            anchor=(0, 1),
        )
        self.colorbar_.set_label(label, fontsize="small")
        self.colorbar_.ax.tick_params(color=GREY, labelsize="small")
        self.colorbar_.outline.set_visible(False)
        if np.isnan(cells).any():
            self.colorbar_.ax.legend(
                handles=[Patch(facecolor=EMPTY, label="no record")],
                loc="upper left",
                bbox_to_anchor=(-0.6, 0),
                borderaxespad=2.0,
                frameon=False,
                fontsize="small",
                handlelength=1.0,
                borderpad=0,
            )

        size = self._label_size(ax)
        ax.set_xticks(range(n_columns), list(self.matrix.columns), rotation=90)
        ax.set_yticks(range(n_rows), language_labels(self.matrix.index))
        ax.tick_params(length=0, labelsize=size, pad=2)
        ax.spines[:].set_visible(False)
        ax.set(xlabel="Target language", ylabel="Source language")
        if self.name is not None:
            ax.set_title(self.name, loc="left", fontsize="medium", fontweight="bold")
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _scale(self, cells):
        """Colours, the open ends of their scale, and its label."""
        if self.values != "error":
            word = {"truth": "True", "prediction": "Predicted"}[self.values]
            return {"cmap": "viridis"}, "neither", score_label(word, self.metric)
        sizes = np.abs(cells[np.isfinite(cells)])
        # A few extreme pairs don't wash out all others.
        end = max(np.quantile(sizes, 0.99, method="higher"), np.finfo(float).tiny)
        extend = "both" if sizes.max() > end else "neither"
        style = {"cmap": "RdBu_r", "vmin": -end, "vmax": end}
        return style, extend, error_label("Prediction − truth", self.metric, "\n")

    def _label_size(self, ax):
        """Size of the labels in points, less where cells are small."""
        box = ax.get_position()
        width, height = ax.figure.get_size_inches() * 72 * (box.width, box.height)
        cell = min(width / self.matrix.shape[1], height / self.matrix.shape[0])
        return float(min(7.5, max(3.0, 0.75 * cell)))
