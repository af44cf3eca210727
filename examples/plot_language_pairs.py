"""
Which pairs of languages are predicted wrongly?
===============================================

In the intent records Aya-23-8B is fine-tuned in one language and tested in another: 51
by 51 pairs. A heat map shows at a glance what a mean error hides: the regressor is
wrong **by rows and columns, not by single pairs**. It misjudges a language, and all its
pairs with it.
"""

# %%
# Predict every pair twice
# ------------------------
# Each language is left out in turn, so each pair is predicted twice: once without the
# records of its source language, once without those of its target language.
from proxylm import ProxyRegressor, evaluate, fetch_intent

records = fetch_intent(target="aya")
evaluation = evaluate(ProxyRegressor("lightgbm"), records, cv="lolo", n_jobs=2)
evaluation.summary()[["model", "rmse", "rmse_as_source", "rmse_as_target"]].round(2)

# %%
# The truth
# ---------
# Languages are sorted by their mean accuracy. The bright cells are the diagonal: models
# that are tested in the language they were trained in.
import matplotlib.pyplot as plt

from proxylm import LanguagePairDisplay

LanguagePairDisplay.from_evaluation(evaluation, values="truth")
plt.show()

# %%
# The error
# ---------
# Blue pairs are better than predicted, red ones worse. The order is that of the picture
# above, so both can be laid over each other.
LanguagePairDisplay.from_evaluation(evaluation)
plt.show()

# %%
# How much of the squared error is shared by a whole row or column? Take away the mean
# error of each language, once as the source and once as the target, and see what is
# left.
rows = evaluation.predictions.query("model == 'lightgbm'")
error = rows["prediction"] - rows["truth"]
own = error - error.groupby([rows["language"], rows["side"]]).transform("mean")
print(f"Mean squared error: {error.pow(2).mean():.0f}")
print(f"without the mean error of each left-out language: {own.pow(2).mean():.0f}")

# %%
# Two thirds of it belong to whole languages: what misleads the regressor is the
# language, not the pair.
