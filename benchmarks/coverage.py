"""Print how many scores of left-out languages lie in their 90% intervals.

Every language of six tables is left out in turn. The mean coverage is to be 88% to 93%
over the tables and 85% to 95% on each; at most 10% of the languages of a table may be
covered below 70%; and intervals are to be at least 15% narrower, on the mean, than
intervals of one constant width that hold the same share of the scores. That width is
chosen with the truth at hand, so no split conformal prediction can do better with it.
All shares and widths are means over languages, then over sides.

    python benchmarks/coverage.py [--quick] [--wrapped] [--folder RUNS]

The regressor is the default, or with `--wrapped` boosted trees in a
LanguageConformalRegressor. `--folder` may be that of accuracy.py, whose predictions
then serve here.
"""

import argparse
import sys
import time

import numpy as np

from proxylm import (
    Evaluation,
    LanguageConformalRegressor,
    LeaveOneLanguageOut,
    ProxyRegressor,
    evaluate,
    fetch_intent,
    fetch_mt560,
    fetch_slot,
)

TABLES = {
    ("mt560", "m2m100"): fetch_mt560,
    ("mt560", "nllb"): fetch_mt560,
    ("intent", "aya"): fetch_intent,
    ("intent", "llama3"): fetch_intent,
    ("slot", "aya"): fetch_slot,
    ("slot", "llama3"): fetch_slot,
}
LEVEL = 0.9
QUICK_LANGUAGES = 12
SEED = 42
MEAN_COVERAGE = (0.88, 0.93)
TABLE_COVERAGE = (0.85, 0.95)
LOW_COVERAGE = 0.7
LOW_SHARE = 0.1
WIDTH_RATIO = 0.85


def splitter_of(records):
    """Leave out each of a sample of the languages."""
    pivots = records.schema.pivots
    languages = set(np.unique(records.groups.to_numpy(dtype=str))) - set(pivots)
    order = np.random.default_rng(SEED).permutation(sorted(languages))
    return LeaveOneLanguageOut(exclude=[*pivots, *order[QUICK_LANGUAGES:]])


def coverage_and_width(predictions):
    """Return both, as the summary of an evaluation averages them."""
    row = Evaluation(predictions, name="").summary().iloc[0]
    return row["coverage"], row["width"]


def constant_width(predictions, coverage, score_range):
    """Return the mean width of intervals of one half-width with that coverage."""
    truth, predicted = predictions["truth"], predictions["prediction"]

    def at(half):
        return coverage_and_width(
            predictions.assign(
                lower=(predicted - half).clip(*score_range),
                upper=(predicted + half).clip(*score_range),
            )
        )

    halves = np.sort((truth - predicted).abs()) * (1 + 1e-12)
    low, high = 0, len(halves) - 1
    while low < high:
        middle = (low + high) // 2
        if at(halves[middle])[0] < coverage:
            low = middle + 1
        else:
            high = middle
    return at(halves[low])[1]


def main():
    """Print a row per table and the verdicts; return 1 if one is off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 languages a table")
    parser.add_argument("--wrapped", action="store_true", help="around boosted trees")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--n-jobs", type=int, default=1)
    options = parser.parse_args()
    regressor = ProxyRegressor()
    if options.wrapped:
        trees = ProxyRegressor("xgboost", regressor_params={"n_estimators": 200})
        regressor = LanguageConformalRegressor(trees)
    print("table   model   coverage  below 70%  width  constant  ratio  seconds")
    rows = []
    for (table, model), fetch in TABLES.items():
        records = fetch(target=model)
        start = time.perf_counter()
        evaluation = evaluate(
            regressor,
            records,
            splitter_of(records) if options.quick else "lolo",
            seeds=SEED,
            baselines=False,
            n_jobs=options.n_jobs,
            checkpoint=options.folder,
            confidence_level=LEVEL,
        )
        seconds = time.perf_counter() - start
        coverage, width = coverage_and_width(evaluation.predictions)
        low = (evaluation.by_language()["coverage"] < LOW_COVERAGE).mean()
        constant = constant_width(
            evaluation.predictions, coverage, records.schema.range_
        )
        rows.append((coverage, low, width / constant))
        print(
            f"{table:8}{model:8}{coverage:8.1%}{low:11.0%}{width:7.1f}{constant:10.1f}"
            f"{width / constant:7.2f}{seconds:9.0f}",
            flush=True,
        )
    coverages, lows, ratios = np.array(rows).T
    ratio = np.exp(np.mean(np.log(ratios)))
    bars = {
        f"mean coverage {coverages.mean():.1%}": MEAN_COVERAGE[0]
        <= coverages.mean()
        <= MEAN_COVERAGE[1],
        f"coverage of a table {coverages.min():.1%} to {coverages.max():.1%}": (
            TABLE_COVERAGE[0] <= coverages.min()
            and coverages.max() <= TABLE_COVERAGE[1]
        ),
        f"languages below 70% in a table, at most {lows.max():.0%}": lows.max()
        <= LOW_SHARE,
        f"width over constant width {ratio:.2f}": ratio <= WIDTH_RATIO,
    }
    for said, is_ok in bars.items():
        print(f"{said}   {'ok' if is_ok else 'off'}")
    return int(not all(bars.values()))


if __name__ == "__main__":
    sys.exit(main())
