"""COMET: the scores of a second implementation, whatever the batch, and bad inputs."""

import io
import json
import math
import os
import pickle
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from tiny_models import TEXTS, make_model, make_seq2seq, make_tokenizer, save

from proxylm import ProxyScorer
from proxylm.cli import main
from proxylm.lm import CometScorer, Recipe, _comet, _translation, score_model
from proxylm.lm._cache import ScoreCache
from proxylm.lm._comet import sparsemax
from proxylm.records import read_records

LONGEST = 60  # tokens that the encoder reads
SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": LONGEST + 4,
    "type_vocab_size": 1,
    "pad_token_id": 0,
}
SETTINGS = {
    "class_identifier": "regression_metric",
    "encoder_model": "XLM-RoBERTa",
    "pretrained_model": "xlm-roberta-none",
    "pool": "avg",
    "layer": "mix",
    "layer_transformation": "sparsemax",
    "layer_norm": False,
    "activations": "Tanh",
    "final_activation": None,
    "hidden_sizes": [24, 12],
    "dropout": 0.1,
    "train_data": ["data/train.csv"],
}
SOURCES = [TEXTS[0], TEXTS[1], TEXTS[0], "", TEXTS[2], TEXTS[0] * 3, "a", "a"]
PREDICTIONS = [TEXTS[3], "hak", "", TEXTS[4], "a <pad> b", TEXTS[5], "a", "a"]
REFERENCES = [TEXTS[3], TEXTS[4], TEXTS[3], "", TEXTS[4], TEXTS[5], "a", "a"]
CORPUS = (SOURCES, PREDICTIONS, REFERENCES)
TOLERANCE = 1e-5


