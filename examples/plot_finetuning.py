"""
How well will a large model learn a language that only small ones have learned?
===============================================================================

Fine-tune two small models in every language, and a large one in all but one of them.
**Two proxies that together cost an eighth of the target take two thirds off the error
of its predicted accuracy in a language that it was never trained on.** All models here
start from random weights and the languages are made up, so that everything runs on two
processor cores.
"""

# %%
# Six languages
# -------------
# A request has a word that tells its intent and two that tell nothing, in any order. A
# language with more words for the same intent needs more examples, and so does one
# whose words come with different endings.
import random

INTENTS = "alarm calendar email lights music news taxi weather".split()


def make_words(n_words, rng):
    """Return different words of two syllables."""
    syllables = [first + second for first in "bdgklmnprst" for second in "aeiou"]
    pairs = [first + second for first in syllables for second in syllables]
    return rng.sample(pairs, n_words)


def make_requests(n_requests, n_synonyms, n_endings, seed):
    """Return different requests of a language with their intents."""
    rng = random.Random(seed)
    endings = ["", "k", "rul", "mit", "os"][:n_endings]
    words = make_words(n_synonyms * len(INTENTS) + 40, rng)
    telling, others = words[:-40], words[-40:]
    requests = {}
    while len(requests) < n_requests:
        number = rng.randrange(len(telling))
        request = [telling[number], *rng.sample(others, 2)]
        request = [word + rng.choice(endings) for word in request]
        rng.shuffle(request)
        requests[" ".join(request)] = INTENTS[number % len(INTENTS)]
    return list(requests.items())


languages = {
    f"{n_synonyms} words, {n_endings} ending{'s' if n_endings > 1 else ''}": (
        make_requests(700, n_synonyms, n_endings, seed)
    )
    for seed, (n_endings, n_synonyms) in enumerate(
        (n_endings, n_synonyms) for n_endings in (1, 5) for n_synonyms in (2, 5, 12)
    )
}
for name, pairs in languages.items():
    print(name, *pairs[0], sep=" | ")

# %%
# Two proxies and a target
# ------------------------
# A :class:`~proxylm.Recipe` says all of a model and its training. These differ in
# depth, width and learning rate. In place of an architecture a recipe may name a model
# to start from.
from proxylm import Recipe


def make_recipe(name, n_layers, width, learning_rate):
    """Return the recipe of a causal model from scratch."""
    return Recipe.of(
        {
            "name": name,
            "task": "intent",
            "prompt": "{text}\n",
            "architecture": {
                "model_type": "llama",
                "num_hidden_layers": n_layers,
                "hidden_size": width,
                "intermediate_size": 3 * width,
                "num_attention_heads": 4,
                "num_key_value_heads": 4,
                "max_position_embeddings": 64,
                "tie_word_embeddings": True,
                "initializer_range": width**-0.5,
            },
            "vocabulary": {"kind": "bpe", "size": 400},
            "training": {
                "learning_rate": learning_rate,
                "schedule": "cosine",
                "warmup_ratio": 0.1,
                "max_epochs": 8,
                "batch_size": 16,
                "clip_norm": 1.0,
                "dtype": "float32",
            },
            "generation": {"max_new_tokens": 12},
        }
    )


recipes = [
    make_recipe("narrow", 1, 16, 1e-2),
    make_recipe("middle", 1, 32, 1e-2),
    make_recipe("target", 2, 96, 4e-3),
]

# %%
# The experiments
# ---------------
# Every model learns every language from 75, 150 and 300 requests, and writes the
# intents of 300 others. An experiment that is done is not done again when the same
# lines run in the same folder. Models as small as these gain nothing from threads.
import tempfile

import torch

from proxylm.lm.finetuning import (
    Experiment,
    Pair,
    TestSet,
    TrainingSet,
    records_of,
    run_experiments,
)

experiments = []
for name, pairs in languages.items():
    pairs = [Pair(*pair) for pair in pairs]
    training = TrainingSet(None, name, "requests", train=pairs[:400], dev=())
    test = TestSet(None, name, "requests", pairs[400:])
    experiments += [
        Experiment(recipe, training, (test,), size)
        for recipe in recipes
        for size in (75, 150, 300)
    ]
torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    rows = [row for _, found in run_experiments(experiments, folder) for row in found]

