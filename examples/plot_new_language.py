"""
What to expect of a language that nobody tried
==============================================

`ProxyRegressor()` predicts the score of a language of which no score is known, and how
wrong that may be: an interval that is made for languages, not for rows, and the
probability that the score is above what you need.
"""

# %%
# A language is left out
# ----------------------
# NusaTranslation has eight languages of Indonesia. Suppose that NLLB was never
# fine-tuned on Madurese. Its *features* are known, the scores of small models among
# them; handed over as `context`, they tell which known languages it is like.
from proxylm import ProxyRegressor, fetch_nusa

records = fetch_nusa(target="nllb")
new = records.groups.eq("mad").any(axis=1)
regressor = ProxyRegressor(context=records.data, random_state=0)
regressor.fit(records.data[~new], records.target[~new])

# %%
# Predictions with intervals
# --------------------------
# Each row is an experiment from or to Madurese. The interval is to hold nine scores of
# ten of a new language.
import matplotlib.pyplot as plt
import numpy as np

table = records.data[new]
predicted, interval = regressor.predict(table, return_interval=True)
truth = records.target[new].to_numpy()
order = np.argsort(predicted)

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
rank = np.arange(len(order))
axes.vlines(rank, *interval[order].T, color="0.8", linewidth=4, label="90% interval")
axes.plot(rank, predicted[order], "_", color="0.3", label="prediction")
axes.plot(rank, truth[order], "o", markersize=4, color="C0", label="truth")
axes.set_xlabel("experiments with Madurese, by predicted score")
axes.set_ylabel("spBLEU of NLLB 1.3B")
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
plt.show()

# %%
# A decision
# ----------
# Is it worth an experiment, if a system needs an spBLEU of 30 to be of use?
probability = regressor.predict_proba_above(table, threshold=30)
shown = table[["source_lang", "target_lang", "dataset_size"]].assign(
    probability=probability.round(2), truth=truth
)
shown.sort_values("probability", ascending=False).iloc[[0, 14, 28, 42, -1]]

# %%
# Why is it predicted so?
# -----------------------
# Bars lead from the mean prediction of the known records to that of Madurese. The
# languages count as one feature: their profiles, and what is known of them.
from proxylm import ContributionDisplay

ContributionDisplay.from_estimator(
    regressor, table, background=records.data[~new], name="Madurese"
)
plt.show()

# %%
# Do intervals hold?
# ------------------
# Every language is left out in turn. With eight languages the intervals rest on an
# assumption, which the guide explains; each point is a language.
from proxylm import CoverageDisplay, evaluate

evaluation = evaluate(ProxyRegressor(), records, "lolo", confidence_level=0.9)
CoverageDisplay.from_evaluation(evaluation)
plt.show()

# %%
# And the error beside naive guesses and the best that was published:
from proxylm import load_published

published = load_published().query(
    "dataset == 'nusa' and model == 'nllb' and protocol == 'lolo'"
)
print(f"best published RMSE {published['rmse'].min():.2f}")
evaluation.summary()[["model", "rmse", "coverage", "width"]].round(2)
