"""Time and memory of ProxyScorer with a small model of random weights."""

import tempfile

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from proxylm import ProxyScorer

N_VOCABULARY = 32_000
METRICS = {"bits": ["bits_per_byte"], "all": "default"}


def write_model(folder):
    """Write a Llama of 12 million parameters whose tokens are bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(["<s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=N_VOCABULARY,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=1_024,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


class Scorer:
    """Texts of 5 to 150 tokens, from the model and from the cache."""

    params = (["bits", "all"],)
    param_names = ("metrics",)

    def setup(self, metrics):
        self.folder = tempfile.TemporaryDirectory()
        write_model(self.folder.name)
        self.texts = [f"{k} " + "many words " * (1 + k % 13) for k in range(40)]
        self.scorer = ProxyScorer(
            self.folder.name, metrics=METRICS[metrics], dtype="float32"
        )
        self.scorer.fit_transform(self.texts[:2])  # loads the model
        self.cached = ProxyScorer(
            self.folder.name,
            metrics=METRICS[metrics],
            dtype="float32",
            cache_dir=self.folder.name,
        )
        self.cached.fit_transform(self.texts)

    def teardown(self, metrics):
        self.folder.cleanup()

    def time_cold(self, metrics):
        self.scorer.transform(self.texts)

    def peakmem_cold(self, metrics):
        self.scorer.transform(self.texts)

    def time_warm(self, metrics):
        self.cached.transform(self.texts)
