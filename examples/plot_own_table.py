"""
Predict from your own table
===========================

All that proxylm needs is **a table with one row per experiment**: the languages, some
numbers that are cheap to know, and the score of the large model where it was run. This
example makes such a table up, so that it needs no download.
"""

# %%
# A table of experiments
# ----------------------
# Twelve languages are translated into each other. A small model was run on every pair,
# the large one too.
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
codes = ["ind", "jav", "sun", "tgl", "swh", "yor", "hau", "tam", "fin", "est", "tur"]
ease = dict(zip([*codes, "eng"], rng.uniform(0.2, 1.0, 12), strict=True))
pairs = [(source, target) for source in ease for target in ease if source != target]
table = pd.DataFrame(pairs, columns=["source_lang", "target_lang"])
quality = (
    table["source_lang"].map(ease).pow(0.5) * table["target_lang"].map(ease).to_numpy()
)
table["sentences"] = rng.lognormal(10, 1, len(table)).round()
table["distance"] = rng.uniform(0, 1, len(table)).round(2)
size = np.log(table["sentences"]) - 10
noise = rng.normal(0, 2, (2, len(table)))
table["small_chrf"] = (20 + 25 * quality + 2 * size + noise[0]).clip(0, 100)
table["large_chrf"] = (
    25 + 35 * quality - 5 * table["distance"] + 3 * size + noise[1]
).clip(0, 100)
table.head().round(1)

# %%
# Say what the columns are
# ------------------------
# The roles of the columns are declared once. Columns without a role are features, if
# they hold numbers. Here something is wrong with the table, and all of it is said at
# once.
from proxylm import load_records
from proxylm.records import RecordError

roles = {"target": "large_chrf", "proxies": ["small_chrf"], "metric": "chrF2"}
broken = table.assign(source_lang=table["source_lang"].replace("swh", "swahili"))
broken.loc[3, "large_chrf"] = 612.0
try:
    load_records(broken, **roles)
except RecordError as error:
    print(error)

# %%
# With the table mended, the records are ready.
records = load_records(table, **roles)
records.feature_names

# %%
# Predict languages that were left out
# ------------------------------------
# A ridge regression suits a small table; any other regressor goes in the same place.
from proxylm import LanguageErrorDisplay, ProxyRegressor, evaluate

evaluation = evaluate(ProxyRegressor("ridge"), records, cv="lolo", name="ridge")
evaluation.summary()[["model", "rmse", "spearman", "pairwise_accuracy"]].round(2)

# %%
import matplotlib.pyplot as plt

LanguageErrorDisplay.from_evaluation(evaluation)
plt.show()

# %%
# Predict what was never run
# --------------------------
# Fit all records, then ask for a new language. Its code need not have been seen, nor
# must its features be complete.
regressor = ProxyRegressor("ridge").fit(records.data, records.target)
new = pd.DataFrame(
    {
        "source_lang": ["eng", "eng"],
        "target_lang": ["mlt", "kat"],
        "sentences": [20_000.0, 150_000.0],
        "distance": [0.4, np.nan],
        "small_chrf": [31.0, 38.5],
    }
)
new.assign(predicted=regressor.predict(new).round(1))
