"""The results of experiments in the folders of the original ProxyLM, as a table."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from proxylm._nearest import nearest
from proxylm.languages import to_iso639_3

from ._result_files import (
    SACREBLEU,
    Scores,
    read_comet,
    read_predictions,
    read_sacrebleu,
    read_setup,
)

METRICS = (*SACREBLEU, "comet")
KEY = ("source_lang", "target_lang", "train_dataset", "dataset_size", "test_dataset")
# The order of the published tables; other models follow.
MODELS = tuple(
    "m2m100_ft m2m100_noft small100_ft small100_noft nllb_ft nllb_noft trfm".split()
)
OUTPUT = re.compile(r"(sacrebleu|output)_(?P<a>.+)\.txt|comet_(?P<b>.+)\.json")
PREDICTIONS = "generated_predictions.jsonl"
TEXTS = "dataset"  # the folder of the texts, which has no results

# Scores of a record by model, metric and statistic: mean, se or "".
Found = dict[tuple[str, str, str], float]


class ExperimentError(ValueError):
    """Results that can't be collected, with everything that is wrong with them.

    Parameters
    ----------
    problems : iterable of str
        What is wrong, each with the file.

    Attributes
    ----------
    problems : list of str
        What is wrong.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"The experiments have a problem: {self.problems[0]}"
        lines = "\n".join(f"- {problem}" for problem in self.problems)
        return f"The experiments have {len(self.problems)} problems:\n{lines}"


def _find(folder: Path) -> Iterator[Path]:
    """Yield the folders of experiments of translation and the files of predictions."""
    for here, folders, files in os.walk(folder):
        path = Path(here)
        if "outputs" in folders and (
            f"{path.name}.json" in files or any(path.glob("outputs/sacrebleu_*.txt"))
        ):
            yield path
            folders.clear()
        elif PREDICTIONS in files:
            yield path / PREDICTIONS
        folders[:] = sorted(name for name in folders if name != TEXTS)


class _Collector:
    """Results by record, and what is wrong with the files they are from."""

    def __init__(self, metrics: Sequence[str], missing: str):
        self.metrics = metrics
        self.missing = missing
        self.problems: list[str] = []
        self.records: dict[tuple, Found] = {}
        self._files: dict[tuple, Path] = {}

    def add(self, path: Path, record: tuple, what: str, scores: Found) -> None:
        """Keep the scores of a model on a record, once."""
        other = self._files.setdefault((record, what), path)
        if other is not path:
            self.problems.append(
                f"{path}: expected one result of {what} for each record. {other} is "
                "another of the same record. Remove one of them."
            )
        self.records.setdefault(record, {}).update(scores)

    def read(self, read: Any, path: Path) -> Any:
        """Return what is read from a file, or None if there is a problem with it."""
        try:
            return read(path)
        except ValueError as error:
            named = path / f"{path.name}.json" if path.is_dir() else path
            self.problems.append(f"{named}: {str(error).rstrip('.')}.")
            return None

    def add_translation(self, folder: Path) -> None:
        """Read the results of an experiment on all of its test sets."""
        setup = self.read(read_setup, folder)
        outputs = folder / "outputs"
        matches = [OUTPUT.fullmatch(path.name) for path in outputs.iterdir()]
        tests = sorted({match["a"] or match["b"] for match in matches if match})
        if not tests and self.missing == "error":
            self.problems.append(f"{outputs}: expected results. There are none.")
        for test in tests:
            path = outputs / f"sacrebleu_{test}.txt"
            scores = self._read_test(path, outputs / f"comet_{test}.json")
            if setup is None or scores is None:
                continue
            found = {
                (setup.model, metric, statistic): value
                for metric, pair in scores.items()
                for statistic, value in zip(("mean", "se"), pair, strict=True)
            }
            train = setup.train or (None, None)
            self.add(path, (*setup.pair, *train, test), setup.model, found)

    def _read_test(self, path: Path, comet_path: Path) -> Scores | None:
        """Return the scores on a test set, or None if they can't be read."""
        readers = ((read_sacrebleu, path), (read_comet, comet_path))
        wanted = [
            (read, file)
            for read, file in readers
            if file.is_file() and (file is path or "comet" in self.metrics)
        ]
        found = [self.read(read, file) for read, file in wanted]
        if None in found:
            return None
        scores = {name: pair for part in found for name, pair in part.items()}
        lacking = [name for name in self.metrics if name not in scores]
        if lacking and self.missing == "error":
            file = comet_path if lacking == ["comet"] else path
            have = f"Got {', '.join(scores)}" if scores else "There is no result"
            self.problems.append(f"{file}: expected {', '.join(lacking)}. {have}.")
        return {name: scores[name] for name in self.metrics if name in scores}

    def add_predictions(self, path: Path) -> None:
        """Read the predictions of labels or slots of a model."""
        model, *pair = path.resolve().parent.parts[-3:]
        try:
            for code in pair:
                to_iso639_3(code)
        except ValueError as error:
            self.problems.append(
                f"{path}: expected the file in MODEL/SOURCE/TARGET, with codes of "
                f"languages. {error}"
            )
            return
        found = self.read(read_predictions, path)
        if found is not None:
            metric, value = found
            scores = {(model, metric, ""): value}
            self.add(path, tuple(pair), f"{model} ({metric})", scores)


def _join(records: dict[tuple, Found]) -> dict[tuple, Found]:
    """Put the results without fine-tuning to all records of a pair and a test set."""
    joined = {key: dict(found) for key, found in records.items() if key[2] is not None}
    trained: dict[tuple, list[tuple]] = {}
    for key in joined:
        trained.setdefault((*key[:2], key[4]), []).append(key)
    for key, found in records.items():
        if key[2] is None:
            for same in trained.get((*key[:2], key[4]), [key]):
                joined.setdefault(same, {}).update(found)
    return joined


