"""Labels are chosen by their likelihood or written, whatever the batch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from tiny_models import CAUSAL, TEXTS, make_model, make_seq2seq, make_tokenizer, save

from proxylm import ProxyScorer
from proxylm.lm import _branches, _engine, _labels
from proxylm.lm._cache import ScoreCache
from proxylm.lm._encoding import Chunk
from proxylm.lm._likelihood import TokenScores
from proxylm.metrics import score_labels, score_slots

LABELS = ["alarm_set", "play_music", "hak", "orang-orang merdeka"]
PAIRS = [
    (text, label) for text, label in zip([*TEXTS, "a", ""], LABELS * 2, strict=True)
]
PROMPTS = ["{text}\n", "{text} => ", "Label of {text}:"]


@pytest.fixture(scope="module")
def causal():
    return make_model("llama", scale=8.0, max_position_embeddings=256), make_tokenizer()


@pytest.fixture(scope="module")
def seq2seq(tmp_path_factory):
    return make_seq2seq("t5", tmp_path_factory.mktemp("t5"))


def reference_logprobs(model, prompt, label):
    """Return the log-probabilities of a label by the model's own forward pass."""
    module, tokenizer = model
    wide = pickle.loads(pickle.dumps(module)).double()
    if module.config.is_encoder_decoder:
        context = tokenizer(prompt).input_ids
        ids = tokenizer(label, add_special_tokens=False).input_ids
        arguments = {
            "input_ids": torch.tensor([context]),
            "decoder_input_ids": torch.tensor([[0, *ids]]),
        }
    else:
        before = tokenizer(prompt, add_special_tokens=False).input_ids
        whole = tokenizer(prompt + label, add_special_tokens=False).input_ids
        n_common = 0
        while before[n_common : n_common + 1] == whole[n_common : n_common + 1] != []:
            n_common += 1
        ids = whole[n_common:]
        arguments = {"input_ids": torch.tensor([[1, *whole]])}
    with torch.no_grad():
        logits = wide(**arguments).logits[0, -len(ids) - 1 : -1]
    return logits.log_softmax(-1)[range(len(ids)), ids].numpy()


def answers_of(scorer, pairs):
    """Return the answers behind a scorer's labels, by text and label."""
    task = scorer._make_task()
    (recipe,) = scorer._recipes().values()
    model = scorer._load(recipe)
    items = [
        part
        for source, label in pairs
        for part in task.items_of(_labels.Item(label, source), model)
    ]
    items = list(dict.fromkeys(items))
    answers = dict(pair for batch in task.answer(items, model) for pair in batch)
    return {(i.source, i.text): answers[k] for k, i in enumerate(items)}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_likelihoods_equal_the_models_own_in_float64(request, kind, prompt):
    model = request.getfixturevalue(kind)
    scorer = ProxyScorer(model, task="labels", prompt=prompt).fit(PAIRS)
    found = answers_of(scorer, PAIRS)
    assert len(found) == len(PAIRS) * len(LABELS)
    for (text, label), scores in found.items():
        expected = reference_logprobs(model, prompt.format(text=text), label)
        np.testing.assert_allclose(scores.logprob, expected, rtol=1e-5)


@pytest.mark.parametrize("budget", [1, 60, 100_000])
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_likelihoods_are_the_same_whatever_the_batch(request, kind, budget):
    model = request.getfixturevalue(kind)
    options = {"task": "labels", "labels": LABELS}
    alone = ProxyScorer(model, max_tokens_per_batch=1, **options).fit(PAIRS)
    other = ProxyScorer(model, max_tokens_per_batch=budget, **options).fit(PAIRS)
    expected = answers_of(alone, PAIRS)
    for key, scores in answers_of(other, PAIRS[::-1]).items():
        np.testing.assert_allclose(scores.logprob, expected[key].logprob, rtol=2e-6)


@pytest.mark.parametrize("name", CAUSAL)
def test_labels_beside_each_other_do_not_see_each_other(name, monkeypatch):
    model = make_model(name), make_tokenizer()
    scorer = ProxyScorer(model, task="labels", prompt="{text}:").fit(PAIRS)
    pairs = [(text[:40], label) for text, label in PAIRS]
    found = answers_of(scorer, pairs)
    assert _branches.reads_branches(model[0]) == (name not in OWN_ATTENTION)
    monkeypatch.setattr(_engine, "reads_branches", lambda module: False)
    for key, plain in answers_of(scorer, pairs).items():
        np.testing.assert_allclose(found[key].logprob, plain.logprob, rtol=1e-5)


OWN_ATTENTION = {"mistral", "gemma2", "gemma3", "bloom", "mamba"}