def make_weights(settings, n_features=6):
    """Return an encoder and random weights under the names of the library."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape, scale=1.0):
        return scale * torch.randn(*shape, generator=generator)

    torch.manual_seed(0)
    config = transformers.XLMRobertaConfig(vocab_size=len(make_tokenizer()), **SIZE)
    encoder = transformers.XLMRobertaModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(3).add_(random(*parameter.shape, scale=0.2))
    weights = {f"encoder.model.{k}": v for k, v in encoder.state_dict().items()}
    for number in range(SIZE["num_hidden_layers"] + 1):
        weights[f"layerwise_attention.scalar_parameters.{number}"] = random(1)
    weights["layerwise_attention.gamma"] = torch.tensor([1.3])
    sizes = [n_features * SIZE["hidden_size"], *settings["hidden_sizes"], 1]
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        name = f"estimator.ff.{3 * number}"
        weights[f"{name}.weight"] = random(n_out, n_in, scale=n_in**-0.5)
        weights[f"{name}.bias"] = random(n_out, scale=0.1)
    return encoder, weights


def make_metric(folder, *, change=lambda found: None, n_features=6, **changes):
    """Write a checkpoint as lightning does, and the files of its encoder."""
    settings = {**SETTINGS, **changes}
    encoder, weights = make_weights(settings, n_features)
    # Of older versions, and of training: not read.
    weights["encoder.model.pooler.dense.weight"] = torch.zeros(2, 2)
    weights["encoder.model.embeddings.position_ids"] = torch.arange(4)[None]
    weights["layerwise_attention.dropout_mask"] = torch.zeros(4)
    found = {
        "epoch": 1,
        "pytorch-lightning_version": "2.0",
        "state_dict": weights,
        "hparams_name": "kwargs",
        "hyper_parameters": settings,
    }
    change(found)
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(found, folder / "checkpoints" / "model.ckpt")
    encoder.config.save_pretrained(folder / "encoder")
    tokenizer = make_tokenizer(around=True).backend_tokenizer
    tokenizer.save(str(folder / "encoder" / "tokenizer.json"))
    return folder


def second_opinion(corpus, **changes):
    """Score triples one by one in float64, with numpy and no padding."""
    settings = {**SETTINGS, **changes}
    encoder, weights = make_weights(settings)
    encoder = encoder.double()
    weights = {name: value.double().numpy() for name, value in weights.items()}
    n_layers = SIZE["num_hidden_layers"] + 1
    logits = np.array(
        [weights[f"layerwise_attention.scalar_parameters.{k}"][0] for k in range(4)]
    )
    shares = np.exp(logits) / np.exp(logits).sum()
    if settings["layer_transformation"] == "sparsemax":
        shares = bisect_sparsemax(logits)
    tokenizer = make_tokenizer(around=True)

    def embed(text):
        ids = tokenizer(text, truncation=True, max_length=LONGEST).input_ids
        with torch.no_grad():
            states = encoder(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids)),
                output_hidden_states=True,
            ).hidden_states
        layers = [state[0].numpy() for state in states]
        assert len(layers) == n_layers
        if settings["layer_norm"]:
            layers = [(x - x.mean()) / np.sqrt(x.var() + 1e-12) for x in layers]
        mixed = 1.3 * np.tensordot(shares, layers, axes=1)
        return mixed[np.array(ids) != 0].sum(0) / len(ids)

    squash = {
        "Tanh": np.tanh,
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        None: lambda x: x,
    }
    scores = []
    for source, prediction, reference in zip(*corpus, strict=True):
        s, p, r = embed(source), embed(prediction), embed(reference)
        x = np.concatenate([p, r, p * r, abs(p - r), p * s, abs(p - s)])
        for number in range(len(settings["hidden_sizes"])):
            name = f"estimator.ff.{3 * number}"
            x = weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]
            x = squash[settings["activations"]](x)
        name = f"estimator.ff.{3 * len(settings['hidden_sizes'])}"
        (x,) = weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]
        scores.append(squash[settings["final_activation"]](x))
    return np.array(scores)


def bisect_sparsemax(values):
    """Find the threshold above which values add up to 1."""
    low, high = values.min() - 1, values.max()
    for _ in range(200):
        middle = (low + high) / 2
        is_low = np.maximum(values - middle, 0).sum() > 1
        low, high = (middle, high) if is_low else (low, middle)
    return np.maximum(values - low, 0)


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    """The folder of a metric."""
    return make_metric(tmp_path_factory.mktemp("comet") / "metric")


def scorer_of(folder, **options):
    return CometScorer(folder, **{"device": "cpu", **options})


# Equality with a second implementation.


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layer_transformation": "softmax"},
        {"layer_transformation": "sparsemax_patch"},
        {"layer_norm": True},
        {"layer_norm": True, "layer_transformation": "softmax"},
        {"activations": "Sigmoid", "hidden_sizes": [10]},
        {"final_activation": "Sigmoid", "hidden_sizes": [20, 12, 6]},
        {"final_activation": "Tanh"},
    ],
    ids=str,
)
def test_scores_are_those_of_a_second_implementation(tmp_path, changes):
    scorer = scorer_of(make_metric(tmp_path / "metric", **changes))
    expected = second_opinion(CORPUS, **changes)
    assert np.ptp(expected) > 0.005
    found = scorer.score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_all_settings_matter():
    usual = second_opinion(CORPUS)
    for changes in ({"layer_transformation": "softmax"}, {"layer_norm": True}):
        assert np.abs(second_opinion(CORPUS, **changes) - usual).max() > 1e-3


@pytest.mark.parametrize(
    "values",
    [[0.0], [0.0, 0.0], [1.0, 0.0], [2.5, 0.0, 0.1], [0.3, 0.1, 0.2, -5.0]],
    ids=str,
)
def test_sparsemax_finds_the_threshold(values):
    found = sparsemax(torch.tensor(values, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(found, bisect_sparsemax(np.array(values)), atol=1e-12)


def test_sparsemax_by_hand():
    found = sparsemax(torch.tensor([0.5, 0.9, -1.0]))
    torch.testing.assert_close(found, torch.tensor([0.3, 0.7, 0.0]))


# Whatever the batch.


@pytest.mark.parametrize("max_tokens", [1, 50, 10_000])
def test_scores_do_not_depend_on_the_batch(metric, max_tokens):
    expected = scorer_of(metric).score_segments(*CORPUS)
    scorer = scorer_of(metric, max_tokens_per_batch=max_tokens)
    found = scorer.score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_scores_do_not_depend_on_order_and_neighbours(metric):
    expected = scorer_of(metric).score_segments(*CORPUS)
    order = np.random.default_rng(0).permutation(len(SOURCES))
    shuffled = [[texts[k] for k in order] for texts in CORPUS]
    found = scorer_of(metric).score_segments(*shuffled)
    np.testing.assert_allclose(found, expected[order], rtol=0, atol=TOLERANCE)
    alone = [
        scorer_of(metric).score_segments([s], [p], [r])[0]
        for s, p, r in zip(*CORPUS, strict=True)
    ]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=TOLERANCE)


@pytest.fixture
def embedded(monkeypatch):
    """The numbers of texts that were encoded, batch by batch."""
    counts, embed = [], _comet._Network.embed

    def counting(network, texts):
        counts.append(len(texts))
        return embed(network, texts)

    monkeypatch.setattr(_comet._Network, "embed", counting)
    return counts


def test_each_text_is_encoded_once(metric, embedded):
    scorer = scorer_of(metric)
    scorer.score_segments(*CORPUS)
    assert sum(embedded) == len({*SOURCES, *PREDICTIONS, *REFERENCES})
    embedded.clear()
    other = ["another system", *PREDICTIONS[1:]]
    scorer.score_segments(SOURCES, other, REFERENCES)
    assert sum(embedded) == 1


def test_what_is_kept_of_texts_is_bounded(metric, monkeypatch):
    expected = scorer_of(metric).score_segments(*CORPUS)
    monkeypatch.setattr(_comet, "TEXTS_KEPT", 2)
    scorer = scorer_of(metric, max_tokens_per_batch=1)
    found = scorer.score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert len(scorer._embeddings) == 2


def test_where_memory_runs_out_batches_are_halved(metric, monkeypatch, caplog):
    expected = scorer_of(metric).score_segments(*CORPUS)
    embed = _comet._Network.embed

    def small(network, texts):
        if len(texts) * max(map(len, texts)) > 2 * LONGEST:
            raise RuntimeError("CUDA out of memory")
        return embed(network, texts)

    monkeypatch.setattr(_comet._Network, "embed", small)
    found = scorer_of(metric, max_tokens_per_batch=5_000).score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert "Memory ran out" in caplog.text


def test_what_is_cut_off_is_said(metric, caplog):
    scorer = scorer_of(metric)
    text = " ".join(["hak"] * 200)
    found = scorer.score_segments([text], [text], [text + " martabat"])
    assert "COMET reads only the first part of long texts: 2" in caplog.text
    expected = scorer.score_segments([text], [text], [text])
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("dtype, tolerance", [("bfloat16", 0.1), ("float64", 1e-5)])
def test_other_types_of_numbers(metric, dtype, tolerance):
    scorer = scorer_of(metric, dtype=dtype)
    found = scorer.score_segments(*CORPUS)
    np.testing.assert_allclose(found, second_opinion(CORPUS), rtol=0, atol=tolerance)
    assert f"dtype:{dtype}" in scorer.signature


# Systems.


def test_a_system_has_the_mean_of_its_segments(metric):
    scorer = scorer_of(metric)
    segments = scorer.score_segments(*CORPUS)
    score = scorer.score(*CORPUS, n_bootstrap=20_000)
    assert score.value == pytest.approx(segments.mean(), abs=1e-12)
    expected = segments.std() / math.sqrt(len(segments))
    assert score.standard_error == pytest.approx(expected, rel=0.03)
    assert score == scorer.score(*CORPUS, n_bootstrap=20_000)
    assert math.isnan(scorer.score(*CORPUS, n_bootstrap=0).standard_error)
    assert str(score).startswith(f"{score.metric} = {score.value:.4f} ± ")


def test_signatures_tell_metrics_apart(metric, tmp_path):
    other = scorer_of(make_metric(tmp_path / "other", layer_norm=True))
    scorer = scorer_of(metric)
    assert scorer.name.startswith("comet-") and scorer.name != other.name
    digest = scorer.name.removeprefix("comet-")
    assert scorer.signature.startswith(f"nrefs:1|digest:{digest}")
    assert "|encoder:xlm-roberta-none-" in scorer.signature
    assert "|dtype:float32|version:proxylm-" in scorer.signature
    tokenizer = shutil.copytree(metric, tmp_path / "copy") / "encoder/tokenizer.json"
    assert scorer_of(tmp_path / "copy").signature == scorer.signature
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()), indent=1))
    assert scorer_of(tmp_path / "copy").signature != scorer.signature


def test_the_published_metric_alone_is_called_comet(metric, monkeypatch):
    digest = scorer_of(metric)._checkpoint.digest
    monkeypatch.setattr(_comet, "WMT22_COMET_DA", digest)
    assert scorer_of(metric).name == "comet"


def test_weights_are_not_pickled(metric):
    scorer = scorer_of(metric)
    expected = scorer.score_segments(*CORPUS)
    written = pickle.dumps(scorer)
    assert len(written) < 1_000
    found = pickle.loads(written).score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_the_encoder_may_be_elsewhere(metric, tmp_path):
    expected = scorer_of(metric).score_segments(*CORPUS)
    encoder = tmp_path / "files"
    shutil.copytree(metric / "encoder", encoder)
    shutil.copy(metric / "checkpoints/model.ckpt", tmp_path / "metric.ckpt")
    scorer = scorer_of(tmp_path / "metric.ckpt", encoder=encoder)
    np.testing.assert_array_equal(scorer.score_segments(*CORPUS), expected)


def test_the_folder_of_downloads_is_looked_in(metric, tmp_path, monkeypatch):
    monkeypatch.setenv("PROXYLM_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Run `proxylm download comet`"):
        CometScorer().check()
    shutil.copytree(metric, tmp_path / "models" / "comet")
    CometScorer().check()


def test_settings_that_a_checkpoint_lacks_are_in_a_file_beside(tmp_path):
    own = {"layer": "mix", "pool": "avg", "layer_norm": False}
    metric = make_metric(
        tmp_path / "metric", change=lambda x: x.update(hyper_parameters=own)
    )
    with pytest.raises(ValueError, match="is expected to say its 'class_identifier'"):
        scorer_of(metric).check()
    (metric / "hparams.yaml").write_text(
        "activations: Tanh\n"
        "class_identifier: regression_metric\n"
        "encoder_model: 'XLM-RoBERTa'\n"
        "final_activation: null\n"
        "hidden_sizes:\n- 3072\n- 1024\n"
        "layer_norm: true\n"  # the checkpoint's own counts
        "layer_transformation: sparsemax\n"
        "learning_rate: 1.5e-05\n"
    )
    found = scorer_of(metric).score_segments(*CORPUS)
    np.testing.assert_allclose(found, second_opinion(CORPUS), rtol=0, atol=TOLERANCE)
    with open(metric / "hparams.yaml", "a") as file:
        file.write("activations: ReLU\n")
    with pytest.raises(ValueError, match="'activations' once"):
        scorer_of(metric).check()


# The cache.


def test_scores_are_kept(metric, tmp_path, embedded):
    expected = scorer_of(metric, cache_dir=tmp_path).score_segments(*CORPUS)
    assert embedded
    embedded.clear()
    scorer = scorer_of(metric, cache_dir=tmp_path)
    np.testing.assert_array_equal(scorer.score_segments(*CORPUS), expected)
    assert not embedded and "_network" not in scorer.__dict__
    with ScoreCache(tmp_path) as cache:
        (row,) = cache.summary().itertuples()
    assert row.n_texts == len({*zip(*CORPUS, strict=True)})
    assert row.signature["task"] == "comet"
    scorer_of(metric, cache_dir=tmp_path, dtype="float64").score_segments(*CORPUS)
    assert embedded


def test_damaged_scores_are_made_again(metric, tmp_path):
    expected = scorer_of(metric, cache_dir=tmp_path).score_segments(*CORPUS)
    with ScoreCache(tmp_path) as cache:
        cache._connection.execute("UPDATE results SET value = x'00'")
    found = scorer_of(metric, cache_dir=tmp_path).score_segments(*CORPUS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_interrupted_work_goes_on(metric, tmp_path, monkeypatch, embedded):
    monkeypatch.setattr(_comet, "BATCHES_OF_SHARD", 1)
    options = {"cache_dir": tmp_path, "max_tokens_per_batch": 40}
    estimate, calls = _comet._Network.estimate, []

    def breaking(network, *arrays):
        calls.append(len(arrays[0]))
        if len(calls) > 2:
            raise KeyboardInterrupt
        return estimate(network, *arrays)

    monkeypatch.setattr(_comet._Network, "estimate", breaking)
    with pytest.raises(KeyboardInterrupt):
        scorer_of(metric, **options).score_segments(*CORPUS)
    calls.clear()
    monkeypatch.setattr(_comet._Network, "estimate", estimate)
    with ScoreCache(tmp_path) as cache:
        assert cache.summary()["n_texts"].tolist() == [2]
    found = scorer_of(metric, **options).score_segments(*CORPUS)
    np.testing.assert_allclose(found, second_opinion(CORPUS), rtol=0, atol=TOLERANCE)


# Bad inputs.


@pytest.mark.parametrize(
    "corpus, error, match",
    [
        ((["a"], ["b"], ["c", "d"]), ValueError, "Got 1 and 1 and 2"),
        ((["a", "b"], ["b"], ["c"]), ValueError, "sources and predictions and ref"),
        (([], [], []), ValueError, "at least one segment"),
        (("a", ["b"], ["c"]), TypeError, "sources expects a sequence of strings"),
        ((["a"], ["b"], [None]), TypeError, "references expects strings. Number 0"),
    ],
    ids=["references", "sources", "empty", "one string", "no string"],
)
def test_segments_that_do_not_fit(metric, corpus, error, match):
    with pytest.raises(error, match=match):
        scorer_of(metric).score_segments(*corpus)


def test_an_unknown_type_of_numbers(metric):
    with pytest.raises(ValueError, match="dtype expects one of"):
        scorer_of(metric, dtype="auto").check()


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="Got 'Unbabel/wmt22-comet-da'"):
        scorer_of("Unbabel/wmt22-comet-da").check()
    with pytest.raises(FileNotFoundError, match="proxylm download comet"):
        scorer_of(tmp_path).check()


class Payload:
    """What makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def saved(content, **options):
    written = io.BytesIO()
    torch.save(content, written, **options)
    return written.getvalue()


