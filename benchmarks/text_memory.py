"""Measure time and peak memory on corpora of up to five million sentences (1 GB).

    python benchmarks/text_memory.py [--sentences 1250000,5000000] [--tokenizer words]

Each corpus is written to a temporary file and read by a process of its own, whose peak
memory is printed. The words have Zipf's distribution over four million types.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from text_speed import random_sentences, random_words

from proxylm import DatasetFeaturizer

BATCH = 100_000


def write_corpus(path, n_sentences):
    """Write a corpus of sentences of about 200 bytes."""
    words = random_words(4_000_000)
    with open(path, "w", encoding="utf-8") as file:
        for start in range(0, n_sentences, BATCH):
            n = min(BATCH, n_sentences - start)
            sentences = random_sentences(n, start, words, n_words=30)
            file.write("\n".join(sentences) + "\n")


def measure(path, options):
    """Print the time, the peak memory and some features of one corpus."""
    featurizer = DatasetFeaturizer(splits=("train",), **options).set_output(
        transform="pandas"
    )
    start = time.perf_counter()
    features = featurizer.fit_transform([[path]]).iloc[0]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{features['dataset_size']:.0f} sentences, "
        f"{os.path.getsize(path) / 1e9:.2f} GB, "
        f"{features['train_word_vocab_size']:.0f} types: {seconds:.1f} s, peak "
        f"{peak:.2f} GiB",
        flush=True,
    )


def main():
    """Measure each corpus in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", default="1250000,5000000")
    parser.add_argument("--tokenizer", default="words")
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_corpus(args.corpus, args.write)
        return
    if args.corpus:
        compatibility = "paper" if args.paper else None
        options = {"tokenizer": args.tokenizer, "compatibility": compatibility}
        measure(args.corpus, options)
        return
    for n_sentences in map(int, args.sentences.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, *sys.argv[1:], "--corpus"]
            command.append(str(Path(folder) / "corpus.txt"))
            # This process stays small: a new one's peak begins with its parent's.
            subprocess.run([*command, "--write", str(n_sentences)], check=True)
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