@pytest.mark.parametrize("longest", [1, 12, 20, 1_024])
def test_rows_of_continuations_are_no_longer_than_they_may_be(longest):
    rng = np.random.default_rng(0)
    chunks = []
    for number in range(40):
        context = np.full(3 + number % 4, number % 4)
        ids = np.concatenate([context, rng.integers(9, size=rng.integers(1, 7))])
        positions = np.arange(len(context) - 1, len(ids))
        chunks.append(
            Chunk(number, ids, positions, positions, 0, n_context=len(context))
        )
    joined = list(_branches.join_branches(chunks, longest))
    parts = [part for row in joined for part in row.branches or (row,)]
    assert sorted(part.text for part in parts) == list(range(40))
    for row in joined:
        assert len(row.ids) <= longest or not row.branches
        sees, places = _branches.branch_mask([row], len(row.ids))
        ends = np.cumsum([len(part.positions) for part in row.branches], dtype=int)
        for part, end in zip(row.branches, ends, strict=True):
            seen = np.flatnonzero(sees[0, row.positions[end - 1]])
            np.testing.assert_array_equal(row.ids[seen], part.ids)
            np.testing.assert_array_equal(places[0, seen], np.arange(len(part.ids)))
    assert len(joined) == {1: 40, 1_024: 4}.get(longest, len(joined))


def test_a_prompt_is_read_once_for_all_labels(causal):
    seen = []
    hook = causal[0].model.register_forward_pre_hook(
        lambda module, args, named: seen.append(named["input_ids"].shape),
        with_kwargs=True,
    )
    scorer = ProxyScorer(causal, task="labels", labels=LABELS).fit(PAIRS)
    answers_of(scorer, PAIRS[:1])
    hook.remove()
    n_tokens = len(causal[1](TEXTS[0], add_special_tokens=False).input_ids)
    ((n_rows, longest),) = seen[-1:]
    assert n_rows == 1 and longest < n_tokens + 40


@pytest.mark.parametrize("normalize", ["none", "tokens", "bytes"])
def test_accuracy_is_that_of_the_most_probable_labels(causal, normalize):
    scorer = ProxyScorer(
        causal, task="labels", prompt="{text} =>", normalize=normalize, labels=LABELS
    )
    found = scorer.fit_transform([PAIRS])
    predictions = []
    for text, _ in PAIRS:
        totals = []
        for label in LABELS:
            logprobs = reference_logprobs(causal, f"{text} =>", label)
            length = {"none": 1, "tokens": len(logprobs), "bytes": len(label.encode())}
            totals.append(logprobs.sum() / length[normalize])
        predictions.append(LABELS[int(np.argmax(totals))])
    expected = score_labels(predictions, [label for _, label in PAIRS])
    np.testing.assert_allclose(found, [[expected.value, expected.standard_error]])
    assert scorer.get_feature_names_out().tolist() == ["accuracy", "accuracy_se"]


def test_the_right_label_is_found_where_the_model_says_so(causal):
    scorer = ProxyScorer(causal, task="labels", labels=LABELS, metrics=["accuracy"])
    scorer.fit(PAIRS)
    answers = answers_of(scorer, PAIRS)
    best = [
        (text, max(LABELS, key=lambda label: answers[text, label].logprob.sum()))
        for text, _ in PAIRS
    ]
    assert scorer.transform([best]).tolist() == [[100.0]]


def test_labels_are_those_that_fit_sees(causal):
    scorer = ProxyScorer(causal, task="labels", metrics=["accuracy"])
    scorer.fit([PAIRS[:2], PAIRS[1:3], None])
    assert scorer.labels_ == sorted(LABELS[:3])
    assert scorer.transform([[("a", "never seen")]]).tolist() == [[0.0]]
    scorer.set_params(labels=["b", "a", "b"]).fit(PAIRS)
    assert scorer.labels_ == ["b", "a"]


def test_of_equal_labels_the_first_is_chosen(causal):
    scorer = ProxyScorer(causal, task="labels", labels=["x", "y"]).fit(PAIRS)
    task = scorer._make_task()
    pair = _labels.Item("y", "text")
    scores = TokenScores(np.array([-1.0]), None, None, 1, 0, 0)
    answers = {pair._replace(text=label): scores for label in ("x", "y")}
    (recipe,) = scorer._recipes().values()
    assert task._predict(pair, answers, scorer._load(recipe)) == "x"


