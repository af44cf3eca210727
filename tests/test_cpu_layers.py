"""What replaces layers of a model on a CPU gives what they gave."""

import mmap

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")

import torch
from tiny_models import CAUSAL, make_model

from proxylm.lm._attention import N_QUERIES, attend_in_blocks, use_blocks
from proxylm.lm._memory import MAPS, FilePages, keep_memory
from proxylm.lm._packing import fuse_gated_layers, pack_linear_layers

GATED = ("llama", "mistral", "qwen2", "gemma2", "gemma3", "cohere", "granite")
LENGTHS = (1, N_QUERIES - 1, N_QUERIES, N_QUERIES + 1, 3 * N_QUERIES + 5)


def logits(module, n_tokens):
    ids = torch.arange(2 * n_tokens).reshape(2, n_tokens) % module.config.vocab_size
    with torch.inference_mode():
        return module(input_ids=ids, use_cache=False).logits


@pytest.mark.parametrize("n_tokens", LENGTHS)
@pytest.mark.parametrize(("n_heads", "n_key_heads"), [(4, 4), (6, 2), (3, 1)])
def test_blocks_attend_as_torch_does(n_tokens, n_heads, n_key_heads):
    generator = torch.Generator().manual_seed(n_tokens)

    def draw(n):
        shape = (2, n_tokens, n, 8)  # transposed views, as models hand them over
        return torch.randn(shape, generator=generator).transpose(1, 2)

    query, key, value = draw(n_heads), draw(n_key_heads), draw(n_key_heads)
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=0.3, enable_gqa=True
    )
    found = attend_in_blocks(query, key, value, 0.3)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CAUSAL))
def test_a_model_with_replaced_layers_gives_its_logits(name):
    module = make_model(name)
    n_tokens = min(N_QUERIES + 9, module.config.vocab_size)
    expected = logits(module, n_tokens)
    pack_linear_layers(module)
    n_fused = fuse_gated_layers(module)
    use_blocks(module)
    assert n_fused == (2 if name in GATED else 0)
    found = logits(module, n_tokens)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=3e-4)


def test_the_weight_of_a_packed_layer_can_be_used(monkeypatch):
    module = make_model("llama")
    expected = module.model.layers[0].self_attn.k_proj.weight.detach().clone()
    pack_linear_layers(module)
    layer = module.model.layers[0].self_attn.k_proj
    dense, plain = [], torch.Tensor.to_dense
    monkeypatch.setattr(torch.Tensor, "to_dense", lambda x: dense.append(x) or plain(x))
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    assert (weight.dtype, weight.shape) == (torch.float32, expected.shape)
    assert (weight.device.type, weight.ndim, weight.size(0)) == ("cpu", 2, 16)
    assert dense == []
    x = torch.randn(3, 32)
    for found in (
        x @ weight.T,
        (weight @ x.T).T,
        torch.nn.functional.linear(x, weight),
    ):
        torch.testing.assert_close(found, x @ expected.T)
    assert torch.equal(torch.cat([weight, weight]), torch.cat([expected, expected]))


def test_blocks_are_used_where_sdpa_was():
    module = make_model("llama")
    assert use_blocks(module)
    assert not use_blocks(module)
    eager = make_model("llama")
    eager.set_attn_implementation("eager")
    assert not use_blocks(eager)


def test_a_gated_layer_that_does_more_is_left_alone():
    module = make_model("llama")
    layer = module.model.layers[0].mlp
    plain = layer.forward
    layer.forward = lambda x: 2 * plain(x)
    pack_linear_layers(module)
    assert fuse_gated_layers(module) == 1
    assert module.model.layers[0].mlp is layer


def test_memory_set_up_by_the_user_is_left_alone(monkeypatch):
    calls = []
    monkeypatch.setattr("ctypes.CDLL", lambda name: calls.append(name))
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    with keep_memory():
        pass
    assert not calls


@pytest.mark.skipif(not MAPS.is_file(), reason="needs Linux")
def test_pages_of_weights_are_given_back_and_read_again(tmp_path):
    path = tmp_path / "weights"
    expected = np.arange(1 << 18, dtype=np.float32)
    expected.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="c")
    assert mapped.sum() == expected.sum()
    size = expected.nbytes
    address = mapped.ctypes.data
    mapped[size // 8] = -1  # in memory alone
    released = FilePages().release(address + 4, size - 8)
    assert size - 2 * mmap.PAGESIZE <= released < size
    assert np.array_equal(mapped, expected)
    assert FilePages().release(address, 100) == 0
    own = expected.copy()
    assert FilePages().release(own.ctypes.data, size) == 0
    assert np.array_equal(own, expected)
    path.unlink()
    assert FilePages().release(address, size) == 0


def test_packing_lets_go_of_the_file(monkeypatch):
    released = []
    monkeypatch.setattr(
        FilePages, "release", lambda self, *arguments: released.append(arguments)
    )
    module = make_model("llama")
    layer = module.model.layers[0].mlp.up_proj
    expected = layer.weight.data_ptr(), layer.weight.nbytes
    assert pack_linear_layers(module) == len(released)
    assert expected in released
