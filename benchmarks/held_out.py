"""Compare the default with xgboost on scores that it was not designed on.

The default was made on the published settings. Here it predicts what no setting has:
the scores of one proxy from those of cheaper ones, on each of the four tables, and an
error rate instead of a score. Random splits (two seeds) and five folds of left-out
languages; RMSE of the default over that of xgboost with our defaults, and with those
of its library.

    python benchmarks/held_out.py [--n-jobs 2] [--write]
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from xgboost import XGBRegressor

from proxylm import (
    LanguageKFold,
    ProxyRegressor,
    evaluate,
    fetch_intent,
    fetch_mt560,
    fetch_nusa,
    fetch_slot,
)
from proxylm.records import make_records

# (table, target, its proxies)
TARGETS = [
    (fetch_mt560, "small100_ft_spBLEU_mean", ["trfm", "small100_noft"]),
    (fetch_mt560, "nllb_ft_TER_mean", ["trfm", "small100_noft", "nllb_noft"]),
    (fetch_nusa, "small100_ft_spBLEU_mean", ["trfm", "small100_noft"]),
    (fetch_intent, "bloomz_560m_accuracy", ["smollm_135m", "smollm_360m"]),
    (fetch_intent, "smollm_360m_accuracy", ["smollm_135m"]),
    (fetch_slot, "bloomz_560m_f1", ["smollm_135m", "smollm_360m"]),
    (fetch_slot, "smollm_360m_f1", ["smollm_135m"]),
]
MODELS = {
    "default": lambda: ProxyRegressor(),
    "xgboost": lambda: ProxyRegressor("xgboost"),
    "xgboost, library defaults": lambda: ProxyRegressor(XGBRegressor(n_jobs=1)),
}
# Seeds of each protocol.
PROTOCOLS = {"random": (42, 43), "languages": (42,)}
LEAST_GAIN = 0.9
TABLE = Path(__file__).parents[1] / "docs" / "_tables" / "held_out.csv"


def records_of(fetch, target, proxies):
    """Return records with another target and the scores of cheaper models."""
    base = fetch()
    metric = next(m for m in ("spBLEU", "TER", "accuracy", "f1") if m in target)
    own = target.split(metric)[1]
    columns = [f"{proxy}_{metric}{own}" for proxy in proxies]
    schema = replace(
        base.schema,
        target=target,
        proxies=tuple(columns),
        standard_error=None,
        model=None,
        metric=metric,
    )
    return make_records(base.frame, schema, strata=base.strata)


def main():
    """Print a line for each target and protocol; return 1 if the gain is too small."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=-1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = []
    for fetch, target, proxies in TARGETS:
        records = records_of(fetch, target, proxies)
        folds = LanguageKFold(5, exclude=records.schema.pivots)
        for protocol, seeds in PROTOCOLS.items():
            start = time.perf_counter()
            errors = {
                name: evaluate(
                    make(),
                    records,
                    folds if protocol == "languages" else protocol,
                    seeds=seeds,
                    baselines=False,
                    n_jobs=args.n_jobs,
                )
                .summary()["rmse"]
                .item()
                for name, make in MODELS.items()
            }
            table = fetch.__name__.removeprefix("fetch_")
            rows.append({"table": table, "target": target, "split": protocol} | errors)
            said = "  ".join(f"{name} {value:.2f}" for name, value in errors.items())
            seconds = time.perf_counter() - start
            print(
                f"{table:7}{target:25}{protocol:10} {said}  {seconds:.0f} s", flush=True
            )
    table = pd.DataFrame(rows)
    verdicts = []
    for name in list(MODELS)[1:]:
        ratio = np.exp(np.log(table["default"] / table[name]).mean())
        verdicts.append(ratio <= LEAST_GAIN)
        print(f"default over {name}: geometric mean {ratio:.3f}, at most {LEAST_GAIN}")
    if args.write:
        table.to_csv(TABLE, index=False, float_format="%.2f")
    return int(not all(verdicts))


if __name__ == "__main__":
    sys.exit(main())
