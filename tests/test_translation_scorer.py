"""Encoder-decoders score and write translations, whatever the batch."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from tiny_models import SEQ2SEQ, TEXTS, make_model, make_seq2seq, make_tokenizer

from proxylm import ProxyScorer
from proxylm.lm import _engine, _generation
from proxylm.lm._cache import ScoreCache
from proxylm.lm._generation import GenerationOptions
from proxylm.lm._loading import LanguageModel
from proxylm.lm._pairs import PairEncoder, PromptEncoder
from proxylm.lm._translation import TranslationTask
from proxylm.metrics import score_translations

PAIRS = [
    (TEXTS[0], TEXTS[3]),
    (TEXTS[1], TEXTS[4]),
    ("All", "Semua orang"),
    (TEXTS[0], "hak"),
    ("", "merdeka"),
    (TEXTS[4], TEXTS[0][:20]),
]
SEVERAL = {"m2m100", "nllb", "mbart50"}
TOTALS = ["bits_per_text", "n_tokens", "token_entropy", "log_rank"]
SHORT = {"max_new_tokens": 10}
PROMPT = "{source_language}: {text}\n{target_language}:"


def languages_of(name):
    """Return the parameters that tell a model its languages."""
    return {"source_lang": "eng", "target_lang": "ind"} if name in SEVERAL else {}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Every kind of encoder-decoder with its tokenizer."""
    folder = tmp_path_factory.mktemp("tokenizers")
    made = {}
    for name in SEQ2SEQ:
        (folder / name).mkdir()
        made[name] = make_seq2seq(name, folder / name)
    return made


@pytest.fixture(scope="module")
def causal():
    return make_model("llama", scale=8.0, max_position_embeddings=256), make_tokenizer()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a model like M2M100."""
    folder = tmp_path_factory.mktemp("m2m100")
    model, tokenizer = make_seq2seq("m2m100", tmp_path_factory.mktemp("files"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


# Likelihood of texts given their sources.


def reference_scores(name, model, tokenizer, source, text):
    """Score a text by the model's own forward pass in float64: bits, entropy, rank."""
    arguments = {"add_special_tokens": False}
    ids = tokenizer(text, **arguments).input_ids
    if name in SEVERAL:
        tokens = {
            "m2m100": ("__en__", "__id__"),
            "nllb": ("eng_Latn", "ind_Latn"),
            "mbart50": ("en_XX", "id_ID"),
        }[name]
        read, written = tokenizer.convert_tokens_to_ids(list(tokens))
        encoder = [read, *tokenizer(source, **arguments).input_ids, 2]
        decoder = [2, written, *ids]
    else:
        encoder = tokenizer(source).input_ids
        decoder = [model.config.decoder_start_token_id, *ids]
    if not ids:
        return np.zeros((3, 0))
    wide = pickle.loads(pickle.dumps(model)).double()
    with torch.no_grad():
        logits = wide(
            input_ids=torch.tensor([encoder]), decoder_input_ids=torch.tensor([decoder])
        ).logits[0, -len(ids) - 1 : -1]
    logprobs = logits.log_softmax(-1)
    own = logprobs[range(len(ids)), ids]
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    rank = (logprobs > own[:, None]).sum(-1) + 1
    return np.array([-own.numpy(), entropy.numpy(), rank.numpy()])


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_likelihoods_equal_the_models_own_in_float64(models, name):
    model, tokenizer = models[name]
    scorer = ProxyScorer((model, tokenizer), metrics=TOTALS, **languages_of(name))
    found = scorer.fit_transform(PAIRS)
    for row, (source, text) in zip(found, PAIRS, strict=True):
        nats, entropy, rank = reference_scores(name, model, tokenizer, source, text)
        expected = [
            nats.sum() / np.log(2),
            len(nats),
            entropy.mean() / np.log(2),
            np.log2(rank).mean(),
        ]
        np.testing.assert_allclose(row, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["m2m100", "marian", "t5"])
@pytest.mark.parametrize("budget", [1, 40, 150, 100_000])
def test_likelihoods_are_the_same_whatever_the_batch(models, name, budget):
    pairs = [PAIRS[k] for k in (3, 1, 0, 4, 2, 5, 0)]
    options = {"metrics": TOTALS, **languages_of(name)}
    alone = ProxyScorer(models[name], max_tokens_per_batch=1, **options)
    found = ProxyScorer(models[name], max_tokens_per_batch=budget, **options)
    expected = np.vstack([alone.fit_transform([pair]) for pair in pairs])
    np.testing.assert_allclose(found.fit_transform(pairs), expected, rtol=2e-6)


