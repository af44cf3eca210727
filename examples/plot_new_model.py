"""
How good is a new model on tasks that it never ran?
===================================================

Six models were run on all translation tasks of NusaTranslation, then a seventh comes.
Run it on a few tasks, and predict the others from what the six models did: **after four
runs of a fine-tuned NLLB, its other 220 scores are predicted within three points of
spBLEU**, closer than by a line on the best of the six. NLPerf (arXiv:2005.00870) and
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

models = "trfm small100_noft small100_ft m2m100_noft m2m100_ft nllb_noft nllb_ft".split()
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
# Each number of runs is tried with ten orders of the tasks.
runs = [3, 4, 6, 8, 12, 16, 32, 64]
curve = pd.DataFrame([predict_new_model("nllb_ft", n, i) for n in runs for i in range(10)])
curve = curve.drop(columns="model").groupby("n").mean()
curve.round(2)

# %%
import matplotlib.pyplot as plt

colours = {"factorization": "#0072B2", "best line": "#D55E00", "moved mean": "0.5"}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, colour in colours.items():
    axes[0].plot(curve.index, curve[name], "o-", color=colour)
    axes[0].annotate(name, (64, curve[name].iloc[-1]), color=colour)
axes[0].set(ylim=(0, 8))
axes[1].plot(curve.index, curve["coverage"], "o-", color=colours["factorization"])
axes[1].axhline(0.9, color="0.6", linewidth=1)
axes[1].set(ylim=(0, 1))
for ax in axes:
    ax.set_xscale("log", base=2)
plt.show()

# %%
everything = pd.DataFrame([predict_new_model(m, 8, i) for m in models for i in range(4)])
everything.drop(columns="n").groupby("model").mean().round(2)
