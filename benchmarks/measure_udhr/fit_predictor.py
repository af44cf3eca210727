"""Fit the predictor that comes with proxylm to its records, and write it.

    python benchmarks/measure_udhr/fit_predictor.py

To be run when the records, the regressor, or the pinned versions of scikit-learn and
LightGBM have changed: `load_predictor` reads no file of other ones.
"""

from pathlib import Path

import pandas as pd

import proxylm.predictors
from proxylm.predictors._load import SHIPPED, fit_predictor, load_records_of
from proxylm.predictors._store import describe, save

N_ROWS = 20
ROOT = Path(__file__).parents[2]

records = load_records_of(SHIPPED)
stem = Path(proxylm.predictors.__file__).parent / SHIPPED.replace("/", "-")
regressor = fit_predictor(records)
save(regressor, stem, describe(records))
size = stem.with_name(f"{stem.name}.skops").stat().st_size
print(f"{stem}.skops: {size / 1e6:.1f} MB, of {len(records.target)} records.")

# What it says of some rows, in languages that nobody knows, for the tests.
new = records.data.head(N_ROWS).assign(target_lang="xxx")
predicted, interval = regressor.predict(new, return_interval=True)
table = pd.DataFrame({"prediction": predicted}).join(
    pd.DataFrame(interval, columns=["lower", "upper"])
)
table.to_csv(ROOT / "tests" / "shipped_predictions.csv", index=False)
