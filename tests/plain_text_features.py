"""The published definitions of the text features, restated as plainly as can be.

Slow on purpose: a counter for each sentence, the counters summed, and texts tokenized
again for each feature.
"""

import unicodedata
from collections import Counter

import numpy as np
from scipy.spatial.distance import cosine, jensenshannon
from sklearn.feature_extraction.text import TfidfVectorizer

PAIRS = (("train", "dev"), ("train", "test"), ("dev", "test"))


def paper_tokens(sentence, model=None):
    """The letters and digits of a sentence, each a token, or the pieces of each."""
    decomposed = unicodedata.normalize("NFD", sentence.lower())
    kept = [
        c
        for c in decomposed
        if (unicodedata.category(c) != "Mn" and c.isalnum()) or c.isspace()
    ]
    if model is None:
        return [c for c in kept if not c.isspace()]
    return model.encode_as_pieces(" ".join(kept))


def summed_counters(sentences, tokenize):
    total = Counter()
    for counter in [Counter(tokenize(sentence)) for sentence in sentences]:
        total = total + counter
    return total


def vocabulary_size(sentences, tokenize):
    return len(summed_counters(sentences, tokenize))


def mean_length(sentences, tokenize):
    return sum(len(tokenize(s)) for s in sentences) / len(sentences)


def type_token_ratio(sentences, tokenize):
    n_tokens = sum(len(tokenize(s)) for s in sentences)
    return vocabulary_size(sentences, tokenize) / n_tokens


def overlap(first, second, tokenize):
    a = set(summed_counters(first, tokenize))
    b = set(summed_counters(second, tokenize))
    return len(a & b) / (len(a) + len(b))


def ratio_distance(first, second, tokenize):
    ratio = type_token_ratio(first, tokenize) / type_token_ratio(second, tokenize)
    return (1 - ratio) ** 2


def jensen_shannon(first, second, tokenize):
    a, b = summed_counters(first, tokenize), summed_counters(second, tokenize)
    every = sorted(set(a) | set(b))
    return jensenshannon([a[t] for t in every], [b[t] for t in every])


def tf_idf_of_documents(first, second, tokenize):
    vectorizer = TfidfVectorizer(tokenizer=tokenize, token_pattern=None)
    table = vectorizer.fit_transform([" ".join(first), " ".join(second)]).toarray()
    return cosine(table[0], table[1])


def chunked_tf_idf(longer, shorter, tokenize):
    """The mean distance of chunks of the longer corpus to the shorter one."""
    distances = []
    for start in range(0, len(longer), len(shorter)):
        chunk = longer[start : start + len(shorter)]
        other = shorter[: len(chunk)]
        if " ".join(chunk) and " ".join(other):
            distances.append(tf_idf_of_documents(chunk, other, tokenize))
    return float(np.mean(distances))


def paper_features(corpora, tokenize=paper_tokens):
    """Every published feature of {split: sentences}, but for the embeddings."""
    sizes = {split: len(sentences) for split, sentences in corpora.items()}
    features = {
        "dataset_size" if split == "train" else f"{split}_size": size
        for split, size in sizes.items()
    }
    for split, sentences in corpora.items():
        features |= {
            f"{split}_word_vocab_size": vocabulary_size(sentences, tokenize),
            f"avg_{split}_sentence_length": mean_length(sentences, tokenize),
            f"ttr_{split}": type_token_ratio(sentences, tokenize),
        }
    for a, b in PAIRS:
        first, second = corpora[a], corpora[b]
        longer, shorter = first, second
        if a == "dev" and len(first) <= len(second):
            longer, shorter = second, first
        features |= {
            f"{a}_{b}_word_overlap": overlap(first, second, tokenize),
            f"{a}_{b}_ttr_distance": ratio_distance(first, second, tokenize),
            f"{a}_{b}_jsd": jensen_shannon(first, second, tokenize),
            f"{a}_{b}_tf_idf": chunked_tf_idf(longer, shorter, tokenize),
        }
    return features