def test_the_output_layer_is_applied_apart_or_else_the_models_own(models, monkeypatch):
    pairs = PAIRS[:3]
    expected = {}
    for name, model in models.items():
        engine = _engine.LikelihoodEngine(LanguageModel(model), "full", "auto")
        assert engine._output is not None, name
        expected[name] = ProxyScorer(model, **languages_of(name)).fit_transform(pairs)
    monkeypatch.setattr(_engine, "find_pair_output", lambda module: None)
    for name, model in models.items():
        found = ProxyScorer(model, **languages_of(name)).fit_transform(pairs)
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-6)


def test_each_source_of_a_batch_is_encoded_once(models):
    model, tokenizer = models["t5"]
    seen = []

    def note(module, args, arguments):
        seen.append(len(arguments["input_ids"]))

    pairs = [(TEXTS[0], text) for text in TEXTS] + [(TEXTS[1], "a")]
    hook = model.encoder.register_forward_pre_hook(note, with_kwargs=True)
    scorer = ProxyScorer((model, tokenizer), max_tokens_per_batch=100_000)
    scorer.fit_transform(pairs)
    hook.remove()
    assert seen[-1] == 2


def test_a_long_text_is_scored_in_windows_of_one_source(models):
    long = " ".join(TEXTS[:4])
    options = {"metrics": TOTALS, **languages_of("mbart50")}
    whole = ProxyScorer(models["mbart50"], window=20, stride=8, **options)
    found = whole.fit_transform([(TEXTS[0], long)])
    tokens = models["mbart50"][1](long, add_special_tokens=False).input_ids
    assert found[0, 1] == len(tokens)
    assert np.isfinite(found).all()


def test_a_source_longer_than_the_window_is_an_error(models):
    scorer = ProxyScorer(models["mbart50"], **languages_of("mbart50"))
    with pytest.raises(ValueError, match=r"reads at most 126 tokens of a source"):
        scorer.fit_transform([(" ".join(TEXTS), "a")])


def test_a_prompt_is_read_by_the_encoder(models):
    scorer = ProxyScorer(
        models["t5"],
        prompt="from {source_language} to {target_language}: {text}",
        source_lang="en",
        target_lang="id",
        metrics=["bits_per_text"],
    )
    found = scorer.fit_transform([("a", "hak")])
    plain = ProxyScorer(models["t5"], metrics=["bits_per_text"])
    expected = plain.fit_transform([("from English to Indonesian: a", "hak")])
    np.testing.assert_array_equal(found, expected)


def test_languages_stand_in_columns(models):
    table = pd.DataFrame(
        {
            "from": ["eng", "id", None],
            "pair": [(TEXTS[0], TEXTS[3]), (TEXTS[3], TEXTS[0]), None],
            "to": ["ind", "en", None],
        }
    )
    scorer = ProxyScorer(models["nllb"], source_lang="from", target_lang="to")
    found = scorer.fit_transform(table)
    assert scorer.n_features_in_ == 3
    for row, pair, languages in zip(
        found, table["pair"], [("eng", "ind"), ("ind", "eng")], strict=False
    ):
        alone = ProxyScorer(
            models["nllb"], source_lang=languages[0], target_lang=languages[1]
        )
        expected = alone.fit_transform([pair])[0]
        np.testing.assert_allclose(row, expected, rtol=2e-6)
    assert np.isnan(found[2]).all()
    with pytest.raises(ValueError, match="one column of texts"):
        ProxyScorer(models["nllb"], source_lang="from").fit(table)


def test_one_language_in_a_column_and_one_for_all_rows(models):
    table = pd.DataFrame({"pair": PAIRS[:2], "to": ["ind", "zh"]})
    options = {"metrics": TOTALS, "source_lang": "eng"}
    found = ProxyScorer(models["m2m100"], target_lang="to", **options)
    codes = ["ind", "zho"]
    expected = [
        ProxyScorer(models["m2m100"], target_lang=code, **options).fit_transform([pair])
        for code, pair in zip(codes, PAIRS, strict=False)
    ]
    np.testing.assert_allclose(
        found.fit_transform(table), np.vstack(expected), rtol=2e-6
    )


