"""Tiny language models of many architectures with random weights, made in a moment."""

import functools
import warnings

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXTS = [
    "All human beings are born free and equal in dignity and rights.",
    "They are endowed with reason and conscience and should act towards one another.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.",
    "人人生而自由,在尊严和权利上一律平等。",
    "ሁሉም የሰው ልጆች ነጻና ክብርና መብታቸው እኩል ሆኖ የተወለዱ ናቸው።",
]
SIZE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
CAUSAL = {
    "llama": ("Llama", {**SIZE, "num_key_value_heads": 2}),
    "mistral": ("Mistral", {**SIZE, "num_key_value_heads": 2, "sliding_window": 8}),
    "qwen2": ("Qwen2", {**SIZE, "num_key_value_heads": 2}),
    "gemma2": ("Gemma2", {**SIZE, "num_key_value_heads": 2, "head_dim": 8}),
    "gemma3": (
        "Gemma3Text",
        {**SIZE, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8},
    ),
    "cohere": ("Cohere", {**SIZE, "num_key_value_heads": 2, "logit_scale": 0.25}),
    "granite": ("Granite", {**SIZE, "num_key_value_heads": 2, "logits_scaling": 4.0}),
    "gpt2": ("GPT2", GPT2),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gpt_neox": ("GPTNeoX", SIZE),
    "opt": ("OPT", {**SIZE, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    "falcon": ("Falcon", SIZE),
    "phi": ("Phi", SIZE),
    "mamba": ("Mamba", {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2}),
}
MASKED = {
    "bert": ("Bert", SIZE),
    "roberta": ("Roberta", {**SIZE, "max_position_embeddings": 130}),
}
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]


@functools.cache
def _trained():
    """Return a byte-level BPE tokenizer of a few hundred pieces, as text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer.to_str()


def make_tokenizer(*, bos="<s>", eos="</s>", pad="<pad>", around=False, **options):
    """Return a tokenizer; `around` puts `<s>` and `</s>` around texts."""
    tokenizer = Tokenizer.from_str(_trained())
    if around:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        mask_token="<mask>",
        **options,
    )


def make_model(name, *, seed=0, dtype=torch.float32, scale=4.0, **changes):
    """Return a causal or masked model of an architecture, its weights random.

    `scale` widens the initial weights, so that predictions are far from uniform.
    """
    prefix, options = (CAUSAL | MASKED)[name]
    config_class = getattr(transformers, f"{prefix}Config")
    options = {
        "vocab_size": len(make_tokenizer()),
        "initializer_range": 0.02 * scale,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **options,
        **changes,
    }
    config = config_class(**options)
    kind = "MaskedLM" if name in MASKED else "CausalLM"
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(transformers, f"AutoModelFor{kind}").from_config(config)
    return model.to(dtype).eval()


def save(folder, model, tokenizer=None):
    """Write a model and its tokenizer; return the folder as a string."""
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return str(folder)
