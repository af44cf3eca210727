"""Fit the predictor that comes with proxylm to its records, and write it.

    python benchmarks/measure_udhr/fit_predictor.py

To be run when the records, the regressor, or the pinned versions of scikit-learn and
LightGBM have changed: `load_predictor` reads no file of other ones.
"""

from pathlib import Path

import proxylm.predictors
from proxylm.predictors._load import SHIPPED, fit_predictor, load_records_of
from proxylm.predictors._store import describe, save

records = load_records_of(SHIPPED)
stem = Path(proxylm.predictors.__file__).parent / SHIPPED.replace("/", "-")
save(fit_predictor(records), stem, describe(records))
size = stem.with_name(f"{stem.name}.skops").stat().st_size
print(f"{stem}.skops: {size / 1e6:.1f} MB, of {len(records.target)} records.")
