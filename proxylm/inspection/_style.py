"""Colours, words and axes that the displays share."""

import numpy as np

from proxylm.languages import language_name

# The palette of Okabe and Ito, told apart with any kind of colour vision.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
INK = "0.25"
GREY = "0.45"
PALE = "0.9"

# How a score in a metric is named, and the unit of an error in it.
METRIC_WORDS = {
    "spBLEU": ("spBLEU", "spBLEU points"),
    "BLEU": ("BLEU", "BLEU points"),
    "chrF2": ("chrF2", "chrF2 points"),
    "chrF2++": ("chrF2++", "chrF2++ points"),
    "TER": ("TER (%)", "percentage points of TER"),
    "comet": ("COMET", "COMET"),
    "accuracy": ("accuracy (%)", "percentage points of accuracy"),
    "f1": ("F1 (%)", "percentage points of F1"),
    "bits_per_text": ("bits per text", "bits per text"),
    "bits_per_byte": ("bits per byte", "bits per byte"),
}


def score_label(adjective, metric):
    """Axis label of a score: "True spBLEU"."""
    return f"{adjective} {METRIC_WORDS.get(metric, (metric or 'score',))[0]}"


def error_unit(metric):
    """Name the unit of an error, if the metric is known: "spBLEU points"."""
    return METRIC_WORDS.get(metric, (metric, metric or ""))[1]


def error_label(measure, metric, between=" "):
    """Axis label of an error, with its unit: "RMSE (spBLEU points)"."""
    unit = error_unit(metric)
    return f"{measure}{between}({unit})" if unit else measure


def short_number(value):
    """Three digits or so of an error: 28,123 or 5.26 or 0.034."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def short_name(model):
    """Name of a model without the word that marks the baselines."""
    return model.removeprefix("baseline: ")


def language_labels(codes):
    """Names of languages with their codes."""
    return [f"{language_name(code)} ({code})" for code in codes]


def resolve_model(evaluation, model):
    """Name of the model to show: the one asked for, or the one evaluated."""
    models = list(evaluation.predictions["model"].unique())
    model = evaluation.name if model is None else model
    if model not in models:
        raise ValueError(f"model expects one of {models}. Got {model!r}.")
    return model


def largest_size(table):
    """Rows of the models trained on all the training records they were given."""
    return table[table["train_size"] == table["train_size"].max()]


def summary_at_largest_size(evaluation):
    """Summary with a row for each model, indexed by its name."""
    return largest_size(evaluation.summary().reset_index()).set_index("model")


def new_axes(width, height, layout="constrained"):
    """Axes of a new figure of a size in inches, laid out around its labels."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout=layout)[1]


def bare_axes(ax, *, spines=("left", "bottom")):
    """Leave of the frame only the spines that carry a scale."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(GREY)
    ax.tick_params(color=GREY, labelsize="small")
    ax.set_axisbelow(True)


def apart(positions, gap):
    """Move positions as little as needed to lie at least a gap apart.

    With a multiple of the gap taken off each, the nearest such positions are the
    nearest increasing sequence: an isotonic regression.
    """
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(positions, kind="stable")
    steps = gap * np.arange(len(positions))
    moved = np.empty(len(positions))
    moved[order] = isotonic_regression(np.asarray(positions)[order] - steps) + steps
    return moved
