"""Predict the scores of left-out languages on the records that come with proxylm.

    python benchmarks/udhr_accuracy.py [--folder RUNS] [--write] [--n-jobs N]

Every language is left out in turn. RMSE is the mean over languages, the pooled one that
of all records; its excess is what is left of it without the noise of a measurement,
sqrt(RMSE^2 - noise^2), which nobody can predict. The
default is to have at most 60% of the excess of the best naive baseline, and at most 90%
of the RMSE of xgboost as its library has it; its intervals at 90% are to hold for 85%
to 95% of the scores, in the mean over languages. `--write` writes the table that the
documentation has, and `--folder` keeps finished fits, from which an interrupted run
goes on.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from xgboost import XGBRegressor

from proxylm import LeaveOneLanguageOut, ProxyRegressor, evaluate, load_udhr_records

SEED = 42
LEVEL = 0.9
SHARE_OF_EXCESS = 0.6
SHARE_OF_XGBOOST = 0.9
COVERAGE = (0.85, 0.95)
DEFAULT, LIBRARY = "ProxyRegressor()", "xgboost of the library"
NAMED = ("xgboost", "lightgbm", "gp", "ridge")
TABLE = Path(__file__).parents[1] / "docs" / "_tables" / "udhr.csv"
COLUMNS = {
    "rmse": "RMSE",
    "pooled": "Pooled",
    "excess": "Excess",
    "mae": "MAE",
    "spearman": "Spearman",
    "coverage": "Coverage",
    "width": "Width",
}


def run(name, estimator, records, arguments, level=None, baselines=False):
    folder = arguments.folder and arguments.folder / records.schema.metric / name
    return evaluate(
        estimator,
        records,
        LeaveOneLanguageOut(),
        seeds=SEED,
        baselines=baselines,
        confidence_level=level,
        checkpoint=folder,
        n_jobs=arguments.n_jobs,
        name=name,
    )


def measure(score, arguments):
    """Return the errors of all models for a score, and the noise in it."""
    records = load_udhr_records(score=score)
    models = {LIBRARY: XGBRegressor(n_jobs=1)}
    models |= {name: ProxyRegressor(name) for name in NAMED}
    tables = [run(DEFAULT, ProxyRegressor(), records, arguments, LEVEL, baselines=True)]
    tables += [run(name, model, records, arguments) for name, model in models.items()]
    table = pd.concat([found.summary() for found in tables], ignore_index=True)
    table = table.set_index("model")
    rows = pd.concat([found.predictions for found in tables])
    squares = (rows["prediction"] - rows["truth"]) ** 2
    table["pooled"] = np.sqrt(squares.groupby(rows["model"]).mean())
    beyond = np.clip(table["pooled"] ** 2 - records.noise**2, 0, None)
    return table.assign(excess=np.sqrt(beyond)), records


def judge(table, noise):
    """Print the figures that are to be reached."""
    naive = table[table.index.str.startswith("baseline")]
    best = naive["rmse"].idxmin()
    ours = table.loc[DEFAULT]
    share = ours["excess"] / naive.loc[best, "excess"]
    plain = (ours["pooled"] - noise) / (naive.loc[best, "pooled"] - noise)
    against = ours["rmse"] / table.loc[LIBRARY, "rmse"]
    low, high = COVERAGE
    print(
        f"Noise {noise:.4g}. Excess over it: {share:.2f} of that of {best} (bar "
        f"{SHARE_OF_EXCESS}; {plain:.2f} as RMSE - noise). RMSE: {against:.2f} of that "
        f"of {LIBRARY} (bar {SHARE_OF_XGBOOST}). Coverage {ours['coverage']:.1%} (bar "
        f"{low:.0%} to {high:.0%})."
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--n-jobs", type=int, default=-1)
    arguments = parser.parse_args()
    found = {}
    for score in ("bits_per_text", "bits_per_byte"):
        table, records = measure(score, arguments)
        found[score] = table
        frame = records.frame
        print(
            f"\n{score}, {len(frame)} records, {frame['target_lang'].nunique()} "
            f"languages\n{table[list(COLUMNS)].round(4).to_string()}"
        )
        judge(table, records.noise)
    if arguments.write:
        table = found["bits_per_text"].rename(columns=COLUMNS)[[*COLUMNS.values()]]
        shown = pd.DataFrame(index=table.index)
        for name, values in table.items():
            digits = "{:.2f}" if name in ("Spearman", "Coverage") else "{:.1f}"
            shown[name] = [
                "" if np.isnan(value) else digits.format(value) for value in values
            ]
        shown.to_csv(TABLE, index_label="Model")


if __name__ == "__main__":
    main()