def _order(column: tuple[str, str, str]) -> tuple:
    """Return what sorts columns as the published tables have them."""
    model, metric, statistic = column
    places = [
        names.index(name) if name in names else len(names)
        for names, name in ((MODELS, model), (METRICS, metric))
    ]
    return places[0], model, places[1], metric, statistic


def _to_frame(records: dict[tuple, Found]) -> pd.DataFrame:
    names = list(KEY)[: len(next(iter(records)))]
    if len(names) == len(KEY):
        records = _join(records)
    keys = sorted(records, key=lambda key: [(part is not None, part) for part in key])
    table = pd.DataFrame(keys, columns=names)
    if "dataset_size" in table and table["dataset_size"].isna().any():
        table["dataset_size"] = table["dataset_size"].astype("Int64")
    columns = sorted(
        {column for found in records.values() for column in found}, key=_order
    )
    scores = {
        "_".join(filter(None, column)): [records[key].get(column) for key in keys]
        for column in sorted(columns, key=_order)
    }
    return pd.concat([table, pd.DataFrame(scores, dtype=float)], axis=1)


def read_experiments(
    folder: str | os.PathLike,
    *,
    metrics: Sequence[str] | None = None,
    missing: str = "error",
) -> pd.DataFrame:
    """Collect the results in an `experiments` folder of the original ProxyLM.

    Translation: each experiment has a folder `MODEL_SOURCE_TARGET_DATASET_SIZE`, or
    `MODEL_SOURCE_TARGET_no_finetune`, somewhere below `folder`, in which are

    - `FOLDER.json`, the configuration, whose `source_lang` and `target_lang` are read;
      a configuration with a section `train` is of a model trained from scratch. Names
      without a model get it from the checkpoint in `finetune.pretrained_model_path`;
    - `outputs/sacrebleu_TEST.txt`, what sacrebleu has printed for a test set: two lists
      in JSON, of BLEU with the pieces of `flores200` (spBLEU) and chrF2++, and of BLEU,
      chrF2 and TER, each with `confidence_mean` and `confidence_var`;
    - `outputs/comet_TEST.json`, what `comet-score --to_json` has written: the `COMET`
      of each segment;
    - `outputs/output_TEST.txt`, the translations, which are not read: they tell that
      the test set should have results.

    Intent classification and slot filling: the predictions of LLaMA-Factory in
    `MODEL/SOURCE/TARGET/generated_predictions.jsonl`, a line
    `{"predict": "...", "label": "..."}` each. The original says only that they are in
    `MODEL`; the folders of the languages that it was trained on and tested in are a
    convention of ours. Labels with slots, `[name : words]`, get an F1, others an
    accuracy.

    Parameters
    ----------
    folder : str or path-like
        The folder; one named `dataset` in it is left out.
    metrics : sequence of str, default=None
        Which of `spBLEU`, `chrF2++`, `BLEU`, `chrF2`, `TER` and `comet` translations
        must have. None means all, COMET only if there is any.
    missing : {"error", "nan"}, default="error"
        What to do where a metric is missing: raise an error, or leave the cell empty.

    Returns
    -------
    records : DataFrame of shape (n_records, n_columns)
        A row for each record, with the columns of the published tables: `source_lang`,
        `target_lang`, for translations `train_dataset`, `dataset_size` and
        `test_dataset`, and scores such as `m2m100_ft_spBLEU_mean`,
        `m2m100_ft_spBLEU_se` or `aya_accuracy`. Scores without fine-tuning
        (`m2m100_noft`) are in all records of their languages and test set; where there
        are none, they have a row without training set. `trfm` is the transformer
        trained from scratch.

    Raises
    ------
    ValueError
        If there are no results, or with everything that is wrong at once, each with its
        file: damaged files, missing metrics, two results for one record.

    See Also
    --------
    read_dataset_folder : The texts of such a folder.
    proxylm.records.write_records : Write the table to a file.

    Notes
    -----
    As in the published tables, `_se` of sacrebleu's metrics is half the width of the
    95% confidence interval of the bootstrap, and `_se` of COMET the standard deviation
    over segments; neither is a standard error.

    Examples
    --------
    >>> from proxylm import read_experiments
    >>> read_experiments("experiments", metrics=["spBLEU"])  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(
            f"Expected a folder with experiments. There is none at {str(folder)!r}."
        )
    for name in metrics or ():
        if name not in METRICS:
            raise ValueError(
                f"metrics expects names among {list(METRICS)}. Got {name!r}."
                f"{nearest(str(name), METRICS)}"
            )
    if missing not in ("error", "nan"):
        raise ValueError(f"missing expects 'error' or 'nan'. Got {missing!r}.")
    places = list(_find(folder))
    if metrics is None:
        has_comet = any(any(path.glob("outputs/comet_*.json")) for path in places)
        metrics = METRICS if has_comet else SACREBLEU
    collector = _Collector(list(metrics), missing)
    for path in places:
        if path.name == PREDICTIONS:
            collector.add_predictions(path)
        else:
            collector.add_translation(path)
    if collector.problems:
        raise ExperimentError(collector.problems)
    if not collector.records:
        raise ValueError(
            f"No result was found in {folder}. Expected folders such as "
            "m2m100_ind_jav_nusa_kalimat_mt_1000/outputs with sacrebleu_TEST.txt in "
            f"it, or MODEL/SOURCE/TARGET/{PREDICTIONS}."
        )
    if len({len(key) for key in collector.records}) > 1:
        raise ValueError(
            f"{folder} has results of translation and of labels, which are tables of "
            "their own. Collect their folders one by one."
        )
    return _to_frame(collector.records)
