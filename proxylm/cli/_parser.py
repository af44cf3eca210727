"""The arguments that the program takes."""

import argparse
from pathlib import Path
from typing import Any

from proxylm._version import __version__
from proxylm.cli._arguments import add_columns, base_parser, run_parser, words
from proxylm.cli._commands import demo, evaluate, predict, run
from proxylm.cli._data_parsers import add_datasets, add_download, add_records
from proxylm.cli._text_parsers import add_cache, add_featurize, add_score
from proxylm.cli._tuning_parser import add_experiment, add_finetune

DESCRIPTION = """\
Predict how well a language model will do where it was never tried, and see how good
the predictions are."""
TABLE = "a .csv, .tsv or .parquet file"
EPILOG = """\
examples:
  proxylm demo
  proxylm run examples/mt560_lolo.yaml
  proxylm run examples/mt560_lolo.yaml --set records.features=nlperf --seeds 42,43
  proxylm evaluate scores.csv --target big_bleu --proxies small_bleu,tiny_bleu
  proxylm predict scores.csv --target big_bleu --proxies small_bleu --for jav
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


def add_demo(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        parents=[base_parser()],
        help="see what this does, on records that come with it",
        description="Predict how well a small language model does in languages that "
        "it was not tried on, from experiments that come with proxylm. Takes less "
        "than a minute and no network.",
    )
    parser.set_defaults(command=demo)
    parser.add_argument(
        "--for",
        dest="language",
        default="kat",
        metavar="CODE",
        help="the language whose predictions are shown; default kat, Georgian",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("proxylm_demo"),
        metavar="DIR",
        help="folder of the pictures and the table; default proxylm_demo",
    )
    parser.add_argument(
        "--n-jobs", type=int, default=-1, metavar="N", help="fits side by side"
    )


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
    parser.add_argument("table", metavar="TABLE", help=TABLE)
    parser.add_argument("--protocol", help="how to split, default lolo")
    parser.add_argument("--regressor", help="what predicts, default auto")
    parser.add_argument(
        "--layout", help="wide, a row per record, or long, a row per score"
    )
    add_columns(parser)


def add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        parents=[base_parser()],
        help="predict the rows of a table that have no score",
        description="Learn from the rows of a table that have a score, and predict "
        "those that have none, with intervals.",
    )
    parser.set_defaults(command=predict)
    parser.add_argument("table", metavar="TABLE", type=Path, help=TABLE)
    parser.add_argument(
        "--for",
        dest="languages",
        type=words,
        metavar="CODE,CODE",
        help="predict the rows of these languages, whose scores are not looked at",
    )
    parser.add_argument("--regressor", default="auto", help="what predicts")
    parser.add_argument(
        "--confidence-level",
        type=float,
        default=0.9,
        metavar="P",
        help="part of new languages for which intervals hold; default 0.9",
    )
    add_columns(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="TABLE",
        type=Path,
        help="the .csv, .tsv or .parquet file to write",
    )


# What adds each command, in the order of --help. Further commands are added here.
COMMANDS = (
    add_demo,
    add_run,
    add_evaluate,
    add_predict,
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
