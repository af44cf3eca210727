"""Language models as proxies: the scores that small ones give, and what they cost."""

from ._cost import ComputeCost
from ._scorer import ProxyScorer
from .finetuning import FineTuned, Recipe, finetune, score_model

__all__ = [
    "ComputeCost",
    "FineTuned",
    "ProxyScorer",
    "Recipe",
    "finetune",
    "score_model",
]