@pytest.mark.parametrize("how", ["zip", "pickle of torch", "pickle"])
def test_code_in_a_checkpoint_is_refused(metric, tmp_path, how):
    path, sign = tmp_path / "model.ckpt", tmp_path / "was-run"
    content = {"state_dict": {}, "hyper_parameters": Payload(sign)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        options = {"_use_new_zipfile_serialization": how == "zip"}
        path.write_bytes(saved(content, **options))
    with pytest.raises(ValueError, match=r"more than weights \(\w+\.mkdir\)"):
        scorer_of(path).check()
    assert not sign.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04", os.urandom(5_000), saved({"a": 1})[:300]],
    ids=["empty", "text", "zip", "noise", "broken off"],
)
def test_what_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected to be a checkpoint that torch"):
        scorer_of(path).check()


@pytest.mark.parametrize(
    "content", [[1, 2], {"model": 1}, {"state_dict": {"a": 1}}, torch.ones(2)], ids=str
)
def test_checkpoints_of_something_else(tmp_path, content):
    path = tmp_path / "model.ckpt"
    path.write_bytes(saved(content))
    with pytest.raises(ValueError, match="with weights as 'state_dict'"):
        scorer_of(path).check()


def setting(**values):
    return lambda found: found["hyper_parameters"].update(values)


