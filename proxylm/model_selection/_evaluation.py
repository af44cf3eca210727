"""Evaluation, the result of evaluate()."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from proxylm._files import write_whole
from proxylm.model_selection._scores import (
    covered,
    interval_width,
    mae,
    pairwise_accuracy,
    r2,
    rmse,
    spearman,
)
from proxylm.records._tables import EXACT_NUMBERS

SIDES = ("source", "target")
INTERVAL_SCORES = {"coverage": covered, "width": interval_width}


class Evaluation:
    """Predictions of every fold beside the truth, and what follows from them.

    Parameters
    ----------
    predictions : DataFrame
        One row per prediction with the columns ``record``, ``source``,
        ``target_language``, ``language`` (left out in the fold, or ``""``), ``side``
        on which it stands (``"source"``, ``"target"``, ``"both"``, ``""``),
        ``fold``, ``seed``, ``train_size``, ``n_train``, ``model``, ``truth`` and
        ``prediction``; with intervals, also their ends ``lower`` and ``upper``.
    name : str
        What the estimator is called in the column ``model``.
    metric : str or None
        Metric of the scores.
    signature : dict
        Data digest, split, features, model, seeds and versions.

    See Also
    --------
    proxylm.evaluate : Makes it.
    """

    def __init__(
        self,
        predictions: pd.DataFrame,
        *,
        name: str,
        metric: str | None = None,
        signature: Mapping[str, Any] | None = None,
    ) -> None:
        self.predictions = predictions
        self.name = name
        self.metric = metric
        self.signature = dict(signature or {})

    def __repr__(self):
        rows = self.predictions
        return (
            f"Evaluation({self.name!r}, {rows['model'].nunique()} models, "
            f"{len(rows)} predictions)"
        )

    @property
    def signature_line(self) -> str:
        """The signature in one line, as sacrebleu writes its own."""
        short = {
            "data": self.signature.get("data"),
            "target": self.signature.get("target"),
            "split": self.signature.get("split"),
            "features": len(self.signature.get("features", [])),
            "model": self.signature.get("model"),
            "seeds": ",".join(map(str, self.signature.get("seeds", []))),
            "proxylm": self.signature.get("proxylm"),
        }
        return "|".join(f"{key}:{value}" for key, value in short.items())

    def summary(self) -> pd.DataFrame:
        """Return scores of the estimator and the baselines.

        Where a language is left out, each score is computed per language and side,
        then averaged over the languages, over the seeds, and over the two sides, as
        in the published tables; otherwise per fold and seed. R2 is computed over all
        predictions of a seed and side, as languages have little variance of their own.

        Returns
        -------
        summary : DataFrame
            One row per model and train size with ``rmse``, ``rmse_as_source``,
            ``rmse_as_target`` (NaN without sides), ``mae``, ``r2``, ``spearman``,
            ``pairwise_accuracy`` and ``n_predictions``; with intervals, also
            ``coverage`` and ``width``. RMSE, MAE and width are in units of the scores.

        Notes
        -----
        With truths y and predictions p of n records,

        - RMSE is the root of mean((y - p)^2), MAE is mean(abs(y - p)),
        - R2 is 1 - sum((y - p)^2) / sum((y - mean(y))^2),
        - Spearman is the correlation of the ranks of y and p,
        - pairwise accuracy is the share of the pairs of records with different y that
          p puts in the same order; equal predictions count one half [1]_,
        - coverage is the share of the y in their intervals, width their mean width.

        Spearman is NaN where y or p is constant, R2 and pairwise accuracy where y is.

        References
        ----------
        .. [1] Kocmi et al. (2021). To ship or not to ship: an extensive evaluation of
           automatic metrics for machine translation. arXiv:2107.10821.
        """
        rows = []
        keys = ["model", "train_size"]
        for (model, size), part in self.predictions.groupby(keys, sort=False):
            sides = [
                self._side_scores(part[part["side"].isin([side, "both"])])
                for side in SIDES
            ]
            if part["side"].eq("").all():
                sides = [self._side_scores(part)]
            means = pd.DataFrame(sides).mean()
            with_sides = len(sides) == 2
            rows.append(
                {
                    "model": model,
                    "train_size": size,
                    "rmse": means["rmse"],
                    "rmse_as_source": sides[0]["rmse"] if with_sides else np.nan,
                    "rmse_as_target": sides[1]["rmse"] if with_sides else np.nan,
                    "mae": means["mae"],
                    "r2": means["r2"],
                    "spearman": means["spearman"],
                    "pairwise_accuracy": means["pairwise_accuracy"],
                    **{name: means[name] for name in self._interval_scores},
                    "n_predictions": len(part),
                }
            )
        return pd.DataFrame(rows)

    def by_language(self, model: str | None = None) -> pd.DataFrame:
        """Return the error of each left-out language, as source and as target.

        Parameters
        ----------
        model : str, default=None
            The estimator, unless a baseline is named.

        Returns
        -------
        errors : DataFrame
            Indexed by language, with ``rmse_as_source``, ``rmse_as_target``, their
            mean ``rmse`` (in units of the scores, averaged over seeds) and ``n``,
            the number of records per seed; with intervals, also their ``coverage`` and
            ``width``, averaged over seeds, then sides.
        """
        part = self._rows_of(model)
        part = part[(part["train_size"] == part["train_size"].max())]
        part = part[part["language"] != ""]
        if part.empty:
            raise ValueError(
                "by_language expects an evaluation with a language left out per fold. "
                f"Got the split {self.signature.get('split')}."
            )
        columns = {}
        for side in SIDES:
            rows = part[part["side"].isin([side, "both"])]
            errors = (rows["truth"] - rows["prediction"]).pow(2)
            per_seed = errors.groupby([rows["language"], rows["seed"]]).mean().pow(0.5)
            columns[f"rmse_as_{side}"] = per_seed.groupby("language").mean()
        table = pd.DataFrame(columns)
        table.index.name = "language"
        table["rmse"] = table.mean(axis=1)
        for name, score in self._interval_scores.items():
            sides = [
                score(rows).groupby([rows["language"], rows["seed"]]).mean()
                for rows in (part[part["side"].isin([side, "both"])] for side in SIDES)
            ]
            per_side = [side.groupby("language").mean() for side in sides]
            table[name] = pd.concat(per_side, axis=1).mean(axis=1)
        n_seeds = part["seed"].nunique()
        table["n"] = part.groupby("language").size().div(n_seeds).astype(int)
        return table

    def learning_curve(self) -> pd.DataFrame:
        """Return the error against the number of training records.

        Returns
        -------
        curve : DataFrame
            One row per model and train size with ``n_train`` (mean over folds),
            ``rmse`` and its standard deviation over seeds ``rmse_std``.
        """
        rows = []
        keys = ["model", "train_size"]
        for (model, size), part in self.predictions.groupby(keys, sort=False):
            per_seed = [
                Evaluation(seeded, name=model).summary()["rmse"].iloc[0]
                for _, seeded in part.groupby("seed")
            ]
            rows.append(
                {
                    "model": model,
                    "train_size": size,
                    "n_train": part.groupby(["seed", "fold"])["n_train"].first().mean(),
                    "rmse": np.mean(per_seed),
                    "rmse_std": np.std(per_seed, ddof=1) if len(per_seed) > 1 else 0.0,
                }
            )
        return pd.DataFrame(rows)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write the predictions; the first line is the signature behind a ``#``."""
        header = json.dumps(self._metadata())
        with write_whole(path) as temporary:
            with open(temporary, "w", encoding="utf-8", newline="") as file:
                file.write(f"# {header}\n")
                self.predictions.to_csv(file, index=False)

    def to_parquet(self, path: str | os.PathLike) -> None:
        """Write the predictions; the signature stands in the file's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(self.predictions, preserve_index=False)
        metadata = {b"proxylm": json.dumps(self._metadata()).encode()}
        table = table.replace_schema_metadata(table.schema.metadata | metadata)
        with write_whole(path) as temporary:
            pq.write_table(table, temporary)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Evaluation":
        """Read what `to_csv` or `to_parquet` wrote.

        Parameters
        ----------
        path : path-like
            A file that ends in ``.parquet`` or is CSV.

        Returns
        -------
        evaluation : Evaluation
        """
        if str(path).endswith(".parquet"):
            import pyarrow.parquet as pq

            table = pq.read_table(path)
            header = (table.schema.metadata or {}).get(b"proxylm", b"").decode()
            predictions = table.to_pandas()
        else:
            with open(path, encoding="utf-8") as file:
                header = file.readline().removeprefix("# ").strip()
                text = ["source", "target_language", "language", "side", "model"]
                predictions = pd.read_csv(
                    file,
                    keep_default_na=False,
                    dtype=dict.fromkeys(text, str),
                    na_values=dict.fromkeys(["lower", "upper"], ""),
                    **EXACT_NUMBERS,
                )
        try:
            metadata = json.loads(header)
            metadata["name"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"Evaluation.read expects a file of Evaluation.to_csv or to_parquet, "
                f"which begins with its signature. Got {str(path)!r} without one."
            ) from error
        return cls(predictions, **metadata)

    def _metadata(self):
        return {
            "name": self.name,
            "metric": self.metric,
            "signature": self.signature,
        }

    def _rows_of(self, model):
        model = model or self.name
        rows = self.predictions[self.predictions["model"] == model]
        if rows.empty:
            known = list(self.predictions["model"].unique())
            raise ValueError(f"model expects one of {known}. Got {model!r}.")
        return rows

    @property
    def _interval_scores(self):
        """Coverage and width as functions of rows; none without intervals."""
        return INTERVAL_SCORES if "lower" in self.predictions else {}

    def _side_scores(self, part):
        """Return scores averaged over folds and seeds; R2 over each seed's rows."""
        names = ["rmse", "mae", "r2", "spearman", "pairwise_accuracy"]
        names += self._interval_scores
        if part.empty:
            return dict.fromkeys(names, np.nan)
        per_fold = []
        for _, fold in part.groupby(["seed", "fold"], sort=False):
            truth, prediction = fold["truth"].to_numpy(), fold["prediction"].to_numpy()
            per_fold.append(
                {
                    "rmse": rmse(truth, prediction),
                    "mae": mae(truth, prediction),
                    "spearman": spearman(truth, prediction),
                    "pairwise_accuracy": pairwise_accuracy(truth, prediction),
                }
                | {name: f(fold).mean() for name, f in self._interval_scores.items()}
            )
        scores = pd.DataFrame(per_fold).mean().to_dict()
        scores["r2"] = np.mean(
            [
                r2(rows["truth"].to_numpy(), rows["prediction"].to_numpy())
                for _, rows in part.groupby("seed")
            ]
        )
        return scores
