"""Tiny language models of many architectures with random weights, made in a moment."""

import functools
import io
import json
import warnings
from pathlib import Path

import sentencepiece
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

# Tests run side by side, and these models are too small for threads.
torch.set_num_threads(1)

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


def make_model(name, *, seed=0, dtype=torch.float32, **changes):
    """Return a causal or masked model of an architecture, its weights random.

    Its output weights are wide, so that predictions are far from uniform.
    """
    prefix, options = (CAUSAL | MASKED)[name]
    config_class = getattr(transformers, f"{prefix}Config")
    options = {
        "vocab_size": len(make_tokenizer()),
        "initializer_range": 0.08,
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
    with torch.no_grad():
        model.get_output_embeddings().weight *= 4
    return model.to(dtype).eval()


def save(folder, model, tokenizer=None):
    """Write a model and its tokenizer; return the folder as a string."""
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return str(folder)


SEQ2SEQ_SIZE = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "init_std": 0.1,
    "dropout": 0.0,
}
T5_SIZE = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "initializer_factor": 1.0,
}
# By name: the tokenizer, the class of the model and its configuration.
SEQ2SEQ = {
    "m2m100": ("m2m100", "M2M100", SEQ2SEQ_SIZE),
    "nllb": ("nllb", "M2M100", SEQ2SEQ_SIZE),
    "mbart50": ("mbart50", "MBart", {**SEQ2SEQ_SIZE, "decoder_start_token_id": 2}),
    "marian": (
        "marian",
        "Marian",
        {**SEQ2SEQ_SIZE, "decoder_start_token_id": 1, "forced_eos_token_id": None},
    ),
    "t5": ("t5", "T5", T5_SIZE),
    "mt5": ("t5", "MT5", {**T5_SIZE, "tie_word_embeddings": False}),
}


@functools.cache
def _sentencepiece():
    """Return a SentencePiece model as bytes, and its pieces with their scores."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        vocab_size=300,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    return written.getvalue(), pieces


@functools.cache
def _bpe():
    """Return pieces and merges as NLLB has them."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    return trained["vocab"], [tuple(merge) for merge in trained["merges"]]


def make_seq2seq_tokenizer(name, folder):
    """Return a tokenizer of a family of encoder-decoders, its files in a folder."""
    folder = Path(folder)
    model, pieces = _sentencepiece()
    usual = ["<s>", "<pad>", "</s>", "<unk>"]
    if name == "nllb":
        vocabulary, merges = _bpe()
        return transformers.NllbTokenizer(vocab=dict(vocabulary), merges=list(merges))
    if name == "mbart50":
        return transformers.MBart50Tokenizer(vocab=list(pieces))
    if name == "t5":
        special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
        return transformers.T5Tokenizer(vocab=special + pieces[3:], extra_ids=0)
    words = [*usual, *(piece for piece, _ in pieces[3:])]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    for file in ("sentencepiece.bpe.model", "source.spm", "target.spm"):
        (folder / file).write_bytes(model)
    if name == "m2m100":
        return transformers.M2M100Tokenizer(
            str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model")
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends sacremoses
        return transformers.MarianTokenizer(
            str(folder / "source.spm"),
            str(folder / "target.spm"),
            str(folder / "vocab.json"),
        )


def make_seq2seq(name, folder, *, seed=0, dtype=torch.float32, **changes):
    """Return an encoder-decoder with random weights, and its tokenizer."""
    tokenizer_name, prefix, options = SEQ2SEQ[name]
    tokenizer = make_seq2seq_tokenizer(tokenizer_name, folder)
    n_tokens = len(tokenizer) + 120  # room for the languages of M2M100
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    config = getattr(transformers, f"{prefix}Config")(
        vocab_size=n_tokens, **{**special, **options, **changes}
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5  # far from uniform
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    return model, tokenizer
