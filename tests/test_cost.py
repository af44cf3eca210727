"""Operations of transformers, beside what torch's profiler counts."""

import re

import pytest
import tiny_models
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from proxylm.lm import ComputeCost
from proxylm.lm._packing import fuse_gated_layers, pack_linear_layers

# The profiler knows no fused attention of CPUs, and torch ends checkpoints early.
EAGER = {"attn_implementation": "eager"}
IDS = torch.arange(5, 45).reshape(2, 20)  # two texts of 20 tokens
TARGETS = torch.arange(9, 35).reshape(2, 13)
TRANSFORMERS = sorted(set(tiny_models.CAUSAL) - {"mamba"})
EXPERTS = {**tiny_models.SIZE, **EAGER, "num_key_value_heads": 4, "vocab_size": 300}
LORA = re.compile(r"\.(q_proj|v_proj)$")


def counted(function, *arguments, **options):
    """Operations that the profiler counts in a call."""
    with FlopCounterMode(display=False) as counter:
        function(*arguments, **options)
    return counter.get_total_flops()


def learn(module, **inputs):
    module.train()(**inputs).loss.backward()


def checkpoint(module):
    """Let activations be computed again, all of those of a block."""
    new = getattr(module, "activation_checkpointing_enable", None)
    (new or module.gradient_checkpointing_enable)({"use_reentrant": True})


def write(module, num_beams, n_tokens=11):
    """Write so many tokens for each text, whatever they are."""
    for name in ("eos_token_id", "forced_eos_token_id"):
        setattr(module.generation_config, name, None)
    options = {"max_new_tokens": n_tokens, "min_new_tokens": n_tokens}
    module.eval().generate(
        IDS,
        attention_mask=torch.ones_like(IDS),
        num_beams=num_beams,
        do_sample=False,
        **options,
    )


@pytest.fixture(params=sorted(tiny_models.SEQ2SEQ))
def encoder_decoder(request, tmp_path):
    return tiny_models.make_seq2seq(request.param, tmp_path, **EAGER)[0]


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_causal_models_need_what_the_profiler_counts(name):
    module = tiny_models.make_model(name, loss_type="ForCausalLM", **EAGER)
    cost = ComputeCost(module)
    assert cost.forward([20, 20]) == counted(module, IDS)
    assert cost.training([20, 20]) == counted(learn, module, input_ids=IDS, labels=IDS)
    assert cost.generation([20, 20], 11) == counted(write, module, 1)
    assert cost.generation([20, 20], 11, num_beams=3) == counted(write, module, 3)


def test_encoder_decoders_need_what_the_profiler_counts(encoder_decoder):
    cost = ComputeCost(encoder_decoder)
    assert cost.forward([20, 20], 13) == counted(
        encoder_decoder, input_ids=IDS, labels=TARGETS
    )
    assert cost.training([20, 20], [13, 13]) == counted(
        learn, encoder_decoder, input_ids=IDS, labels=TARGETS
    )
    for beams in (1, 3):
        found = counted(write, encoder_decoder, beams)
        assert cost.generation([20, 20], 11, num_beams=beams) == found


def test_a_decoder_without_its_encoder_reads_no_source():
    config = transformers.MBartConfig(
        **tiny_models.SEQ2SEQ_SIZE, **EAGER, vocab_size=300, is_decoder=True
    )
    module = transformers.MBartForCausalLM(config).eval()
    cost = ComputeCost(module)
    assert cost.forward([20, 20]) == counted(module, IDS)
    assert cost.generation([20, 20], 11) == counted(write, module, 1)


@pytest.mark.parametrize("name", sorted(tiny_models.MASKED))
def test_masked_models_need_what_the_profiler_counts(name):
    module = tiny_models.make_model(name, **EAGER)
    assert ComputeCost(module).forward([20, 20]) == counted(module, IDS)


