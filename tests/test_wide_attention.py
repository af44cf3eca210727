"""Attention in float32 while a CPU learns in bfloat16."""

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")

import torch
from tiny_models import CAUSAL, SEQ2SEQ, make_model, make_seq2seq, save

from proxylm.lm import Recipe, finetune
from proxylm.lm._encoding import Chunk
from proxylm.lm.finetuning import _attention
from proxylm.lm.finetuning._attention import NAME, wide_attention
from proxylm.lm.finetuning._loss import ExampleLoss
from proxylm.lm.finetuning._trainer import Trainer

# Models whose attention is not that of the others.
OWN_ATTENTION = ("bloom", "falcon", "gemma2", "mamba")


def make_batch(has_source, lengths=(3, 9, 21)):
    """Return examples of random tokens that differ in length."""
    rng = np.random.default_rng(0)
    batch = []
    for length in lengths:
        ids = rng.integers(5, 100, length + 1)
        source = rng.integers(5, 100, 25 - length) if has_source else None
        places = np.arange(length)
        batch.append(Chunk(0, ids[:-1], places, ids[1:], 0, encoder_ids=source))
    return batch


def gradients(module, batch, kind, dtype):
    """Return the loss of a batch and its gradients, as one vector."""
    module.zero_grad()
    loss = ExampleLoss(module, kind)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        found = loss(batch)
    found.backward()
    grads = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
    return float(found.detach()), torch.cat(grads)


def error_of(found, expected):
    return float((found - expected).norm() / expected.norm())


def check_wide(module, kind):
    """Compare with the gradients in float32, and with those of sdpa in bfloat16."""
    batch = make_batch(kind == "seq2seq")
    before = module.config._attn_implementation
    exact, expected = gradients(module, batch, kind, torch.float32)
    _, narrow = gradients(module, batch, kind, torch.bfloat16)
    with wide_attention(module):
        inside = module.config._attn_implementation
        loss, wide = gradients(module, batch, kind, torch.bfloat16)
    assert module.config._attn_implementation == before
    assert loss == pytest.approx(exact, rel=0.02)
    # Everything else is rounded to bfloat16 on both sides.
    assert error_of(wide, expected) < 1.5 * error_of(narrow, expected) + 1e-3
    return inside


@pytest.mark.parametrize("name", sorted(CAUSAL))
def test_gradients_of_causal_models_are_as_good(name):
    inside = check_wide(make_model(name), "causal")
    assert (inside == NAME) == (name not in OWN_ATTENTION)


@pytest.mark.parametrize("name", sorted(SEQ2SEQ))
def test_gradients_of_encoder_decoders_are_as_good(name, tmp_path):
    assert check_wide(make_seq2seq(name, tmp_path)[0], "seq2seq") == NAME


def test_longer_texts_are_left_to_bfloat16(monkeypatch):
    module, batch = make_model("llama"), make_batch(False)
    _, narrow = gradients(module, batch, "causal", torch.bfloat16)
    for longest, is_same in ((20, True), (21, False)):
        monkeypatch.setattr(_attention, "LONGEST", longest)
        with wide_attention(module):
            _, found = gradients(module, batch, "causal", torch.bfloat16)
        assert torch.equal(found, narrow) == is_same


def test_products_are_those_of_float32():
    module = make_model("llama").model.layers[0].self_attn
    query, key, value = torch.randn(3, 2, 4, 9, 8).bfloat16()
    arguments = {"dropout": 0.0, "scaling": 0.3, "is_causal": True}
    keys = key[:, :2], value[:, :2]
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = _attention._attend(module, query, *keys, None, **arguments)
    wide = (x.float().repeat_interleave(2, dim=1) for x in keys)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query.float(), *wide, is_causal=True, scale=0.3
    )
    assert torch.equal(found, expected.transpose(1, 2).bfloat16())


@pytest.mark.parametrize(
    "changes", [{}, {"pack": True}, {"gradient_checkpointing": True}]
)
def test_a_training_uses_it_and_leaves_the_model_as_it_was(
    tmp_path, monkeypatch, changes
):
    folder = save(tmp_path / "model", make_model("llama"))
    seen = []
    update = Trainer._update

    def watched(self, *arguments):
        seen.append(self.module.config._attn_implementation)
        return update(self, *arguments)

    monkeypatch.setattr(Trainer, "_update", watched)
    pairs = [(f"word {k}", f"{k} words") for k in range(12)]

    def train(name, dtype):
        training = {"schedule": "constant", "max_epochs": 2, "dtype": dtype}
        values = {"name": "a", "model": folder, "prompt": "{text}\n"}
        recipe = Recipe.of(values | {"training": training | changes})
        return finetune(recipe, pairs, pairs, folder=tmp_path / name, device="cpu")

    tuned = train("a", "bfloat16")
    assert set(seen) == {NAME}
    assert NAME not in (tuned.folder / "config.json").read_text()
    assert tuned.history == train("b", "bfloat16").history
    seen.clear()
    exact = train("c", "float32")
    assert set(seen) == {"sdpa"}
    assert tuned.dev_loss == pytest.approx(exact.dev_loss, rel=0.01)
