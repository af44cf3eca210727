"""The arguments of the commands that list, download and collect data."""

from pathlib import Path
from typing import Any

from proxylm.cli._arguments import base_parser, output_parser, words
from proxylm.cli._commands import collect, datasets, download, join


def add_datasets(commands: Any) -> None:
    parser = commands.add_parser(
        "datasets",
        parents=[base_parser()],
        help="list the published record tables",
        description="List the published record tables, and where they are cached.",
    )
    parser.set_defaults(command=datasets)


def add_download(commands: Any) -> None:
    parser = commands.add_parser(
        "download",
        parents=[base_parser()],
        help="download models and texts of the experiments",
        description="Download models and texts of the experiments of ProxyLM, or list "
        "them with their size, licence and place. A download that broke off goes on "
        "where it stopped when it is started again.",
    )
    parser.set_defaults(command=download)
    parser.add_argument(
        "names", metavar="NAME", nargs="*", help="what; without a name all are listed"
    )
    parser.add_argument(
        "--list", action="store_true", dest="listing", help="list what there is"
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask before more than 1 GB, or a model whose licence has to be "
        "accepted, is downloaded",
    )
    parser.add_argument(
        "--revision", metavar="COMMIT", help="another commit, branch or tag of models"
    )
    parser.add_argument("--url", help="another address of an archive")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_records(commands: Any) -> None:
    parser = commands.add_parser(
        "records",
        parents=[base_parser()],
        help="make record tables of results, and join them",
        description="Make record tables of results, and join them.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    collecting = actions.add_parser(
        "collect",
        parents=[base_parser(), output_parser()],
        help="from the experiments of the original ProxyLM",
        description="Collect the results in an `experiments` folder of the original "
        "ProxyLM into a record table: scores of translations by sacrebleu and COMET, "
        "or predicted intents and slots.",
    )
    collecting.set_defaults(command=collect)
    collecting.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder with the experiments"
    )
    collecting.add_argument(
        "--metrics",
        type=words,
        metavar="NAME,NAME",
        help="which translations must have; default all, COMET only if there is any",
    )
    collecting.add_argument(
        "--missing",
        choices=("error", "nan"),
        help="whether a missing metric is an error, the default, or an empty cell",
    )
    joining = actions.add_parser(
        "join",
        parents=[base_parser(), output_parser()],
        help="tables about the same records side by side",
        description="Join tables about the same records, such as scores of `proxylm "
        "experiment` and what `proxylm featurize` and `proxylm score` have made. The "
        "rows are those of the first table; each further table gives its columns to "
        "the rows that it agrees with in source_lang, target_lang, train_dataset, "
        "dataset_size and test_dataset, as far as both have these.",
    )
    joining.set_defaults(command=join)
    joining.add_argument(
        "tables",
        metavar="TABLE",
        nargs="+",
        type=Path,
        help="a .csv, .tsv or .parquet file; first the one that tells most records "
        "apart",
    )
