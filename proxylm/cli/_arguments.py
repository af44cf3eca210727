"""What commands share: types of arguments, and options of several commands."""

import argparse
from pathlib import Path


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def sizes(text: str) -> list[int]:
    sizes = [int(word) for word in words(text)]
    if any(size < 1 for size in sizes):
        raise ValueError
    return sizes


def seeds(text: str) -> list[int]:
    return [int(word) for word in words(text)]


def numbers(text: str) -> list[float]:
    return [float(word) for word in words(text)]


def one_or_several(text: str) -> str | list[str]:
    several = words(text)
    return several[0] if len(several) == 1 else several


def bos(text: str) -> str | bool:
    return {"true": True, "false": False}.get(text.lower(), text)


def prompt(text: str) -> str:
    """Return a prompt with the line breaks that a shell makes it hard to type."""
    return text.replace("\\n", "\n")


def ids(text: str) -> str | list[int]:
    return text if text == "all" else seeds(text)


def days(text: str) -> float:
    days = float(text)
    if not days >= 0:
        raise ValueError
    return days


# argparse names the function in its message on a bad value.
sizes.__name__ = "list of whole numbers above 0"
seeds.__name__ = "list of whole numbers"
numbers.__name__ = "list of numbers"
ids.__name__ = "list of ids"
days.__name__ = "number of days"


def base_parser() -> argparse.ArgumentParser:
    """Options of every command; those that are absent leave no attribute behind."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    return parser


def run_parser() -> argparse.ArgumentParser:
    """Options of the commands that train and test."""
    parser = argparse.ArgumentParser(
        add_help=False, argument_default=argparse.SUPPRESS, parents=[base_parser()]
    )
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="replace a value of the configuration, such as regressor.cv=10; "
        "may be repeated",
    )
    group.add_argument("--output", metavar="DIR", help="folder of the results")
    group.add_argument(
        "--seeds", type=seeds, metavar="N,N", help="random seeds, such as 42,43,44"
    )
    group.add_argument(
        "--n-jobs",
        type=int,
        metavar="N",
        help="fits side by side; -1, the default, takes all cores",
    )
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the results of another configuration",
    )
    group.add_argument(
        "--quiet", action="store_true", help="no progress bar, no table by language"
    )
    return parser


def output_parser() -> argparse.ArgumentParser:
    """Return the arguments of commands that turn texts into a table."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "-o",
        "--output",
        metavar="TABLE",
        type=Path,
        required=True,
        help="the .csv, .tsv or .parquet file to write",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what the columns of a table are."""
    parser.add_argument(
        "--exclude",
        type=words,
        metavar="COL,COL",
        help="columns that are no features, where --features is not given",
    )
    group = parser.add_argument_group("columns of the table")
    group.add_argument(
        "--target", metavar="COL", required=True, help="scores to predict"
    )
    group.add_argument(
        "--source",
        metavar="COL",
        help="source language; default source_lang, or none where only "
        "--target-language is given",
    )
    group.add_argument(
        "--target-language",
        metavar="COL",
        help="target language; default target_lang, or none where only --source is "
        "given",
    )
    group.add_argument(
        "--proxies", type=words, metavar="COL,COL", help="scores of small models"
    )
    group.add_argument(
        "--features",
        type=words,
        metavar="COL,COL",
        help="other numbers to predict from; default all numeric columns that have "
        "no other role",
    )
    group.add_argument("--train-dataset", metavar="COL", help="name of a training set")
    group.add_argument("--test-dataset", metavar="COL", help="name of a test set")
    group.add_argument(
        "--model",
        help="model whose scores they are, m2m100 or nllb: says which languages are "
        "unseen",
    )
    group.add_argument(
        "--metric", help="metric of the target, such as spBLEU: sets the score range"
    )
    group.add_argument(
        "--score-range",
        type=numbers,
        metavar="LOW,HIGH",
        help="lowest and highest score of another metric",
    )
    group.add_argument(
        "--pivots",
        type=words,
        metavar="CODE,CODE",
        help="languages that are never left out, such as eng",
    )