@pytest.mark.parametrize(
    ("prefix", "options"),
    [
        ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
        ("GraniteMoe", {"num_local_experts": 4, "num_experts_per_tok": 1}),
        (
            "Qwen2Moe",
            {
                "num_experts": 4,
                "num_experts_per_tok": 3,
                "moe_intermediate_size": 16,
                "shared_expert_intermediate_size": 24,
            },
        ),
        (
            "DeepseekV3",
            {
                "n_routed_experts": 4,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 16,
                "n_group": 1,
                "topk_group": 1,
                "first_k_dense_replace": 1,
                "q_lora_rank": 16,
                "kv_lora_rank": 16,
                "qk_rope_head_dim": 8,
                "qk_nope_head_dim": 8,
                "v_head_dim": 4,  # values are narrower than queries
            },
        ),
    ],
)
def test_only_the_experts_that_read_a_token_count(prefix, options):
    config = getattr(transformers, f"{prefix}Config")(**EXPERTS, **options)
    module = transformers.AutoModelForCausalLM.from_config(config).eval()
    module.set_experts_implementation("eager")
    cost = ComputeCost(module)
    assert cost.forward([20, 20]) == counted(module, IDS)
    assert cost.n_parameters == module.num_parameters()
    assert ComputeCost(config).forward([20, 20]) == cost.forward([20, 20])


def test_experts_that_are_layers_of_their_own_count_too():
    config = transformers.SwitchTransformersConfig(
        **tiny_models.T5_SIZE,
        **EAGER,
        vocab_size=300,
        num_experts=4,
        num_sparse_encoder_layers=1,
        num_sparse_decoder_layers=1,
    )
    module = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    expected = counted(module, input_ids=IDS, labels=TARGETS)
    assert ComputeCost(module).forward([20, 20], 13) == expected


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "bert"])
def test_a_configuration_and_a_folder_cost_what_the_model_costs(name, tmp_path):
    module = tiny_models.make_model(name)
    folder = tiny_models.save(tmp_path, module)
    expected = ComputeCost(module)
    assert expected.n_parameters == module.num_parameters()
    for model in (module.config, folder, tmp_path):
        cost = ComputeCost(model)
        assert cost.n_parameters == expected.n_parameters
        assert cost.training([9, 4]) == expected.training([9, 4])
        assert cost.generation([9, 4], 3) == expected.generation([9, 4], 3)


def test_an_encoder_decoder_costs_what_its_configuration_does(encoder_decoder):
    cost, of_config = ComputeCost(encoder_decoder), ComputeCost(encoder_decoder.config)
    assert of_config.n_parameters == encoder_decoder.num_parameters()
    assert of_config.n_parameters == cost.n_parameters
    assert of_config.training([9, 4], 5) == cost.training([9, 4], 5)
    assert of_config.generation(9, 5, num_beams=4) == cost.generation(9, 5, num_beams=4)


def test_packed_layers_count_as_before():
    module = tiny_models.make_model("llama")
    cost = ComputeCost(module)
    if not pack_linear_layers(module):
        pytest.skip("this machine does not pack layers")
    assert fuse_gated_layers(module)
    packed = ComputeCost(module)
    assert packed.n_parameters == cost.n_parameters
    assert packed.forward([20, 3]) == cost.forward([20, 3])


def test_of_gpt2_they_are_those_of_a_textbook():
    """Two for each weight and token, four for each pair of tokens and each width."""
    cost = ComputeCost(transformers.GPT2Config())
    weights = 12 * 12 * 768**2 + 50_257 * 768
    assert cost.forward(100) == 2 * 100 * weights + 4 * 100**2 * 12 * 768
    assert cost.n_parameters == 124_439_808
    assert repr(cost) == "ComputeCost(124,439,808 parameters)"


def test_texts_add_up_and_no_number_is_too_large():
    cost = ComputeCost(tiny_models.make_model("llama"))
    assert cost.forward([7, 3, 3]) == cost.forward(7) + 2 * cost.forward(3)
    assert cost.generation([7, 3], [2, 9]) == (
        cost.generation(7, 2) + cost.generation(3, 9)
    )
    large = 10**9
    per_pair = cost.forward(2) - 2 * cost.forward(1)  # two pairs more
    per_token = cost.forward(1) - per_pair // 2
    assert cost.forward(large) == per_token * large + per_pair // 2 * large**2 > 2**63


def test_the_output_layer_may_read_few_positions():
    module = tiny_models.make_model("llama", **EAGER)
    expected = counted(module, IDS, logits_to_keep=2)
    assert ComputeCost(module).forward([20, 20], n_outputs=2) == expected


