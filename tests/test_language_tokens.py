"""Codes of any kind become the tokens of translation models."""

import json

import pytest
from tiny_models import make_seq2seq, make_seq2seq_tokenizer, make_tokenizer

from proxylm.lm._language_tokens import find_language_tokens
from proxylm.lm._loading import LanguageModel
from proxylm.lm._pairs import PairEncoder

# Where NLLB and M2M100 say what they know; it takes no weights to read.
FAMILIES = ("m2m100", "nllb", "mbart50")


@pytest.fixture(scope="module")
def languages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    return {
        name: find_language_tokens(name, make_seq2seq_tokenizer(name, folder))
        for name in FAMILIES
    }


@pytest.mark.parametrize(
    "family, code, own",
    [
        ("m2m100", "en", "en"),
        ("m2m100", "eng", "en"),
        ("m2m100", "ind_Latn", "id"),
        ("m2m100", "id-ID", "id"),
        ("m2m100", "zho_Hant", "zh"),
        ("m2m100", "nso", "ns"),
        ("m2m100", "plt", "mg"),
        ("m2m100", "zsm", "ms"),
        ("m2m100", "nob", "no"),
        ("m2m100", "swh_Latn", "sw"),
        ("m2m100", "tgl", "tl"),
        ("nllb", "ind_Latn", "ind_Latn"),
        ("nllb", "ind", "ind_Latn"),
        ("nllb", "id", "ind_Latn"),
        ("nllb", "sw", "swh_Latn"),
        ("nllb", "ms", "zsm_Latn"),
        ("nllb", "fas", "pes_Arab"),
        ("nllb", "prs", "prs_Arab"),
        ("nllb", "ps", "pbt_Arab"),
        ("nllb", "no", "nob_Latn"),
        ("nllb", "ku", "kmr_Latn"),
        ("nllb", "zh", "zho_Hans"),
        ("nllb", "zh-TW", "zho_Hant"),
        ("nllb", "zho-Hant", "zho_Hant"),
        ("nllb", "cmn", "zho_Hans"),
        ("nllb", "kas", "kas_Arab"),
        ("nllb", "kas_Deva", "kas_Deva"),
        ("nllb", "bjn", "bjn_Latn"),
        ("nllb", "sat_Olck", "sat_Beng"),
        ("mbart50", "id", "id_ID"),
        ("mbart50", "ind_Latn", "id_ID"),
        ("mbart50", "zh-CN", "zh_CN"),
        ("mbart50", "fra", "fr_XX"),
    ],
)
def test_any_code_finds_the_models_own(languages, family, code, own):
    assert languages[family].find_code(code) == own


def test_tokens_are_those_of_the_tokenizer(tmp_path):
    for family, code, token in (
        ("m2m100", "ind", "__id__"),
        ("nllb", "ind", "ind_Latn"),
        ("mbart50", "ind", "id_ID"),
    ):
        tokenizer = make_seq2seq_tokenizer(family, tmp_path)
        found = find_language_tokens(family, tokenizer).find(code)
        assert tokenizer.convert_ids_to_tokens(found) == token


def test_every_language_of_a_model_is_found_by_its_own_code(languages):
    for tokens in languages.values():
        assert [tokens.find_code(own) for own in tokens.ids] == list(tokens.ids)
    assert [len(languages[name].ids) for name in FAMILIES] == [100, 202, 52]


def test_codes_with_a_script_agree_with_iso_codes(languages):
    nllb = languages["nllb"]
    for own in nllb.ids:
        language, script = own.split("_")
        if script == "Latn" and f"{language}_Arab" not in nllb.ids:
            assert nllb.find_code(language) == own


@pytest.mark.parametrize(
    "family, code, match",
    [
        ("m2m100", "abs", r"no token for the language 'abs'.* of its 100 are \["),
        ("m2m100", "min", r"'ms'"),
        ("m2m100", "yue", r"'zh'"),
        ("nllb", "srp_Latn", r"no one token .*'srp_Cyrl'"),
        ("nllb", "bew", r"no token for the language 'bew'"),
        ("nllb", "xx", "'xx' is not a known language code"),
        ("mbart50", "jav", r"no token for the language 'jav'"),
    ],
)
def test_an_unknown_language_is_an_error_that_names_the_nearest(
    languages, family, code, match
):
    with pytest.raises(ValueError, match=match):
        languages[family].find(code)


