"""The arguments that the program takes."""

import argparse
from pathlib import Path
from typing import Any

from proxylm._version import __version__
from proxylm.cli._commands import datasets, evaluate, featurize, run

DESCRIPTION = """\
Predict how well a language model will do where it was never tried, and see how good
the predictions are."""
EPILOG = """\
examples:
  proxylm run examples/mt560_lolo.yaml
  proxylm run examples/mt560_lolo.yaml --set records.features=nlperf --seeds 42,43
  proxylm evaluate scores.csv --target big_bleu --proxies small_bleu,tiny_bleu
  proxylm featurize manifest.csv -o records.parquet
  proxylm datasets
  proxylm --config original.yaml
"""


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _sizes(text: str) -> list[int]:
    sizes = [int(word) for word in _words(text)]
    if any(size < 1 for size in sizes):
        raise ValueError
    return sizes


def _seeds(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def _numbers(text: str) -> list[float]:
    return [float(word) for word in _words(text)]


# argparse names the function in its message on a bad value.
_sizes.__name__ = "list of whole numbers above 0"
_seeds.__name__ = "list of whole numbers"
_numbers.__name__ = "list of numbers"


def _base_parser() -> argparse.ArgumentParser:
    """Options of every command; those that are absent leave no attribute behind."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    return parser


def _run_parser() -> argparse.ArgumentParser:
    """Options of the commands that train and test."""
    parser = argparse.ArgumentParser(
        add_help=False, argument_default=argparse.SUPPRESS, parents=[_base_parser()]
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
        "--seeds", type=_seeds, metavar="N,N", help="random seeds, such as 42,43,44"
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


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        parents=[_run_parser()],
        help="train and test on a table of your own",
        description="Train and test on a table of your own, a record per row.",
    )
    parser.set_defaults(command=evaluate)
    parser.add_argument("table", metavar="TABLE", help="a .csv, .tsv or .parquet file")
    parser.add_argument("--protocol", help="how to split, default lolo")
    parser.add_argument("--regressor", help="what predicts, default auto")
    parser.add_argument(
        "--layout", help="wide, a row per record, or long, a row per score"
    )
    parser.add_argument(
        "--exclude",
        type=_words,
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
        "--proxies", type=_words, metavar="COL,COL", help="scores of small models"
    )
    group.add_argument(
        "--features",
        type=_words,
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
        type=_numbers,
        metavar="LOW,HIGH",
        help="lowest and highest score of another metric",
    )
    group.add_argument(
        "--pivots",
        type=_words,
        metavar="CODE,CODE",
        help="languages that are never left out, such as eng",
    )


def _add_featurize(commands: Any) -> None:
    parser = commands.add_parser(
        "featurize",
        parents=[_base_parser()],
        help="turn texts and language codes into a record table",
        description="Turn texts and language codes into a record table: statistics of "
        "training, development and test texts, and distances between the languages.",
    )
    parser.set_defaults(command=featurize)
    parser.add_argument(
        "manifest",
        metavar="MANIFEST",
        type=Path,
        help="a .csv, .tsv, .parquet or .yaml file, a record per row: texts in the "
        "columns train, dev, test (paths from the manifest's folder), codes in "
        "source_lang, target_lang, and any others; or a folder in the layout of the "
        "original ProxyLM",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="TABLE",
        type=Path,
        required=True,
        help="the .csv, .tsv or .parquet file to write",
    )
    group = parser.add_argument_group("texts")
    group.add_argument(
        "--features", type=_words, metavar="NAME,NAME", help="which; default all"
    )
    group.add_argument(
        "--tokenizer",
        metavar="NAME",
        help="words, the default, characters, or the path of a SentencePiece model or "
        "of a tokenizer.json",
    )
    group.add_argument(
        "--paper",
        dest="compatibility",
        action="store_const",
        const="paper",
        help="the definitions of the original ProxyLM",
    )
    group.add_argument(
        "--subword-tokenizer",
        metavar="FILE",
        help="a SentencePiece model or a tokenizer.json whose fertility is measured",
    )
    group.add_argument(
        "--field", metavar="KEY", help="key of the text in JSON lines; default text"
    )
    group.add_argument(
        "--encoding-errors",
        choices=("strict", "replace"),
        help="whether bytes that are not UTF-8 are an error, the default",
    )
    group.add_argument(
        "--sizes",
        type=_sizes,
        metavar="N,N",
        help="of a folder: how many training pairs a record has; default all",
    )
    group = parser.add_argument_group("languages")
    group.add_argument(
        "--distances", type=_words, metavar="KIND,KIND", help="which; default all"
    )
    group.add_argument(
        "--coverage", action="store_true", help="how much of each distance is known"
    )
    group.add_argument(
        "--knowledge",
        type=_words,
        metavar="NAME,NAME",
        help="what to add of each language: population, web_share, script, family",
    )
    group.add_argument(
        "--unknown",
        choices=("error", "nan"),
        help="whether a code that is no language is an error, the default",
    )
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="folder that keeps what was counted of each text; by default it is "
        "removed when the table is there",
    )
    group.add_argument(
        "--n-jobs", type=int, metavar="N", help="texts read side by side"
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="proxylm",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_run_parser()],
    )
    parser.set_defaults(command=None, debug=False, overwrite=False, quiet=False)
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        type=Path,
        help="train and test as a YAML file of the original ProxyLM says",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    from_file = commands.add_parser(
        "run",
        parents=[_run_parser()],
        help="train and test as a YAML file says",
        description="Train and test as a YAML file says; examples/ has ready ones.",
    )
    from_file.set_defaults(command=run)
    from_file.add_argument("file", metavar="FILE", type=Path, help="a YAML file")
    _add_evaluate(commands)
    _add_featurize(commands)
    listing = commands.add_parser(
        "datasets",
        parents=[_base_parser()],
        help="list the published record tables",
        description="List the published record tables, and where they are cached.",
    )
    listing.set_defaults(command=datasets)
    return parser