def test_a_causal_and_an_encoder_decoder_in_one_call(models, causal):
    scorer = ProxyScorer(
        {"alone": causal, "given": models["t5"]}, metrics=["bits_per_text"]
    )
    found = scorer.fit_transform(PAIRS[:2])
    assert scorer.get_feature_names_out().tolist() == [
        "alone_bits_per_text",
        "given_bits_per_text",
    ]
    for column, model in enumerate((causal, models["t5"])):
        alone = ProxyScorer(model, metrics=["bits_per_text"]).fit_transform(PAIRS[:2])
        np.testing.assert_allclose(found[:, [column]], alone)


@pytest.mark.parametrize(
    "name, options, X, match",
    [
        ("t5", {}, ["a text"], r"expects tuples \(source, text\) .*'a text' alone"),
        ("nllb", {}, PAIRS, "target_lang expects a code"),
        ("nllb", {"target_lang": "ind"}, PAIRS, "source_lang expects a code"),
        (
            "m2m100",
            {"source_lang": "eng", "target_lang": "abs"},
            PAIRS,
            "no token for the language 'abs'",
        ),
        ("t5", {"prompt": "translate"}, PAIRS, r"without \{text\}"),
        ("t5", {"prompt": "{txt}"}, PAIRS, "Did you mean 'text'"),
        ("t5", {"prompt": "{text} {"}, PAIRS, "prompt expects"),
        ("t5", {"prompt": "{text!r}"}, PAIRS, "prompt expects"),
        (
            "t5",
            {"prompt": "{source_language}: {text}"},
            PAIRS,
            "source_lang expects a code",
        ),
        ("t5", {"metrics": ["information_parity"]}, PAIRS, "scores a source alone"),
        ("t5", {"window": 3}, PAIRS, "window expects from 4"),
        ("m2m100", {"window": 10, "stride": 9}, PAIRS, "stride expects at most 8"),
    ],
    ids=[
        "plain text",
        "no target language",
        "no source language",
        "unknown language",
        "prompt without text",
        "unknown field",
        "broken prompt",
        "conversion in prompt",
        "prompt without language",
        "source scores",
        "small window",
        "large stride",
    ],
)
def test_what_is_wrong_with_pairs_is_said_before_weights_load(
    models, name, options, X, match
):
    with pytest.raises(ValueError, match=match):
        ProxyScorer(models[name], **options).fit_transform(X)


def test_a_prompt_says_nothing_to_a_causal_likelihood(causal):
    with pytest.raises(ValueError, match="encoder of an encoder-decoder"):
        ProxyScorer(causal, prompt="{text}").fit(["a"])


# Translation.


def reference_translation(name, model, tokenizer, source, code, **options):
    """Translate a text as the documentation of transformers does, alone."""
    languages = LanguageModel((model, tokenizer)).languages
    if languages is not None:
        options["forced_bos_token_id"] = languages.find(code)
    written = model.generate(
        **tokenizer(source, return_tensors="pt"), do_sample=False, **options
    )[0].tolist()
    if languages is not None:
        written = [token for token in written if token not in languages.ids.values()]
    return tokenizer.decode(written, skip_special_tokens=True).strip()


def translations(scorer, sources, languages=(None, None)):
    """Return what a scorer's model writes."""
    task = scorer._make_task()
    (recipe,) = scorer._recipes().values()
    model = scorer._load(recipe)
    items = [task.items_of(i, model)[0] for i in as_items(sources, languages)]
    answers = dict(pair for batch in task.answer(items, model) for pair in batch)
    return [answers[number].text for number in range(len(items))]


def as_items(sources, languages):
    return [_generation.Item("reference", source, *languages) for source in sources]


SOURCES = [TEXTS[0], "All", TEXTS[1], TEXTS[4], "merdeka dan"]


@pytest.mark.parametrize("name", SEQ2SEQ)
@pytest.mark.parametrize(
    "options",
    [{}, {"num_beams": 3, "length_penalty": 1.2}],
    ids=["greedy", "beams"],
)
def test_translations_are_those_of_generate(models, name, options):
    model, tokenizer = models[name]
    options = {"max_new_tokens": 8, **options}
    scorer = ProxyScorer(
        (model, tokenizer), task="translation", metrics=["BLEU"], generation=options
    )
    pair = ("eng", "ind") if name in SEVERAL else (None, None)
    found = translations(scorer.fit(PAIRS), SOURCES, pair)
    expected = [
        reference_translation(name, model, tokenizer, source, "ind", **options)
        for source in SOURCES
    ]
    assert found == expected
    assert any(found)


