"""DatasetFeaturizer: every feature against a second opinion, and bad texts."""

import gzip
import itertools
import json
import math
import pickle
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_text_features import paper_features, paper_tokens
from scipy.spatial.distance import cosine, jensenshannon
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.estimator_checks import check_estimator

from proxylm import DatasetFeaturizer
from proxylm.text import _corpus, _statistics
from proxylm.text._hashes import HashCounter
from proxylm.text._measures import MEASURES

pytest.importorskip("icu4py.breakers", reason="needs the extra text")

# Letters and marks of twelve scripts.
ALPHABETS = {
    "Latin": "abcßéñΣİﬁæ",
    "Greek": "αβγΣςάώ",
    "Cyrillic": "абвёйї",
    "Arabic": "ابتثًّپ",
    "Hebrew": "אבגדהְָ",
    "Devanagari": "कखगािी्",
    "Bengali": "কখগাি্",
    "Thai": "กขคาิ่",
    "Khmer": "កខគា្េ",
    "Georgian": "აბგდᲐ",
    "Hangul": "가나다각힣",
    "Han": "人权世界一二",
}
# Without the time, which would make other tests of it in each process.
CUT_GZIP = gzip.compress(b"abc" * 99, mtime=0)[:-9]
COMMON = " .,!?'-019½²\t\u00a0\u200b\u0301"


def frame(rows, **options):
    featurizer = DatasetFeaturizer(**options).set_output(transform="pandas")
    return featurizer.fit_transform(rows)


def row(*corpora, **options):
    return frame([list(corpora)], **options).iloc[0]


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    words = np.array(["Alpha", "beta", "gamma,", "delta", "Beta", "ε", "don't", "x1."])
    shares = np.arange(8, 0, -1) / 36

    def draw(n_sentences):
        lengths = rng.integers(1, 9, n_sentences)
        return [" ".join(rng.choice(words, k, p=shares)) for k in lengths]

    return draw(50), draw(13), draw(7)


def test_published_features_are_those_of_the_plain_restatement(texts):
    found = row(*texts, compatibility="paper")
    expected = paper_features(dict(zip(("train", "dev", "test"), texts, strict=True)))
    assert set(found.index) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("script", ALPHABETS)
def test_published_features_hold_in_every_script(script):
    letters = ALPHABETS[script]
    sentence = st.builds(
        lambda start, rest: start + rest,
        # Not "Σ", "ﬁ" or a mark alone: the original needs a token in each chunk.
        st.sampled_from([c for c in letters if c.isalpha() and len(c.lower()) == 1]),
        st.text(st.sampled_from(letters + COMMON), max_size=25),
    ).map(str.strip)
    corpus = st.lists(sentence, min_size=1, max_size=9)

    @settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
    @given(train=corpus, dev=corpus, test=corpus)
    def check(train, dev, test):
        expected = paper_features({"train": train, "dev": dev, "test": test})
        found = row(train, dev, test, compatibility="paper")
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-9), name

    check()


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A small SentencePiece model, and the path of its file."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder = tmp_path_factory.mktemp("pieces")
    letters = "abcdefghijklmnopqrstuvwxyz"
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list(letters), 5)) for _ in range(300)]
    corpus = folder / "corpus.txt"
    corpus.write_text(
        "\n".join(" ".join(rng.choice(words, 8)) for _ in range(300)), encoding="utf-8"
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "pieces"),
        vocab_size=120,
        character_coverage=1.0,
        minloglevel=2,
    )
    path = folder / "pieces.model"
    return sentencepiece.SentencePieceProcessor(model_file=str(path)), path


def test_published_features_with_a_sentencepiece_model(pieces, texts):
    model, path = pieces
    # Of characters that the model does not know, and that it writes as several.
    train = [*texts[0], "½ ﬁ Straße 人权 ㎞"]
    corpora = {"train": train, "dev": texts[1], "test": texts[2]}
    expected = paper_features(corpora, lambda text: paper_tokens(text, model))
    for tokenizer in (model, str(path)):
        found = row(*corpora.values(), compatibility="paper", tokenizer=tokenizer)
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-9), name


