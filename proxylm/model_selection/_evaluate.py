"""evaluate(), the one loop that trains and tests."""

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from proxylm._files import write_whole
from proxylm._version import __version__
from proxylm.model_selection._baselines import applicable_baselines
from proxylm.model_selection._evaluation import Evaluation
from proxylm.model_selection._protocol_split import subsample
from proxylm.model_selection._protocols import NO_DATASETS, resolve_protocol


@dataclass(frozen=True)
class Part:
    """The test rows of one fold."""

    fold: int
    language: str  # the language left out, "" if none
    test: np.ndarray


@dataclass(frozen=True)
class Task:
    """One fit, and the folds that it serves: those with the same training rows."""

    seed: int
    train_size: float
    train: np.ndarray
    parts: list[Part]

    @property
    def test(self):
        """Test rows of all folds, one after another."""
        return np.concatenate([part.test for part in self.parts])

    @property
    def filename(self):
        """Name of the file that keeps the predictions of the task."""
        return f"{self.seed}-{self.train_size}-{self.parts[0].fold:05d}.npy"


def evaluate(
    estimator: BaseEstimator,
    records: Bunch,
    cv: Any = "lolo",
    *,
    groups: ArrayLike | None = None,
    seeds: Iterable[int] | int = (42,),
    train_sizes: Iterable[float] | None = None,
    baselines: bool = True,
    context: bool = True,
    n_jobs: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = False,
    name: str | None = None,
    confidence_level: float | None = None,
) -> Evaluation:
    """Train and test an estimator on records, fold by fold.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn regressor. One that accepts categorical input (as
        :class:`proxylm.ProxyRegressor` does) is handed the language columns too,
        others only the numeric features. It is cloned for every fold.
    records : Bunch
        Records as the loaders return them.
    cv : str or splitter, default="lolo"
        A protocol ("random", "lolo", "unseen", "unseen_reverse", "cross_dataset",
        "incremental") or any scikit-learn splitter. The languages that are unseen are
        those of the `model` that the schema names.
    groups : array-like of shape (n_records,) or (n_records, 2), default=None
        Groups for the splitter. By default those that it asks for: languages,
        data-set labels or strata.
    seeds : int or iterable of int, default=(42,)
        The whole is repeated for each seed, which becomes the `random_state` of the
        splitter and of the estimator and its parts.
    train_sizes : iterable of float, default=None
        Portions of the training rows in (0, 1], for a learning curve.
    baselines : bool, default=True
        Whether to add the naive baselines.
    context : bool, default=True
        Whether an estimator with a parameter `context` that is None, such as
        :class:`proxylm.ProxyRegressor`, is handed the features of all records as
        context. Scores of the target are never among them. It is what a user has who
        knows which records are to be predicted; without it a language that is left
        out is one that nothing was known of when the estimator was fitted.
    n_jobs : int, default=None
        Number of folds that joblib runs at once; None means 1 and -1 all cores.
        Inside ``joblib.parallel_config("dask")`` the folds run on a dask cluster.
    checkpoint : path-like, default=None
        Folder that keeps the predictions of finished folds. A run that was
        interrupted goes on from there; a run with another signature starts anew.
    progress : bool, default=False
        Whether to show a progress bar.
    name : str, default=None
        What the estimator is called in the results.
    confidence_level : float, default=None
        Level of the intervals that the estimator's `predict_interval` gives. With one,
        the results have the ends of the intervals, their coverage and their width.

    Returns
    -------
    evaluation : Evaluation
        One row per prediction, with summaries.

    Raises
    ------
    ValueError
        If the protocol is unknown or does not suit the records.
    TypeError
        If the estimator, the records or the splitter are none, or if intervals are
        asked of an estimator that has none.

    Examples
    --------
    >>> from proxylm import evaluate, fetch_nusa, ProxyRegressor
    >>> evaluation = evaluate(
    ...     ProxyRegressor("ridge"), fetch_nusa(target="nllb"), "lolo"
    ... )  # doctest: +SKIP
    >>> evaluation.summary()  # doctest: +SKIP
    """
    _check_records(records)
    _check_estimator(estimator, confidence_level)
    seeds = _check_seeds(seeds)
    splitter, protocol_sizes = resolve_protocol(cv, records)
    sizes = _check_sizes(protocol_sizes if train_sizes is None else train_sizes)
    groups = _groups_for(splitter, records, groups)
    X = _input_of(estimator, records)
    functions = applicable_baselines(records.schema) if baselines else {}
    name = name or _default_name(estimator)
    signature = make_signature(estimator, records, X, splitter, seeds, sizes, functions)
    names = _context_parameters(estimator) if context else []
    signature["context"] = bool(names)
    given = dict.fromkeys(names, X)
    if confidence_level is not None:
        signature["confidence_level"] = confidence_level
    folder = None
    if checkpoint is not None:
        digest = hashlib.sha256(json.dumps(signature).encode()).hexdigest()
        folder = Path(checkpoint) / digest[:16]
    tasks = list(_tasks(records, X, splitter, groups, seeds, sizes))
    jobs = (
        delayed(_run_task)(
            index,
            task,
            _with_seed(estimator, task.seed).set_params(**given),
            X,
            records.target,
            records.data,
            functions,
            folder,
            confidence_level,
        )
        for index, task in enumerate(tasks)
    )
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
    if progress:
        from tqdm import tqdm

        done = tqdm(done, total=len(tasks), desc=name, unit="fit")
    results = dict(done)
    predictions = _predictions_table(records, tasks, results, [name, *functions])
    return Evaluation(
        predictions, name=name, metric=records.schema.metric, signature=signature
    )


