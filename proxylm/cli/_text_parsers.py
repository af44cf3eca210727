"""The arguments of the commands that read texts, and of their cache."""

from pathlib import Path
from typing import Any

from proxylm.cli._arguments import (
    base_parser,
    bos,
    days,
    ids,
    one_or_several,
    output_parser,
    prompt,
    sizes,
    words,
)
from proxylm.cli._commands import cache, featurize, score


def add_featurize(commands: Any) -> None:
    parser = commands.add_parser(
        "featurize",
        parents=[base_parser(), output_parser()],
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
        "--features", type=words, metavar="NAME,NAME", help="which; default all"
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
        type=sizes,
        metavar="N,N",
        help="of a folder: how many training pairs a record has; default all",
    )
    group = parser.add_argument_group("languages")
    group.add_argument(
        "--distances", type=words, metavar="KIND,KIND", help="which; default all"
    )
    group.add_argument(
        "--coverage", action="store_true", help="how much of each distance is known"
    )
    group.add_argument(
        "--knowledge",
        type=words,
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


def add_score(commands: Any) -> None:
    parser = commands.add_parser(
        "score",
        parents=[base_parser(), output_parser()],
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
        type=one_or_several,
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
        type=words,
        metavar="NAME,NAME",
        help="which; default the usual ones of the task",
    )
    group.add_argument(
        "--comet-model",
        metavar="PATH",
        help="checkpoint of the metric comet; default where `proxylm download comet` "
        "puts it",
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
        type=prompt,
        metavar="TEXT",
        help=r"what a model reads, with {text}, {source_language} and "
        r"{target_language} in it; \n is a line break",
    )
    group.add_argument(
        "--bos",
        type=bos,
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
        type=one_or_several,
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
        "--allow-pickle",
        action="store_true",
        help="read weights that were saved as a pickle, which can run code",
    )
    group.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="folder that keeps the scores of each text; by default it is removed when "
        "the table is there",
    )


def add_cache(commands: Any) -> None:
    parser = commands.add_parser(
        "cache",
        parents=[base_parser()],
        help="list or remove scores that were kept",
        description="List the scores that `proxylm score --cache DIR` and ProxyScorer "
        "keep in a folder, or remove some of them.",
    )
    parser.set_defaults(command=cache)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the cache")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--prune", type=ids, metavar="all|ID,ID", help="remove all, or those"
    )
    group.add_argument(
        "--older-than",
        type=days,
        metavar="DAYS",
        help="remove those that were last used longer ago",
    )