@pytest.mark.parametrize("name", ["m2m100", "marian", "mt5"])
@pytest.mark.parametrize("beams", [1, 3])
def test_translations_are_the_same_whatever_the_batch(models, name, beams):
    pair = ("eng", "ind") if name in SEVERAL else (None, None)
    found = [
        translations(
            ProxyScorer(
                models[name],
                task="translation",
                metrics=["BLEU"],
                generation={"max_new_tokens": 8, "num_beams": beams},
                max_tokens_per_batch=budget,
            ),
            SOURCES,
            pair,
        )
        for budget in (1, 60, 100_000)
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "gemma3", "qwen2", "opt"])
def test_prompts_are_continued_as_generate_continues_each_alone(name):
    model = make_model(name, scale=8.0, **LONG.get(name, {}))
    tokenizer = make_tokenizer()
    prompt = "{text} ="
    for options in ({"max_new_tokens": 6}, {"max_new_tokens": 6, "num_beams": 2}):
        scorer = ProxyScorer(
            (model, tokenizer),
            task="translation",
            metrics=["BLEU"],
            prompt=prompt,
            generation=options,
        )
        found = translations(scorer, SOURCES)
        for text, source in zip(found, SOURCES, strict=True):
            ids = [1, *tokenizer(f"{source} =", add_special_tokens=False).input_ids]
            breaks = _generation._line_breaks(tokenizer)
            written = model.generate(
                torch.tensor([ids]),
                do_sample=False,
                eos_token_id=[2, *breaks],
                **options,
            )[0, len(ids) :]
            whole = tokenizer.decode(written, skip_special_tokens=True)
            assert text == whole.partition("\n")[0].strip()


LONG = {
    name: {"max_position_embeddings": 256}
    for name in ("llama", "gemma3", "qwen2", "opt")
}


def test_scores_of_corpora_are_those_of_their_translations(models):
    corpora = [PAIRS[:3], PAIRS[2:], [PAIRS[0]], None]
    scorer = ProxyScorer(
        models["marian"],
        task="translation",
        metrics=["chrF2++", "chrF2++_se", "TER", "BLEU_se"],
        generation=SHORT,
    )
    found = scorer.fit_transform(corpora)
    for row, corpus in zip(found[:3], corpora, strict=False):
        written = translations(scorer, [source for source, _ in corpus])
        scores = score_translations(
            written, [text for _, text in corpus], ["chrF2++", "TER", "BLEU"]
        )
        chrf, ter, bleu = scores.values()
        expected = [
            chrf.value,
            chrf.standard_error,
            ter.value,
            bleu.standard_error,
        ]
        np.testing.assert_allclose(row, expected)
    assert np.isnan(found[3]).all()
    assert scorer.get_feature_names_out().tolist() == list(scorer.metrics)


def test_another_model_of_pieces_makes_another_name(models, tmp_path):
    path = tmp_path / "m.model"
    path.write_bytes(Path(models["m2m100"][1].spm_file).read_bytes())
    scorer = ProxyScorer(
        models["t5"],
        task="translation",
        metrics=["spBLEU", "spBLEU_se", "BLEU"],
        generation=SHORT,
        spm_model=path,
    )
    found = scorer.fit_transform(PAIRS[:1])
    first, error, plain = scorer.get_feature_names_out()
    assert first.startswith("spBLEU-") and error == f"{first}_se" and plain == "BLEU"
    assert found.shape == (1, 3)


def test_rows_of_several_target_languages_are_each_translated_into_their_own(models):
    table = pd.DataFrame(
        {"pair": [(s, "x") for s in SOURCES], "to": ["ind", "zh", "fra", "ind", "zh"]}
    )
    options = {"task": "translation", "metrics": ["chrF2"], "generation": SHORT}
    scorer = ProxyScorer(
        models["nllb"], source_lang="eng", target_lang="to", **options
    ).fit(table)
    task, (recipe,) = scorer._make_task(), scorer._recipes().values()
    model = scorer._load(recipe)
    items = [
        task.items_of(_generation.Item("x", source, "eng", code), model)[0]
        for source, code in zip(SOURCES, table["to"], strict=True)
    ]
    together = dict(pair for batch in task.answer(items, model) for pair in batch)
    for number, item in enumerate(items):
        (((_, alone),),) = task.answer([item], model)
        assert together[number] == alone
    assert np.isfinite(scorer.transform(table)).all()