def test_a_chunk_has_as_many_sentences_as_the_shorter_corpus(texts, monkeypatch):
    """However the texts are cut into batches, and with a shorter chunk at the end."""
    train, dev, test = texts
    expected = paper_features({"train": train, "dev": dev, "test": test})
    monkeypatch.setattr(_corpus, "BATCH_CHARACTERS", 40)
    found = row(train, dev, test, compatibility="paper")
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_in_the_paper_an_empty_line_is_a_sentence_and_a_chunk_of_it_is_passed_over():
    train, test = ["ab", "", "bc", "a"], ["ab"]
    found = row(train, test, compatibility="paper")
    kept = row([text for text in train if text], test, compatibility="paper")
    assert found["dataset_size"] == 4
    assert found["train_test_tf_idf"] == pytest.approx(kept["train_test_tf_idf"])
    assert row(train, test)["dataset_size"] == 3
    # A last chunk of one sentence is passed over if that is empty in either corpus.
    pair = row(["ab", "bc"], ["ab", "c"], compatibility="paper")
    found = row(["ab", "bc", ""], ["ab", "c"], compatibility="paper")
    assert found["train_test_tf_idf"] == pytest.approx(pair["train_test_tf_idf"])
    pair = row(["ab", "bc"], ["", "c"], compatibility="paper")
    found = row(["ab", "bc", "cd"], ["", "c"], compatibility="paper")
    assert found["train_test_tf_idf"] == pytest.approx(pair["train_test_tf_idf"])


def test_default_features_are_those_of_counters_and_peers(texts):
    train, _, test = texts
    found = row(train, test, tokenizer=str.split)
    a = Counter(word for text in train for word in text.split())
    b = Counter(word for text in test for word in text.split())
    every = sorted(set(a) | set(b))
    assert found["train_word_vocab_size"] == len(a)
    assert found["ttr_test"] == pytest.approx(len(b) / b.total())
    assert found["train_test_word_overlap"] == len(set(a) & set(b)) / (len(a) + len(b))
    distance = jensenshannon([a[w] for w in every], [b[w] for w in every])
    assert found["train_test_jsd"] == pytest.approx(distance, abs=1e-12)
    unknown = sum(count for word, count in b.items() if word not in a)
    assert found["train_test_oov_rate"] == unknown / b.total()
    lengths = [len(text.split()) for text in train]
    assert found["avg_train_sentence_length"] == pytest.approx(np.mean(lengths))
    assert found["std_train_sentence_length"] == pytest.approx(np.std(lengths))
    pairs = [
        {p for text in texts for p in itertools.pairwise(text.split())}
        for texts in (train, test)
    ]
    shared = len(pairs[0] & pairs[1]) / (len(pairs[0]) + len(pairs[1]))
    assert found["train_test_ngram_overlap"] == pytest.approx(shared)


def test_tf_idf_distance_is_that_of_scikit_learn(texts):
    train, _, test = texts
    vectorizer = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, norm=None
    )
    vectorizer.fit(train + test)
    expected = cosine(
        *(np.asarray(vectorizer.transform(c).sum(axis=0))[0] for c in (train, test))
    )
    found = row(train, test, tokenizer=str.split)
    assert found["train_test_tf_idf"] == pytest.approx(expected, abs=1e-12)


def test_features_of_characters():
    found = row(["Aá", "Aá", "яя b"], ["зя"], tokenizer="characters")
    assert found["train_word_vocab_size"] == 4
    assert found["avg_train_sentence_length"] == pytest.approx(7 / 3)
    assert found["train_bytes_per_character"] == pytest.approx((2 * 3 + 6) / 8)
    shares = np.array([2, 2, 2, 1, 1]) / 8  # of A, á, я, space, b
    assert found["train_character_entropy"] == pytest.approx(entropy(shares, base=2))
    assert found["train_script_share"] == pytest.approx(5 / 7)
    assert found["train_test_script_overlap"] == pytest.approx(2 / 7)
    assert found["train_duplicates"] == pytest.approx(1 / 3)
    assert found["train_test_sentence_overlap"] == 0.0


def test_the_script_is_a_word_beside_numbers():
    rows = [[["abc яя", "déf"], None], [["人"], ["1 2"]]]
    options = {"features": ["script", "size"]}
    found = frame(pd.DataFrame(rows, index=["a", "b"]), **options)
    assert found["train_script"].tolist() == ["Latn", "Hani"]
    assert found["test_script"].isna().all()  # digits belong to no script
    assert found["dataset_size"].dtype == np.float64
    assert list(found.index) == ["a", "b"]
    array = DatasetFeaturizer(**options).fit_transform(rows)
    assert array.dtype == object and array[1].tolist()[0] == "Hani"
    assert "train_script" not in row(["a"])


