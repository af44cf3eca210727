"""The arguments of commands that fine-tune models."""

from pathlib import Path
from typing import Any

from proxylm.cli._arguments import base_parser, words
from proxylm.cli._commands import experiment, finetune


def add_finetune(commands: Any) -> None:
    parser = commands.add_parser(
        "finetune",
        parents=[base_parser()],
        help="fine-tune a model, or run it as it is, and score it",
        description="Fine-tune a model as a recipe says, score it on a test set, and "
        "add the scores with what they cost to a table. Interrupted, the same command "
        "goes on from the last checkpoint.",
    )
    parser.set_defaults(command=finetune)
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="the name of a ready recipe, or a YAML file; without it the ready ones "
        "are listed",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, help="folder of the model"
    )
    group = parser.add_argument_group("texts")
    group.add_argument(
        "--data",
        metavar="PATH",
        type=Path,
        help="a folder in the layout of the original ProxyLM, or for intent and slot a "
        "file of MASSIVE or a folder of them",
    )
    for split in ("train", "dev", "test"):
        group.add_argument(
            f"--{split}",
            type=words,
            metavar="SOURCE,TARGET",
            help="two text files with a sentence a line, or one of JSON lines with "
            "both; of the task text one file",
        )
    group.add_argument("--source-lang", metavar="CODE", help="language of the sources")
    group.add_argument("--target-lang", metavar="CODE", help="language of the targets")
    group.add_argument(
        "--train-dataset", metavar="NAME", help="which training set of --data"
    )
    group.add_argument(
        "--size", type=int, metavar="N", help="training pairs that are drawn"
    )
    group.add_argument(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="of what is drawn, the order and new weights; default 0",
    )
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--task",
        choices=("translation", "intent", "slot", "text"),
        help="what it learns",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the recipe, such as training.learning_rate=1e-4, or "
        "method=none to run the model as it is; may be repeated",
    )
    group.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda, ..."
    )
    group = parser.add_argument_group("scores")
    group.add_argument(
        "--spm-model",
        metavar="FILE",
        type=Path,
        help="SentencePiece model of spBLEU; default that of FLORES-200",
    )
    group.add_argument(
        "--append",
        metavar="TABLE",
        type=Path,
        help="the .csv, .tsv or .parquet file to which a row a test set is added",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_experiment(commands: Any) -> None:
    parser = commands.add_parser(
        "experiment",
        parents=[base_parser()],
        help="run a plan of many fine-tunings",
        description="Fine-tune and score models on many languages and sizes, as a YAML "
        "file plans. What is done is not done again, and the records are written after "
        "each experiment.",
    )
    parser.set_defaults(command=experiment)
    parser.add_argument("plan", metavar="PLAN", type=Path, help="a YAML file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        help="folder of the results; default that of the plan, or its name",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be run, and no more"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
