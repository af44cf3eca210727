"""
How well can the score of a new language be predicted?
======================================================

Fine-tuning M2M100 for one more language costs a large GPU and its time. The scores of
small models, the size of the training set and the distance between languages are cheap.
From them, the score of M2M100 on a language of which **no score is known** is predicted
with an error a quarter lower than that of the best naive guess.
"""

# %%
# The records
# -----------
# A record is one experiment: a pair of languages, a training set, a test set, what is
# known of them, the scores of the small models (the *proxies*) and the score of the
# large one (the *target*).
from proxylm import fetch_mt560

records = fetch_mt560(target="m2m100", score="spBLEU")
records.data.iloc[:3, :8]

# %%
# These are the proxies. `noft` is a model without, `ft` one with fine-tuning.
print(*records.schema.proxies, sep="\n")

# %%
# Leave one language out
# ----------------------
# Each of the 50 languages is left out in turn: the regressor never sees a record that
# has the language on either side, and predicts all of them. English, which is on one
# side of every record, stays; the records say so.
from proxylm import ProxyRegressor, evaluate

evaluation = evaluate(ProxyRegressor("lightgbm"), records, cv="lolo", n_jobs=2)
evaluation.summary()[["model", "rmse", "rmse_as_source", "rmse_as_target"]].round(2)

# %%
# Naive baselines always stand beside the regressor. The best of them takes the score of
# one proxy as it is. It is a strong one, as the small model was fine-tuned on the same
# data, and its error is still a third larger.

# %%
# Every prediction
# ----------------
import matplotlib.pyplot as plt

from proxylm import PredictionDisplay

PredictionDisplay.from_evaluation(evaluation)
plt.show()

# %%
# Which languages are hard
# ------------------------
# The lines mark the means of the regressor and of the best baseline.
from proxylm import LanguageErrorDisplay

LanguageErrorDisplay.from_evaluation(evaluation)
plt.show()

# %%
# Beside the literature
# ---------------------
# The figures that were published for this setting are part of the package.
from proxylm import load_published

published = load_published().query(
    "dataset == 'mt560' and model == 'm2m100' and score == 'spBLEU'"
    " and protocol == 'lolo' and features == 'ensemble'"
)
published[["regressor", "rmse", "rmse_as_source", "rmse_as_target"]].round(2)
