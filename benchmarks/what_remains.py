"""Print what is left in the default's errors on records of known languages.

Every record is predicted by the default without it, in its own five folds of rows. If
the errors of records that share something are alike, more could be learned from it. So
the script prints, for translation, the correlation of the errors of records that share
the fine-tuned model (the languages and the training set), the languages and the test
set, or both sets; and where all pairs of languages have a record, the largest singular
value of the matrix of errors beside its mean and the largest of 100 under random signs,
which keep the size of every error and nothing else. Errors are drawn in to the 1st and
99th percentile first, so that no few of them decide; how much of the squared error
the largest percent makes up stands in front.

    python benchmarks/what_remains.py [--n-jobs N]

It takes about two minutes on two processor cores.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from proxylm import ProxyRegressor, fetch_intent, fetch_mt560, fetch_slot

SETTINGS = [
    (fetch_mt560, "m2m100", "spBLEU"),
    (fetch_mt560, "nllb", "spBLEU"),
    (fetch_mt560, "m2m100", "comet"),
    (fetch_mt560, "nllb", "comet"),
    (fetch_intent, "aya", "accuracy"),
    (fetch_intent, "llama3", "accuracy"),
    (fetch_slot, "aya", "f1"),
    (fetch_slot, "llama3", "f1"),
]
SHARED = {
    "model": ("source", "target_language", "train_dataset"),
    "languages and test set": ("source", "target_language", "test_dataset"),
    "both sets": ("train_dataset", "test_dataset"),
}
SEED = 42
N_SIGNS = 100


def errors_of(records):
    """Return the error on each record by the default without it."""
    regressor = ProxyRegressor(context=records.data, random_state=SEED)
    stack = regressor.fit(records.data, records.target).regressor_
    known = stack.known_
    weights = np.array(list(stack.weights_["known"].values()))
    errors = np.empty(len(records.target))
    errors[known.rows] = weights @ known.members - records.target.to_numpy()[known.rows]
    return errors


def correlation_within(errors, groups):
    """Return the correlation of the errors of two records of one group."""
    size = groups.groupby(groups).transform("size").to_numpy()
    errors, groups, size = errors[size > 1], groups[size > 1], size[size > 1]
    others = pd.Series(errors).groupby(groups.to_numpy()).transform("sum") - errors
    return np.mean(errors * others / (size - 1)) / np.mean(errors**2)


def singular_values(errors, languages):
    """Return the largest singular value, and those under random signs."""
    table = pd.DataFrame({"error": errors, "row": languages[0], "column": languages[1]})
    table = table.pivot(index="row", columns="column", values="error")
    matrix = table.to_numpy(copy=True)
    np.fill_diagonal(matrix, 0)  # a language with itself is no transfer
    rng = np.random.default_rng(SEED)
    signs = rng.choice([-1, 1], (N_SIGNS, *matrix.shape))
    return np.linalg.norm(matrix, 2), np.linalg.norm(matrix * signs, 2, axis=(1, 2))


def describe(fetch, model, score):
    """Return a line on a setting."""
    records = fetch(target=model, score=score)
    errors = errors_of(records)
    squares = np.sort(errors**2)
    largest = squares[-max(len(squares) // 100, 1) :].sum() / squares.sum()
    table = fetch.__name__.removeprefix("fetch_")
    line = f"{table:7}{model:7}{score:9} RMSE {np.sqrt(squares.mean()):7.4f}"
    line += f"  largest percent {largest:4.0%}"
    errors = np.clip(errors, *np.percentile(errors, (1, 99)))
    if records.schema.train_dataset:
        for said, roles in SHARED.items():
            columns = [getattr(records.schema, role) for role in roles]
            groups = records.frame[columns].astype(str).agg("|".join, axis=1)
            line += f"  {said} {correlation_within(errors, groups):+.3f}"
        return line
    languages = records.groups.to_numpy().T
    value, random = singular_values(errors, languages)
    line += f"  singular value {value:.1f}, random signs {random.mean():.1f}"
    return line + f" (largest of {N_SIGNS}: {random.max():.1f})"


def main():
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-jobs", type=int, default=-1)
    options = parser.parse_args()
    jobs = (delayed(describe)(*setting) for setting in SETTINGS)
    for line in Parallel(options.n_jobs, return_as="generator")(jobs):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
