"""
How many experiments are enough?
================================

Each record costs a fine-tuning run. A learning curve shows what the next hundred would
buy: on the MT560 records a tenth of the experiments is enough to beat every naive
baseline, and **with half of them the error is only an eighth larger than with 90%**.
"""

# %%
# Train on more and more records
# ------------------------------
# The protocol "incremental" tests on a fixed 30% of the records and trains on 5% to 90%
# of the others. Each seed draws other records.
from proxylm import ProxyRegressor, evaluate, fetch_mt560

evaluation = evaluate(
    ProxyRegressor("lightgbm"),
    fetch_mt560(target="m2m100"),
    cv="incremental",
    seeds=[42, 43, 44, 45, 46],
    n_jobs=2,
)
curve = evaluation.learning_curve()
curve[curve["model"] == "lightgbm"].round(2)

# %%
# The curve
# ---------
# The band is one standard deviation over the seeds. The naive baselines hardly learn:
# they have nothing to learn with.
import matplotlib.pyplot as plt

from proxylm import LearningCurveDisplay

LearningCurveDisplay.from_evaluation(evaluation)
plt.show()
