"""Print our errors on the 24 published settings beside the best that was published.

A setting is a record table, a target model, a score and a protocol of
arXiv:2406.09334; its line to beat is the lowest published RMSE of all regressors and
feature sets. The default, `ProxyRegressor()`, is the same in all of them. It is run
with the features of all records as context, and without; named regressors and naive
baselines stand beside it, with what the default gains on each and the standard error of
that, paired by language or by seed.

    python benchmarks/accuracy.py [--quick] [--models auto,xgboost] [--folder RUNS]

With `--folder` finished fits are kept, so that a run that was stopped goes on.
`--lolo-seeds` sets how many of the five seeds leave-one-language-out is repeated for:
the folds are the same for all of them. `--write` stores the table for the
documentation. The default alone takes about an hour on two processor cores.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor

from proxylm import (
    ProxyRegressor,
    evaluate,
    fetch_intent,
    fetch_mt560,
    fetch_nusa,
    fetch_slot,
    load_published,
)
from proxylm.records import concat

FETCH = {
    "mt560": fetch_mt560,
    "nusa": fetch_nusa,
    "intent": fetch_intent,
    "slot": fetch_slot,
}
MODELS = {
    "auto": lambda: ProxyRegressor(),
    "auto without context": lambda: ProxyRegressor(),
    "xgboost": lambda: ProxyRegressor("xgboost"),
    "lightgbm": lambda: ProxyRegressor("lightgbm"),
    "extra trees": lambda: ProxyRegressor(ExtraTreesRegressor(300)),
    "gp": lambda: ProxyRegressor("gp"),
    "mf": lambda: ProxyRegressor("mf"),
    "ridge": lambda: ProxyRegressor("ridge"),
}
SETTING = ["dataset", "model", "score", "protocol"]
SEEDS = (42, 43, 44, 45, 46)
LEVEL = 0.9
TABLES = Path(__file__).parents[1] / "docs" / "_tables"


def best_published():
    """Return the lowest published RMSE of each of the 24 settings, and its sides."""
    table = load_published()
    table = table[table["protocol"] != "incremental"]  # of an older, smaller table
    best = table.loc[table.groupby(SETTING, sort=False)["rmse"].idxmin()]
    return best.sort_values(["protocol", "dataset", "model", "score"])


def load_setting(setting, features):
    """Return the records of a setting."""
    options = {"target": setting.model, "score": setting.score, "features": features}
    if setting.protocol == "cross_dataset":
        return concat({"mt560": fetch_mt560(**options), "nusa": fetch_nusa(**options)})
    return FETCH[setting.dataset](**options)


def seeds_of(protocol, lolo_seeds):
    """Return the seeds that a protocol is repeated for."""
    return SEEDS[:lolo_seeds] if protocol == "lolo" else SEEDS


def run(setting, name, features, args):
    """Return rows of results of one model in one setting, its baselines behind it."""
    records = load_setting(setting, features)
    start = time.perf_counter()
    is_default = name.startswith("auto")
    evaluation = evaluate(
        MODELS[name](),
        records,
        setting.protocol,
        seeds=seeds_of(setting.protocol, args.lolo_seeds),
        baselines=name == "ridge",
        context=name == "auto",
        confidence_level=LEVEL if is_default else None,
        n_jobs=args.n_jobs,
        checkpoint=args.folder,
        name=name,
    )
    seconds = time.perf_counter() - start
    rows = []
    for row in evaluation.summary().to_dict("records"):
        kept = ["rmse", "rmse_as_source", "rmse_as_target", "spearman"]
        kept += ["pairwise_accuracy", "coverage", "width"]
        cells = {key: row.get(key, np.nan) for key in kept}
        errors = unit_errors(evaluation, row["model"])
        rows.append(
            {key: getattr(setting, key) for key in SETTING}
            | {"features": features, "regressor": row["model"]}
            | cells
            | {
                "errors": errors,
                "standard_error": standard_error(errors),
                "low_coverage": share_of_low_coverage(evaluation, row["model"]),
                "published": setting.rmse,
                "ratio": row["rmse"] / setting.rmse,
                "seconds": seconds,
            }
        )
    return rows


def unit_errors(evaluation, model):
    """Return the RMSE on each left-out language, or for each seed."""
    rows = evaluation.predictions
    rows = rows[rows["model"] == model]
    squares = (rows["truth"] - rows["prediction"]) ** 2
    unit = "language" if rows["language"].ne("").any() else "seed"
    return squares.groupby(rows[unit]).mean() ** 0.5


def standard_error(errors):
    """Return the standard error of the mean of errors."""
    return errors.std(ddof=1) / np.sqrt(len(errors)) if len(errors) > 1 else np.nan


def share_of_low_coverage(evaluation, model):
    """Return the share of left-out languages whose intervals hold under 70%."""
    rows = evaluation.predictions
    if "lower" not in rows or rows["language"].eq("").all() or model != evaluation.name:
        return np.nan
    return evaluation.by_language()["coverage"].lt(0.7).mean()


def print_summary(table):
    """Print the geometric means over the settings, by family and in all."""
    families = table["protocol"].where(
        table["protocol"].isin(["random", "lolo"]), "shifted"
    )
    for name, part in table.groupby("regressor", sort=False):
        ratios = np.log(part["ratio"])
        means = np.exp(ratios.groupby(families).mean())
        said = "  ".join(f"{key} {value:.3f}" for key, value in means.items())
        print(
            f"{name}: {len(part)} settings, geometric mean of the ratios "
            f"{np.exp(ratios.mean()):.3f}, largest {part['ratio'].max():.3f}  ({said})"
        )
    own = table[table["coverage"].notna() & table["protocol"].eq("lolo")]
    own = own[own["dataset"].ne("nusa")]
    for name, part in own.groupby("regressor", sort=False):
        print(
            f"{name}: coverage of {LEVEL:.0%} intervals, lolo without nusa: mean "
            f"{part['coverage'].mean():.1%}, {part['coverage'].min():.1%} to "
            f"{part['coverage'].max():.1%}; languages below 70%: "
            f"{part['low_coverage'].max():.0%} at most"
        )


def write_tables(table):
    """Write what the documentation shows: the default, and how far others lag."""
    setting = table[SETTING].astype(str).agg(" / ".join, axis=1).rename("setting")
    is_first = table["regressor"] == table["regressor"].iloc[0]
    columns = {
        "rmse": "RMSE",
        "published": "best published",
        "ratio": "ratio",
        "rmse_as_source": "as source",
        "rmse_as_target": "as target",
        "standard_error": "standard error",
        "spearman": "Spearman",
        "pairwise_accuracy": "pairs",
        "coverage": "coverage",
        "width": "width",
    }
    shown = pd.concat([setting, table[list(columns)].rename(columns=columns)], axis=1)
    shown[is_first].to_csv(TABLES / "accuracy.csv", index=False, float_format="%.3g")
    others = table[~is_first]
    if len(others):
        cells = [
            f"{gain:.2g} ± {error:.1g}"
            for gain, error in zip(others["gain"], others["gain_error"], strict=True)
        ]
        named = others.assign(setting=setting, cell=cells)
        named = named.pivot(index="setting", columns="regressor", values="cell")
        order = [list(dict.fromkeys(each)) for each in (setting, others["regressor"])]
        named.loc[order[0], order[1]].to_csv(TABLES / "accuracy_named.csv")


def main():
    """Run the settings and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="auto")
    parser.add_argument(
        "--features", default="ensemble", choices=["ensemble", "nlperf"]
    )
    parser.add_argument("--protocols", default="")
    parser.add_argument("--datasets", default="")
    parser.add_argument("--quick", action="store_true", help="nusa alone")
    parser.add_argument("--lolo-seeds", type=int, default=1)
    parser.add_argument("--n-jobs", type=int, default=-1)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    # One thread each: folds run side by side.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = best_published()
    if args.quick:
        settings = settings[settings["dataset"] == "nusa"]
    if args.protocols:
        settings = settings[settings["protocol"].isin(args.protocols.split(","))]
    if args.datasets:
        settings = settings[settings["dataset"].isin(args.datasets.split(","))]
    rows = []
    for setting in settings.itertuples():
        first = None
        for name in args.models.split(","):
            found = run(setting, name, args.features, args)
            first = found[0]["errors"] if first is None else first
            rows.extend(found)
            for row in found:
                gain = row.pop("errors") - first
                row |= {"gain": gain.mean(), "gain_error": standard_error(gain)}
                print(
                    f"{row['dataset']:12} {row['model']:7} {row['score']:8} "
                    f"{row['protocol']:14} {row['regressor']:30} {row['rmse']:7.3f} "
                    f"published {row['published']:7.3f}  ratio {row['ratio']:.3f}  "
                    f"behind the first {row['gain']:.3f} +- {row['gain_error']:.3f}  "
                    f"coverage {row['coverage']:.3f}  width {row['width']:.2f}  "
                    f"{row['seconds']:.0f} s",
                    flush=True,
                )
    table = pd.DataFrame(rows)
    print_summary(table)
    if args.write:
        write_tables(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
