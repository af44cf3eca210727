"""Hidden states in float32 around products in bfloat16."""

import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")

import numpy as np
import tiny_models
import torch
from tiny_models import CAUSAL, MASKED, SEQ2SEQ, TEXTS

from proxylm import ProxyScorer
from proxylm.lm._attention import use_blocks
from proxylm.lm._engine import LikelihoodEngine
from proxylm.lm._loading import LanguageModel, LoadingOptions
from proxylm.lm._output_layer import is_near
from proxylm.lm._packing import fuse_gated_layers, pack_linear_layers
from proxylm.lm._wide_states import keeps_wide_states, widen_states

NARROW = LoadingOptions(dtype="bfloat16", device="cpu")
METRICS = ["bits_per_byte", "bits_per_text", "token_entropy"]


def rounded(module):
    """Round weights to bfloat16, in place."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter.bfloat16())
    return module


def log_probabilities(module):
    """Return those of 96 tokens after one another, in float64."""
    ids = (torch.arange(96) * 37 + 5) % module.config.vocab_size
    with torch.inference_mode():
        logits = module(input_ids=ids[None], use_cache=False).logits[0].double()
    return torch.log_softmax(logits, -1)


def error(found, expected):
    return (found - expected).square().mean().sqrt().item()


@pytest.mark.parametrize("name", sorted(CAUSAL.keys() - {"mamba"}))
def test_most_of_the_error_of_bfloat16_is_gone(name):
    depth = {"n_layer" if name in ("gpt2", "bloom") else "num_hidden_layers": 24}
    module = rounded(tiny_models.make_model(name, **depth))
    expected = log_probabilities(module.double())
    narrow = error(log_probabilities(module.bfloat16()), expected)
    pack_linear_layers(module)
    fuse_gated_layers(module)
    assert widen_states(module)
    use_blocks(module)
    assert error(log_probabilities(module), expected) < 0.75 * narrow


@pytest.mark.parametrize("name", [*CAUSAL, *MASKED])
def test_scores_are_near_those_in_float32(name, tmp_path):
    module = rounded(tiny_models.make_model(name))
    folder = tiny_models.save(tmp_path / "model", module)
    exact, found = (
        ProxyScorer(folder, metrics=METRICS, dtype=dtype).fit_transform(TEXTS)
        for dtype in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(found, exact, rtol=1e-2)
    assert (found != exact).any()


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("name", sorted(SEQ2SEQ))
def test_encoder_decoders_score_and_translate(name, tmp_path):
    tokenizer_folder = tmp_path / "tokenizer"
    tokenizer_folder.mkdir()
    module, tokenizer = tiny_models.make_seq2seq(name, tokenizer_folder)
    folder = tiny_models.save(tmp_path / "model", rounded(module), tokenizer)
    pairs = [(TEXTS[k], TEXTS[k - 1]) for k in range(len(TEXTS))]
    options = {"source_lang": "eng", "target_lang": "ind"}
    if name not in ("m2m100", "nllb", "mbart50"):
        options = {"prompt": "{text}"}
    exact, found = (
        ProxyScorer(
            folder, metrics=["bits_per_byte"], dtype=dtype, **options
        ).fit_transform(pairs)
        for dtype in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(found, exact, rtol=1e-2)
    scorer = ProxyScorer(
        folder,
        task="translation",
        metrics=["chrF2++"],
        dtype="bfloat16",
        generation={"max_new_tokens": 4, "num_beams": 2},
        **options,
    )
    assert np.isfinite(scorer.fit_transform(pairs)).all()


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "bert"])
def test_the_output_layer_is_still_applied_in_blocks(name, tmp_path):
    folder = tiny_models.save(tmp_path / "model", tiny_models.make_model(name))
    engine = LikelihoodEngine(LanguageModel(folder, options=NARROW), "full", "auto")
    assert engine._output is not None


def test_labels_are_scored_side_by_side(tmp_path):
    module = rounded(tiny_models.make_model("llama"))
    folder = tiny_models.save(tmp_path / "model", module)
    engine = LikelihoodEngine(LanguageModel(folder, options=NARROW), "full", "auto")
    assert engine._reads_branches


def test_states_are_wide_and_weights_are_not():
    module = tiny_models.make_model("llama", dtype=torch.bfloat16)
    assert widen_states(module)
    ids = torch.arange(9)[None]
    assert module.model(ids).last_hidden_state.dtype == torch.float32
    # Positions are as wide as what is read.
    assert module.model.embed_tokens(ids).dtype == torch.float32
    layer = module.model.layers[0]
    assert layer.self_attn.q_proj.weight.dtype == torch.bfloat16
    assert layer.input_layernorm.weight.dtype == torch.float32
    assert module.model.embed_tokens.weight.dtype == torch.bfloat16


def test_a_model_from_a_folder_has_wide_states(tmp_path):
    folder = tiny_models.save(tmp_path / "model", tiny_models.make_model("llama"))
    module = LanguageModel(folder, options=NARROW).module
    states = module.model(torch.arange(9)[None]).last_hidden_state
    assert states.dtype == torch.float32


def test_what_is_near_depends_on_the_weights():
    expected = torch.randn(50, generator=torch.Generator().manual_seed(0))
    found = expected + 0.01
    narrow = tiny_models.make_model("llama", dtype=torch.bfloat16)
    assert is_near(found, expected, narrow)
    assert not is_near(found, expected, narrow.float())
    assert not is_near(expected + 0.1, expected, narrow.bfloat16())


def test_a_model_that_can_not_is_left_as_it_was():
    module = tiny_models.make_model("mamba", dtype=torch.bfloat16, vocab_size=20_000)
    before = log_probabilities(module)
    assert not widen_states(module)
    assert torch.equal(log_probabilities(module), before)


def test_a_model_with_weights_of_its_own_kind_is_left_alone():
    module = tiny_models.make_model("llama", dtype=torch.bfloat16)
    module.own = torch.nn.Parameter(torch.zeros(300, 300, dtype=torch.bfloat16))
    before = log_probabilities(module)
    assert not widen_states(module)
    assert module.own.dtype == torch.bfloat16
    assert torch.equal(log_probabilities(module), before)


def test_models_of_the_user_are_left_alone():
    module = tiny_models.make_model("llama", dtype=torch.bfloat16)
    model = LanguageModel((module, tiny_models.make_tokenizer()))
    assert model.module is module
    assert model.arithmetic == "bfloat16"
    assert module.model.norm.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("dtype", "device", "expected"),
    [
        ("bfloat16", "cpu", True),
        ("float16", "cpu", True),
        ("float32", "cpu", False),
        ("bfloat16", "cuda:1", False),
    ],
)
def test_states_are_wider_where_it_costs_little(dtype, device, expected):
    assert keeps_wide_states(dtype, device) is expected


def test_the_signature_says_so(tmp_path):
    folder = tiny_models.save(tmp_path / "model", tiny_models.make_model("llama"))
    scorer = ProxyScorer(folder, dtype="bfloat16", device="cpu").fit(TEXTS)
    (signature,) = scorer.signatures_.values()
    assert "dtype:bfloat16, states float32" in signature