@pytest.mark.parametrize(
    "text, words",
    [
        ("Don't, e.g., STOP 3,000 times!", "don't e.g stop 3,000 times"),
        ("สวัสดีชาวโลก", "สวัสดี ชาว โลก"),
        ("ដកហូតបានរបស់", "ដកហូត បាន របស់"),
        ("今天天气很好。", "今天 天气 很好"),
        ("自由と正義", "自由 と 正義"),
        ("အသိအမှတ်ပြုခြင်းသည်", "အသိအမှတ်ပြု ခြင်း သည်"),
        ("\u202eשלום\u202c عالم", "שלום عالم"),
        ("e\u0301te\u0301 \u00e9t\u00e9", "\u00e9t\u00e9"),
    ],
)
def test_words_are_found_in_scripts_with_and_without_spaces(text, words):
    words = words.split()
    found = row([text], [" ".join(words)])
    assert found["train_word_vocab_size"] == len(set(words))
    # ICU may read the words of a sentence otherwise where spaces help it.
    assert found["train_test_oov_rate"] == 0.0


def test_embeddings_are_of_the_encoder(texts):
    def encode(sentences):
        return np.array([[len(text), text.count("a"), 1.0] for text in sentences])

    class Encoder:
        def encode(self, sentences):
            return encode(sentences)

    train, dev, _ = texts
    expected = cosine(encode(train).mean(axis=0), encode(dev).mean(axis=0))
    for encoder in (encode, Encoder()):
        options = {"splits": ("train", "dev"), "encoder": encoder}
        found = row(train, dev, **options)
        assert found["train_dev_st_similarity"] == pytest.approx(expected)
    assert "train_dev_st_similarity" not in row(train, dev)
    with pytest.raises(ValueError, match=r"of shape \(n_sentences, n_dim.* Got \(3,\)"):
        row(train, dev, encoder=lambda sentences: np.zeros(3))


def test_fertility_of_a_sentencepiece_model(pieces):
    model, path = pieces
    text = "abc zzzz don't 人"
    found = row([text], subword_tokenizer=str(path), tokenizer="words")
    split = [
        [p for p in model.encode_as_pieces(word) if p != "▁"] for word in text.split()
    ]
    n_pieces = sum(map(len, split))
    assert found["train_fertility"] == pytest.approx(n_pieces / 4)
    assert found["train_continued_words"] == sum(len(p) > 1 for p in split) / 4
    unknown = sum(
        model.piece_to_id(p) == model.unk_id() for word in split for p in word
    )
    assert unknown == 2  # the apostrophe and the Han character
    assert found["train_unknown_pieces"] == pytest.approx(unknown / n_pieces)
    assert found["train_byte_pieces"] == 0.0


LEARNED = ["the cat sat on the mat", "der Hund über die Straße", "и кошка и кот"] * 20
SUBWORDS = ["fertility", "continued_words", "unknown_pieces", "byte_pieces"]


def train_tokenizer(tokenizer, trainer):
    tokenizer.train_from_iterator(LEARNED, trainer)
    return tokenizer


