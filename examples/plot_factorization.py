"""
Fill the holes of a table of scores
===================================

Aya-23-8B was fine-tuned on intent classification in each of 51 languages and tested in
all of them: a table of 51 by 51 accuracies. Run 70% of the experiments, and **a
factorization predicts the others with a third of the error of boosted trees**, says how
wrong it may be, and places the languages on a map.
"""

# %%
# Beside boosted trees
# --------------------
# :class:`~proxylm.MatrixFactorizationRegressor` gives each language a bias and factors,
# once as the language of training and once as that of testing. Trees know a language
# by its features only. The test records are a random 30%, drawn five times.
import pandas as pd

from proxylm import MatrixFactorizationRegressor, ProxyRegressor, evaluate, fetch_intent

records = fetch_intent(target="aya")
seeds = [42, 43, 44, 45, 46]
evaluations = [
    evaluate(regressor, records, cv="random", seeds=seeds, name=name, n_jobs=2)
    for name, regressor in [
        ("factorization", MatrixFactorizationRegressor()),
        ("xgboost", ProxyRegressor("xgboost")),
    ]
]
summary = pd.concat([evaluation.summary() for evaluation in evaluations])
summary = summary.drop_duplicates("model").set_index("model").sort_values("rmse")
summary[["rmse", "mae", "spearman"]].round(2)

# %%
# Error bars
# ----------
# Every prediction comes with the standard deviation of a new observation.
from proxylm import StratifiedRandomSplit

split = StratifiedRandomSplit(random_state=42)
train, test = next(split.split(records.data, groups=records.strata))
regressor = MatrixFactorizationRegressor(random_state=0)
regressor.fit(records.data.iloc[train], records.target.iloc[train])
mean, std = regressor.predict(records.data.iloc[test], return_std=True)
truth = records.target.iloc[test].to_numpy()
cells = records.groups.iloc[test].assign(truth=truth, mean=mean, std=std)
cells.head().round(1)

# %%
# They can be trusted if an interval of 90% holds 90% of the scores, one of half the
# probability half of them.
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

levels = np.linspace(0.02, 0.98, 49)
widths = norm.ppf(0.5 + levels / 2)
held = (np.abs(truth - mean) < widths[:, None] * std).mean(axis=1)

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.axline((0, 0), slope=1, color="0.6", linewidth=1, zorder=1, label="exact")
axes[0].errorbar(
    mean, truth, xerr=1.645 * std, fmt=".", ms=4, color="#0072B2", ecolor="#9CC9E8"
)
axes[0].set(xlabel="Predicted accuracy (%), 90% interval", ylabel="True accuracy (%)")
axes[1].plot(levels, held, color="#0072B2", linewidth=2, label="factorization")
axes[1].legend(frameon=False, loc="lower right")
axes[1].set(xlabel="Probability of the interval", ylabel="Share of scores inside")
axes[1].set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
plt.show()

# %%
# The curve lies a little above the line in its middle: most errors are smaller than a
# normal distribution would have them, and a few larger.

# %%
# A map of the languages
# ----------------------
# Take away all features, so that nothing but the names of the languages and the scores
# goes in. Factors may be turned without changing a score, so they are drawn along the
# principal axes of what they explain together: the products of all factors of training
# with all factors of testing, without what biases explain as well.
ids = records.data[["source_lang", "target_lang"]]
regressor = MatrixFactorizationRegressor(random_state=0).fit(ids, records.target)
trained, tested = (
    factors - factors.mean(axis=0) for factors in regressor.factors_.values()
)
_, lengths, axes_of_tested = np.linalg.svd(trained @ tested.T)
places = axes_of_tested[:2].T * np.sqrt(lengths[:2])
languages = regressor.ids_["target_lang"]
places *= np.sign(places[languages == "te"])  # the signs are arbitrary
(lengths[:6] ** 2 / (lengths**2).sum()).round(3)

# %%
# Aya-23 was made for 23 languages (arXiv:2405.15032), which the table doesn't say. Nor
# does it know any script.
from langcodes import Language

made_for = "ar cs de el en es fa fr he hi id it ja ko nl pl pt ro ru tr uk vi zh"
groups = {
    "Aya-23 was made for it": "#0072B2",
    "other, Latin script": "#D55E00",
    "other, another script": "0.25",
}


def colour_of(language):
    """Return the colour of the group of a language."""
    tag = Language.get(language)
    if tag.language in made_for.split():
        return groups["Aya-23 was made for it"]
    latin = tag.maximize().script == "Latn"
    return groups["other, Latin script" if latin else "other, another script"]


# %%
# The codes stand at their places, a little higher or lower where they would overlap.


def spread(places, labels, width, height):
    """Move labels up and down until none overlaps another."""
    places = places.copy()
    half = width / 2 * np.array([len(label) for label in labels])
    for _ in range(200):
        gaps = places[:, None] - places
        near = (np.abs(gaps[..., 0]) < half[:, None] + half) & (
            np.abs(gaps[..., 1]) < height
        )
        np.fill_diagonal(near, False)
        places[:, 1] += 0.05 * height * (np.sign(gaps[..., 1]) * near).sum(axis=1)
    return places


figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
reach = np.ptp(places, axis=0)
ax.set_xlim(places[:, 0].min() - 0.05 * reach[0], places[:, 0].max() + 0.05 * reach[0])
ax.set_ylim(places[:, 1].min() - 0.05 * reach[1], places[:, 1].max() + 0.05 * reach[1])
moved = spread(places, languages, 0.013 * reach[0], 0.03 * reach[1])
for place, language in zip(moved, languages, strict=True):
    colour = colour_of(language)
    ax.text(*place, language, color=colour, ha="center", va="center", weight="bold")
for label, colour in groups.items():
    ax.plot([], [], "s", color=colour, label=label)
figure.legend(loc="outside upper left", ncols=3, frameon=False)
ax.axhline(0, color="0.85", linewidth=1, zorder=0)
ax.axvline(0, color="0.85", linewidth=1, zorder=0)
ax.spines[["top", "right"]].set_visible(False)
ax.set(xlabel="First axis", ylabel="Second axis")
plt.show()

# %%
# The first axis finds the languages that Aya-23 was made for, with close kin of them
# near the middle: Malay, the Scandinavian languages, Afrikaans. Training on one side of
# it helps on that side and hurts on the other, beyond what biases explain. The second
# axis finds the writing: from the Latin script at the bottom to the scripts of India
# and East Asia at the top.