class Adapted(torch.nn.Module):
    """A frozen layer with a low-rank adapter."""

    def __init__(self, layer, rank):
        super().__init__()
        self.layer = layer
        self.first = torch.nn.Linear(layer.in_features, rank, bias=False)
        self.second = torch.nn.Linear(rank, layer.out_features, bias=False)

    def forward(self, x):
        return self.layer(x) + self.second(self.first(x))


def adapt(module, rank, pattern):
    module.requires_grad_(False)
    module.enable_input_require_grads()
    for name, layer in list(module.named_modules()):
        if isinstance(layer, torch.nn.Linear) and pattern.search(name):
            parent, _, label = name.rpartition(".")
            setattr(module.get_submodule(parent), label, Adapted(layer, rank))


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize(
    ("layers", "pattern"),
    [("all-linear", re.compile("layers")), (["q_proj", "self_attn.v_proj"], LORA)],
)
def test_adapters_spare_the_gradients_of_weights(
    layers, pattern, gradient_checkpointing
):
    module = tiny_models.make_model("llama", **EAGER, use_cache=False)
    options = {"gradient_checkpointing": gradient_checkpointing}
    expected = ComputeCost(module).training(
        [20, 20], lora_rank=3, lora_layers=layers, **options
    )
    adapt(module, 3, pattern)
    if gradient_checkpointing:
        checkpoint(module)
    assert counted(learn, module, input_ids=IDS, labels=IDS) == expected


def test_gradient_checkpointing_is_one_more_forward_pass(encoder_decoder):
    encoder_decoder.config.use_cache = False
    checkpoint(encoder_decoder)
    expected = ComputeCost(encoder_decoder).training(
        [20, 20], 13, gradient_checkpointing=True
    )
    inputs = {"input_ids": IDS, "labels": TARGETS}
    # T5 does without the gradients of what it reads, and then checkpoints nothing.
    encoder_decoder.enable_input_require_grads()
    assert counted(learn, encoder_decoder, **inputs) == expected


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (transformers.MambaConfig, "MambaMixer has a weight 'A_log'"),
        (transformers.RwkvConfig, "RwkvSelfAttention has a weight 'time_mix_key'"),
        (transformers.AlbertConfig, "1 of 12 layers of attention are known"),
        (transformers.DiffLlamaConfig, "attention of its own kind"),
        (transformers.MiniMaxConfig, r"layers of the kinds \['linear_attention'\]"),
    ],
)
def test_models_without_a_formula_are_refused(config, reason):
    small = config(
        hidden_size=64, num_attention_heads=4, num_hidden_layers=12, vocab_size=300
    )
    if config is transformers.AlbertConfig:  # all its layers are one
        small.architectures = ["AlbertForMaskedLM"]
    with pytest.raises(ValueError, match=f"there is no formula: .*{reason}"):
        ComputeCost(small)


def test_adapters_are_given_as_numbers():
    module = tiny_models.make_model("llama")
    module.peft_config = {}
    with pytest.raises(ValueError, match="expects a model without adapters"):
        ComputeCost(module)


def test_a_model_is_a_module_a_configuration_or_a_place():
    with pytest.raises(TypeError, match="Got 3 of type int"):
        ComputeCost(3)
    with pytest.raises(ValueError, match="'vit' is none of a causal model"):
        ComputeCost(transformers.ViTConfig())


@pytest.mark.parametrize("given", [0, 2.5, [3, -1], [[3]], "3", [True]])
def test_lengths_are_whole_numbers(given):
    cost = ComputeCost(tiny_models.make_model("llama"))
    with pytest.raises(ValueError, match="lengths expects a whole number"):
        cost.forward(given)


def test_targets_are_for_encoder_decoders(encoder_decoder):
    with pytest.raises(ValueError, match=r"expects None for a model of texts\. Got 3"):
        ComputeCost(tiny_models.make_model("llama")).forward(4, 3)
    with pytest.raises(ValueError, match="the lengths of targets for an encoder-dec"):
        ComputeCost(encoder_decoder).training(4)


def test_layers_of_adapters_are_known():
    cost = ComputeCost(tiny_models.make_model("llama"))
    with pytest.raises(ValueError, match=r"names among \['down_proj'.*Got 'q_prj'"):
        cost.training(4, lora_rank=2, lora_layers=["q_prj"])
    with pytest.raises(ValueError, match="lora_rank expects a whole number"):
        cost.training(4, lora_rank=0)
