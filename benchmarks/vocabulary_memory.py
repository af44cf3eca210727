"""Measure the memory that scoring takes with a vocabulary of 262,144 pieces.

    pip install "proxylm[lm,text]"
    python benchmarks/vocabulary_memory.py

A small causal model with random weights and as many pieces as Gemma 3 has scores 64
texts of 512 tokens by ProxyScorer, with its default metrics: once with the batches that
it makes itself, once with all 32,768 tokens in one batch. Each side is a process of its
own. "Beyond the weights" is the peak of memory while it loads the model and scores,
less what a process holds that has only loaded the model with transformers. On CPUs a
second copy of the output layer, in the layout that is multiplied fastest, is part of
it; the first row, a text of three tokens, has little else. A plain `log_softmax` over
full logits is measured on one text and multiplied. It runs on Linux and on the CPU.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from likelihood_speed import memory_gib

N_PIECES, N_TEXTS, N_TOKENS = 262_144, 64, 512
BAR = 1.0  # GB
GB = 2**30 / 1e9
SHAPE = {
    "vocab_size": N_PIECES,
    "hidden_size": 640,
    "intermediate_size": 2_048,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "max_position_embeddings": 2_048,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
ONE = "ours, one short text"
BUDGETS = {
    ONE: "auto",
    "ours, batches of its own": "auto",
    "ours, all texts in one batch": N_TEXTS * N_TOKENS,
}
PLAIN = "log_softmax over full logits"


def make_model(folder):
    """Write a model with random weights, and a tokenizer to which pieces are words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<s>", "</s>", *(f"w{number}" for number in range(N_PIECES - 2))]
    pieces = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SHAPE)).save_pretrained(folder)


def make_texts():
    """Return texts that have 512 tokens with the BOS."""
    rng = random.Random(0)
    return [
        " ".join(f"w{rng.randrange(N_PIECES - 2)}" for _ in range(N_TOKENS - 1))
        for _ in range(N_TEXTS)
    ]


def load(job):
    """Return the model as transformers loads it."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_grad_enabled(False)
    dtype = getattr(torch, job["dtype"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval()
    for parameter in model.parameters():
        parameter.sum()  # the weights are read from the disk on first use
    return model


def idle(job):
    """Return the memory of a process that has loaded what the others use."""
    from transformers import AutoTokenizer

    import proxylm.lm  # noqa: F401

    model, texts = load(job), make_texts()
    tokens = AutoTokenizer.from_pretrained(job["model"])(texts).input_ids
    assert {len(ids) for ids in tokens} == {N_TOKENS}
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return {"held": GB * memory_gib("VmRSS"), "weights": weights / 1e9}


def plain(job):
    """Return the memory of full logits and their log_softmax, of one text."""
    import torch

    model = load(job)
    ids = torch.randint(2, N_PIECES, (1, N_TOKENS))
    model(ids[:, :8])
    start_peak()
    before = memory_gib("VmRSS")
    scores = torch.log_softmax(model(ids).logits.float(), dim=-1)
    scores[0, :-1].gather(1, ids[0, 1:, None])
    return {"beyond": GB * (memory_gib("VmHWM") - before)}


def start_peak():
    """Begin to watch the peak of this process anew."""
    Path("/proc/self/clear_refs").write_text("5")


def score(job):
    """Return the peak of memory while ProxyScorer loads the model and scores."""
    from proxylm import ProxyScorer

    texts = ["w0 w1"] if job["side"] == ONE else make_texts()
    scorer = ProxyScorer(
        job["model"],
        dtype=job["dtype"],
        device="cpu",
        max_tokens_per_batch=BUDGETS[job["side"]],
    )
    start_peak()
    scorer.fit_transform(texts)
    return {"peak": GB * memory_gib("VmHWM")}


def work(path):
    """Do a job in this process."""
    job = json.loads(path.read_text())
    result = {"idle": idle, PLAIN: plain}.get(job["side"], score)(job)
    path.write_text(json.dumps(result))


def run(job, threads):
    """Return the result of a job in a process of its own."""
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        subprocess.run(
            [sys.executable, __file__, "--work", str(path)],
            env={**os.environ, **variables, "HF_HUB_OFFLINE": "1"},
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return json.loads(path.read_text())


def print_row(dtype, base, side, beyond):
    """Print what a side takes."""
    row = [dtype, f"{base['weights']:.2f}", side, f"{beyond:.2f}"]
    row.append("yes" if beyond < BAR else "no")
    print(f"| {' | '.join(row)} |", flush=True)


def main():
    """Print the memory of each side with each data type."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make-model", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make_model:
        make_model(args.make_model)
        return
    if args.work:
        work(args.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, __file__, "--make-model", folder],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        names = ("dtype", "weights, GB", "side", "beyond the weights, GB", "below 1 GB")
        print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
        for dtype in args.dtypes.split(","):
            job = {"model": folder, "dtype": dtype}
            base = run({**job, "side": "idle"}, args.threads)
            for side in BUDGETS:
                result = run({**job, "side": side}, args.threads)
                beyond = result["peak"] - base["held"]
                print_row(dtype, base, side, beyond)
            one = run({**job, "side": PLAIN}, args.threads)["beyond"]
            print_row(dtype, base, f"{PLAIN}, {N_TEXTS} times one", N_TEXTS * one)


if __name__ == "__main__":
    main()