def make_signature(estimator, records, X, splitter, seeds, sizes, functions):
    """Return what identifies a run: data, split, features, model, seeds, versions."""
    parts = [X, records.target, records.groups, records.strata, records.dataset]
    digest = hashlib.sha256()
    for part in parts:
        if part is not None and part.size:
            hashes = pd.util.hash_pandas_object(part, index=False)
            digest.update(hashes.to_numpy().tobytes())
    schema = records.schema
    model = " ".join(estimator.__repr__(N_CHAR_MAX=100_000).split())
    return {
        "data": digest.hexdigest()[:16],
        "n_records": len(X),
        "target": schema.target,
        "metric": schema.metric,
        "split": repr(splitter),
        "train_sizes": list(sizes),
        "features": list(X.columns),
        "model": model,
        "baselines": list(functions),
        "seeds": list(seeds),
        "proxylm": __version__,
        "scikit-learn": sklearn.__version__,
    }


def _check_records(records):
    wanted = {"data", "target", "groups", "schema"}
    if not isinstance(records, Mapping) or not wanted <= set(records):
        raise TypeError(
            "evaluate expects records as fetch_* and load_records return them. Got "
            f"{type(records).__name__}. Load a table of your own with "
            "proxylm.load_records(path, ...)."
        )
    if records["target"] is None:
        raise ValueError(
            "evaluate expects records with scores to predict. Got a schema without a "
            'target. Load them with target="COLUMN".'
        )


def _check_estimator(estimator, confidence_level):
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"evaluate expects an estimator, such as ProxyRegressor(). Got "
            f"{estimator!r:.80}."
        )
    if confidence_level is not None and not hasattr(estimator, "predict_interval"):
        raise TypeError(
            f"confidence_level={confidence_level!r} expects an estimator with a method "
            f"predict_interval. Got {type(estimator).__name__}. Wrap it: "
            "LanguageConformalRegressor(estimator)."
        )


def _check_seeds(seeds):
    given = list(seeds) if isinstance(seeds, Iterable) else [seeds]
    valid = all(isinstance(seed, Integral) and seed >= 0 for seed in given)
    if not given or not valid or len(set(given)) < len(given):
        raise ValueError(f"seeds expects different whole numbers from 0. Got {given}.")
    return tuple(map(int, given))


def _check_sizes(train_sizes):
    given = 1.0 if train_sizes is None else train_sizes
    sizes = tuple(map(float, given if isinstance(given, Iterable) else [given]))
    valid = all(0 < size <= 1 for size in sizes)
    if not sizes or not valid or len(set(sizes)) < len(sizes):
        raise ValueError(
            "train_sizes expects different portions of the training rows above 0 and "
            f"up to 1. Got {train_sizes!r}."
        )
    return sizes


def _groups_for(splitter, records, groups):
    """Return the groups that a splitter asks for, None if it takes none."""
    if groups is not None:
        return groups
    if not get_routing_for_object(splitter).consumes("split", ["groups"]):
        return None
    kind = getattr(splitter, "groups_from", None)
    if kind == "strata":
        return records.strata
    if kind == "dataset":
        if records.dataset is None:
            raise ValueError(NO_DATASETS.format(type(splitter).__name__))
        return records.dataset
    if kind is None and records.groups.shape[1] == 2:
        raise ValueError(
            f"{type(splitter).__name__} expects one column of groups. Got records with "
            f"two languages. Pass groups=records.groups[{records.groups.columns[1]!r}]"
            ", or take a splitter that knows both sides, such as LanguageKFold."
        )
    return records.groups if kind else records.groups.squeeze(axis=1)


def _input_of(estimator, records):
    """Return the columns that an estimator is handed."""
    if get_tags(estimator).input_tags.categorical:
        return records.data
    return records.data[list(records.feature_names)]


def _default_name(estimator):
    named = getattr(estimator, "regressor", None)
    return named if isinstance(named, str) else type(estimator).__name__


