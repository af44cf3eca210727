"""Time, memory and loss of fine-tuning a small causal model from scratch."""

import random
import tempfile
from pathlib import Path

from proxylm import Recipe, finetune

N_EPOCHS, N_INTENTS = 2, 24
RECIPE = {
    "name": "causal",
    "task": "intent",
    "prompt": "{text}\n",
    "architecture": {
        "model_type": "llama",
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "initializer_range": 128**-0.5,
    },
    "vocabulary": {"size": 400},
    "lora": {"rank": 8},
    "training": {
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup_ratio": 0.1,
        "max_epochs": N_EPOCHS,
        "batch_size": 32,
        "max_tokens": 1_024,
        "clip_norm": 1.0,
        "dtype": "float32",
    },
}


def make_requests(n_requests, seed, shift=0):
    """Return requests of three to twelve words with what the first of them tells."""
    rng = random.Random(seed)
    words = [f"{a}{b}" for a in ("ka", "mi", "so", "tu", "re") for b in "lmnprst"]
    requests = []
    for k in range(n_requests):
        others = rng.choices(words, k=2 + k % 10)
        label = f"intent_{(k + shift) % N_INTENTS}"
        requests.append((" ".join([words[k % N_INTENTS], *others]), label))
    return requests


class Finetuning:
    """Two epochs of 400 requests, evaluated on 100 after each."""

    params = (["full", "packed", "lora"],)
    param_names = ("method",)

    def setup(self, method):
        self.folder = tempfile.TemporaryDirectory()
        self.n_runs = 0
        self.train, self.dev = make_requests(400, seed=0), make_requests(100, seed=1)
        training = {**RECIPE["training"], "pack": method == "packed"}
        self.recipe = Recipe.of({**RECIPE, "training": training})
        base = self.run().folder  # imports what is imported once
        if method == "lora":
            # Adapters beside a model that has learned other labels.
            self.train = make_requests(400, seed=2, shift=1)
            self.dev = make_requests(100, seed=3, shift=1)
            values = {**RECIPE, "architecture": None, "model": str(base)}
            self.recipe = Recipe.of({**values, "method": "lora"})

    def teardown(self, method):
        self.folder.cleanup()

    def run(self):
        """Fine-tune in a folder of its own."""
        self.n_runs += 1
        folder = Path(self.folder.name, str(self.n_runs))
        return finetune(self.recipe, self.train, self.dev, folder=folder, device="cpu")

    def time_epochs(self, method):
        self.run()

    def peakmem_epochs(self, method):
        self.run()

    def track_tokens_per_second(self, method):
        tuned = self.run()
        return tuned.n_tokens / tuned.seconds

    track_tokens_per_second.unit = "tokens/s"

    def track_loss(self, method):
        return self.run().dev_loss

    track_loss.unit = "nats per token"
