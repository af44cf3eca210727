"""ProxyScorer and the likelihoods behind it."""

import json
import math
import pickle
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_models
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from proxylm import ProxyRegressor, ProxyScorer
from proxylm.lm import _engine, _output_layer
from proxylm.lm._cache import ScoreCache
from proxylm.lm._likelihood import TokenScores
from proxylm.lm._loading import PickledWeightsError
from proxylm.lm._output_layer import LinearOutput, ModuleOutput, score_tokens

TEXTS = [*tiny_models.TEXTS, "a", "ab cd", "x" * 60 + " hello" * 9, "  two  spaces "]
SMOOTH = ["bits_per_byte", "bits_per_token", "token_entropy", "token_entropy_std"]
# Of scikit-learn's checks those that do not fit arrays of numbers.
CHECKS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
]
ALL = [*SMOOTH, "bits_per_token_std", "bits_per_text", "bits_per_character"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama in a folder."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    return tiny_models.save(path, tiny_models.make_model("llama"))


def pair(name="llama", **tokenizer_options):
    around = name in tiny_models.MASKED
    tokenizer = tiny_models.make_tokenizer(around=around, **tokenizer_options)
    return tiny_models.make_model(name), tokenizer


def plain_token_scores(model, tokenizer, text, prefix=(1,)):
    """Score one text in float64: log-probabilities, entropies and ranks."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    masked = "MaskedLM" in type(model).__name__
    logprobs, entropies, ranks = [], [], []
    with torch.inference_mode():
        if not masked:
            read = torch.tensor([[*prefix, *ids]])
            rows = torch.log_softmax(model(read).logits[0], -1)
            rows = rows[max(len(prefix) - 1, 0) : -1]
            targets = ids if prefix else ids[1:]
        else:
            rows, targets = [], ids
            for position in range(len(ids)):
                read = [1, *ids, 2]
                read[position + 1] = tokenizer.mask_token_id
                logits = model(torch.tensor([read])).logits[0, position + 1]
                rows.append(torch.log_softmax(logits, -1))
        for row, token in zip(rows, targets, strict=True):
            logprobs.append(row[token].item())
            entropies.append(-(row.exp() * row).sum().item())
            ranks.append(1 + (row > row[token]).sum().item())
    return np.array(logprobs), np.array(entropies), np.array(ranks)


def plain_metrics(model, tokenizer, text, **options):
    """Compute the smooth metrics of one text from its definition."""
    logprob, entropy, _ = plain_token_scores(model, tokenizer, text, **options)
    bits = -logprob / math.log(2)
    spread = (lambda x: np.std(x, ddof=1)) if len(bits) > 1 else (lambda x: np.nan)
    return [
        bits.sum() / len(text.encode()),
        bits.mean(),
        entropy.mean() / math.log(2),
        spread(entropy / math.log(2)),
        spread(bits),
        bits.sum(),
        bits.sum() / len(text),
    ]


@pytest.mark.parametrize("name", [*tiny_models.CAUSAL, *tiny_models.MASKED])
def test_scores_are_those_of_one_text_at_a_time_in_float64(name):
    model, tokenizer = pair(name)
    found = ProxyScorer((model, tokenizer), metrics=ALL).fit_transform(TEXTS)
    model.double()
    expected = [plain_metrics(model, tokenizer, text) for text in TEXTS]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["llama", "gemma2", "bert"])
def test_ranks_are_those_of_one_text_at_a_time(name):
    model, tokenizer = pair(name)
    metrics = ["expected_rank", "log_rank", "top_1_accuracy", "top_7_accuracy"]
    found = ProxyScorer((model, tokenizer), metrics=metrics).fit_transform(TEXTS)
    model.double()
    for row, text in zip(found, TEXTS, strict=True):
        _, _, ranks = plain_token_scores(model, tokenizer, text)
        expected = [
            ranks.mean(),
            np.log2(ranks).mean(),
            100 * (ranks == 1).mean(),
            100 * (ranks <= 7).mean(),
        ]
        np.testing.assert_allclose(row, expected, rtol=0.02)


@pytest.mark.parametrize("budget", [1, 17, 64, 100_000])
@pytest.mark.parametrize("name", ["llama", "mistral", "bloom", "bert", "roberta"])
def test_scores_depend_neither_on_batch_nor_on_order(name, budget):
    models = pair(name)
    alone = [ProxyScorer(models, metrics=ALL).fit_transform([t])[0] for t in TEXTS]
    order = np.random.default_rng(0).permutation(len(TEXTS))
    scorer = ProxyScorer(models, metrics=ALL, max_tokens_per_batch=budget)
    found = scorer.fit_transform([TEXTS[k] for k in order])
    np.testing.assert_allclose(found, np.array(alone)[order], rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_side_and_pad_token_do_not_matter(side):
    model, tokenizer = pair()
    expected = ProxyScorer((model, tokenizer)).fit_transform(TEXTS)
    other = tiny_models.make_tokenizer(pad="</s>", padding_side=side)
    np.testing.assert_array_equal(
        ProxyScorer((model, other)).fit_transform(TEXTS), expected
    )


def test_bfloat16_is_near_float32(folder):
    exact, rounded = (
        ProxyScorer(folder, metrics=SMOOTH, dtype=dtype).fit_transform([TEXTS])
        for dtype in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(rounded, exact, rtol=1e-2)


def test_windows_score_each_token_once_in_the_first_window_that_has_it():
    model, tokenizer = pair()
    text = " ".join(tiny_models.TEXTS)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    window, stride = 20, 7
    scorer = ProxyScorer(
        (model, tokenizer), metrics=["bits_per_text"], window=window, stride=stride
    )
    found = scorer.fit_transform([text])[0, 0]
    model.double()
    total, done, begin = 0.0, 0, 0
    while done < len(ids):
        end = min(begin + window - 1, len(ids))
        read = torch.tensor([[1, *ids[begin:end]]])
        with torch.inference_mode():
            rows = torch.log_softmax(model(read).logits[0], -1)
        for token in range(done, end):
            total -= rows[token - begin, ids[token]].item()
        done, begin = end, begin + stride
    assert found == pytest.approx(total / math.log(2), rel=1e-5)
    assert len(ids) > 5 * window


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_texts_longer_than_the_window_are_scored_whole(name):
    models = pair(name)
    text = "many words " * 200
    found = ProxyScorer(models, metrics=["n_tokens", "bits_per_byte"])
    n_tokens, bits = found.fit_transform([text])[0]
    assert n_tokens == len(models[1](text, add_special_tokens=False)["input_ids"])
    assert np.isfinite(bits)


@pytest.mark.parametrize(
    "options, bos, prefix",
    [
        ({}, "auto", (1,)),
        ({"around": True}, "auto", (1,)),
        ({"around": True}, True, (1,)),
        ({}, "</s>", (2,)),
        ({"bos": None}, "auto", ()),
        ({}, False, ()),
    ],
    ids=["own", "added", "never doubled", "named", "none", "refused"],
)
def test_bos_is_what_the_policy_says(options, bos, prefix):
    model, tokenizer = (
        tiny_models.make_model("llama"),
        tiny_models.make_tokenizer(**options),
    )
    scorer = ProxyScorer((model, tokenizer), metrics=["bits_per_token"], bos=bos)
    text = tiny_models.TEXTS[0]
    found = scorer.fit_transform([text])[0, 0]
    model.double()
    logprob, _, _ = plain_token_scores(model, tokenizer, text, prefix=prefix)
    assert found == pytest.approx(-logprob.mean() / math.log(2), rel=1e-5)
    (signature,) = scorer.signatures_.values()
    named = {(1,): "bos:<s>|", (2,): "bos:</s>|", (): "bos:none|"}[prefix]
    assert named in signature


def test_without_bos_the_bytes_of_the_first_token_do_not_count():
    model, tokenizer = (
        tiny_models.make_model("llama"),
        tiny_models.make_tokenizer(bos=None),
    )
    text = tiny_models.TEXTS[2]
    metrics = ["bits_per_byte", "bits_per_character"]
    found = ProxyScorer((model, tokenizer), metrics=metrics).fit_transform([text])[0]
    model.double()
    logprob, _, _ = plain_token_scores(model, tokenizer, text, prefix=())
    first = tokenizer(text, return_offsets_mapping=True)["offset_mapping"][0][1]
    bits = -logprob.sum() / math.log(2)
    expected = [bits / len(text[first:].encode()), bits / len(text[first:])]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_special_tokens_in_a_text_are_plain_text():
    models = pair()
    found = ProxyScorer(models, metrics=["n_tokens"]).fit_transform(["a</s>b"])
    assert found[0, 0] > 3


def test_corpora_are_scored_together():
    models = pair()
    corpus = TEXTS[:3]
    metrics = ["bits_per_byte", "bits_per_byte_std", "bits_per_text", "n_tokens"]
    scorer = ProxyScorer(models, metrics=metrics)
    alone = scorer.fit_transform(corpus)
    together = scorer.transform([corpus, np.array(corpus), tuple(corpus)])
    sizes = [len(text.encode()) for text in corpus]
    np.testing.assert_allclose(together[0, 0], np.average(alone[:, 0], weights=sizes))
    np.testing.assert_allclose(together[0, 1], np.std(alone[:, 0], ddof=1))
    np.testing.assert_allclose(together[0, 2], alone[:, 2].mean())
    np.testing.assert_array_equal(together[0], together[1])
    np.testing.assert_array_equal(together[0], together[2])
    assert together[0, 3] == alone[:, 3].sum()


def test_parallel_texts_are_compared_with_their_sources():
    models = pair()
    english, russian = tiny_models.TEXTS[0], tiny_models.TEXTS[2]
    scorer = ProxyScorer(models, metrics=["bits_per_text"])
    bits_english, bits_russian = scorer.fit_transform([english, russian])[:, 0]
    metrics = ["information_parity", "bits_per_source_character"]
    found = ProxyScorer(models, metrics=metrics).fit_transform([(english, russian)])[0]
    expected = [bits_english / bits_russian, bits_russian / len(english)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"expect tuples \(source, text\)"):
        ProxyScorer(models, metrics=metrics).fit_transform([russian])


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, "", [], [""]], ids=str)
def test_what_has_no_text_is_missing(cell):
    scores = ProxyScorer(pair()).fit_transform(["a text", cell])
    assert np.isfinite(scores[0, 0])
    assert np.isnan(scores[1]).all()


def test_odd_texts_are_scored():
    flag = "\U0001f3f4\U000e0067\U000e0062\U000e007f"
    texts = [" ", "\n\t", "a", "a\ud800b", "\ufeff", flag, "x" * 5_000]
    scores = ProxyScorer(pair(), metrics=["bits_per_byte"]).fit_transform(texts)
    assert np.isfinite(scores).all()
    whole = ProxyScorer(pair(), metrics=["bits_per_byte"]).fit_transform(["a\ufffdb"])
    assert scores[3] == whole[0]


@pytest.mark.parametrize("cell", [3, b"bytes", [1], [None], ("a", "b", 3)], ids=str)
def test_other_cells_are_refused_with_their_row(cell):
    with pytest.raises(TypeError, match=r"X, row 1,.*expects a text"):
        ProxyScorer(pair()).fit(["a text", cell])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"metrics": ["bits_per_bite"]}, "Did you mean 'bits_per_byte'"),
        ({"metrics": ["top_0_accuracy"]}, "metrics expects names among"),
        ({"bos": "<no>"}, "bos expects 'auto', True, False or a token"),
        ({"window": 1_000}, "window expects from 3 to 128 tokens"),
        ({"window": 2}, "window expects from 3 to 128 tokens"),
        ({"window": 10, "stride": 10}, "stride expects at most 9 tokens"),
        ({"device": "abacus"}, "device expects 'auto', 'cpu'"),
        ({"dtype": "int4"}, "The 'dtype' parameter"),
        ({"task": "poetry"}, "The 'task' parameter"),
        ({"max_tokens_per_batch": 0}, "The 'max_tokens_per_batch' parameter"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:20],
)
def test_wrong_parameters_are_named_in_fit(options, message):
    with pytest.raises(ValueError, match=message):
        ProxyScorer(pair(), **options).fit(["a"])


def test_bos_true_expects_a_token():
    models = tiny_models.make_model("llama"), tiny_models.make_tokenizer(bos=None)
    with pytest.raises(ValueError, match="This one has none"):
        ProxyScorer(models, bos=True).fit(["a"])


# Loading


def test_folders_and_objects_score_alike(folder):
    model, tokenizer = pair()
    expected = ProxyScorer((model, tokenizer)).fit_transform(TEXTS)
    found = ProxyScorer(folder, dtype="float32").fit_transform(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    linear = sum(isinstance(part, torch.nn.Linear) for part in model.modules())
    assert linear == 2 * 7 + 1  # the user's own model is left as it is


def test_several_models_name_their_features(folder):
    scorer = ProxyScorer({"a": folder, "b": folder}, metrics=["bits_per_byte"])
    frame = scorer.set_output(transform="pandas").fit_transform(TEXTS)
    assert list(frame.columns) == ["a_bits_per_byte", "b_bits_per_byte"]
    np.testing.assert_array_equal(frame["a_bits_per_byte"], frame["b_bits_per_byte"])
    listed = ProxyScorer([folder], metrics=["bits_per_byte"]).fit(TEXTS)
    assert list(listed.get_feature_names_out()) == ["tiny-llama_bits_per_byte"]
    with pytest.raises(ValueError, match="models of different names"):
        ProxyScorer([folder, folder]).fit(TEXTS)


def test_fit_loads_no_weights(folder, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((Path(folder) / name).read_bytes())
    scorer = ProxyScorer(str(tmp_path)).fit(TEXTS)
    with pytest.raises(FileNotFoundError, match=r"holds no weights"):
        scorer.transform(TEXTS)


def test_pickled_weights_are_refused_unless_asked_for(folder, tmp_path):
    model, tokenizer = pair()
    model.config.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"as a pickle \(pytorch_model.bin\)"):
        ProxyScorer(str(tmp_path)).fit_transform(TEXTS)
    scorer = ProxyScorer(str(tmp_path), dtype="float32", allow_pickle=True)
    expected = ProxyScorer(folder, dtype="float32").fit_transform(TEXTS)
    np.testing.assert_allclose(scorer.fit_transform(TEXTS), expected, rtol=1e-5)


def test_code_of_a_model_is_not_run_unless_asked_for(folder, tmp_path):
    config = json.loads((Path(folder) / "config.json").read_text())
    config["model_type"] = "of_its_own"
    config["auto_map"] = {"AutoConfig": "code.Config"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('this was run')\n")
    with pytest.raises(ValueError, match="holds code of its own"):
        ProxyScorer(str(tmp_path)).fit(TEXTS)


@pytest.mark.parametrize(
    "name, message",
    [
        ("./nowhere", "There is no folder './nowhere'"),
        ("a/b/c", "There is no folder 'a/b/c'"),
        ("nowhere.gguf", "There is no GGUF file"),
    ],
)
def test_models_that_are_not_there_are_named(name, message):
    with pytest.raises(FileNotFoundError, match=message):
        ProxyScorer(name).fit(TEXTS)


def test_a_folder_without_a_configuration_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected to have a config\.json"):
        ProxyScorer(str(tmp_path)).fit(TEXTS)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="model expects a folder"):
        ProxyScorer(42).fit(TEXTS)


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """A cache of the hub with one model, and no network."""
    commit = "a" * 40
    repository = tmp_path / "models--house--tiny"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in Path(folder).iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return commit


def test_names_in_a_hub_stand_for_a_commit(hub, folder):
    scorer = ProxyScorer("house/tiny", dtype="float32")
    expected = ProxyScorer(folder, dtype="float32").fit_transform(TEXTS)
    np.testing.assert_array_equal(scorer.fit_transform(TEXTS), expected)
    assert f"digest:house/tiny@{hub}"[:20] in scorer.signatures_["tiny"]


def test_pickles_in_a_hub_are_refused_unless_asked_for(hub, tmp_path):
    (snapshot,) = tmp_path.glob("models--house--tiny/snapshots/*")
    (snapshot / "model.safetensors").unlink()
    torch.save(pair()[0].state_dict(), snapshot / "pytorch_model.bin")
    with pytest.raises(ValueError, match="'house/tiny' has no weights as safetensors"):
        ProxyScorer("house/tiny").fit_transform(TEXTS)
    scorer = ProxyScorer("house/tiny", allow_pickle=True)
    assert np.isfinite(scorer.fit_transform(TEXTS[:6])).all()


def test_a_refusal_of_weights_survives_pickling_between_workers():
    error = PickledWeightsError("Those of x are pickled.")
    text = "Those of x are pickled. Convert them to safetensors, or pass allow_pickle="
    assert str(pickle.loads(pickle.dumps(error))).startswith(text)


def test_a_wrong_revision_is_named(hub):
    with pytest.raises(OSError, match=r"'house/tiny' at revision 'b+' could not be"):
        ProxyScorer("house/tiny", revision="b" * 40).fit(TEXTS)


def test_overflow_of_float16_is_an_error():
    model, tokenizer = pair()
    with torch.no_grad():
        model.lm_head.weight *= 1e5
    scorer = ProxyScorer((model.half(), tokenizer))
    with pytest.raises(FloatingPointError, match="Pass dtype='bfloat16' or 'float32'"):
        scorer.fit_transform(TEXTS)


# scikit-learn


def test_copies_share_the_model_and_pickles_have_none(folder):
    models = pair()
    assert clone(ProxyScorer(models)).model[0] is models[0]
    with pytest.raises(TypeError, match="weights are never written"):
        pickle.dumps(ProxyScorer(models))
    scorer = ProxyScorer(folder).fit(TEXTS)
    expected = scorer.transform(TEXTS)
    data = pickle.dumps(scorer)
    assert len(data) < 5_000
    np.testing.assert_array_equal(pickle.loads(data).transform(TEXTS), expected)


def test_columns_of_texts_stand_beside_others(folder):
    frame = pd.DataFrame({"text": TEXTS, "size": range(len(TEXTS))})
    columns = ColumnTransformer(
        [("lm", ProxyScorer(folder), "text")], remainder="passthrough"
    ).set_output(transform="pandas")
    found = columns.fit_transform(frame)
    assert "lm__bits_per_byte" in found and "remainder__size" in found
    for X in (frame["text"], frame[["text"]], frame["text"].to_numpy(), TEXTS):
        np.testing.assert_array_equal(
            ProxyScorer(folder).fit_transform(X), found.iloc[:, :-1]
        )
    with pytest.raises(ValueError, match="X expects one column of texts"):
        ProxyScorer(folder).fit(frame)


def test_a_pipeline_goes_from_texts_to_predictions(folder):
    y = np.arange(len(TEXTS), dtype=float)
    pipeline = make_pipeline(ProxyScorer(folder), ProxyRegressor("ridge"))
    pipeline.fit(TEXTS, y)
    assert pipeline.predict(TEXTS).shape == y.shape


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scorer_follows_scikit_learn(check):
    check("ProxyScorer", ProxyScorer("a/name"))


# The cache


def count_scored(monkeypatch):
    """Return a list to which the texts of each batch are added."""
    batches = []
    launch = _engine.LikelihoodEngine._launch

    def counted(self, batch):
        batches.append([chunk.text for chunk in batch])
        return launch(self, batch)

    monkeypatch.setattr(_engine.LikelihoodEngine, "_launch", counted)
    return batches


def test_nothing_is_scored_twice(folder, tmp_path, monkeypatch):
    batches = count_scored(monkeypatch)
    scorer = ProxyScorer(folder, cache_dir=tmp_path)
    first = scorer.fit_transform([*TEXTS, *TEXTS])
    assert sum(map(len, batches)) == len(TEXTS)
    again = ProxyScorer(folder, cache_dir=tmp_path).fit_transform([*TEXTS, *TEXTS])
    assert sum(map(len, batches)) == len(TEXTS)
    np.testing.assert_array_equal(first, again)
    ProxyScorer(folder, cache_dir=tmp_path, metrics=["n_tokens"]).fit_transform(TEXTS)
    assert sum(map(len, batches)) == len(TEXTS)
    ProxyScorer(folder, cache_dir=tmp_path, bos=False).fit_transform(TEXTS[:2])
    assert sum(map(len, batches)) == len(TEXTS) + 2


def test_looking_for_scores_leaves_no_trace(folder, tmp_path):
    metrics = ["bits_per_byte"]  # scores with entropies would do as well
    ProxyScorer(folder, cache_dir=tmp_path, metrics=metrics).fit_transform(TEXTS[:1])
    with ScoreCache(tmp_path) as cache:
        found = cache._connection.execute("SELECT signature FROM signatures").fetchall()
        assert len(found) == len(cache.summary()) == 1


def test_cached_scores_are_those_of_the_model(folder, tmp_path):
    other = tiny_models.make_model("llama", seed=1)
    second = tiny_models.save(tmp_path / "tiny-llama", other)
    found = [
        ProxyScorer(model, cache_dir=tmp_path / "cache").fit_transform(TEXTS)
        for model in (folder, second, folder)
    ]
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1], equal_nan=True)


INTERRUPTED = """
import sys, time
from proxylm import ProxyScorer
from proxylm.lm import _engine
launch = _engine.LikelihoodEngine._launch
def slow(self, batch):
    print(*[chunk.ids.tolist() for chunk in batch], sep=";", flush=True)
    time.sleep(0.05)
    return launch(self, batch)
_engine.LikelihoodEngine._launch = slow
texts = [f"text number {k} " * (1 + k % 7) for k in range(60)]
scorer = ProxyScorer(
    sys.argv[1], cache_dir=sys.argv[2], max_tokens_per_batch=64, dtype="float32"
)
scorer.fit_transform(texts)
"""


def test_a_killed_run_goes_on_where_it_was(folder, tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, folder, str(tmp_path)]
    runs = []
    for n_batches in (2, 5, 3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline() for _ in range(n_batches)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        runs.append([line.strip().split(";") for line in lines])
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    runs.append([line.split(";") for line in finished.stdout.splitlines()])
    for number, run in enumerate(runs[:-1]):
        done = {text for batch in run[:-1] for text in batch}
        assert done  # all but the batch in flight
        later = [batch for other in runs[number + 1 :] for batch in other]
        assert done.isdisjoint(text for batch in later for text in batch)
    texts = [f"text number {k} " * (1 + k % 7) for k in range(60)]
    expected = ProxyScorer(folder, dtype="float32").fit_transform(texts)
    found = ProxyScorer(folder, dtype="float32", cache_dir=tmp_path)
    np.testing.assert_allclose(found.fit_transform(texts), expected, rtol=1e-5)


def test_damaged_scores_are_computed_anew(folder, tmp_path):
    scorer = ProxyScorer(folder, cache_dir=tmp_path)
    expected = scorer.fit_transform(TEXTS)
    with sqlite3.connect(tmp_path / "scores.sqlite") as connection:
        connection.execute("UPDATE results SET value = CAST(x'00' || value AS BLOB)")
    connection.close()
    np.testing.assert_array_equal(scorer.fit_transform(TEXTS), expected)


def test_a_file_that_is_no_cache_is_named(folder, tmp_path):
    (tmp_path / "scores.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(OSError, match=r"damaged or no cache: .* Delete the file"):
        ProxyScorer(folder, cache_dir=tmp_path).fit_transform(TEXTS)


def test_a_full_disk_keeps_what_was_written(folder, tmp_path):
    with ScoreCache(tmp_path) as cache:
        number = cache.signature_id({"model": "a"})
        cache.put(number, [(b"first", b"value")])
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OSError, match=r"is full.*written before are kept"):
            cache.put(number, [(b"second", bytes(1_000_000))])
        assert cache.get(number, [b"first", b"second"]) == {b"first": b"value"}


def test_caches_can_be_listed_and_pruned(tmp_path):
    with ScoreCache(tmp_path) as cache:
        first, second = (cache.signature_id({"model": m}) for m in "ab")
        cache.put(first, [(b"1", b"x"), (b"2", b"y")])
        cache.put(second, [(b"1", b"z")])
        summary = cache.summary().set_index("id")
        assert summary.loc[first, "n_texts"] == 2
        assert summary.loc[first, "signature"] == {"model": "a"}
        assert cache.prune([first]) == 2
        assert list(cache.summary()["id"]) == [second]
        assert cache.get(second, [b"1"]) == {b"1": b"z"}


def test_scores_survive_as_bytes():
    scores = TokenScores(*np.ones((3, 4), np.float32), 5, 1, 2)
    again = TokenScores.from_bytes(scores.to_bytes())
    np.testing.assert_array_equal(again.rank, scores.rank)
    assert (again.n_tokens, again.n_unknown, again.n_first_characters) == (5, 1, 2)
    broken = bytearray(scores.to_bytes())
    broken[-1] ^= 1
    assert TokenScores.from_bytes(bytes(broken)) is None
    assert TokenScores.from_bytes(b"short") is None


# Workers and memory


def test_workers_share_the_texts(folder, tmp_path):
    expected = ProxyScorer(folder, dtype="float32").fit_transform(TEXTS)
    scorer = ProxyScorer(folder, dtype="float32", n_jobs=2, cache_dir=tmp_path)
    with parallel_config("threading"):
        np.testing.assert_allclose(scorer.fit_transform(TEXTS), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_of_a_dask_cluster_share_the_texts(folder):
    distributed = pytest.importorskip("distributed")
    expected = ProxyScorer(folder, dtype="float32").fit_transform(TEXTS)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        parallel_config("dask"),
    ):
        found = ProxyScorer(folder, dtype="float32", n_jobs=2).fit_transform(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_memory_that_runs_out_halves_the_batches(monkeypatch, caplog):
    models = pair()
    expected = ProxyScorer(models).fit_transform(TEXTS)
    launch = _engine.LikelihoodEngine._launch

    def small(self, batch):
        if len(batch) > 1 and sum(len(chunk.ids) for chunk in batch) > 80:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return launch(self, batch)

    monkeypatch.setattr(_engine.LikelihoodEngine, "_launch", small)
    found = ProxyScorer(models).fit_transform(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "batches are cut to" in caplog.text


def test_a_text_that_is_too_long_for_the_memory_is_named(monkeypatch):
    def never(self, batch):
        raise MemoryError

    monkeypatch.setattr(_engine.LikelihoodEngine, "_launch", never)
    with pytest.raises(MemoryError, match="Pass a smaller window"):
        ProxyScorer(pair()).fit_transform(TEXTS)


def test_other_errors_are_passed_on(monkeypatch):
    def broken(self, batch):
        raise RuntimeError("something else")

    monkeypatch.setattr(_engine.LikelihoodEngine, "_launch", broken)
    with pytest.raises(RuntimeError, match="something else"):
        ProxyScorer(pair()).fit_transform(TEXTS)


# The output layer


@pytest.mark.parametrize("n_columns", [7, 64, 1_000])
@pytest.mark.parametrize("kind", ["linear", "scaled", "capped", "module"])
def test_blocks_add_up_to_the_softmax(kind, n_columns, monkeypatch):
    sizes = _output_layer.BlockSizes(5, n_columns, 1 << 10)
    monkeypatch.setattr(_output_layer, "BLOCKS", {"cpu": sizes, "cuda": sizes})
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(300, 16, generator=generator) * 3
    bias = torch.randn(300, generator=generator)
    hidden = torch.randn(23, 16, generator=generator)
    targets = torch.randint(300, (23,), generator=generator)
    logits = (hidden @ weight.T + bias).double()
    output = LinearOutput(weight, bias)
    if kind == "scaled":
        output, logits = LinearOutput(weight, bias, scale=0.3), logits * 0.3
    if kind == "capped":
        output = LinearOutput(weight, bias, cap=5.0)
        logits = 5 * torch.tanh(logits / 5)
    if kind == "module":
        output = ModuleOutput(lambda x: x @ weight.T + bias, 300)
    expected = torch.log_softmax(logits, -1)
    found = score_tokens(output, hidden, targets, "full")
    rows = torch.arange(23)
    torch.testing.assert_close(
        found.logprob.double(), expected[rows, targets], rtol=1e-5, atol=1e-5
    )
    entropy = -(expected.exp() * expected).sum(-1)
    torch.testing.assert_close(found.entropy.double(), entropy, rtol=1e-4, atol=1e-5)
    rank = 1 + (expected > expected[rows, targets][:, None]).sum(-1)
    assert (found.rank == rank).all()


def test_extreme_logits_stay_finite():
    hidden = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1e4, 0.0]])
    weight = torch.tensor([[1e4, 0.0], [0.0, -1e30], [5.0, 0.0], [0.0, 0.0]])
    found = score_tokens(LinearOutput(weight), hidden, torch.tensor([0, 3, 0]), "full")
    assert torch.isfinite(found.logprob).all() and torch.isfinite(found.entropy).all()


def test_models_whose_output_is_more_than_a_matrix_use_their_own_logits():
    model, tokenizer = pair("gpt2")
    forward = model.forward

    def shifted(*args, **options):
        found = forward(*args, **options)
        found.logits = found.logits + torch.linspace(0, 9, found.logits.shape[-1])
        return found

    model.forward = shifted
    scorer = ProxyScorer((model, tokenizer), metrics=["bits_per_token"])
    found = scorer.fit_transform(TEXTS)[:, 0]
    expected = [
        -plain_token_scores(model, tokenizer, text)[0].mean() / math.log(2)
        for text in TEXTS
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scoring_reports_progress(folder, capsys):
    ProxyScorer(folder, progress=True).fit_transform(TEXTS)
    assert "tokens/s" in capsys.readouterr().err