def test_translations_are_cached_and_resumed(saved, tmp_path, monkeypatch):
    options = {
        "task": "translation",
        "metrics": ["chrF2"],
        "generation": SHORT,
        "source_lang": "eng",
        "target_lang": "ind",
        "device": "cpu",
        "dtype": "float32",
        "max_tokens_per_batch": 1,
    }
    expected = ProxyScorer(saved, **options).fit_transform(PAIRS)
    calls = []
    true = _generation._generate

    def count(batch, *arguments):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(batch, *arguments)

    monkeypatch.setattr(_generation, "_generate", count)
    scorer = ProxyScorer(saved, cache_dir=tmp_path, **options)
    with pytest.raises(KeyboardInterrupt):
        scorer.fit_transform(PAIRS)
    np.testing.assert_array_equal(scorer.fit_transform(PAIRS), expected)
    # Five different sources, two of which were done before.
    assert len(calls) == 3 + 3
    np.testing.assert_array_equal(scorer.fit_transform(PAIRS), expected)
    assert len(calls) == 3 + 3
    with ScoreCache(tmp_path) as cache:
        assert cache.summary()["n_texts"].tolist() == [5]


def test_other_options_do_not_read_each_others_translations(saved, tmp_path):
    options = {
        "task": "translation",
        "metrics": ["chrF2"],
        "source_lang": "eng",
        "target_lang": "ind",
        "cache_dir": tmp_path,
    }
    for generation in (
        {"max_new_tokens": 4},
        {"max_new_tokens": 5},
        {"max_new_tokens": 5, "num_beams": 2},
    ):
        ProxyScorer(saved, generation=generation, **options).fit_transform(PAIRS[:1])
    with ScoreCache(tmp_path) as cache:
        assert cache.summary()["n_texts"].tolist() == [1, 1, 1]


def test_a_damaged_translation_is_made_anew():
    whole = _generation.Generated("ሁሉም", 3).to_bytes()
    assert _generation.Generated.from_bytes(whole) == ("ሁሉም", 3)
    for broken in (b"", whole[:5], whole[:-1], whole[:-1] + b"x"):
        assert _generation.Generated.from_bytes(broken) is None


def test_memory_that_runs_out_halves_batches_of_translations(models, monkeypatch):
    true, sizes = _generation._generate, []

    def run_out(batch, *arguments):
        sizes.append(len(batch))
        if len(batch) > 1:
            raise RuntimeError("CUDA out of memory")
        return true(batch, *arguments)

    options = {"task": "translation", "metrics": ["chrF2"], "generation": SHORT}
    expected = ProxyScorer(models["t5"], **options).fit_transform(PAIRS)
    monkeypatch.setattr(_generation, "_generate", run_out)
    found = ProxyScorer(models["t5"], **options).fit_transform(PAIRS)
    np.testing.assert_array_equal(found, expected)
    assert max(sizes) > 1 and sizes.count(1) == 5


def test_clone_and_pickle(saved):
    scorer = ProxyScorer(
        saved,
        task="translation",
        metrics=["chrF2"],
        source_lang="eng",
        target_lang="ind",
        generation=SHORT,
        device="cpu",
    )
    expected = scorer.fit_transform(PAIRS[:2])
    again = pickle.loads(pickle.dumps(scorer))
    np.testing.assert_array_equal(again.transform(PAIRS[:2]), expected)
    copy = clone(scorer)
    assert copy.get_params() == scorer.get_params()
    np.testing.assert_array_equal(copy.fit_transform(PAIRS[:2]), expected)


def test_what_a_causal_model_writes_ends_with_the_line(causal):
    tokenizer = causal[1]
    loaded = LanguageModel(causal)
    ids = tokenizer(" satu dua\ntiga", add_special_tokens=False).input_ids
    assert _generation._read_answer([*ids, 2, 2], loaded).text == "satu dua"
    breaks = tokenizer.decode(_generation._line_breaks(tokenizer))
    assert breaks.strip() == "" and "\n" in breaks