@pytest.fixture(scope="module")
def byte_level():
    """A tokenizer as those of GPT-2 and Llama 3, whose pieces are bytes."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    options = {"initial_alphabet": alphabet, "show_progress": False}
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=500, **options)
    return train_tokenizer(tokenizer, trainer)


def test_fertility_of_pieces_of_bytes(byte_level, tmp_path):
    words = ["the", "über", "人", "кошка"]
    pieces = [byte_level.encode(f" {word}").tokens for word in words]
    assert [len(found) for found in pieces] == [1, 1, 4, 1]  # Ġ, and three bytes
    found = row([" ".join(words)], subword_tokenizer=byte_level, features=SUBWORDS)
    assert found.tolist() == [6 / 4, 1 / 4, 0, 3 / 6]
    # The same through the methods that tokenizers of transformers have.

    class Fast:
        unk_token = None

        def get_vocab(self):
            return byte_level.get_vocab()

        def tokenize(self, text):
            return byte_level.encode(text).tokens

    wrapped = row([" ".join(words)], subword_tokenizer=Fast(), features=SUBWORDS)
    pd.testing.assert_series_equal(wrapped, found)
    path = tmp_path / "tokenizer.json"
    byte_level.save(str(path))
    from_file = row([" ".join(words)], subword_tokenizer=path, features=SUBWORDS)
    pd.testing.assert_series_equal(from_file, found)
    own = row(["the 人"], tokenizer=byte_level, features=["size", "vocabulary_size"])
    assert own["train_word_vocab_size"] == len(set(byte_level.encode("the 人").tokens))


def test_fertility_of_pieces_of_words():
    tokenizers = pytest.importorskip("tokenizers")
    pieces = "[UNK] the cat ##d ##o ##g".split()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert tokenizer.encode("catdog").tokens == ["cat", "##d", "##o", "##g"]
    found = row(["the catdog 人"], subword_tokenizer=tokenizer, features=SUBWORDS)
    assert found.tolist() == [6 / 3, 1 / 3, 1 / 6, 0]


def test_fertility_of_pieces_that_fall_back_to_bytes():
    """As those of Llama 2: the first word is marked, and two marks are a piece."""
    tokenizers = pytest.importorskip("tokenizers")
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", "t", "h", "e", "▁▁", "▁t", "he", "▁the"]
    model = tokenizers.models.BPE(
        {piece: number for number, piece in enumerate(pieces)},
        [("▁", "▁"), ("▁", "t"), ("h", "e"), ("▁t", "he")],
        unk_token="<unk>",
        byte_fallback=True,
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Sequence(
        [
            tokenizers.normalizers.Prepend("▁"),
            tokenizers.normalizers.Replace(" ", "▁"),
        ]
    )
    assert tokenizer.encode("the the").tokens == ["▁the", "▁the"]
    assert tokenizer.encode(" the").tokens == ["▁▁", "t", "he"]
    found = row(["the 人"], subword_tokenizer=tokenizer, features=SUBWORDS)
    assert found.tolist() == [4 / 2, 1 / 2, 0, 3 / 4]


def test_a_subword_tokenizer_is_asked_for():
    with pytest.raises(TypeError, match=r"subword_tokenizer expects a Hugging Face"):
        row(["ab"], subword_tokenizer=3)
    with pytest.raises(ValueError, match=r"'fertility' needs subword_tokenizer=\.\.\."):
        row(["ab"], features=["fertility"])


def test_corpora_are_read_from_lists_files_and_functions(tmp_path):
    sentences = ["one two", "trois", "vier fünf sechs"]
    plain = tmp_path / "corpus.txt"
    plain.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(sentences).encode())
    packed = tmp_path / "corpus.txt.gz"
    packed.write_bytes(gzip.compress("\n\n".join([*sentences, ""]).encode()))
    lines = tmp_path / "corpus.jsonl"
    rows = [{"text": sentences[0]}, *sentences[1:]]
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    nested = tmp_path / "nested.jsonl.gz"
    pairs = [{"translation": {"deu": text}} for text in sentences]
    nested.write_bytes(gzip.compress("\n".join(map(json.dumps, pairs)).encode()))
    expected = row(sentences)
    for corpus in (
        str(plain),
        plain,
        packed,
        lines,
        tuple(sentences),
        np.array(sentences),
        pd.Series(sentences),
        lambda: iter(sentences),
    ):
        pd.testing.assert_series_equal(row(corpus), expected)
    found = row(nested, field="translation.deu")
    pd.testing.assert_series_equal(found, expected)


def test_a_feature_whose_corpus_is_missing_is_nan(texts):
    found = frame([[texts[0], None, texts[2]], [texts[0], texts[1], float("nan")]])
    assert np.isnan(found.loc[0, ["dev_size", "train_dev_jsd"]]).all()
    assert found.loc[0, "train_test_jsd"] > 0
    assert np.isnan(found.loc[1, ["test_size", "dev_test_ttr_distance"]]).all()
    alone = row(texts[0], texts[1], splits=("train", "dev"))
    assert found.loc[1, "train_dev_jsd"] == alone["train_dev_jsd"]


def test_an_empty_corpus_has_sizes_and_nothing_in_common(texts):
    found = row([], ["", "  "], texts[2])
    zero = ["dataset_size", "dev_size", "train_word_vocab_size", "dev_word_vocab_size"]
    zero += ["train_test_word_overlap", "train_test_ngram_overlap"]
    zero += ["train_test_sentence_overlap"]
    assert found[zero].eq(0).all()
    assert found["train_test_oov_rate"] == 1.0
    own = [name for name in found.index if "train" in name]
    unknown = found[own].drop([*zero, "train_test_oov_rate"], errors="ignore")
    assert unknown.isna().all() and len(unknown) > 15
    found = row([], [], ["a"], compatibility="paper")
    assert np.isnan(found["train_test_tf_idf"]) and np.isnan(found["train_test_jsd"])


def test_equal_corpora_are_at_no_distance(texts):
    found = row(texts[0], list(texts[0]), splits=("train", "dev"))
    for name in ("ttr_distance", "jsd", "tf_idf", "oov_rate"):
        assert found[f"train_dev_{name}"] == pytest.approx(0, abs=1e-7)
    for name in ("word_overlap", "ngram_overlap"):
        assert found[f"train_dev_{name}"] == 0.5
    assert found["train_dev_sentence_overlap"] == 1.0


def test_hostile_texts_are_counted():
    long = "word " * 200_000
    corpus = [long, "a\x00b", "\u202eabc\u202c", "\ud800 half", "x\ny", "🙂🙂"]
    found = row(corpus, ["one sentence"])
    assert np.isfinite(found[["train_character_entropy", "ttr_train"]]).all()
    assert found["dataset_size"] == 6
    assert found["avg_train_sentence_length"] == pytest.approx((200_000 + 6) / 6)
    found = row(corpus, ["one sentence"], compatibility="paper")
    assert found["dataset_size"] == 6


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"ok\nna\xefve\n", r"a\.txt, line 2: the byte 0xef is not UTF-8"),
        ("a.txt", "x".encode("utf-16"), r"line 1: the byte 0xff is not UTF-8"),
        ("a.gz", b"no gzip", r"a\.gz is no whole gzip file"),
        ("a.txt", CUT_GZIP, r"a\.txt is no whole gzip file"),
        ("a.gz", CUT_GZIP, r"Compress or fetch it again"),
        ("a.jsonl", b'{"text": "a"}\nplain', r"a\.jsonl, line 2: expected JSON"),
        ("a.jsonl", b'{"txt": "a"}', r"expected a text at 'text'. Got '\{\"txt\""),
        ("a.jsonl", b'{"text": 3}', r"Name the field with field="),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path, name, content, message
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        row(path)


def test_a_bad_byte_is_found_in_a_later_block(tmp_path, monkeypatch):
    monkeypatch.setattr(_corpus, "BLOCK_BYTES", 8)
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\nthree\nna\xefve\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 4: the byte 0xef"):
        row(path)


def test_a_bad_byte_can_be_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"na\xefve")
    assert row(path, encoding_errors="replace")["dataset_size"] == 1


@pytest.mark.parametrize(
    "corpus, error, message",
    [
        ("nowhere.txt", FileNotFoundError, r"No corpus at 'nowhere\.txt'"),
        (".", IsADirectoryError, r"\. is a folder"),
        (["ok", 3], TypeError, r"Sentence 2 is 3 of type int"),
        (5, TypeError, r"Got 5 of type int"),
    ],
)
def test_what_is_no_corpus_is_refused(corpus, error, message):
    with pytest.raises(error, match=message):
        row(corpus, ["a"])


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"features": ["jds"]}, ValueError, r"Got 'jds'\. Did you mean 'jsd'\?"),
        ({"features": ["dev_size"]}, ValueError, r"'dev_size' needs dev texts"),
        ({"features": ["st_similarity"]}, ValueError, r"needs encoder=\.\.\."),
        ({"splits": ["train"]}, ValueError, r"splits expects 2 names"),
        ({"splits": ["train", "train"]}, ValueError, r"each name once"),
        ({"tokenizer": "wrods"}, FileNotFoundError, r"Did you mean 'words'\?"),
        ({"tokenizer": 3}, TypeError, r"tokenizer expects one of"),
        (
            {"tokenizer": str.split, "compatibility": "paper"},
            TypeError,
            r"expects a SentencePiece model as tokenizer",
        ),
        ({"encoder": 3}, TypeError, r"encoder expects a function"),
        ({"field": 3}, ValueError, r"'field' parameter"),
    ],
)
def test_a_bad_parameter_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        row(["a"], ["b"], **options)


@pytest.mark.parametrize(
    "name, kind", [("no.model", "SentencePiece model"), ("no.json", r"tokenizer\.json")]
)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, name, kind):
    pytest.importorskip("tokenizers")
    path = tmp_path / name
    path.write_text("nothing")
    with pytest.raises(ValueError, match=rf"{name} is no {kind} \("):
        row(["a"], tokenizer=str(path))


def test_one_column_may_be_a_series_or_a_plain_array(tmp_path, capsys):
    paths = []
    for number in (1, 2):
        paths.append(str(tmp_path / f"{number}.txt"))
        (tmp_path / f"{number}.txt").write_text("a b\n" * number)
    options = {"features": ["size"], "tokenizer": str.split}
    for X in (paths, np.array(paths), pd.Series(paths, name="train")):
        featurizer = DatasetFeaturizer(**options)
        assert featurizer.fit_transform(X).tolist() == [[1.0], [2.0]]
    assert capsys.readouterr().err == ""
    DatasetFeaturizer(**options, progress=True).fit_transform(paths)
    assert "texts: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("X", [[["a"] * 4], np.zeros((2, 1, 1)), []])
def test_a_table_of_another_shape_is_refused(X):
    with pytest.raises(ValueError, match=r"X expects one to three columns of corpora"):
        DatasetFeaturizer().fit(X)


def test_features_are_chosen_by_measure_or_column(texts):
    found = frame([texts], features=["train_test_jsd", "size", "jsd"])
    assert list(found) == [
        *["train_test_jsd", "dataset_size", "dev_size", "test_size"],
        *["train_dev_jsd", "dev_test_jsd"],
    ]
    names = ["dev", "train"]
    table = pd.DataFrame([[texts[1], texts[0]]], columns=names)
    found = frame(table, features=["size"])
    assert found.loc[0].to_dict() == {"dataset_size": 50, "dev_size": 13}


def test_the_rows_and_corpora_around_a_row_do_not_matter(texts):
    train, dev, test = texts
    together = frame([[train, dev, test], [dev, None, train], [train, test, dev]])
    for number, cells in enumerate([[train, dev, test], [dev, None, train]]):
        alone = frame([cells])
        pd.testing.assert_series_equal(
            together.loc[number], alone.loc[0], check_names=False
        )


@pytest.mark.parametrize("compatibility", [None, "paper"])
@pytest.mark.parametrize("tokenizer", ["words", "characters"])
def test_batches_do_not_matter(texts, monkeypatch, compatibility, tokenizer):
    options = {"compatibility": compatibility, "tokenizer": tokenizer}
    expected = row(*texts, **options)
    monkeypatch.setattr(_corpus, "BATCH_CHARACTERS", 30)
    monkeypatch.setattr(_corpus, "BLOCK_BYTES", 7)
    pd.testing.assert_series_equal(row(*texts, **options), expected)


def test_blocks_of_a_file_do_not_matter(texts, tmp_path, monkeypatch):
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(texts[0]) + "\r\nlast ü", encoding="utf-8")
    expected = row(path)
    monkeypatch.setattr(_corpus, "BLOCK_BYTES", 7)
    pd.testing.assert_series_equal(row(path), expected)


def test_a_shared_corpus_is_read_once(texts):
    reads = []

    def train():
        reads.append(1)
        return iter(texts[0])

    frame([[train, texts[1], texts[2]], [train, texts[2], texts[1]]])
    assert len(reads) == 1


def test_several_processes_find_the_same(texts):
    rows = [texts, texts[::-1]]
    for compatibility in (None, "paper"):
        one = frame(rows, compatibility=compatibility)
        two = frame(rows, compatibility=compatibility, n_jobs=2)
        pd.testing.assert_frame_equal(one, two)


def test_counts_are_kept_by_content(texts, tmp_path):
    first = row(*texts, cache_dir=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 3
    again = row(*map(tuple, texts), cache_dir=tmp_path)
    pd.testing.assert_series_equal(first, again)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    row([*texts[0], "more"], cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    # Another way of counting has other files; a function's results are not kept.
    paper = row(*texts, cache_dir=tmp_path, compatibility="paper")
    kept = row(*texts, cache_dir=tmp_path, compatibility="paper")
    pd.testing.assert_series_equal(paper, kept)
    assert len(list(tmp_path.iterdir())) == 7
    row(*texts, cache_dir=tmp_path, tokenizer=str.split)
    assert len(list(tmp_path.iterdir())) == 7


def test_a_broken_file_of_the_cache_is_made_anew(texts, tmp_path, caplog):
    expected = row(texts[0], cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for content in (b"", b"broken", whole[: len(whole) // 2]):
        path.write_bytes(content)
        pd.testing.assert_series_equal(row(texts[0], cache_dir=tmp_path), expected)
        assert "is no whole file" in caplog.text
        caplog.clear()
        assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_work_goes_on(texts, tmp_path):
    def interrupted():
        yield texts[1][0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        row(texts[0], interrupted, cache_dir=tmp_path)
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    found = row(texts[0], texts[1], cache_dir=tmp_path)
    assert kept.stat().st_mtime_ns == before
    pd.testing.assert_series_equal(found, row(texts[0], texts[1]))


@pytest.mark.parametrize(
    "options", [{"compatibility": "paper"}, {"cache_dir": "kept"}], ids=str
)
def test_a_function_that_gives_its_sentences_once_is_refused(
    texts, options, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    once = iter(texts[0])
    with pytest.raises(ValueError, match=r"expected to return a new iterator each"):
        row(lambda: once, texts[1], **options)
    assert len(list(tmp_path.glob("kept/*"))) == 0


def test_a_sample_of_pairs_estimates_the_overlap(monkeypatch):
    rng = np.random.default_rng(0)
    words = [f"w{k}" for k in range(400)]
    corpora = [
        [" ".join(rng.choice(words, 10)) for _ in range(3_000)] for _ in range(2)
    ]
    exact = row(*corpora, tokenizer=str.split)
    monkeypatch.setattr(_statistics, "SAMPLE", 5_000)
    sampled = row(*corpora, tokenizer=str.split)
    assert sampled["train_test_ngram_overlap"] == pytest.approx(
        exact["train_test_ngram_overlap"], rel=0.1
    )
    assert sampled["train_test_jsd"] == exact["train_test_jsd"]
    # A sample is compared with a part of a smaller corpus that was counted in full.
    corpora[1] = corpora[1][:400]
    sampled = row(*corpora, tokenizer=str.split)
    monkeypatch.undo()
    exact = row(*corpora, tokenizer=str.split)
    assert sampled["train_test_ngram_overlap"] == pytest.approx(
        exact["train_test_ngram_overlap"], rel=0.2
    )


def test_a_counter_adds_up_whatever_the_parts():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, 500, dtype=np.uint64)
    drawn = rng.choice(keys, 5_000)
    counter = HashCounter()
    for part in np.array_split(drawn, 37):
        counter.add(part, np.ones(len(part), int))
        counter._merge()
    found = counter.result()
    expected = Counter(drawn.tolist())
    assert dict(zip(found.keys.tolist(), found.values[:, 0].tolist(), strict=True)) == (
        expected
    )
    limited = HashCounter(limit=100)
    for part in np.array_split(drawn, 37):
        limited.add(part, np.ones(len(part), int))
        limited._merge()
    sample = limited.result()
    assert sample.keys.max() < 2 ** (64 - sample.level)
    assert 30 < len(sample) <= 100 and sample.level == 3
    assert all(
        expected[key] == n
        for key, (n,) in zip(sample.keys.tolist(), sample.values.tolist(), strict=True)
    )


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_it_follows_scikit_learn():
    checks = check_estimator(DatasetFeaturizer(), on_skip=None, on_fail=None)
    assert {check["status"] for check in checks} <= {"passed", "skipped"}
    assert any(check["status"] == "passed" for check in checks)


def test_it_stands_in_a_pipeline_and_is_pickled(texts):
    featurizer = DatasetFeaturizer(["size"], splits=("train", "test"))
    table = pd.DataFrame({"train": [texts[0]], "test": [texts[2]], "bleu": [3.0]})
    transformer = make_column_transformer(
        (clone(featurizer), ["train", "test"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    found = pickle.loads(pickle.dumps(transformer.fit(table))).transform(table)
    assert found.loc[0].to_dict() == {"dataset_size": 50, "test_size": 7, "bleu": 3.0}


def test_every_measure_has_columns_of_its_own():
    names = [
        column
        for measure in MEASURES.values()
        for column, _ in measure.columns_of(("train", "dev", "test"))
    ]
    assert len(names) == len(set(names))
    published = [m for m in MEASURES.values() if m.is_published]
    columns = [c for m in published for c, _ in m.columns_of(("train", "dev", "test"))]
    assert len(columns) == 27


def test_decomposition_leaves_letters_only():
    assert paper_tokens("Ça İ") == ["c", "a", "i"]
    assert math.isclose(row(["Ça"], compatibility="paper")["ttr_train"], 1.0)
    assert unicodedata.normalize("NFD", "Ç") != "Ç"
