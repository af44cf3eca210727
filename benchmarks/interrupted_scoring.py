"""Kill a run of ProxyScorer at random moments, resume it, and compare the result.

    python benchmarks/interrupted_scoring.py --model FOLDER [--kills 10]

The texts are random words. Each run is a process of its own that writes to the same
cache and is killed (SIGKILL) after a random time; the last one is left alone. Printed
are the texts that were scored in more than one run, beside the largest number that
the batches in flight can have had, and the largest relative difference between the
scores and those of a run that nothing disturbed. Batches are cut anew after a kill, so
that sums may be rounded in another order.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from proxylm import ProxyScorer
from proxylm.lm import _engine

TOKENS = 256


def make_texts(n_texts):
    """Return texts of 3 to 40 words."""
    rng = random.Random(0)
    words = "all human beings are born free and equal in dignity and rights".split()
    return [
        f"{k} " + " ".join(rng.choices(words, k=rng.randint(3, 40)))
        for k in range(n_texts)
    ]


def score(model, texts, cache):
    """Return the scores of texts."""
    scorer = ProxyScorer(
        model, dtype="float32", cache_dir=cache, max_tokens_per_batch=TOKENS
    )
    return scorer.fit_transform(texts)


def work(model, n_texts, cache, log):
    """Score in this process, and log the texts of each batch when it begins."""
    launch = _engine.LikelihoodEngine._launch
    with open(log, "a", encoding="utf-8") as file:

        def logged(self, batch):
            print(json.dumps([chunk.ids.tolist() for chunk in batch]), file=file)
            file.flush()
            return launch(self, batch)

        _engine.LikelihoodEngine._launch = logged
        score(model, make_texts(n_texts), cache)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a causal model")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--n-texts", type=int, default=400)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.model, args.n_texts, *args.work)
        return
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        batches, largest = [], 0
        for run in range(args.kills + 1):
            log = Path(folder) / f"{run}.log"
            log.touch()
            command = [sys.executable, __file__, "--model", args.model]
            command += ["--n-texts", str(args.n_texts), "--work", folder, str(log)]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            if run < args.kills:
                try:
                    process.wait(rng.uniform(8, 14))
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()
            done = [json.loads(line) for line in log.read_text().splitlines()]
            batches.append([str(ids) for batch in done for ids in batch])
            largest += len(done[-1]) if done and run < args.kills else 0
            print(f"run {run}: {len(done)} batches, {len(batches[-1])} texts")
        texts = make_texts(args.n_texts)
        found = score(args.model, texts, folder)
    scored = [text for run in batches for text in run]
    again = len(scored) - len(set(scored))
    print(f"scored more than once: {again} texts; batches in flight: {largest} texts")
    expected = score(args.model, texts, None)
    difference = np.nanmax(np.abs(found - expected) / np.abs(expected).clip(1e-9))
    print(f"largest relative difference from an undisturbed run: {difference:.1e}")


if __name__ == "__main__":
    main()
