"""Language models as proxies: the scores that small ones give, and what they cost."""

from ._comet import CometScorer
from ._cost import ComputeCost
from ._scorer import ProxyScorer
from .finetuning import FineTuned, Recipe, finetune, score_model

__all__ = [
    "CometScorer",
    "ComputeCost",
    "FineTuned",
    "ProxyScorer",
    "Recipe",
    "finetune",
    "score_model",
]
