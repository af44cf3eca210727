"""
A random split flatters
=======================

How good a predictor of scores is depends on what it is asked. Split at random, nearly
every test record has a sister in the training set: the same languages with another test
set, or in the other direction. Leave the language out, and the error of **the same
regressor on the same records** grows by a fifth on one table and doubles on the other.
"""

# %%
# One regressor, two questions
# ----------------------------
# The published protocols go by their names. "random" tests on 30% of the records, drawn
# anew for each seed; "lolo" leaves one language out at a time.
from proxylm import ProxyRegressor, evaluate, fetch_intent, fetch_mt560

tables = {"MT560, spBLEU": fetch_mt560(), "Intent, accuracy (%)": fetch_intent()}
protocols = {"random": [42, 43, 44, 45, 46], "lolo": [42]}
evaluations = {
    (title, protocol): evaluate(
        ProxyRegressor("lightgbm"), records, cv=protocol, seeds=seeds, n_jobs=2
    )
    for title, records in tables.items()
    for protocol, seeds in protocols.items()
}

# %%
# :meth:`~proxylm.Evaluation.summary` averages over languages where a language is left
# out. To count both questions alike, take the errors of all predictions together.
import pandas as pd


def rmse_of_models(evaluation):
    """Return the RMSE over all predictions of each model."""
    rows = evaluation.predictions
    squares = (rows["truth"] - rows["prediction"]).pow(2)
    return squares.groupby(rows["model"]).mean().pow(0.5)


errors = pd.DataFrame(
    {key: rmse_of_models(evaluation) for key, evaluation in evaluations.items()}
)
errors.round(2)

# %%
# A line on the best proxy knows nothing of languages, so it loses nothing with them.
# The mean of each language knows nothing else.

# %%
# Draw it
# -------
import matplotlib.pyplot as plt

models = ["baseline: language mean", "baseline: line on best proxy", "lightgbm"]
figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.4), layout="constrained")
for ax, title in zip(axes, tables, strict=True):
    known, new = (errors[title, protocol][models] for protocol in protocols)
    ax.hlines(models, known, new, color="0.6")
    ax.plot(known, models, "o", color="#0072B2", label="random split")
    ax.plot(new, models, "D", color="#D55E00", label="language left out")
    ax.set_title(title, loc="left", fontsize="medium")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.margins(y=0.3)
    ax.set_xlim(left=0)
handles = ax.get_legend_handles_labels()
figure.legend(*handles, loc="outside upper right", ncols=2, frameon=False)
axes[1].set_xlabel("RMSE")
plt.show()
