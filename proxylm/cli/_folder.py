"""The folder of a run: its configuration, tables, figures and checkpoints."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import proxylm
from proxylm import Evaluation
from proxylm._files import write_whole
from proxylm.cli._config import RunConfig
from proxylm.cli._files import parse_yaml, read_text, write_json, write_yaml
from proxylm.cli._report import Report

HEADER = "The configuration of this folder's results, for `proxylm run`."
FILES = (
    "signature.json",
    "predictions.csv",
    "predictions.parquet",
    "summary.csv",
    "summary.md",
    "by_language.csv",
    "learning_curve.csv",
    "published.csv",
)
# Keys that change nothing in the results.
INCIDENTAL = ("output", "n_jobs")
# Share of the pairs of languages from which on a heat map is worth a look.
DENSE = 0.5


def _differences(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """Tell in words where two configurations differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours | theirs:
            name = f"{where}.{key}" if where else str(key)
            yield from _differences(ours.get(key), theirs.get(key), name)
    elif ours != theirs:
        yield f"{where} is {theirs!r} there and {ours!r} here"


def _displays(evaluation: Evaluation) -> Iterator[tuple[str, type]]:
    """Name the pictures that an evaluation has."""
    yield "prediction", proxylm.PredictionDisplay
    predictions = evaluation.predictions
    if predictions["language"].ne("").any():
        yield "language_error", proxylm.LanguageErrorDisplay
    pairs = predictions[["source", "target_language"]]
    n_pairs = len(pairs.drop_duplicates())
    n_cells = pairs.nunique().prod()
    if pairs.ne("").all(axis=None) and n_pairs >= DENSE * n_cells:
        yield "language_pair", proxylm.LanguagePairDisplay
    if predictions["train_size"].nunique() > 1:
        yield "learning_curve", proxylm.LearningCurveDisplay


def _write_csv(path: Path, table: pd.DataFrame, signature: str) -> None:
    """Write a table under a line with the signature."""
    with write_whole(path) as temporary:
        text = f"# {signature}\n{table.to_csv(index=False)}"
        temporary.write_text(text, encoding="utf-8")


class ResultsFolder:
    """Where a run keeps what it finds.

    Files are written whole; `signature.json` comes last and marks a finished run.
    """

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.yaml"
        self.signature = path / "signature.json"
        self.figures = path / "figures"
        self.checkpoint = path / "checkpoint"

    def check(self, config: RunConfig, *, overwrite: bool) -> None:
        """Refuse a folder whose files are not ours to replace."""
        text = read_text(self.config) if self.config.exists() else ""
        if not text.startswith(f"# {HEADER}"):
            names = [name for name in FILES if (self.path / name).exists()]
            names += [self.config.name] if self.config.exists() else []
            if names:
                raise ValueError(
                    f"The output expects a folder of its own. Got {self.path} with "
                    f"{', '.join(names)} of other origin. Choose another --output."
                )
            return
        if overwrite or not self.signature.exists():
            return
        stored = parse_yaml(text, str(self.config)) or {}
        ours = config.to_dict()
        for key in INCIDENTAL:
            stored.pop(key, None)
            ours.pop(key)
        difference = next(_differences(ours, stored), None)
        if difference is not None:
            raise ValueError(
                f"The output expects a folder without results of another "
                f"configuration. Got {self.path}, where {difference}. Choose another "
                "--output, or replace its results with --overwrite."
            )

    def open(self, config: RunConfig, *, overwrite: bool) -> None:
        """Write the configuration, so that a folder without permission is found now."""
        if overwrite and self.config.exists():
            self._clear()
        write_yaml(self.config, config.to_dict(), HEADER)
        self.signature.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove what an earlier run has written."""
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.figures, self.checkpoint):
            if folder.exists():
                shutil.rmtree(folder)

    def write(self, report: Report) -> list[Path]:
        """Write tables and figures; return the paths of the figures."""
        evaluation = report.evaluation
        evaluation.to_csv(self.path / "predictions.csv")
        evaluation.to_parquet(self.path / "predictions.parquet")
        line = evaluation.signature_line
        for name, table in report.tables().items():
            _write_csv(self.path / f"{name}.csv", table, line)
        with write_whole(self.path / "summary.md") as temporary:
            temporary.write_text(report.to_markdown(), encoding="utf-8")
        figures = self._draw(evaluation)
        write_json(
            self.signature,
            {"name": evaluation.name, "line": line, **evaluation.signature},
        )
        if self.checkpoint.exists():
            shutil.rmtree(self.checkpoint)
        return figures

    def _draw(self, evaluation: Evaluation) -> list[Path]:
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot as plt

        metadata = {"Description": evaluation.signature_line}
        paths = []
        for name, display in _displays(evaluation):
            figure = display.from_evaluation(evaluation).figure_
            for suffix in ("png", "svg"):
                path = self.figures / f"{name}.{suffix}"
                with write_whole(path) as temporary:
                    figure.savefig(temporary, dpi=200, metadata=metadata)
            plt.close(figure)
            paths.append(self.figures / f"{name}.png")
        return paths
