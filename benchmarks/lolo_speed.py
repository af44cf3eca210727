"""Time the MT560 leave-one-language-out table beside the original's procedure.

Ours is one run of the table: 50 languages, ProxyRegressor("xgboost") with its
defaults, one seed. The original tunes every fold by 50 draws of 2,000 to 5,000 trees
on 10 inner folds; here some draws of one fold are timed in the same run and the
rest is extrapolated, which is labelled so.

    python benchmarks/lolo_speed.py [--draws 4]
"""

import argparse
import time

from scipy.stats import loguniform
from sklearn.model_selection import RandomizedSearchCV
from xgboost import XGBRegressor

from proxylm import LeaveOneLanguageOut, ProxyRegressor, evaluate, fetch_mt560

ORIGINAL_DRAWS = 50
ORIGINAL_SEEDS = 5
ORIGINAL_SPACE = {
    "n_estimators": range(2000, 5001, 250),
    "learning_rate": loguniform(0.01, 0.1),
}
ORIGINAL_PARAMS = {
    "min_child_weight": 5,
    "max_depth": 5,
    "subsample": 0.6,
    "colsample_bytree": 0.83,
    "reg_alpha": 0.2,
    "reg_lambda": 0.1,
}


def seconds_of(function):
    """Return the wall-clock seconds of a call and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main():
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4)
    draws = parser.parse_args().draws
    records = fetch_mt560(target="m2m100", score="spBLEU")
    ours, evaluation = seconds_of(
        lambda: evaluate(ProxyRegressor("xgboost"), records, "lolo", n_jobs=-1)
    )
    n_folds = evaluation.predictions["fold"].nunique()
    row = evaluation.summary().iloc[0]
    print(
        f"ours: {n_folds} folds in {ours:.1f} s ({ours / n_folds:.2f} s a fold), "
        f"RMSE {row['rmse']:.3f}"
    )

    splitter = LeaveOneLanguageOut(exclude=records.schema.pivots)
    train, _ = next(splitter.split(records.data, groups=records.groups))
    X = records.data[records.feature_names].iloc[train].to_numpy()
    search = RandomizedSearchCV(
        XGBRegressor(n_jobs=1, random_state=42, **ORIGINAL_PARAMS),
        ORIGINAL_SPACE,
        n_iter=draws,
        cv=10,
        scoring="neg_mean_squared_error",
        n_jobs=-1,
        random_state=42,
    )
    searched, _ = seconds_of(lambda: search.fit(X, records.target.iloc[train]))
    per_draw = (searched - search.refit_time_) / draws
    fold = per_draw * ORIGINAL_DRAWS + search.refit_time_
    print(
        f"original: {draws} draws x 10 folds of one fold in {searched:.1f} s; "
        f"extrapolated to {ORIGINAL_DRAWS} draws: {fold:.0f} s a fold, "
        f"{fold * n_folds / 3600:.1f} h a table of one seed, "
        f"{fold * n_folds * ORIGINAL_SEEDS / 3600:.0f} h with {ORIGINAL_SEEDS} seeds"
    )
    print(f"ratio per fold (extrapolated): {fold / (ours / n_folds):.0f} times faster")
    print(f"table under 4 minutes: {'yes' if ours < 240 else 'no'}")


if __name__ == "__main__":
    main()
