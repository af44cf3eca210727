"""Fine-tuning of language models: from pairs of texts to models and their scores."""

from ._data import Pair
from ._evaluate import TestScores, score_model
from ._finetune import FineTuned, finetune
from ._recipe import LoraOptions, Recipe, TrainingOptions, VocabularyOptions

__all__ = [
    "FineTuned",
    "LoraOptions",
    "Pair",
    "Recipe",
    "TestScores",
    "TrainingOptions",
    "VocabularyOptions",
    "finetune",
    "score_model",
]