@pytest.mark.parametrize(
    "options, match",
    [
        ({"generation": {"beams": 2}}, "Did you mean 'num_beams'"),
        ({"generation": {"num_beams": 0}}, "a number from 1 for 'num_beams'"),
        ({"generation": {"num_beams": True}}, "Got True"),
        ({"generation": {"length_penalty": "1"}}, "a number for 'length_penalty'"),
        ({"metrics": ["chrF"]}, "Did you mean 'chrF2'"),
        ({"metrics": ["BLEU"], "prompt": None}, "translates by a prompt"),
        ({"generation": {"max_new_tokens": 300}}, "room for 256 tokens"),
    ],
    ids=[
        "unknown option",
        "no beam",
        "a truth value",
        "a string",
        "unknown metric",
        "no prompt",
        "too long",
    ],
)
def test_what_is_wrong_with_a_translation_is_said(causal, options, match):
    options = {"metrics": ["BLEU"], "prompt": PROMPT, **options}
    scorer = ProxyScorer(
        causal, task="translation", source_lang="en", target_lang="id", **options
    )
    with pytest.raises(ValueError, match=match):
        scorer.fit_transform(PAIRS)


def test_a_masked_model_can_not_translate():
    model = make_model("bert"), make_tokenizer()
    with pytest.raises(ValueError, match="masked model, which neither writes"):
        ProxyScorer(model, task="translation", metrics=["BLEU"]).fit(PAIRS)


@pytest.mark.parametrize(
    "cell, error, match",
    [
        ("text", ValueError, r"tuples \(source, text\)"),
        (3, TypeError, "expects a text, a tuple"),
        ([("a", "b"), "c"], ValueError, "'c' alone"),
        ([("a", None)], TypeError, "expects a text or a tuple"),
    ],
    ids=["text", "number", "text in a corpus", "no reference"],
)
def test_cells_that_are_no_pairs(models, cell, error, match):
    scorer = ProxyScorer(models["t5"], task="translation", metrics=["BLEU"])
    with pytest.raises(error, match=match):
        scorer.fit_transform([cell])


def test_missing_and_empty_cells_have_no_score(models):
    scorer = ProxyScorer(
        models["t5"], task="translation", metrics=["BLEU"], generation=SHORT
    )
    found = scorer.fit_transform([None, np.nan, [], PAIRS[0]])
    assert np.isnan(found[:3]).all() and np.isfinite(found[3]).all()


def test_the_spm_model_is_asked_for_before_anything_is_translated(models, tmp_path):
    scorer = ProxyScorer(models["t5"], task="translation", spm_model=tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="spm_model expects"):
        scorer.fit(PAIRS)


def test_default_metrics_are_those_of_record_tables():
    names = TranslationTask.default_metrics
    assert names[:4] == ("spBLEU", "spBLEU_se", "chrF2++", "chrF2++_se")
    assert len(names) == 10


def test_options_have_the_defaults_that_are_documented():
    assert GenerationOptions.of(None) == GenerationOptions(1, 1.0, 256)
    assert GenerationOptions.of({"num_beams": 5}).num_beams == 5


def test_signatures_say_how_translations_are_made(models):
    scorer = ProxyScorer(
        models["m2m100"],
        task="translation",
        metrics=["BLEU"],
        source_lang="eng",
        target_lang="ind",
        generation={"num_beams": 5, "length_penalty": 1.2},
    ).fit(PAIRS)
    ((_, signature),) = scorer.signatures_.items()
    for part in ("m2m100-decoder", "num_beams:5", "length_penalty:1.2", "prompt:None"):
        assert part in signature


def test_signatures_are_of_one_line(causal):
    scorer = ProxyScorer(
        causal,
        task="translation",
        metrics=["BLEU"],
        prompt="Translate:\n{text}\n",
    ).fit(PAIRS)
    ((_, signature),) = scorer.signatures_.items()
    assert "Translate:\\n{text}\\n" in signature
    assert "\n" not in signature


def test_workers_translate_the_same(saved):
    options = {
        "task": "translation",
        "metrics": ["chrF2"],
        "source_lang": "eng",
        "target_lang": "ind",
        "generation": SHORT,
        "device": "cpu",
    }
    scorer = ProxyScorer(saved, **options)
    with parallel_config("threading"):
        shared = scorer.set_params(n_jobs=2).fit_transform(PAIRS)
    expected = ProxyScorer(saved, **options).fit_transform(PAIRS)
    np.testing.assert_array_equal(shared, expected)


def test_encoders_describe_what_stands_around_texts(models, causal):
    assert PromptEncoder(LanguageModel(causal), "{text}").describe() == "<s>"
    assert PairEncoder(LanguageModel(models["t5"])).describe() == "none"
