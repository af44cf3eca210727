"""Fine-tuning of language models: from pairs of texts to models and their scores."""

from ._data import Pair
from ._evaluate import TestScores, score_model
from ._experiment import (
    Budget,
    Experiment,
    TestSet,
    TrainingSet,
    records_of,
    run_experiment,
    run_experiments,
)
from ._finetune import FineTuned, finetune
from ._recipe import LoraOptions, Recipe, TrainingOptions, VocabularyOptions

__all__ = [
    "Budget",
    "Experiment",
    "FineTuned",
    "LoraOptions",
    "Pair",
    "Recipe",
    "TestScores",
    "TestSet",
    "TrainingOptions",
    "TrainingSet",
    "VocabularyOptions",
    "finetune",
    "records_of",
    "run_experiment",
    "run_experiments",
    "score_model",
]
