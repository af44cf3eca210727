"""The arguments that the program takes."""

import argparse
from pathlib import Path
from typing import Any

from proxylm._version import __version__
from proxylm.cli._commands import cache, datasets, evaluate, featurize, run, score

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


def _one_or_several(text: str) -> str | list[str]:
    words = _words(text)
    return words[0] if len(words) == 1 else words


def _bos(text: str) -> str | bool:
    return {"true": True, "false": False}.get(text.lower(), text)


def _prompt(text: str) -> str:
    """Return a prompt with the line breaks that a shell makes it hard to type."""
    return text.replace("\\n", "\n")


def _ids(text: str) -> str | list[int]:
    return text if text == "all" else _seeds(text)


def _days(text: str) -> float:
    days = float(text)
    if not days >= 0:
        raise ValueError
    return days


# argparse names the function in its message on a bad value.
_sizes.__name__ = "list of whole numbers above 0"
_seeds.__name__ = "list of whole numbers"
_numbers.__name__ = "list of numbers"
_ids.__name__ = "list of ids"
_days.__name__ = "number of days"


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


def _output_parser() -> argparse.ArgumentParser:
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


def _add_featurize(commands: Any) -> None:
    parser = commands.add_parser(
        "featurize",
        parents=[_base_parser(), _output_parser()],
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


def _add_score(commands: Any) -> None:
    parser = commands.add_parser(
        "score",
        parents=[_base_parser(), _output_parser()],
        help="score texts by small language models",
        description="Score texts by small language models. Of a manifest, each row is "
        "a corpus that is scored as a whole; of a text file, each line is scored.",
    )
    parser.set_defaults(command=score)
    parser.add_argument(
        "texts",
        metavar="TEXTS",
        type=Path,
        help="a .csv, .tsv, .parquet or .yaml file, a record per row: in the column "
        "text a text file with a sentence a line, in source, for pairs, a file with as "
        "many lines (paths from the manifest's folder), codes in source_lang, "
        "target_lang, and any others; or a .txt file, a text a line",
    )
    parser.add_argument(
        "--model",
        type=_one_or_several,
        metavar="MODEL,MODEL",
        required=True,
        help="folders, GGUF files or names in the Hugging Face hub",
    )
    group = parser.add_argument_group("scores")
    group.add_argument(
        "--task",
        choices=("likelihood", "translation", "labels"),
        help="say how probable texts are, the default; translate sources, with texts "
        "as references; or find the labels of sources, with texts as labels",
    )
    group.add_argument(
        "--metrics",
        type=_words,
        metavar="NAME,NAME",
        help="which; default the usual ones of the task",
    )
    group.add_argument(
        "--source-lang",
        metavar="CODE",
        help="language of the sources, or the column that has it; default the column "
        "source_lang",
    )
    group.add_argument(
        "--target-lang",
        metavar="CODE",
        help="language of the texts, or the column that has it; default the column "
        "target_lang",
    )
    group.add_argument(
        "--prompt",
        type=_prompt,
        metavar="TEXT",
        help=r"what a model reads, with {text}, {source_language} and "
        r"{target_language} in it; \n is a line break",
    )
    group.add_argument(
        "--bos",
        type=_bos,
        metavar="TOKEN",
        help="what stands before each text: auto, the default, true, false or a token",
    )
    group.add_argument(
        "--window", type=int, metavar="N", help="tokens that a model reads at once"
    )
    group.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="tokens from one window of a longer text to the next; default half of one",
    )
    group = parser.add_argument_group("the run")
    group.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16", "float64"),
        help="type of numbers; default bfloat16 where the hardware computes with it, "
        "else float32",
    )
    group.add_argument(
        "--device",
        type=_one_or_several,
        metavar="NAME",
        help="cpu, cuda, cuda:1 or the like; default a GPU if there is one",
    )
    group.add_argument(
        "--max-tokens",
        dest="max_tokens_per_batch",
        type=int,
        metavar="N",
        help="tokens of a batch; by default as many as suit the device",
    )
    group.add_argument(
        "--n-jobs", type=int, metavar="N", help="workers, each of which loads the model"
    )
    group.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="folder that keeps the scores of each text; by default it is removed when "
        "the table is there",
    )


def _add_cache(commands: Any) -> None:
    parser = commands.add_parser(
        "cache",
        parents=[_base_parser()],
        help="list or remove scores that were kept",
        description="List the scores that `proxylm score --cache DIR` and ProxyScorer "
        "keep in a folder, or remove some of them.",
    )
    parser.set_defaults(command=cache)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the cache")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prune", type=_ids, metavar="all|ID,ID", help="remove all, or those"
    )
    group.add_argument(
        "--older-than",
        type=_days,
        metavar="DAYS",
        help="remove those that were last used longer ago",
    )


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
    _add_score(commands)
    _add_cache(commands)
    listing = commands.add_parser(
        "datasets",
        parents=[_base_parser()],
        help="list the published record tables",
        description="List the published record tables, and where they are cached.",
    )
    listing.set_defaults(command=datasets)
    return parser