# %%
# Each of them says what it cost. These are the floating-point operations of the
# training and of the test, in billions.
import pandas as pd

results = pd.DataFrame(rows)
results["cost"] = results["training_flops"] + results["scoring_flops"]
costs = results.pivot_table(index="dataset_size", columns="model", values="cost")
costs = costs[[recipe.name for recipe in recipes]]
(costs / 1e9).round(2)

# %%
# A table of records has a row for each language and size, and columns for each model.
records = records_of(rows)
columns = {f"{recipe.name}_ft_accuracy_mean": recipe.name for recipe in recipes}
scores = records.set_index(["target_lang", "dataset_size"])[list(columns)]
scores.rename(columns=columns).loc[list(languages)].round(1)

# %%
# How they learn
# --------------
# What makes a language hard for the target makes it hard for the proxies, which need
# two to four times as many requests for the same accuracy. Bars are two standard errors
# to either side, over the requests of the test; guessing gets one in eight right.
import matplotlib.pyplot as plt

colors = {"narrow": "0.6", "middle": "C0", "target": "C1"}
labels = {
    name: f"{name}, {(costs['target'] / costs[name]).mean():.0f} times cheaper"
    for name in ("narrow", "middle")
}
figure, panels = plt.subplots(
    2, 3, sharex=True, sharey=True, figsize=(9, 5.5), layout="constrained"
)
for axes, language in zip(panels.flat, languages, strict=True):
    curve = records[records["target_lang"] == language]
    for name, color in colors.items():
        axes.errorbar(
            curve["dataset_size"],
            curve[f"{name}_ft_accuracy_mean"],
            2 * curve[f"{name}_ft_accuracy_se"],
            color=color,
            marker="o",
            markersize=4,
            label=labels.get(name, name),
        )
    axes.axhline(100 / len(INTENTS), color="0.85", linewidth=1, zorder=0)
    axes.set_title(language, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
panels[0, 0].set(xscale="log", ylim=(0, 105))
panels[0, 0].set_xticks([75, 150, 300], [75, 150, 300])
panels[0, 0].minorticks_off()
figure.supxlabel("training requests", fontsize=10)
figure.supylabel("accuracy (%)", fontsize=10)
figure.legend(
    *panels[0, 0].get_legend_handles_labels(),
    loc="outside upper center",
    ncols=3,
    frameon=False,
)
plt.show()

# %%
# A language that the target has not learned
# ------------------------------------------
# Say that the target was trained on five of the languages. What will it reach in the
# sixth? :class:`~proxylm.ProxyRegressor` learns from the five how the target compares
# with the proxies. Beside it stands one that knows the size of the training set only.
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from proxylm import ProxyRegressor

y = records["target_ft_accuracy_mean"]
known = {
    "size alone": [],
    "size and proxies": ["narrow_ft_accuracy_mean", "middle_ft_accuracy_mean"],
}
predictions = {}
for name, proxies in known.items():
    predictions[name] = cross_val_predict(
        ProxyRegressor("gp", languages=["target_lang"], proxies=proxies),
        records[["target_lang", "dataset_size", *proxies]],
        y,
        groups=records["target_lang"],
        cv=LeaveOneGroupOut(),
    )

# %%
# The proxies know how hard the language is, which no number of requests tells.
figure, axes = plt.subplots(figsize=(5, 4.6), layout="constrained")
axes.plot([0, 100], [0, 100], color="0.85", linewidth=1, zorder=0)
for (name, predicted), color in zip(predictions.items(), ("0.6", "C1"), strict=True):
    error = root_mean_squared_error(y, predicted)
    axes.errorbar(
        predicted,
        y,
        2 * records["target_ft_accuracy_se"],
        color=color,
        marker="o",
        markersize=5,
        linestyle="none",
        linewidth=1,
        label=f"{name}: RMSE {error:.0f} points",
    )
axes.set(xlim=(0, 105), ylim=(0, 105), aspect="equal")
axes.set_xlabel("predicted accuracy of the target (%)")
axes.set_ylabel("its accuracy (%)")
figure.legend(loc="outside upper center", frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# What this does not show
# -----------------------
# The bars say how exact the test is, not how much another draw of the training set or
# of the weights would change: ``seed`` of an experiment draws others. Six languages
# that differ in two ways are easy to predict. And a target that was pre-trained knows
# some languages before it learns: proxies that were pre-trained too tell of that.
