"""
How good is a new model on tasks that it never ran?
===================================================

Six models were run on all translation tasks of NusaTranslation, then a seventh comes.
Run it on a few tasks, and predict the others from what the six models did: **after
eight runs of a fine-tuned NLLB its 216 other scores are predicted with 30% less error**
than by a line on the best of the six. NLPerf (arXiv:2005.00870) and
collaborative performance prediction (arXiv:2407.01300) ask the same question.
"""

# %%
# A long table
# ------------
# The record table has a column for each model. Turned into a long table it has a row
# for each score, and the model is one more id, beside the languages and the size of the
# training set.
import numpy as np
import pandas as pd

from proxylm import fetch_nusa
from proxylm.records import wide_to_long

models = (
    "trfm small100_noft small100_ft m2m100_noft m2m100_ft nllb_noft nllb_ft".split()
)
columns = [f"{model}_spBLEU_mean" for model in models]
frame = fetch_nusa().frame
frame = frame.assign(size=frame["dataset_size"].astype(str) + " sentences")
frame = frame[["source_lang", "target_lang", "size", *columns]]
scores = wide_to_long(frame, models=models, metrics=["spBLEU_mean"], value="score")
scores = scores.drop(columns="metric")
scores.head()

# %%
# Predict a new model
# -------------------
# The factorization learns from all scores of the six models and `n` scores of the new
# one. The naive guesses know the same: the mean of the other models, moved by the
# mean difference on the `n` tasks, and a line on the model that fits them best.
from proxylm import MatrixFactorizationRegressor


def factorization(others, known, unknown):
    """Return predicted scores of the new model, and their standard deviations."""
    train = pd.concat([others, known])
    regressor = MatrixFactorizationRegressor(n_components=5, random_state=0)
    regressor.fit(train.drop(columns="score"), train["score"])
    return regressor.predict(unknown.drop(columns="score"), return_std=True)


def naive_guesses(table, truth, known, unknown):
    """Return the moved mean of the other models, and the best line on one of them."""
    means = table.mean(axis=1).to_numpy()
    moved = means[unknown] + (truth[known] - means[known]).mean()
    lines = [
        np.polyfit(table[other].iloc[known], truth[known], 1, full=True)
        for other in table
    ]
    misfits = [line[1].sum() for line in lines]
    best = int(np.argmin(misfits))
    return moved, np.polyval(lines[best][0], table.iloc[unknown, best])


def predict_new_model(new, n, seed):
    """Predict all scores of a model but n, and return the errors."""
    others, own = (part for _, part in scores.groupby(scores["model"] == new))
    order = np.random.default_rng(seed).permutation(len(own))
    known, unknown = order[:n], order[n:]
    table = frame[columns].set_axis(models, axis=1).drop(columns=new)
    truth = own["score"].to_numpy()
    mean, std = factorization(others, own.iloc[known], own.iloc[unknown])
    moved, line = naive_guesses(table, truth, known, unknown)
    error = truth[unknown] - mean
    return {
        "model": new,
        "n": n,
        "factorization": np.sqrt(np.mean(error**2)),
        "best line": np.sqrt(np.mean((truth[unknown] - line) ** 2)),
        "moved mean": np.sqrt(np.mean((truth[unknown] - moved) ** 2)),
        "coverage": np.mean(np.abs(error) < 1.645 * std),
    }


# %%
# How many runs are enough?
# -------------------------
# Each number of runs is tried with five orders of the tasks.
runs = [3, 4, 6, 8, 12, 16, 32, 64]
curve = pd.DataFrame(
    [predict_new_model("nllb_ft", n, seed) for n in runs for seed in range(5)]
)
curve = curve.drop(columns="model").groupby("n").mean()
curve.round(2)

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(
    1, 2, figsize=(9, 4), width_ratios=[3, 2], layout="constrained"
)
for name, colour, marker in [
    ("moved mean", "0.5", "s"),
    ("best line", "#D55E00", "D"),
    ("factorization", "#0072B2", "o"),
]:
    axes[0].plot(curve.index, curve[name], marker=marker, color=colour, label=name)
axes[0].set(ylim=(0, None), ylabel="RMSE of the other scores (spBLEU points)")
axes[0].legend(frameon=False)
axes[1].axhline(0.9, color="0.6", linewidth=1, label="promised")
axes[1].plot(curve.index, curve["coverage"], "o-", color="#0072B2", label="held")
axes[1].legend(frameon=False, loc="lower right")
axes[1].set(ylim=(0, 1), ylabel="Share of scores in their 90% intervals")
for ax in axes:
    ax.set_xscale("log", base=2)
    ax.set_xticks(runs, runs)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("Known scores of the new model")
plt.show()

# %%
# Every model in the place of the new one
# ---------------------------------------
# With eight runs each, the factorization is ahead for the large models that were
# fine-tuned, and level with a line for `small100_ft` and for `trfm`, which alone was
# never pre-trained. The scores of models without fine-tuning (`noft`) don't depend on
# the size of the training set, and a line on another one of them is as good or better.
# All models share one noise: intervals are wide for NLLB, whose scores are smooth, and
# narrow for models that are unlike the others, such as `trfm`.
each = pd.DataFrame(
    [predict_new_model(model, 8, seed) for model in models for seed in range(5)]
)
each.drop(columns="n").groupby("model").mean().sort_values("factorization").round(2)