def _with_seed(estimator, seed):
    """Clone an estimator with the seed in every random_state."""
    estimator = clone(estimator)
    seeded = {
        key: seed
        for key in estimator.get_params()
        if key == "random_state" or key.endswith("__random_state")
    }
    return estimator.set_params(**seeded)


def _context_parameters(estimator):
    """Return the parameters that take the context: of the estimator or what it wraps.

    What stands in a pipeline is handed other columns than those of the records.
    """
    params = estimator.get_params()
    return [
        name
        for name in ("context", "estimator__context")
        if name in params and params[name] is None
    ]


def _tasks(records, X, splitter, groups, seeds, sizes):
    """Yield every fit of a run."""
    y = records.target
    for seed in seeds:
        seeded = copy.copy(splitter)
        if hasattr(seeded, "random_state"):
            seeded.random_state = seed
        folds = list(seeded.split(X, y, groups))
        languages = [None] * len(folds)
        if hasattr(seeded, "left_out"):
            languages = seeded.left_out(groups)
        for size in sizes:
            task = None
            for fold, (train, test) in enumerate(folds):
                label = languages[fold] if isinstance(languages[fold], str) else ""
                part = Part(fold, label, np.asarray(test))
                if size < 1:
                    train = subsample(train, size, records.strata, seed)
                if task is not None and np.array_equal(train, task.train):
                    task.parts.append(part)
                    continue
                if task is not None:
                    yield task
                task = Task(seed, size, np.asarray(train), [part])
            if task is not None:
                yield task


def _run_task(index, task, estimator, X, scores, data, functions, folder, level):
    """Fit and predict, or read what an interrupted run has kept.

    Baselines are handed `data`, which has the proxies and languages. Workers get no
    Bunch, of which dask makes a plain dict, and not the rest of the table. The ends of
    the intervals at a confidence `level` are the last two rows.
    """
    path = None if folder is None else folder / task.filename
    test = task.test
    if path is not None:
        kept = _read_kept(
            path, (1 + len(functions) + 2 * (level is not None), len(test))
        )
        if kept is not None:
            return index, kept
    y = scores.iloc[task.train]
    estimator.fit(X.iloc[task.train], y)
    rows = [estimator.predict(X.iloc[test])]
    for function in functions.values():
        rows.append(function(data.iloc[task.train], y, data.iloc[test]))
    if level is not None:
        rows.extend(estimator.predict_interval(X.iloc[test], level).T)
    predictions = np.vstack([np.asarray(row, dtype=float).reshape(-1) for row in rows])
    if path is not None:
        with write_whole(path) as temporary:
            np.save(temporary, predictions)
    return index, predictions


def _read_kept(path, shape):
    """Return kept predictions, or None if there are none that fit."""
    try:
        predictions = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return predictions if predictions.shape == shape else None


def _language_column(records, name):
    """Return the languages of one side, empty where the table has no such column."""
    if name is None or name not in records.groups:
        return np.full(len(records.target), "", dtype=object)
    return records.groups[name].to_numpy(dtype=object)


def _predictions_table(records, tasks, results, names):
    """Return one row per prediction and model."""
    source = _language_column(records, records.schema.source)
    target = _language_column(records, records.schema.target_language)
    truth = records.target.to_numpy(dtype=float)
    labels = records.frame.index.to_numpy()
    blocks = []
    for index, task in enumerate(tasks):
        ends = np.cumsum([len(part.test) for part in task.parts])
        per_part = np.split(results[index], ends[:-1], axis=1)
        for part, predicted in zip(task.parts, per_part, strict=True):
            test = part.test
            on_source, on_target = (
                source[test] == part.language,
                target[test] == part.language,
            )
            side = np.select(
                [on_source & on_target, on_source, on_target],
                ["both", "source", "target"],
                default="",
            )
            shared = {
                "record": labels[test],
                "source": source[test],
                "target_language": target[test],
                "language": np.full(len(test), part.language, dtype=object),
                "side": side if part.language else np.full(len(test), ""),
                "fold": np.full(len(test), part.fold),
                "seed": np.full(len(test), task.seed),
                "train_size": np.full(len(test), task.train_size),
                "n_train": np.full(len(test), len(task.train)),
            }
            predicted, ends = predicted[: len(names)], predicted[len(names) :]
            for i, (model, prediction) in enumerate(zip(names, predicted, strict=True)):
                block = shared | {
                    "model": np.full(len(test), model, dtype=object),
                    "truth": truth[test],
                    "prediction": prediction,
                }
                if len(ends):  # the intervals are those of the estimator, the first
                    own = ends if i == 0 else np.full_like(ends, np.nan)
                    block |= {"lower": own[0], "upper": own[1]}
                blocks.append(block)
    return pd.DataFrame(
        {
            column: np.concatenate([block[column] for block in blocks])
            for column in blocks[0]
        }
    )
