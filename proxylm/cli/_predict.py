"""The command `predict`: scores that are known in, those that are not out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import proxylm
from proxylm._nearest import nearest
from proxylm.cli._regressor import RegressorConfig
from proxylm.cli._report import align
from proxylm.records import make_records, read_records, write_records
from proxylm.records._tables import table_suffix

CONTEXT_USERS = ("auto",)
N_SHOWN = 60
SEED = 42  # the same command gives the same predictions
NEW = ("prediction", "lower", "upper")


@dataclass(frozen=True)
class Prediction:
    """What is asked for, as the command line says it."""

    table: Path
    schema: Mapping[str, Any]
    exclude: Sequence[str]
    regressor: str
    languages: Sequence[str] | None
    confidence_level: float
    output: Path | None


def _split(
    frame: pd.DataFrame, asked: Prediction
) -> tuple[pd.DataFrame, pd.DataFrame, proxylm.RecordSchema]:
    """Return the rows with a score, those to be predicted, and the roles of columns."""
    target = asked.schema["target"]
    if target not in frame:
        columns = list(map(str, frame.columns))
        raise ValueError(
            f"--target expects a column of {asked.table}. Got {target!r}."
            f"{nearest(target, columns)}"
        )
    has_score = frame[target].notna()
    if not has_score.any():
        raise ValueError(f"{asked.table} has no score in the column {target!r}.")
    with_scores = proxylm.load_records(
        frame[has_score], exclude=asked.exclude, **asked.schema
    )
    schema = with_scores.schema
    clashes = [name for name in NEW if name in frame]
    if clashes:
        raise ValueError(
            f"The table has columns with the names of predictions: {clashes}. Rename "
            "them."
        )
    wanted = ~has_score
    if asked.languages is not None:
        columns = frame[list(schema.languages)].astype(str)
        known = sorted(set(columns.to_numpy().ravel()))
        for language in asked.languages:
            if language not in known:
                raise ValueError(
                    "--for expects languages as the table writes them. Got "
                    f"{language!r}.{nearest(language, known)}"
                )
        wanted = columns.isin(list(asked.languages)).any(axis=1)
    if not wanted.any():
        raise ValueError(
            f"Every row of {asked.table} has a score. Leave the cells of {target!r} "
            "empty that are to be predicted, or name languages with --for, whose "
            "scores are then not looked at."
        )
    known_rows = frame[has_score & ~wanted]
    if known_rows.empty:
        raise ValueError("No row with a score is left to learn from.")
    return known_rows, frame[wanted], schema


def predict_rows(frame: pd.DataFrame, asked: Prediction) -> pd.DataFrame:
    """Return the rows without a score, or of some languages, with predictions."""
    known, wanted, schema = _split(frame, asked)
    known = make_records(known, schema)
    target = schema.target
    truth = wanted[target]
    records = make_records(wanted, replace(schema, target=None))
    estimator = RegressorConfig.parse(asked.regressor).build()
    estimator.set_params(random_state=SEED)
    if asked.regressor in CONTEXT_USERS:
        # Features alone: what proxies say of a language is known of all rows.
        data = pd.concat([known.data, records.data], ignore_index=True)
        data.attrs = known.data.attrs
        estimator.set_params(context=data)
    else:
        estimator = proxylm.LanguageConformalRegressor(estimator, random_state=SEED)
    data = records.data
    data.attrs = known.data.attrs
    estimator.fit(known.data, known.target)
    predicted, interval = estimator.predict(
        data, return_interval=True, confidence_level=asked.confidence_level
    )
    found = wanted.reset_index(drop=True)
    return found.assign(
        **{target: truth.to_numpy()},
        prediction=predicted,
        lower=interval[:, 0],
        upper=interval[:, 1],
    )


def _describe(found: pd.DataFrame, asked: Prediction, schema_columns: list[str]) -> str:
    """Return the predictions as a table to read."""
    target = asked.schema["target"]
    has_truth = found[target].notna().any()
    shown = [*schema_columns, *NEW] + ([target] if has_truth else [])
    rows = [[name if name != target else "measured" for name in shown]]
    for row in found[shown].to_dict("records"):
        cells = []
        for value in row.values():
            if isinstance(value, float):
                cells.append("" if np.isnan(value) else f"{value:.4g}")
            else:
                cells.append(str(value))
        rows.append(cells)
    return align(rows, range(len(schema_columns), len(shown)))


def predict_table(asked: Prediction) -> None:
    """Predict and print; write the table where one is asked for."""
    if asked.output is not None:
        table_suffix(asked.output)  # says at once if the name is none
    frame = read_records(asked.table).copy()  # a wide file is read in fragments
    found = predict_rows(frame, asked)
    names = ("source_lang", "target_lang", "train_dataset", "dataset_size")
    roles = [asked.schema.get("source"), asked.schema.get("target_language"), *names]
    roles = dict.fromkeys([*roles, "test_dataset"])
    columns = [name for name in roles if name in found]
    # What is the same in all rows tells none apart.
    languages = columns[:2]
    columns = [c for c in columns if c in languages or found[c].nunique() > 1]
    print(_describe(found.head(N_SHOWN), asked, columns))
    if len(found) > N_SHOWN:
        print(f"... and {len(found) - N_SHOWN} more: pass -o TABLE to have them all.")
    level = f"{asked.confidence_level:.0%}"
    print(f"\nlower and upper: intervals that hold for {level} of new languages.")
    target = asked.schema["target"]
    measured = found[target].notna()
    if asked.languages is not None and measured.any():
        part = found[measured]
        error = float(np.sqrt(np.mean((part["prediction"] - part[target]) ** 2)))
        inside = part[target].between(part["lower"], part["upper"]).mean()
        print(
            f"The measured scores of {', '.join(asked.languages)} were not looked at: "
            f"RMSE {error:.3g}, {inside:.0%} within their intervals."
        )
    if asked.output is not None:
        write_records(found, asked.output)
        print(f"{asked.output}: {len(found)} rows.")