def test_a_missing_code_is_an_error_that_names_the_parameter(languages):
    with pytest.raises(ValueError, match=r"source_lang expects a code .* Got None"):
        languages["nllb"].find(None, "source_lang")


def test_models_without_language_tokens_are_told_none(tmp_path):
    for tokenizer in (make_tokenizer(), make_seq2seq_tokenizer("t5", tmp_path)):
        assert find_language_tokens("plain", tokenizer) is None


class _Pieces:
    """The two methods that are asked of a tokenizer whose tokens are pieces."""

    def __init__(self, *tokens):
        self._tokens = tokens

    def get_added_vocab(self):
        return {}

    def get_vocab(self):
        return {token: number for number, token in enumerate(self._tokens)}


@pytest.mark.parametrize(
    "tokens, code, expected",
    [
        (("<2en>", "<2id>", "a"), "ind", 1),
        (("<2en>", "<2ber_Latn>", "<2id>"), "eng", 0),
        ((">>fra<<", ">>ron<<", "a"), "ro", 1),
    ],
    ids=["madlad", "madlad with scripts", "opus"],
)
def test_models_that_are_told_the_target_before_the_source(tokens, code, expected):
    found = find_language_tokens("model", _Pieces(*tokens))
    assert found.target_first
    assert found.find(code) == expected


def _frame(name, folder, *languages):
    model, tokenizer = make_seq2seq(name, folder)
    loaded = LanguageModel((model, tokenizer))
    frame = PairEncoder(loaded).frame(*languages)
    named = [
        tokenizer.convert_ids_to_tokens(list(tokens))
        for tokens in (frame.prefix, frame.suffix, (frame.start, *frame.forced))
    ]
    return named, tokenizer


@pytest.mark.parametrize(
    "name, prefix, suffix, decoder",
    [
        ("m2m100", ["__en__"], ["</s>"], ["</s>", "__id__"]),
        ("nllb", ["eng_Latn"], ["</s>"], ["</s>", "ind_Latn"]),
        ("mbart50", ["en_XX"], ["</s>"], ["</s>", "id_ID"]),
        ("t5", [], ["</s>"], ["<pad>"]),
        ("marian", [], ["</s>"], ["<pad>"]),
    ],
)
def test_what_stands_around_sources_and_texts(name, prefix, suffix, decoder, tmp_path):
    found, _ = _frame(name, tmp_path, "eng", "ind")
    assert found == [prefix, suffix, decoder]


@pytest.mark.parametrize("name", FAMILIES)
def test_sources_read_as_the_tokenizer_writes_them(name, tmp_path):
    model, tokenizer = make_seq2seq(name, tmp_path)
    loaded = LanguageModel((model, tokenizer))
    for code in ("hin", "id"):
        own = loaded.languages.find_code(code)
        frame = PairEncoder(loaded).frame(code, "eng")
        tokenizer.src_lang = own
        whole = tokenizer("a").input_ids
        plain = tokenizer("a", add_special_tokens=False).input_ids
        assert [*frame.prefix, *plain, *frame.suffix] == whole


def test_small_100_is_told_the_target_and_read_without_its_code(tmp_path):
    model, tokenizer = make_seq2seq("m2m100", tmp_path)
    folder = tmp_path / "small100"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    configuration = json.loads(path.read_text())
    configuration["tokenizer_class"] = "SMALL100Tokenizer"
    path.write_text(json.dumps(configuration))
    loaded = LanguageModel(folder)
    assert type(loaded.tokenizer).__name__ == "M2M100Tokenizer"
    frame = PairEncoder(loaded).frame(None, "ind")
    target = loaded.tokenizer.get_lang_id("id")
    assert (frame.prefix, frame.suffix) == ((target,), (2,))
    assert (frame.start, frame.forced) == (2, ())
