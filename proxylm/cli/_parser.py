"""The arguments that the program takes."""

import argparse
from pathlib import Path
from typing import Any

from proxylm._version import __version__
from proxylm.cli._arguments import numbers, run_parser, words
from proxylm.cli._commands import evaluate, run
from proxylm.cli._data_parsers import add_datasets, add_download, add_records
from proxylm.cli._text_parsers import add_cache, add_featurize, add_score
from proxylm.cli._tuning_parser import add_experiment, add_finetune

DESCRIPTION = """\
Predict how well a language model will do where it was never tried, and see how good
the predictions are."""
EPILOG = """\
examples:
  proxylm run examples/mt560_lolo.yaml
  proxylm run examples/mt560_lolo.yaml --set records.features=nlperf --seeds 42,43
  proxylm evaluate scores.csv --target big_bleu --proxies small_bleu,tiny_bleu
  proxylm featurize manifest.csv -o records.parquet
  proxylm score manifest.csv --model HuggingFaceTB/SmolLM-135M -o scores.csv
  proxylm finetune small100 --data texts --source-lang ind --target-lang jav -o runs/1
  proxylm experiment plan.yaml
  proxylm datasets
  proxylm download smollm_135m
  proxylm records collect experiments -o scores.csv
  proxylm records join scores.csv features.csv -o records.csv
  proxylm --config original.yaml
"""


def add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        parents=[run_parser()],
        help="train and test as a YAML file says",
        description="Train and test as a YAML file says; examples/ has ready ones.",
    )
    parser.set_defaults(command=run)
    parser.add_argument("file", metavar="FILE", type=Path, help="a YAML file")


def add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        parents=[run_parser()],
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


# What adds each command, in the order of --help. Further commands are added here.
COMMANDS = (
    add_run,
    add_evaluate,
    add_featurize,
    add_score,
    add_cache,
    add_finetune,
    add_experiment,
    add_datasets,
    add_download,
    add_records,
)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="proxylm",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[run_parser()],
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
    for add in COMMANDS:
        add(commands)
    return parser
