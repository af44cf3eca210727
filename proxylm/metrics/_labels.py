"""Scores of intents and slots: accuracy and slot F1."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ._score import Score, bootstrap_error, check_segments

# As MASSIVE writes it: `wake me up at [time : five am] [date : this week]`.
SLOT = re.compile(r"\[([^\[\]:]*):([^\[\]]*)\]")


def _plain(text: str) -> str:
    """Return a text in lower case with single spaces."""
    return " ".join(text.casefold().split())


def parse_slots(utterance: str) -> list[tuple[str, str]]:
    """Return the slots of an annotated utterance.

    Parameters
    ----------
    utterance : str
        Text in which slots stand as `[name : words]`.

    Returns
    -------
    slots : list of (str, str)
        Name and words of each, in their order, in lower case and with single spaces.

    Examples
    --------
    >>> from proxylm.metrics import parse_slots
    >>> parse_slots("wake me up at [time : Five  am] [date : this week]")
    [('time', 'five am'), ('date', 'this week')]
    """
    return [(_plain(name), _plain(words)) for name, words in SLOT.findall(utterance)]


def _f1(row: np.ndarray) -> float:
    """Return the F1 of the counts of matches, predicted and true slots."""
    matches, n_predicted, n_true = row
    if not n_predicted and not n_true:
        return 100.0  # there was nothing to find, and nothing was found
    return 200.0 * matches / (n_predicted + n_true)


def score_slots(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
) -> Score:
    """Return the F1 of the slots in annotated utterances.

    A predicted slot is right if the reference has a slot of the same name and words
    that no other predicted slot was matched with. Precision and recall are over the
    slots of all utterances (micro-average), as in the evaluation of CoNLL [1]_ and of
    MASSIVE [2]_. Slots are compared by their words, not by their place: a generated
    utterance need not have the words of the reference around them.

    Parameters
    ----------
    predictions, references : sequence of str
        Utterances in which slots stand as `[name : words]`, as many of one as of the
        other.
    n_bootstrap : int, default=1000
        Number of bootstrap samples of utterances behind the standard error.
    random_state : int, default=0
        Seed of the samples.

    Returns
    -------
    score : Score
        From 0 to 100. 100 if neither side has a slot.

    References
    ----------
    .. [1] Tjong Kim Sang and Buchholz (2000). "Introduction to the CoNLL-2000 shared
       task: chunking". CoNLL.
    .. [2] FitzGerald et al. (2023). "MASSIVE: a 1M-example multilingual natural
       language understanding dataset with 51 typologically-diverse languages". ACL,
       arXiv:2204.08582.

    Examples
    --------
    >>> from proxylm.metrics import score_slots
    >>> true = ["wake me at [time : five am]", "play [song : stairway] [artist : who]"]
    >>> found = ["wake me at [time : five am]", "play [song : stairway to heaven]"]
    >>> print(score_slots(found, true, n_bootstrap=0).value)
    40.0
    """
    predictions, references = check_segments(
        predictions=predictions, references=references
    )
    counts = []
    for prediction, reference in zip(predictions, references, strict=True):
        found, true = Counter(parse_slots(prediction)), Counter(parse_slots(reference))
        counts.append([(found & true).total(), found.total(), true.total()])
    statistics = np.array(counts)
    return Score(
        "f1",
        float(_f1(statistics.sum(axis=0))),
        bootstrap_error(statistics, _f1, n_bootstrap, random_state),
        "average:micro|match:name+words|case:fold",
    )


def score_labels(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
) -> Score:
    """Return the accuracy of predicted labels.

    Parameters
    ----------
    predictions, references : sequence of str
        Labels, as many of one as of the other; case and space around them do not
        matter.
    n_bootstrap : int, default=1000
        Number of bootstrap samples behind the standard error.
    random_state : int, default=0
        Seed of the samples.

    Returns
    -------
    score : Score
        Percentage of labels that are right.

    Examples
    --------
    >>> from proxylm.metrics import score_labels
    >>> print(score_labels(["alarm_set", "play"], ["alarm_set", "quirky"]))
    accuracy = 50.00 ± 35.26 (match:label|case:fold)
    """
    predictions, references = check_segments(
        predictions=predictions, references=references
    )
    right = [
        _plain(prediction) == _plain(reference)
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    statistics = np.array(right, dtype=np.float64)[:, None]
    n = len(right)

    def accuracy(row):
        return 100.0 * row[0] / n

    return Score(
        "accuracy",
        float(accuracy(statistics.sum(axis=0))),
        bootstrap_error(statistics, accuracy, n_bootstrap, random_state),
        "match:label|case:fold",
    )