def weight(name, *shape):
    """Return what gives a weight another shape, or removes it."""

    def change(found):
        if shape:
            found["state_dict"][name] = torch.ones(*shape)
        else:
            del found["state_dict"][name]

    return change


QUERY = "encoder.model.encoder.layer.1.attention.self.query.weight"
EMBEDDINGS = "encoder.model.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    "change, match",
    [
        (setting(class_identifier="referenceless_regression_metric"), "QE"),
        (setting(class_identifier="unified_metric"), "It is 'unified_metric'"),
        (setting(encoder_model="BERT"), "encoder_model is among"),
        (setting(pool="cls"), "pool is among"),
        (setting(layer=12), "layer is among"),
        (setting(layer_transformation="entmax"), "layer_transformation is among"),
        (setting(layer_norm="yes"), "layer_norm is among"),
        (setting(activations="ReLU"), "activations is among"),
        (weight(QUERY), "attention.self.query.weight of shape .* no such weights"),
        (weight(QUERY, 16, 32), r"of shape \(32, 32\). It has \(16, 32\)"),
        (weight(EMBEDDINGS), "embeddings.word_embeddings.weight. It has no such"),
        (weight(EMBEDDINGS, 7, 32), r"It has \(7, 32\)"),
        (weight("layerwise_attention.gamma"), "gamma of shape"),
        (weight("layerwise_attention.gamma", 2), r"It has \(2,\)"),
        (weight("layerwise_attention.scalar_parameters.1"), "parameters.1 of shape"),
        (weight("layerwise_attention.scalar_parameters.3"), "to weigh 4 layers"),
        (weight("layerwise_attention.scalar_parameters.4", 1), "It weighs 5"),
        (weight("estimator.ff.0.weight", 24, 4 * 32), r"\(24, 192\). It has \(24, 128"),
        (weight("estimator.ff.3.weight"), r"layers 0, 3, 6. It has \[0, 6\]"),
        (weight("estimator.ff.3.bias", 5), r"ff.3.bias of shape \(12,\)"),
        (weight("estimator.ff.6.weight", 2, 12), r"\(1, 12\). It has \(2, 12\)"),
    ],
)
def test_metrics_that_are_not_supported(tmp_path, change, match):
    metric = make_metric(tmp_path / "metric", change=change)
    with pytest.raises(ValueError, match=match):
        scorer_of(metric).check()


