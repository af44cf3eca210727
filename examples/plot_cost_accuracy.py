"""
How many times cheaper than the target are its proxies?
=======================================================

Scores of small models predict that of a large one, and each of them costs something.
**Two proxies that together are 25 times cheaper than fine-tuning M2M100 nearly halve
the error for new languages**: a small transformer, and SMaLL-100 without fine-tuning.
All four proxies cost eight times as much as these two and take off another fifth.
"""

# %%
# What a score costs
# ------------------
# A score takes the training of a model and its translations of a test set. Say that the
# training set has 50,000 pairs of sentences, which is the median of the table, of 30
# tokens each, that all models take ten passes over it, and that they translate 1,000
# sentences with five beams. :class:`~proxylm.ComputeCost` counts the operations of both
# from configurations; no weights are made.
import pandas as pd
from transformers import M2M100Config

from proxylm import ComputeCost


def architecture(vocab_size, layers, width, inner):
    """Return the configuration of an encoder-decoder."""
    return M2M100Config(
        vocab_size=vocab_size,
        d_model=width,
        encoder_layers=layers[0],
        decoder_layers=layers[1],
        encoder_ffn_dim=inner,
        decoder_ffn_dim=inner,
        encoder_attention_heads=width // 64,
        decoder_attention_heads=width // 64,
    )


architectures = {
    "transformer": architecture(8_000, (6, 6), 512, 2_048),
    "SMaLL-100": architecture(128_112, (12, 3), 1_024, 4_096),
    "M2M100": architecture(128_112, (24, 24), 1_024, 8_192),
}
operations = pd.DataFrame(index=list(architectures))
for name, config in architectures.items():
    cost = ComputeCost(config)
    operations.loc[name, "parameters"] = cost.n_parameters
    operations.loc[name, "training"] = 10 * 50_000 * cost.training(30, 30)
    operations.loc[name, "test"] = 1_000 * cost.generation(30, 30, num_beams=5)
operations.map("{:.1e}".format)

# %%
# Sets of proxies
# ---------------
# A set costs what its members cost. A model that is taken as it is needs the
# translations only; the target, M2M100, is fine-tuned.
as_it_is = operations["test"]
fine_tuned = operations["training"] + operations["test"]
target_cost = fine_tuned["M2M100"]
members = {
    "trfm": fine_tuned["transformer"],
    "small100_noft": as_it_is["SMaLL-100"],
    "small100_ft": fine_tuned["SMaLL-100"],
    "model_noft": as_it_is["M2M100"],
}
sets = {
    "no proxies": [],
    "SMaLL-100": ["small100_noft"],
    "M2M100": ["model_noft"],
    "transformer": ["trfm"],
    "transformer, SMaLL-100": ["trfm", "small100_noft"],
    "transformer, M2M100": ["trfm", "model_noft"],
    "SMaLL-100 fine-tuned": ["small100_ft"],
    "transformer, SMaLL-100 fine-tuned": ["trfm", "small100_ft"],
    "all four": list(members),
}
costs = {
    name: sum(members[proxy] for proxy in proxies) for name, proxies in sets.items()
}

# %%
# The error for new languages
# ---------------------------
# Languages are left out in fifths, three times over. All sets have the features of the
# texts and the distances between languages too, which cost next to nothing.
from proxylm import LanguageKFold, ProxyRegressor, evaluate, fetch_mt560

evaluations = {}
for name, proxies in sets.items():
    features = "+".join(["dataset", "language", *proxies])
    evaluations[name] = evaluate(
        ProxyRegressor("lightgbm"),
        fetch_mt560(target="m2m100", features=features),
        LanguageKFold(n_splits=5, exclude=["eng"]),
        seeds=[42, 43, 44],
        n_jobs=2,
    )

# %%
# What the cost buys
# ------------------
import matplotlib.pyplot as plt

from proxylm import CostAccuracyDisplay

display = CostAccuracyDisplay.from_evaluations(
    evaluations, costs, target_cost=target_cost
)
plt.show()

# %%
# A model that was trained on the same sentences tells a difficult corpus from an easy
# one, and a pre-trained one how well a language was seen before. Either alone leaves
# most of the error; together they know both. SMaLL-100 serves as well here as the
# target itself without fine-tuning, at a quarter of its price. The transformer starts
# from nothing and may need more passes than the others: its points move to the right.
display.table.round(2)
