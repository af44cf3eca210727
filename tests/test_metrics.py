"""Scores: sacrebleu's values and signatures, slots by CoNLL's rule, the bootstrap."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxylm._remote import RemoteFile
from proxylm.metrics import (
    Score,
    _translation,
    parse_slots,
    score_labels,
    score_slots,
    score_translations,
)

sacrebleu = pytest.importorskip("sacrebleu", reason="needs the extra metrics")
sentencepiece = pytest.importorskip("sentencepiece", reason="needs the extra metrics")

WORDS = "the a cat dog sat ran on under mat, house. Today über straße 3.5".split()
PEERS = {
    "BLEU": sacrebleu.BLEU(),
    "chrF2": sacrebleu.CHRF(),
    "chrF2++": sacrebleu.CHRF(word_order=2),
    "TER": sacrebleu.TER(),
}


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    references = [" ".join(rng.choice(WORDS, 9)) for _ in range(60)]
    predictions = []
    for text in references:
        words = np.array(text.split(), dtype=object)
        words[rng.random(9) < 0.2] = "dog"
        predictions.append(" ".join(words))
    return predictions, references


@pytest.fixture(scope="module")
def spm_model(tmp_path_factory, corpus):
    folder = tmp_path_factory.mktemp("model")
    (folder / "corpus.txt").write_text("\n".join(corpus[1]), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "small"),
        vocab_size=35,
        minloglevel=2,
    )
    return folder / "small.model"


@pytest.mark.parametrize("name", PEERS)
def test_string_metrics_are_those_of_sacrebleu(corpus, name):
    predictions, references = corpus
    found = score_translations(predictions, references, [name])[name]
    peer = PEERS[name]
    expected = peer.corpus_score(predictions, [references], n_bootstrap=1_000)
    assert found.value == pytest.approx(expected.score, abs=1e-9)
    assert float(found) == found.value
    # sacrebleu's interval is from the 2.5th to the 97.5th percentile.
    assert found.standard_error == pytest.approx(expected._ci / 1.96, rel=0.15)
    plain = type(peer)(**({"word_order": 2} if name == "chrF2++" else {}))
    plain.corpus_score(predictions, [references])
    assert found.signature == plain.get_signature().format()


def test_another_model_makes_another_metric_than_spbleu(corpus, spm_model):
    predictions, references = corpus
    digest = hashlib.sha256(spm_model.read_bytes()).hexdigest()
    (score,) = score_translations(
        *corpus, ["spBLEU"], spm_model=spm_model, n_bootstrap=0
    ).values()
    assert score.metric == f"spBLEU-{digest[:8]}"
    assert f"|tok:spm-{digest[:8]}|" in score.signature
    assert np.isnan(score.standard_error)
    model = sentencepiece.SentencePieceProcessor(model_file=str(spm_model))
    pieces = [
        [" ".join(model.encode_as_pieces(text)) for text in texts]
        for texts in (predictions, references)
    ]
    peer = sacrebleu.BLEU(tokenize="none", force=True)
    expected = peer.corpus_score(pieces[0], [pieces[1]]).score
    assert score.value == pytest.approx(expected, abs=1e-9)


def test_spbleu_has_the_verified_model_or_none(
    corpus, spm_model, tmp_path, monkeypatch
):
    content = spm_model.read_bytes()
    # Stands for the model of FLORES-200, where nothing answers.
    remote = RemoteFile(
        "spm", "http://127.0.0.1:9/spm", hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setattr(_translation, "FLORES_200", remote)
    options = {"metrics": ["spBLEU"], "data_home": tmp_path, "n_bootstrap": 0}
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9/spm could not be reach"):
        score_translations(*corpus, **options)
    (tmp_path / "spm").write_bytes(content + b"x")
    with pytest.raises(ConnectionError, match=r"found [0-9a-f]{64}"):
        score_translations(*corpus, **options)
    (tmp_path / "spm").write_bytes(content)
    found = score_translations(*corpus, **options)
    assert list(found) == ["spBLEU"] and "tok:flores200" in found["spBLEU"].signature
    given = score_translations(*corpus, **{**options, "spm_model": spm_model})
    assert given["spBLEU"].signature == found["spBLEU"].signature
    assert given["spBLEU"].value == found["spBLEU"].value


def test_equal_texts_have_the_best_score_and_no_error(corpus):
    _, references = corpus
    names = list(PEERS)
    for name, score in score_translations(references, references, names).items():
        assert score.value == pytest.approx(0 if name == "TER" else 100)
        assert score.standard_error == pytest.approx(0, abs=1e-9)


def test_the_bootstrap_of_an_accuracy_is_the_binomial_error():
    predictions = ["yes"] * 70 + ["no"] * 30
    score = score_labels(predictions, ["YES "] * 100, n_bootstrap=20_000)
    assert score.value == 70 and type(score.value) is float
    assert score.standard_error == pytest.approx(100 * np.sqrt(0.7 * 0.3 / 100), 0.03)
    assert score == score_labels(predictions, ["yes"] * 100, n_bootstrap=20_000)
    other = score_labels(predictions, ["yes"] * 100, n_bootstrap=20_000, random_state=1)
    assert other.standard_error != score.standard_error


def test_blocks_of_samples_do_not_matter(monkeypatch):
    from proxylm.metrics import _score

    expected = score_labels(["a", "b", "c"], ["a", "b", "d"])
    monkeypatch.setattr(_score, "BLOCK", 50)
    found = score_labels(["a", "b", "c"], ["a", "b", "d"])
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-12)


def conll_f1(predictions, references):
    """Spans with their tags by position, as the scorer of CoNLL counts them."""
    right = found = true = 0
    for prediction, reference in zip(predictions, references, strict=True):
        right += len(prediction & reference)
        found += len(prediction)
        true += len(reference)
    return 100 * 2 * right / (found + true) if found + true else 100.0


@st.composite
def tagged_utterances(draw):
    """An utterance of distinct words, and its spans in two ways."""
    n_words = draw(st.integers(1, 8))
    words = [f"w{k}" for k in range(n_words)]
    sides = []
    for _ in range(2):
        text, spans, start = [], set(), 0
        while start < n_words:
            end = draw(st.integers(start + 1, n_words))
            name = draw(st.sampled_from(["", "time", "place"]))
            chunk = " ".join(words[start:end])
            text.append(f"[{name} : {chunk}]" if name else chunk)
            if name:
                spans.add((name, start, end))
            start = end
        sides.append((" ".join(text), spans))
    return sides


@given(st.lists(tagged_utterances(), min_size=1, max_size=5))
def test_slot_f1_is_that_of_conll_where_the_words_are_the_same(utterances):
    predictions, references = zip(*utterances, strict=True)
    found = score_slots(
        [text for text, _ in predictions],
        [text for text, _ in references],
        n_bootstrap=0,
    )
    expected = conll_f1([s for _, s in predictions], [s for _, s in references])
    assert found.value == pytest.approx(expected)


@pytest.mark.parametrize(
    "prediction, reference, f1",
    [
        ("[a : x] [a : x]", "[a : x]", 200 / 3),  # one of two equal ones is right
        ("[A:  X  y]", "[a : x y]", 100),
        ("[time : 5:30 am]", "[time : 5:30 am]", 100),
        ("[a : x", "[a : x]", 0),  # not closed
        ("[b : x]", "[a : x]", 0),
        ("nothing", "nothing", 100),
        ("nothing", "[a : x]", 0),
        ("[a : x] [b : y]", "[b : y] [a : x]", 100),
    ],
)
def test_slots_are_matched_by_name_and_words(prediction, reference, f1):
    found = score_slots([prediction], [reference], n_bootstrap=0)
    assert found.value == pytest.approx(f1)


def test_slots_are_parsed_in_any_script():
    assert parse_slots("[समय : पाँच बजे] पर [date : आज]") == [
        ("समय", "पाँच बजे"),
        ("date", "आज"),
    ]


@pytest.mark.parametrize("score", [score_labels, score_slots, score_translations])
@pytest.mark.parametrize(
    "predictions, references, error, message",
    [
        (["a"], ["a", "b"], ValueError, "Got 1 and 2"),
        ([], [], ValueError, "at least one segment"),
        ("a", ["a"], TypeError, r"predictions expects a sequence .* Pass \[text\]"),
        (["a"], [None], TypeError, "references expects strings. Number 0 is None"),
    ],
)
def test_bad_segments_are_refused(score, predictions, references, error, message):
    with pytest.raises(error, match=message):
        score(predictions, references)


def test_bad_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Got 'chrf\+\+'\. Did you mean 'chrF2\+\+'"):
        score_translations(["a"], ["a"], ["chrf++"])
    with pytest.raises(FileNotFoundError, match="There is no file"):
        score_translations(["a"], ["a"], ["spBLEU"], spm_model=tmp_path / "none")
    (tmp_path / "bad").write_text("bad")
    with pytest.raises(ValueError, match="bad is no SentencePiece model"):
        score_translations(["a"], ["a"], ["spBLEU"], spm_model=tmp_path / "bad")


def test_a_score_says_how_it_was_made():
    score = Score("BLEU", 31.234, 0.567, "tok:13a")
    assert str(score) == "BLEU = 31.23 ± 0.57 (tok:13a)"
