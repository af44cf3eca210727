"""NGramLanguageModel: probabilities, against counting by hand."""

import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from proxylm.text import NGramLanguageModel
from proxylm.text._ngram import N_CHARACTERS

START = "\0"


class Counted:
    """Modified Kneser-Ney by dictionaries, a second implementation."""

    def __init__(self, texts, order):
        self.order, self.n_starts = order, max(order - 1, 1)
        raw = [Counter() for _ in range(order + 1)]
        for text in texts:
            padded = START * self.n_starts + text
            for end in range(self.n_starts, len(padded)):
                for n in range(1, order + 1):
                    raw[n][padded[end - n + 1 : end + 1]] += 1
        counts = [*raw[:order], raw[order]]
        for n in range(1, order):
            before = defaultdict(set)
            for gram in raw[n + 1]:
                before[gram[1:]].add(gram[0])
            counts[n] = {
                gram: number if gram[0] == START else len(before[gram])
                for gram, number in raw[n].items()
            }
        self.counts = counts
        self.discounts = [self.discount(list(c.values())) for c in counts]

    @staticmethod
    def discount(counts):
        n = [sum(c == k for c in counts) for k in range(5)]
        share = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
        if all(n[1:]):
            found = [c - (c + 1) * share * n[c + 1] / n[c] for c in (1, 2, 3)]
            if min(found) > 0:
                return [0.0, *found]
        return [0.0, share, share, share]

    def probability(self, context, character):
        found = 1 / N_CHARACTERS
        for n in range(1, self.order + 1):
            tail = context[len(context) - n + 1 :]
            follow = {g: c for g, c in self.counts[n].items() if g[:-1] == tail}
            if not follow:
                continue
            total = sum(follow.values())
            taken = [self.discounts[n][min(c, 3)] for c in follow.values()]
            own = follow.get(tail + character, 0)
            own -= self.discounts[n][min(own, 3)]
            found = own / total + sum(taken) / total * found
        return found

    def score(self, text):
        padded = START * self.n_starts + text
        places = range(self.n_starts, len(padded))
        return sum(math.log(self.probability(padded[:i], padded[i])) for i in places)


def random_texts(seed, n, letters, longest):
    rng = random.Random(seed)
    return [
        "".join(rng.choice(letters) for _ in range(rng.randint(0, longest)))
        for _ in range(n)
    ]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_scores_are_those_of_counting_by_hand(order):
    train = random_texts(0, 12, "abcde ", 40)
    test = [*random_texts(1, 6, "abcdefg ", 20), "", "a"]
    expected = [Counted(train, order).score(text) for text in test]
    found = NGramLanguageModel(order).fit(train).score_samples(test)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_first_character_of_one_text_is_computed_by_hand():
    # "ab": of two characters each was seen once, so that half of each is taken away.
    model = NGramLanguageModel(1).fit(["ab"])
    known = math.log(0.25 + 0.5 / N_CHARACTERS)
    unknown = math.log(0.5 / N_CHARACTERS)
    found = model.score_samples(["a", "ba", "c", ""])
    assert found == pytest.approx([known, 2 * known, unknown, 0])


@given(
    train=st.lists(st.text("abc", max_size=12), min_size=1, max_size=5),
    context=st.text("abcd", max_size=4),
    order=st.integers(1, 4),
)
def test_probabilities_of_all_characters_add_up_to_one(train, context, order):
    if not any(train):
        train = [*train, "a"]
    model = NGramLanguageModel(order).fit(train)
    seen = [chr(number) for number in model.alphabet_]
    base = model.score_samples([context])
    scores = model.score_samples([context + character for character in [*seen, "~"]])
    *known, unknown = np.exp(scores - base)
    assert sum(known) + (N_CHARACTERS - len(seen)) * unknown == pytest.approx(1)


def test_texts_are_scored_alone():
    train = random_texts(2, 8, "abcd", 30)
    model = NGramLanguageModel(4).fit(train)
    texts = random_texts(3, 5, "abcde", 15)
    alone = [model.score_samples([text])[0] for text in texts]
    np.testing.assert_array_equal(model.score_samples(texts), alone)
    assert model.score(texts) == pytest.approx(sum(alone))


def test_order_of_texts_in_fit_does_not_matter():
    train = random_texts(4, 8, "abcd", 30)
    ours = NGramLanguageModel().fit(train).score_samples(["abcabc"])
    theirs = NGramLanguageModel().fit(train[::-1]).score_samples(["abcabc"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_what_was_read_is_likelier_than_what_was_not():
    text = "all human beings are born free and equal in dignity and rights"
    model = NGramLanguageModel().fit([text])
    known, changed = model.score_samples([text, text[::-1]])
    assert known > changed + 100


def test_any_script_and_half_surrogates_are_characters():
    model = NGramLanguageModel(3).fit(["ภาษา", "\U0001f600", "\ud800"])
    assert np.isfinite(model.score_samples(["ภา", "\udfff", "\U0001f601"])).all()


def test_it_is_cloned_and_fitted_twice_with_the_same_result():
    model = NGramLanguageModel(order=2)
    first = model.fit(["abab"]).score(["ab"])
    assert model.fit(["xyz"]).fit(["abab"]).score(["ab"]) == first
    assert clone(model).order == 2


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        ("abc", TypeError, "sequence of texts. Got a text, 'abc'"),
        (["a", 3], TypeError, "X expects texts. Got 3 at 1"),
        ([], ValueError, "at least 1 character. Got none"),
        ([""], ValueError, "at least 1 character. Got none"),
    ],
)
def test_bad_texts_are_refused(texts, error, words):
    with pytest.raises(error, match=words):
        NGramLanguageModel().fit(texts)


def test_bad_order_and_a_model_that_knows_nothing_are_refused():
    with pytest.raises(ValueError, match="order"):
        NGramLanguageModel(0).fit(["a"])
    with pytest.raises(NotFittedError):
        NGramLanguageModel().score_samples(["a"])
