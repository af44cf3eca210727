"""Print what each part of the default brings, on some of the published settings.

One fit a fold serves most variants: each member alone, their plain mean, and the stack
without profiles, without its care for rows that are far, with one set of weights for
known and new languages, with one draw of the processes' parameters, and as it is. A
second fit has codes that tell nothing of a language. Figures are RMSE relative to the
whole default.

    python benchmarks/ablation.py [--languages 8] [--write]

With `--languages` only so many languages are left out, evenly spaced in the order of
their codes. It takes about half an hour on two processor cores.
"""

import argparse
import sys
import time
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from proxylm import (
    ProxyRegressor,
    fetch_intent,
    fetch_mt560,
    fetch_nusa,
    fetch_slot,
)
from proxylm.model_selection._evaluate import _groups_for
from proxylm.model_selection._protocols import resolve_protocol
from proxylm.records import concat
from proxylm.regression._members import ProcessMember

FETCH = {
    "mt560": fetch_mt560,
    "nusa": fetch_nusa,
    "intent": fetch_intent,
    "slot": fetch_slot,
}
SETTINGS = [
    ("mt560", "m2m100", "random"),
    ("nusa", "nllb", "random"),
    ("intent", "aya", "random"),
    ("slot", "llama3", "random"),
    ("mt560", "m2m100", "lolo"),
    ("mt560", "nllb", "lolo"),
    ("nusa", "m2m100", "lolo"),
    ("nusa", "nllb", "lolo"),
    ("intent", "aya", "lolo"),
    ("slot", "llama3", "lolo"),
    ("mt560", "m2m100", "unseen"),
    ("mt560", "m2m100", "unseen_reverse"),
    ("mt560->nusa", "m2m100", "cross_dataset"),
    ("mt560->nusa", "nllb", "cross_dataset"),
]
SEED = 42
TABLE = Path(__file__).parents[1] / "docs" / "_tables" / "ablation.rst"
VARIANTS = (
    "all",
    "names unknown",
    "one draw",
    "not far",
    "one set of weights",
    "no profiles",
    "mean of members",
)


def load(dataset, model):
    """Return the records of a setting."""
    if dataset == "mt560->nusa":
        return concat(
            {"mt560": fetch_mt560(target=model), "nusa": fetch_nusa(target=model)}
        )
    return FETCH[dataset](target=model)


def make_folds(records, protocol, n_languages):
    """Return ((train, test), language) of the folds of a setting."""
    splitter, _ = resolve_protocol(protocol, records)
    if hasattr(splitter, "random_state"):
        splitter.random_state = SEED
    groups = _groups_for(splitter, records, None)
    folds = list(splitter.split(records.data, records.target, groups))
    languages = [None] * len(folds)
    if hasattr(splitter, "left_out"):
        languages = splitter.left_out(groups)
    if protocol == "lolo" and n_languages < len(folds):
        chosen = np.linspace(0, len(folds) - 1, n_languages).astype(int)
        folds, languages = ([each[i] for i in chosen] for each in (folds, languages))
    return list(zip(folds, languages, strict=True))


def nameless(data, languages):
    """Return a table whose languages have names that nobody knows."""
    return data.assign(**{name: data[name] + "?" for name in languages})


def members_of_one_draw(stack, rows):
    """Return what the members predict if each process has one draw of parameters."""
    single = copy(stack)
    single.members_ = {name: copy(member) for name, member in stack.members_.items()}
    for member in single.members_.values():
        if isinstance(member, ProcessMember):
            member.processes = member.processes[:1]
    return single.predict_members(rows)


