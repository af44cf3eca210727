"""
On a small table, a line beats the trees
========================================

The NusaTranslation records are 224 experiments with 8 languages. Leave one out, and 7
are left to learn from. Here **a straight line on a single proxy is better than four
regressors with all features**, which is why every evaluation shows the naive baselines
too.
"""

# %%
# Any regressor of scikit-learn takes part
# ----------------------------------------
# :func:`~proxylm.evaluate` clones whatever it is given for every fold. A
# :class:`~proxylm.ProxyRegressor` adds names, defaults and missing values.
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from proxylm import ProxyRegressor, evaluate, fetch_nusa

records = fetch_nusa(target="m2m100")
regressors = {
    "lightgbm": ProxyRegressor("lightgbm"),
    "ridge": ProxyRegressor("ridge"),
    "extra trees": ExtraTreesRegressor(n_estimators=200),
    "Gaussian process": make_pipeline(
        StandardScaler(),
        GaussianProcessRegressor(RBF(10.0) + WhiteKernel(0.1), normalize_y=True),
    ),
}
evaluations = {
    name: evaluate(regressor, records, cv="lolo", n_jobs=2, name=name)
    for name, regressor in regressors.items()
}

# %%
# The baselines are the same in every evaluation.
summary = pd.concat([evaluation.summary() for evaluation in evaluations.values()])
summary = summary.drop_duplicates("model").set_index("model")
summary = summary[["rmse", "rmse_as_source", "rmse_as_target"]].sort_values("rmse")
summary.round(2)

# %%
# As source and as target
# -----------------------
# With all features, extra trees and ridge do better than the line where the left-out
# language is the source, and pay for it where it is the target.
import matplotlib.pyplot as plt

shown = summary.iloc[:6].iloc[::-1]
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.hlines(
    shown.index, shown["rmse_as_source"], shown["rmse_as_target"], color="0.6", zorder=1
)
for column, colour, marker, label in [
    ("rmse_as_source", "#0072B2", "o", "as source"),
    ("rmse_as_target", "#D55E00", "D", "as target"),
    ("rmse", "0.25", "|", "mean"),
]:
    ax.plot(shown[column], shown.index, marker, color=colour, label=label)
ax.set(xlim=(0, None), xlabel="RMSE (spBLEU points)")
ax.spines[["top", "right", "left"]].set_visible(False)
ax.tick_params(axis="y", length=0)
figure.legend(loc="outside upper right", ncols=3, frameon=False)
plt.show()
