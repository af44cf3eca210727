"""The commands. What they import takes a second, so that --help does without it."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxylm.cli._config import RunConfig


def _overrides(args: argparse.Namespace) -> list[tuple[tuple[str, ...], Any]]:
    """Return the keys and values that options replace in a configuration."""
    from proxylm.cli._overrides import parse_assignment

    options = [
        ((key,), getattr(args, key))
        for key in ("output", "seeds", "n_jobs")
        if hasattr(args, key)
    ]
    return [parse_assignment(text) for text in getattr(args, "set", [])] + options


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file that a configuration with an error is from."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _parse(
    configurations: list[Any], overrides: list[tuple], folder: Path
) -> list["RunConfig"]:
    """Return configurations as objects, with the values of the options in them."""
    from proxylm.cli._config import RunConfig
    from proxylm.cli._overrides import override

    configs = []
    for values in configurations:
        for keys, value in overrides:
            values = override(values, keys, value)
        configs.append(RunConfig.parse(values, folder))
    if len({config.output for config in configs}) < len(configs):
        return [config.in_subfolder() for config in configs]
    return configs


def _start(configs: list["RunConfig"], args: argparse.Namespace) -> None:
    """Run configurations one after the other."""
    from proxylm.cli._experiment import run_experiment

    for i, config in enumerate(configs):
        if i:
            print()
        run_experiment(config, overwrite=args.overwrite, quiet=args.quiet)


def demo(args: argparse.Namespace) -> None:
    """Show what proxylm does, on records that come with it."""
    from proxylm.cli._demo import Demo, run_demo

    run_demo(Demo(language=args.language, output=args.output, n_jobs=args.n_jobs))


def run(args: argparse.Namespace) -> None:
    """Train and test as a file of ours says."""
    from proxylm.cli._files import read_yaml

    values = read_yaml(args.file)
    if isinstance(values, dict) and "exp_mode" in values:
        raise ValueError(
            f"{args.file} has the keys of the original ProxyLM. Run it with "
            f"`proxylm --config {args.file}`."
        )
    overrides = _overrides(args)
    with _naming(args.file):
        configs = _parse([values], overrides, args.file.parent)
    _start(configs, args)


def run_original(args: argparse.Namespace) -> None:
    """Train and test as a file of the original says."""
    from proxylm.cli._files import read_yaml
    from proxylm.cli._original import translate

    values = read_yaml(args.config)
    if isinstance(values, dict) and "records" in values:
        raise ValueError(
            f"{args.config} does not have the keys of the original ProxyLM. Run it "
            f"with `proxylm run {args.config}`."
        )
    overrides, folder = _overrides(args), args.config.parent
    with _naming(args.config):
        configs = _parse(translate(values, folder), overrides, folder)
    _start(configs, args)


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that were given."""
    values = {name: getattr(args, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _columns(args: argparse.Namespace) -> dict[str, Any]:
    """Return the roles of the columns of a table."""
    schema = _given(args, "target", "proxies", "features", "model", "metric")
    schema |= _given(args, "score_range", "pivots", "train_dataset", "test_dataset")
    if args.source or args.target_language:
        # One alone means records of one language.
        schema |= {"source": args.source, "target_language": args.target_language}
    return schema


def predict(args: argparse.Namespace) -> None:
    """Predict the rows of a table that have no score."""
    from proxylm.cli._predict import Prediction, predict_table

    predict_table(
        Prediction(
            table=args.table,
            schema=_columns(args),
            exclude=args.exclude or (),
            regressor=args.regressor,
            languages=args.languages,
            confidence_level=args.confidence_level,
            output=args.output,
        )
    )


def evaluate(args: argparse.Namespace) -> None:
    """Train and test on the user's own table."""
    records = {"table": args.table, "schema": _columns(args)}
    records |= _given(args, "layout", "exclude")
    values = {"records": records} | _given(args, "protocol", "regressor")
    _start(_parse([values], _overrides(args), Path()), args)


def featurize(args: argparse.Namespace) -> None:
    """Turn texts and language codes into a record table."""
    from proxylm.cli._featurize import Featurization, featurize_manifest

    texts = _given(args, "tokenizer", "compatibility", "features", "field", "n_jobs")
    texts |= _given(args, "subword_tokenizer", "encoding_errors")
    languages = _given(args, "distances", "knowledge", "unknown")
    if args.coverage:
        languages["coverage"] = True
    if languages.get("distances") == ["all"]:
        languages["distances"] = "all"
    task = Featurization(
        manifest=args.manifest,
        output=args.output,
        texts=texts,
        languages=languages,
        sizes=args.sizes or (),
        cache=args.cache,
        progress=not args.quiet,
    )
    featurize_manifest(task)


def score(args: argparse.Namespace) -> None:
    """Score texts by language models."""
    from proxylm.cli._score import Scoring, score_texts

    options = _given(args, "model", "metrics", "task", "dtype", "device", "bos")
    options |= _given(args, "window", "stride", "max_tokens_per_batch", "n_jobs")
    options |= _given(args, "source_lang", "target_lang", "prompt", "comet_model")
    options["allow_pickle"] = args.allow_pickle
    task = Scoring(
        texts=args.texts,
        output=args.output,
        options={**options, "progress": not args.quiet},
        cache=args.cache,
    )
    score_texts(task)


def cache(args: argparse.Namespace) -> None:
    """Show what a cache of scores keeps, and remove what is asked for."""
    from proxylm.cli._cache import show_cache

    show_cache(args.folder, args.prune, args.older_than)


def datasets(args: argparse.Namespace) -> None:
    """List the published record tables."""
    import proxylm
    from proxylm.cli._report import align

    table = proxylm.list_datasets().drop(columns="sha256")
    table["cached"] = table["cached"].replace("", "not yet")
    print(align([list(table.columns), *table.astype(str).to_numpy().tolist()], (1, 2)))


def download(args: argparse.Namespace) -> None:
    """Download models and data, or list them."""
    from proxylm.cli._download import download, list_downloads

    if args.listing or not args.names:
        list_downloads()
        return
    options = _given(args, "revision", "url")
    download(args.names, yes=args.yes, progress=not args.quiet, **options)


def collect(args: argparse.Namespace) -> None:
    """Make a record table of the results of experiments."""
    from proxylm.cli._collect import collect_records

    options = _given(args, "metrics", "missing")
    collect_records(args.folder, args.output, **options)


def join(args: argparse.Namespace) -> None:
    """Put record tables side by side."""
    from proxylm.cli._join import join_tables

    join_tables(args.tables, args.output)


def finetune(args: argparse.Namespace) -> None:
    """Fine-tune a model and score it."""
    from proxylm.cli._finetune import FineTuning, finetune_model, list_recipes
    from proxylm.cli._overrides import parse_assignment

    if args.recipe is None:
        list_recipes()
        return
    if args.output is None:
        raise ValueError("The folder of the model is expected as -o DIR. Got none.")
    overrides = [parse_assignment(text) for text in args.set]
    asked = FineTuning(
        recipe=args.recipe,
        output=args.output,
        overrides=[(("training", "seed"), args.seed), *overrides],
        task=args.task,
        data=args.data,
        files=_given(args, "train", "dev", "test"),
        codes=(args.source_lang, args.target_lang),
        train_dataset=args.train_dataset,
        size=args.size,
        seed=args.seed,
        device=args.device,
        spm_model=args.spm_model,
        append=args.append,
        progress=not args.quiet,
    )
    finetune_model(asked)


def experiment(args: argparse.Namespace) -> None:
    """Run a plan of fine-tunings."""
    from proxylm.cli._plan import run_plan

    run_plan(args.plan, args.output, dry_run=args.dry_run, progress=not args.quiet)
