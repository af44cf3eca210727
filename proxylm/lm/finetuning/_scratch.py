"""Models from scratch: a vocabulary made from the training texts, weights by a seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proxylm._nearest import nearest
from proxylm._optional import import_optional

from .._loading import save_whole
from .._torch import import_torch, import_transformers
from ._data import Pair
from ._recipe import VocabularyOptions

PAD, BEGIN, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"


def train_tokenizer(texts: Sequence[str], options: VocabularyOptions) -> Any:
    """Return a tokenizer of transformers, its pieces those of texts.

    Pieces are of bytes, so that no text is unknown. Texts end with `</s>`.
    """
    tokenizers = import_optional("tokenizers", extra="lm")
    models, trainers = tokenizers.models, tokenizers.trainers
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    arguments = {
        "vocab_size": options.size,
        "special_tokens": [PAD, BEGIN, END, UNKNOWN],
        "initial_alphabet": byte_level.alphabet(),
        "show_progress": False,
    }
    if options.kind == "bpe":
        tokenizer = tokenizers.Tokenizer(models.BPE())
        trainer = trainers.BpeTrainer(**arguments)
    else:
        tokenizer = tokenizers.Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(unk_token=UNKNOWN, **arguments)
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return import_transformers().PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
    )


def make_model(architecture: Mapping[str, Any], tokenizer: Any, seed: int) -> Any:
    """Return a model of an architecture with new weights.

    Parameters
    ----------
    architecture : mapping
        `model_type`, such as `"marian"`, and parameters of its configuration in
        transformers. The size of the vocabulary and the special tokens are those of
        the tokenizer.
    tokenizer : PreTrainedTokenizerFast
    seed : int
        Of the weights.
    """
    transformers, torch = import_transformers(), import_torch()
    options = dict(architecture)
    model_type = options.pop("model_type", None)
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if model_type not in known:
        raise ValueError(
            "architecture expects the model_type of an architecture of transformers, "
            f"such as 'marian' or 'llama'. Got {model_type!r}."
            f"{nearest(str(model_type), list(known))}"
        )
    tokens = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    names = known[model_type]().to_dict()
    unknown = [name for name in options if name not in names]
    if unknown:
        raise ValueError(
            f"architecture expects parameters of {known[model_type].__name__}. Got "
            f"{unknown[0]!r}.{nearest(unknown[0], list(names))}"
        )
    is_encoder_decoder = names.get("is_encoder_decoder", False)
    if is_encoder_decoder:
        tokens["decoder_start_token_id"] = tokenizer.pad_token_id
        tokens["forced_eos_token_id"] = None
    if "decoder_vocab_size" in names:
        tokens["decoder_vocab_size"] = len(tokenizer)
    auto = transformers.AutoModelForSeq2SeqLM
    if not is_encoder_decoder:
        auto = transformers.AutoModelForCausalLM
    try:
        config = known[model_type](**{**options, **tokens})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = auto.from_config(config)
        _read_something(model, is_encoder_decoder)
    except (*_config_errors(), RuntimeError, ZeroDivisionError) as error:
        raise ValueError(
            "architecture expects sizes that go together, such as a width that the "
            f"number of heads divides into even parts. Got {options}, of which torch "
            f"says: {error}"
        ) from error
    return model


def _config_errors() -> tuple[type[Exception], ...]:
    """Return what configurations of transformers raise."""
    errors = import_optional("huggingface_hub.errors", extra="lm")
    # Not there in older versions.
    strict = getattr(errors, "StrictDataclassError", ValueError)
    return ValueError, TypeError, strict


def _read_something(model: Any, is_encoder_decoder: bool) -> None:
    """Let a new model read two tokens, which shows whether its sizes fit."""
    torch = import_torch()
    ids = torch.zeros((1, 2), dtype=torch.long)
    arguments = {"decoder_input_ids": ids} if is_encoder_decoder else {}
    model.eval()
    with torch.inference_mode():
        model(input_ids=ids, **arguments)


def make_folder(
    folder: Path,
    architecture: Mapping[str, Any],
    vocabulary: VocabularyOptions,
    pairs: Sequence[Pair],
    seed: int,
) -> None:
    """Write a model with new weights, and the vocabulary of the pairs, to a folder."""
    if folder.exists():
        return
    texts = [text for pair in pairs for text in (pair.source, pair.target)]
    tokenizer = train_tokenizer(texts, vocabulary)
    save_whole(make_model(architecture, tokenizer, seed), folder, tokenizer)