def test_a_missing_encoder_is_asked_for(metric, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    path = tmp_path / "metric" / "checkpoints" / "model.ckpt"
    path.parent.mkdir(parents=True)
    shutil.copy(metric / "checkpoints/model.ckpt", path)
    match = (
        "config.json and tokenizer.json of its encoder, xlm-roberta-none. They are not "
        f"in {tmp_path}/metric/encoder, and not in the hub"
    )
    with pytest.raises(OSError, match=match):
        scorer_of(path).check()
    (tmp_path / "metric" / "encoder").mkdir()
    shutil.copy(metric / "encoder/config.json", tmp_path / "metric/encoder")
    with pytest.raises(FileNotFoundError, match="It lacks tokenizer"):
        scorer_of(path).check()


@pytest.mark.parametrize(
    "name, content, match",
    [
        ("config.json", "{", "is no configuration"),
        ("config.json", "[1]", "is no configuration"),
        ("config.json", '{"model_type": "bert"}', "model_type is 'bert'"),
        ("tokenizer.json", "{}", "is no tokenizer"),
    ],
)
def test_files_that_are_not_those_of_an_encoder(metric, tmp_path, name, content, match):
    other = shutil.copytree(metric, tmp_path / "metric")
    (other / "encoder" / name).write_text(content)
    with pytest.raises(ValueError, match=match):
        scorer_of(other).check()


def test_a_tokenizer_of_another_encoder(metric, tmp_path):
    other = shutil.copytree(metric, tmp_path / "metric")
    tokenizer = make_tokenizer(around=True).backend_tokenizer
    tokenizer.add_tokens([f"new{number}" for number in range(9)])
    tokenizer.save(str(other / "encoder" / "tokenizer.json"))
    with pytest.raises(ValueError, match="is expected to know the"):
        scorer_of(other).check()


def test_scores_that_are_not_finite_are_an_error(tmp_path):
    def spoil(found):
        found["state_dict"]["layerwise_attention.gamma"].fill_(math.inf)

    metric = make_metric(tmp_path / "metric", change=spoil)
    with pytest.raises(FloatingPointError, match="not finite"):
        scorer_of(metric).score_segments(*CORPUS)


# In ProxyScorer and on the command line.

PAIRS = [
    [(TEXTS[0], TEXTS[3]), (TEXTS[1], TEXTS[4])],
    [("All", "Semua orang"), ("", "merdeka")],
]
OPTIONS = {
    "task": "translation",
    "device": "cpu",
    "dtype": "float32",
    "generation": {"max_new_tokens": 8},
}


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    return save(folder, *make_seq2seq("t5", tmp_path_factory.mktemp("files")))


def test_translations_that_models_write_are_scored(metric, translator, tmp_path):
    names = ["comet_se", "chrF2", "comet"]
    scorer = ProxyScorer(
        translator, metrics=names, comet_model=metric, cache_dir=tmp_path, **OPTIONS
    ).fit(PAIRS)
    assert "_network" not in scorer._comet[1].__dict__
    found = scorer.transform(PAIRS)
    comet = scorer_of(metric)
    expected_names = [f"{comet.name}_se", "chrF2", comet.name]
    assert scorer.get_feature_names_out().tolist() == expected_names
    task = scorer._make_task()
    model = scorer._load(scorer._recipes()[None])
    for row, corpus in zip(found, PAIRS, strict=True):
        (items,) = scorer._corpora([corpus], reset=False)
        sources, references = zip(*corpus, strict=True)
        score = comet.score(sources, translations(task, items, model), references)
        assert row[2] == pytest.approx(score.value, abs=TOLERANCE)
        assert row[0] == pytest.approx(score.standard_error, abs=TOLERANCE)
    again = pickle.loads(pickle.dumps(scorer)).transform(PAIRS)
    np.testing.assert_array_equal(again, found)


def translations(task, items, model):
    """Return what a model writes, in the order of items."""
    asked = [part for item in items for part in task.items_of(item, model)]
    found = dict(pair for done in task.answer(asked, model) for pair in done)
    return [found[number].text for number in range(len(asked))]


def test_comet_has_to_be_asked_for():
    assert not any("comet" in name for name in _translation.METRICS)


def test_what_is_wrong_with_comet_is_said_before_translations(translator, tmp_path):
    scorer = ProxyScorer(
        translator, metrics=["comet"], comet_model=tmp_path / "none", **OPTIONS
    )
    with pytest.raises(FileNotFoundError, match="COMET expects a checkpoint"):
        scorer.fit(PAIRS)
    with pytest.raises(ValueError, match="Did you mean 'comet'"):
        scorer.set_params(metrics=["komet"]).fit(PAIRS)


def test_the_command_scores_translations(metric, translator, tmp_path, capsys):
    sources, references = zip(*PAIRS[0], strict=True)
    for name, lines in (("source", sources), ("text", references)):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "pairs.csv").write_text("source,text\nsource.txt,text.txt\n")
    output = tmp_path / "scores.csv"
    arguments = ["--task", "translation", "--metrics", "comet,comet_se", "--quiet"]
    arguments += [
        "--model",
        translator,
        "--comet-model",
        str(metric),
        "-o",
        str(output),
    ]
    assert main(["score", str(tmp_path / "pairs.csv"), *arguments]) == 0
    name = scorer_of(metric).name
    assert list(read_records(output)) == [name, f"{name}_se"]
    arguments[arguments.index(str(metric))] = str(tmp_path / "none")
    capsys.readouterr()
    assert main(["score", str(tmp_path / "pairs.csv"), *arguments]) == 1
    error = capsys.readouterr().err
    assert "COMET expects a checkpoint" in error and "Traceback" not in error


def test_other_tasks_have_no_comet(metric):
    model = make_model("llama"), make_tokenizer()
    with pytest.raises(ValueError, match="Got 'comet'"):
        ProxyScorer(model, metrics=["comet"], comet_model=metric).fit_transform(["a"])


def test_recipes_may_ask_for_it(metric, translator, tmp_path):
    values = {
        "name": "small",
        "model": translator,
        "metrics": ["chrF2", "comet"],
        "comet_model": str(metric),
        "generation": {"max_new_tokens": 8},
    }
    recipe = Recipe.of(values)
    options = {"dtype": "float32"}
    found = score_model(recipe, PAIRS[0], cache_dir=tmp_path, options=options)
    name = scorer_of(metric).name
    assert list(found.values) == ["chrF2", "chrF2_se", name, f"{name}_se"]
    assert "comet" not in Recipe.of({**values, "metrics": None}).metrics
