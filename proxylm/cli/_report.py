"""What a run found, as tables: ours, and beside the published ones."""

from collections.abc import Callable, Collection
from functools import cached_property
from math import floor, log10

import pandas as pd

import proxylm
from proxylm import Evaluation
from proxylm.cli._config import RunConfig
from proxylm.cli._records import DatasetRecords
from proxylm.languages import language_name

HEADINGS = {
    "model": "",
    "train_size": "train size",
    "rmse": "RMSE",
    "rmse_as_source": "as source",
    "rmse_as_target": "as target",
    "mae": "MAE",
    "r2": "R2",
    "spearman": "Spearman",
    "pairwise_accuracy": "pairs in order",
    "n_predictions": "predictions",
    "ratio": "ratio",
    "language": "language",
    "n": "records",
}
ERRORS = ("rmse", "rmse_as_source", "rmse_as_target", "mae")
COUNTS = ("n_predictions", "n")
RATIO_NOTE = (
    "Published figures are means over five seeds. A ratio below 1 is a lower RMSE."
)


def _digits(error: float) -> int:
    """Return the decimals that show three digits of an error, at least two."""
    return max(2, 2 - floor(log10(error))) if 0 < error < float("inf") else 2


def _cells(table: pd.DataFrame, digits: int) -> list[list[str]]:
    """Return headings and cells as texts; columns without a value are left out."""
    table = table.dropna(axis="columns", how="all")
    columns = []
    for name, values in table.items():
        decimals = 0 if name in COUNTS else digits if name in ERRORS else 2
        columns.append(
            [HEADINGS[name]]
            + [
                value
                if isinstance(value, str)
                else ""
                if pd.isna(value)
                else f"{value:,.{decimals}f}"
                for value in values
            ]
        )
    return [list(row) for row in zip(*columns, strict=True)]


def align(rows: list[list[str]], right: Collection[int]) -> str:
    """Return rows of cells in columns, those with the given positions to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def format_text(table: pd.DataFrame, digits: int) -> str:
    """Return a table for a terminal."""
    rows = _cells(table, digits)
    return align(rows, range(1, len(rows[0])))


def format_markdown(table: pd.DataFrame, digits: int) -> str:
    """Return a table as markdown."""
    heading, *rows = _cells(table, digits)
    rule = ["---"] + ["---:"] * (len(heading) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, rule, *rows])


class Report:
    """The tables of a run.

    Parameters
    ----------
    config : RunConfig
        What was run.
    evaluation : Evaluation
        What came out.
    """

    def __init__(self, config: RunConfig, evaluation: Evaluation):
        self.config = config
        self.evaluation = evaluation

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The regressor and the baselines, one row a model and train size."""
        return self.evaluation.summary()

    @cached_property
    def by_language(self) -> pd.DataFrame | None:
        """The error of each left-out language, the largest first."""
        if self.evaluation.predictions["language"].eq("").all():
            return None
        table = self.evaluation.by_language()
        return table.sort_values("rmse", ascending=False)

    @cached_property
    def published(self) -> pd.DataFrame:
        """Published figures of the same setting: this regressor's, and the best."""
        config = self.config
        records, protocol = config.records, config.protocol
        table = proxylm.load_published()
        comparable = (
            isinstance(records, DatasetRecords)
            and protocol.name is not None
            and protocol.languages is None
            and config.train_sizes is None
        )
        if not comparable:
            return table.iloc[:0]
        setting = (
            table["dataset"].eq("->".join(records.dataset))
            & table["protocol"].eq(protocol.name)
            & table["model"].eq(records.target)
            & table["score"].eq(records.score)
        )
        regressor = table["regressor"].eq(self.evaluation.name)
        features = table["features"].eq(records.feature_set)
        return table[setting & (regressor & features | table["best"])]

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Our errors, and below them the published ones with the ratio of the two."""
        errors = ["rmse", "rmse_as_source", "rmse_as_target"]
        ours = self.summary[self.summary["model"] == self.evaluation.name]
        ours = ours.set_index("train_size")
        figures = self.published.assign(size=self.published["train_portion"].fillna(1))
        rows = []
        for size, group in figures.groupby("size"):
            run = ours.loc[size]
            name = f"this run: {run['model']}, {self.config.records.feature_set}"
            rows.append({"model": name, "train_size": size} | dict(run[errors]))
            for figure in group.sort_values("best").to_dict("records"):
                best = ", best" if figure["best"] else ""
                name = f"published{best}: {figure['regressor']}, {figure['features']}"
                ratio = run["rmse"] / figure["rmse"] if not figure["note"] else None
                rows.append(
                    {"model": name, "train_size": size}
                    | {error: figure[error] for error in errors}
                    | {"ratio": ratio}
                )
        return pd.DataFrame(rows, columns=["model", "train_size", *errors, "ratio"])

    @property
    def title(self) -> str:
        """What was run, in one line."""
        config = self.config
        n_folds = self.evaluation.predictions["fold"].nunique()
        seeds = ", ".join(map(str, config.seeds))
        return (
            f"{config.records.title} | {config.protocol.label}, {n_folds} "
            f"{'fold' if n_folds == 1 else 'folds'} | "
            f"{'seed' if len(config.seeds) == 1 else 'seeds'} {seeds}"
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that the results folder keeps, by name."""
        tables = {"summary": self.summary}
        if self.by_language is not None:
            tables["by_language"] = self.by_language.reset_index()
        if self.summary["train_size"].nunique() > 1:
            tables["learning_curve"] = self.evaluation.learning_curve()
        if len(self.comparison):
            tables["published"] = self.comparison
        return tables

    def to_text(self, *, languages: bool) -> str:
        """Return the report for a terminal, with or without the table by language."""
        parts = [self.title]
        if languages and self.by_language is not None:
            parts.append(self._format(self._named_languages(), format_text))
        summary = self.summary.drop(columns="n_predictions")
        parts.append(self._format(summary, format_text))
        if len(self.comparison):
            table = self._format(self.comparison, format_text)
            parts += [f"Beside the published results:\n{table}", self._remarks()]
        return "\n\n".join(parts)

    def to_markdown(self) -> str:
        """Return the report as markdown."""
        parts = [f"# {self.title}", self._format(self.summary, format_markdown)]
        if len(self.comparison):
            parts += ["## Beside the published results"]
            parts += [self._format(self.comparison, format_markdown), self._remarks()]
        if self.by_language is not None:
            parts += ["## By language"]
            parts += [self._format(self._named_languages(), format_markdown)]
        parts += [f"`{self.evaluation.signature_line}`"]
        return "\n\n".join(parts) + "\n"

    def _named_languages(self) -> pd.DataFrame:
        table = self.by_language.reset_index()
        names = [f"{language_name(code)} ({code})" for code in table["language"]]
        return table.assign(language=names)

    def _remarks(self) -> str:
        """Return what to know before comparing."""
        notes = [
            f"Published: {note}." for note in self.published["note"].unique() if note
        ]
        if self.comparison["ratio"].notna().any():
            notes.append(RATIO_NOTE)
        return " ".join(notes)

    def _format(self, table: pd.DataFrame, formatter: Callable) -> str:
        if "train_size" in table and table["train_size"].nunique() == 1:
            table = table.drop(columns="train_size")
        ours = self.summary.loc[self.summary["model"] == self.evaluation.name, "rmse"]
        return formatter(table, _digits(ours.min()))
