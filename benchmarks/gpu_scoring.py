"""Measure on a GPU how much of its speed the scoring of texts uses.

    pip install "proxylm[lm]"
    python benchmarks/gpu_scoring.py
    python benchmarks/gpu_scoring.py --device cpu --tiny

Models in the shapes of SmolLM-135M and 360M, with random weights, score random tokens:
by the engine of ProxyScorer, with log-probabilities alone and with the entropies and
ranks of its default metrics, and by a plain loop over transformers, 16 texts at a time
in the order in which they come, padded to the longest, with a log_softmax over full
logits.

The peak is that of the product of two large square matrices in the same data type.
"Of the peak" counts the operations of `ComputeCost`, padding not among them; "seen"
leaves out the pairs of a query and a key that a causal mask hides, which kernels may
skip. Bars: 45% of the peak at the longest length, 5 times the plain loop on mixed
lengths. The second line above tries the script itself where there is no GPU.
"""

import argparse
import datetime
import platform
import time
from importlib.metadata import version

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from proxylm.lm import ComputeCost
from proxylm.lm._encoding import Chunk
from proxylm.lm._engine import LikelihoodEngine
from proxylm.lm._loading import LanguageModel

LENGTHS = (128, 256, 512, 1_024)
SHARE_BAR, RATIO_BAR = 0.45, 5
BATCH_SIZE = 16
# Hidden and intermediate size, layers, heads, heads of keys, vocabulary.
SHAPES = {
    "SmolLM-135M": (576, 1_536, 30, 9, 3, 49_152),
    "SmolLM-360M": (960, 2_560, 32, 15, 5, 49_152),
}
TINY = {"tiny": (64, 128, 2, 4, 2, 1_000)}


def make_model(shape, device, dtype):
    """Return a model with random weights."""
    hidden, intermediate, n_layers, n_heads, n_keys, n_pieces = shape
    config = LlamaConfig(
        vocab_size=n_pieces,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_keys,
        max_position_embeddings=2_048,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(device, dtype).eval()


def make_texts(lengths, n_pieces):
    """Return random tokens, one more than a model reads of each text."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, n_pieces, length + 1) for length in lengths]


def make_lengths(n_tokens, longest):
    """Return the lengths of texts by what they are called."""
    rng = np.random.default_rng(1)
    found = {}
    for length in LENGTHS:
        if length <= longest:
            found[f"{length:,}"] = np.full(max(n_tokens // length, 2), length)
    for shortest in (128, 16):
        logs = rng.uniform(np.log(shortest), np.log(longest), 16 * n_tokens)
        mixed = np.exp(logs[: max(n_tokens // shortest, 2)]).astype(int)
        n_texts = int(np.searchsorted(np.cumsum(mixed), n_tokens)) + 1
        found[f"{shortest} to {longest:,}"] = mixed[:n_texts]
    return found


def score_by_engine(model, texts, level):
    """Return the log-probabilities of texts by the engine of ProxyScorer."""
    language_model = LanguageModel((model, None))
    engine = LikelihoodEngine(language_model, level, "auto")
    chunks = [
        Chunk(number, ids[:-1], np.arange(len(ids) - 1), ids[1:], 0)
        for number, ids in enumerate(texts)
    ]
    sums = np.zeros(len(texts))
    for batch in engine(chunks):
        for scores in batch:
            sums[scores.chunk.text] = scores.logprob.sum()
    return sums


def score_plainly(model, texts):
    """Return the log-probabilities of texts by a plain loop."""
    sums = []
    for start in range(0, len(texts), BATCH_SIZE):
        batch = [torch.from_numpy(ids) for ids in texts[start : start + BATCH_SIZE]]
        ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True).to(model.device)
        counts = torch.tensor([len(one) for one in batch], device=model.device)
        mask = torch.arange(ids.shape[1], device=model.device) < counts[:, None]
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask.long()).logits[:, :-1]
            scores = torch.log_softmax(logits.float(), dim=-1)
            scores = scores.gather(2, ids[:, 1:, None])[..., 0] * mask[:, 1:]
        sums += scores.sum(dim=1).tolist()
    return np.array(sums)


def seconds_of(function, device, rounds):
    """Return the shortest time of some calls, and what the last one returns."""
    function()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = function()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found


def peak_of(device, dtype, size):
    """Return the operations per second of a product of two square matrices."""
    first, second = (torch.randn(size, size, device=device).to(dtype) for _ in "ab")
    seconds, _ = seconds_of(lambda: torch.mm(first, second), device, 20)
    return 2 * size**3 / seconds


def operations(model, lengths):
    """Return the operations of reading texts: all, and those of pairs that are seen."""
    cost = ComputeCost(model)
    one, two = cost.forward(1), cost.forward(2)
    of_pair = (two - 2 * one) / 2
    hidden = of_pair * (lengths * (lengths - 1) / 2).sum()
    total = cost.forward(lengths)
    return total, total - hidden


def describe(device, dtype, peak):
    """Print on what and with what figures were made."""
    name = platform.processor() or platform.machine()
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    packages = ("proxylm", "torch", "transformers")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(
        f"{datetime.date.today()}, {name}, {versions}; {dtype}, peak of a product "
        f"{peak / 1e12:.2f} TFLOP/s\n"
    )


def measure(name, model, lengths, peak, args):
    """Print a row of the table for a model and lengths of texts."""
    label, lengths = lengths
    texts = make_texts(lengths, model.config.vocab_size)
    sides = {
        "ours": lambda: score_by_engine(model, texts, "logprob"),
        "ours, default metrics": lambda: score_by_engine(model, texts, "full"),
        "transformers": lambda: score_plainly(model, texts),
    }
    found = {
        side: seconds_of(run, args.device, args.rounds) for side, run in sides.items()
    }
    expected = found["transformers"][1]
    total, seen = operations(model, lengths)
    for side, (seconds, sums) in found.items():
        row = [name, label, side, f"{lengths.sum() / seconds:,.0f}"]
        row += [f"{part / seconds / peak:.1%}" for part in (total, seen)]
        row.append(f"{found['transformers'][0] / seconds:.2f}")
        row.append(f"{np.abs(sums / expected - 1).max():.0e}")
        print(f"| {' | '.join(row)} |", flush=True)


def main():
    """Measure both shapes at all lengths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--n-tokens", type=int, default=2_000_000)
    parser.add_argument("--longest", type=int, default=max(LENGTHS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="try the script itself")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no GPU that torch can use: nothing was measured.")
        return
    shapes, size = SHAPES, 8_192
    if args.tiny:
        shapes, size = TINY, 512
        args.n_tokens, args.longest = 4_000, 256
    dtype = getattr(torch, args.dtype)
    peak = peak_of(args.device, dtype, size)
    describe(args.device, args.dtype, peak)
    names = "model, tokens, side, tokens/s, of the peak, seen, times, difference"
    names = names.split(", ")
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    for name, shape in shapes.items():
        model = make_model(shape, args.device, dtype)
        for lengths in make_lengths(args.n_tokens, args.longest).items():
            measure(name, model, lengths, peak, args)
    print(
        f"\nBars: {SHARE_BAR:.0%} of the peak, {RATIO_BAR} times transformers on mixed "
        "lengths. Differences are the largest relative ones of log-probabilities."
    )


if __name__ == "__main__":
    main()