def variants(records, train, tests):
    """Return {variant: predictions} of the test rows of each fold."""
    data, y = records.data, records.target
    regressor = ProxyRegressor(context=data, random_state=SEED)
    stack = regressor.fit(data.iloc[train], y.iloc[train]).regressor_
    hidden = nameless(data, regressor.languages_)
    blind = ProxyRegressor(context=hidden, random_state=SEED)
    blind.fit(hidden.iloc[train], y.iloc[train])
    low, high = regressor.score_range_
    names = list(stack.members_)
    known, new, unprofiled = (np.array([*w.values()]) for w in stack.weights_.values())
    results = []
    for test in tests:
        table = data.iloc[test]
        rows = stack.design_.transform(table)
        members = stack.predict_members(rows)
        is_new = rows.n_unseen > 0
        found = dict(zip(names, members, strict=True))
        found["all"] = stack.predict(table)
        found["names unknown"] = blind.predict(hidden.iloc[test])
        single = members_of_one_draw(stack, rows)
        found["one draw"] = np.where(is_new, new @ single, known @ single)
        found["not far"] = np.where(is_new, new @ members, known @ members)
        found["one set of weights"] = known @ members
        own = np.where([name.endswith("profiles") for name in names], 0, known)
        own = own / own.sum() if own.sum() else unprofiled
        found["no profiles"] = np.where(is_new, unprofiled @ members, own @ members)
        found["mean of members"] = members.mean(axis=0)
        results.append({key: np.clip(p, low, high) for key, p in found.items()})
    return results


def errors(records, folds, predictions):
    """Return {variant: RMSE} as the protocols average it."""
    y = records.target.to_numpy()
    source, target = records.groups.to_numpy().T
    sums = {}
    for ((_, test), language), found in zip(folds, predictions, strict=True):
        sides = {"": np.ones(len(test), dtype=bool)}
        if isinstance(language, str):
            sides = {
                "s": source[test] == language,
                "t": target[test] == language,
            }
        for side, rows in sides.items():
            for name, predicted in found.items():
                if rows.any():
                    error = np.sqrt(np.mean((y[test] - predicted)[rows] ** 2))
                    sums.setdefault(name, {}).setdefault(side, []).append(error)
    return {
        name: np.mean([np.mean(values) for values in by_side.values()])
        for name, by_side in sums.items()
    }


def run(setting, n_languages, n_jobs):
    """Return the errors of all variants in one setting."""
    records = load(*setting[:2])
    folds = make_folds(records, setting[2], n_languages)
    shared = {}
    for i, ((train, _), _) in enumerate(folds):
        shared.setdefault(train.tobytes(), []).append(i)
    done = Parallel(n_jobs=n_jobs)(
        delayed(variants)(
            records, folds[chosen[0]][0][0], [folds[i][0][1] for i in chosen]
        )
        for chosen in shared.values()
    )
    predictions = [None] * len(folds)
    for chosen, found in zip(shared.values(), done, strict=True):
        for i, each in zip(chosen, found, strict=True):
            predictions[i] = each
    return errors(records, folds, predictions)


def main():
    """Run the settings, print a line for each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--languages", type=int, default=1000)
    parser.add_argument("--n-jobs", type=int, default=-1)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = []
    for setting in SETTINGS:
        start = time.perf_counter()
        found = run(setting, args.languages, args.n_jobs)
        rows.append({"setting": " / ".join(setting), "rmse": found["all"]} | found)
        print(
            f"{rows[-1]['setting']:36} {found['all']:6.2f}  "
            + "  ".join(f"{k} {v / found['all']:.2f}" for k, v in found.items())
            + f"  {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    table = pd.DataFrame(rows).set_index("setting")
    ratios = table.drop(columns="rmse").div(table["rmse"], axis=0)
    means = np.exp(np.log(ratios).mean())
    print("geometric means", means.round(3).to_dict())
    if args.write:
        columns = [*VARIANTS[1:], *(c for c in ratios if c not in VARIANTS)]
        lines = [
            "What each part brings",
            "---------------------",
            "",
            "RMSE, and how many times larger it is without a part of the default and",
            "with a member alone; `python benchmarks/ablation.py` prints them.",
            f"Of each table {args.languages} languages are left out at most; one seed.",
            "",
            ".. csv-table::",
            "   :class: results",
            "   :header-rows: 1",
            "",
            "   " + ",".join(["setting", "RMSE", *columns]),
        ]
        for name, row in ratios.iterrows():
            cells = [f"{row[column]:.2f}" for column in columns]
            lines.append(f"   {name},{table.loc[name, 'rmse']:.2f}," + ",".join(cells))
        cells = [f"{means[column]:.2f}" for column in columns]
        lines.append("   geometric mean,," + ",".join(cells))
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