def test_labels_that_are_written_are_compared_with_the_true_ones(causal):
    scorer = ProxyScorer(
        causal,
        task="labels",
        method="generation",
        metrics=["f1", "accuracy", "f1_se"],
        generation={"max_new_tokens": 6},
    )
    found = scorer.fit_transform([PAIRS, PAIRS[:1]])
    assert scorer.labels_ is None
    module, tokenizer = causal
    for row, pairs in zip(found, [PAIRS, PAIRS[:1]], strict=True):
        written = []
        for text, _ in pairs:
            ids = [1, *tokenizer(f"{text}\n", add_special_tokens=False).input_ids]
            new = module.generate(
                torch.tensor([ids]), do_sample=False, max_new_tokens=6
            )[0, len(ids) :]
            answer = tokenizer.decode(new, skip_special_tokens=True)
            written.append(answer.partition("\n")[0].strip())
        labels = [label for _, label in pairs]
        slots = score_slots(written, labels)
        accuracy = score_labels(written, labels).value
        np.testing.assert_allclose(row, [slots.value, accuracy, slots.standard_error])


def test_slot_f1_of_written_utterances(causal, monkeypatch):
    written = iter(["wake me at [time : five]", "[time : six] please"])
    generated = [_labels.Generated(text, 5) for text in written]

    def answer(self, items, model):
        yield list(enumerate(generated))

    monkeypatch.setattr(_labels.Generator, "answer", answer)
    scorer = ProxyScorer(causal, task="labels", method="generation", metrics=["f1"])
    pairs = [("a", "wake me at [time : five]"), ("b", "[time : seven] please")]
    assert scorer.fit_transform([pairs]).tolist() == [[50.0]]


def test_an_encoder_decoder_writes_labels(seq2seq):
    scorer = ProxyScorer(
        seq2seq, task="labels", method="generation", generation={"max_new_tokens": 5}
    )
    assert np.isfinite(scorer.fit_transform([PAIRS])).all()


@pytest.mark.parametrize("method", ["likelihood", "generation"])
def test_answers_are_cached_and_the_labels_shared(tmp_path, method, causal):
    folder = save(tmp_path / "model", *causal)
    options = {
        "task": "labels",
        "method": method,
        "generation": {"max_new_tokens": 4},
        "cache_dir": tmp_path / "cache",
        "device": "cpu",
        "dtype": "float32",
    }
    scorer = ProxyScorer(folder, labels=LABELS[:2], **options)
    expected = scorer.fit_transform([PAIRS[:3]])
    with ScoreCache(tmp_path / "cache") as cache:
        counts = cache.summary()["n_texts"].tolist()
    assert counts == [6 if method == "likelihood" else 3]
    again = pickle.loads(pickle.dumps(scorer))
    np.testing.assert_array_equal(again.transform([PAIRS[:3]]), expected)
    np.testing.assert_array_equal(clone(scorer).fit_transform([PAIRS[:3]]), expected)
    ProxyScorer(folder, labels=LABELS[1:3], **options).fit_transform([PAIRS[:3]])
    with ScoreCache(tmp_path / "cache") as cache:
        counts = cache.summary()["n_texts"].tolist()
    assert counts == [9 if method == "likelihood" else 3]


def test_normalizing_needs_no_new_answers(tmp_path, causal, monkeypatch):
    folder = save(tmp_path / "model", *causal)
    options = {"task": "labels", "cache_dir": tmp_path / "cache", "labels": LABELS}
    ProxyScorer(folder, **options).fit_transform([PAIRS])
    monkeypatch.setattr(_labels, "score_likelihoods", None)
    found = ProxyScorer(folder, normalize="bytes", **options).fit_transform([PAIRS])
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "options, X, match",
    [
        ({"labels": LABELS}, ["text"], r"tuples \(source, text\)"),
        ({}, ["text"], "pairs with two labels to fit"),
        ({"metrics": ["f1"]}, PAIRS, "method='generation'"),
        ({"metrics": ["acuracy"]}, PAIRS, "Did you mean 'accuracy'"),
        ({"labels": ["one"]}, PAIRS, "at least two strings"),
        ({"labels": ["one", ""]}, PAIRS, "at least two strings"),
        ({"labels": ["one", 2]}, PAIRS, "at least two strings"),
        ({"prompt": "no place"}, PAIRS, r"without \{text\}"),
        ({}, [("a b" * 600, "x"), ("c", "y")], "at most 256 tokens of prompt"),
    ],
    ids=[
        "plain text",
        "plain text to fit",
        "slots by likelihood",
        "unknown metric",
        "one label",
        "empty label",
        "number",
        "prompt",
        "too long",
    ],
)
def test_what_is_wrong_with_labels_is_said(causal, options, X, match):
    with pytest.raises(ValueError, match=match):
        ProxyScorer(causal, task="labels", **options).fit_transform(X)


def test_a_masked_model_finds_no_labels():
    model = make_model("bert"), make_tokenizer()
    with pytest.raises(ValueError, match="masked model"):
        ProxyScorer(model, task="labels").fit(PAIRS)


def test_missing_cells_have_no_score(causal):
    found = ProxyScorer(causal, task="labels").fit_transform([None, PAIRS[0], PAIRS[1]])
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
