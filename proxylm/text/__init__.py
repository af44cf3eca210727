"""Statistics of training, development and test texts."""

from ._featurizer import DatasetFeaturizer
from ._layout import ParallelTexts, read_dataset_folder
from ._make_features import make_features
from ._ngram import NGramLanguageModel

__all__ = [
    "DatasetFeaturizer",
    "NGramLanguageModel",
    "ParallelTexts",
    "make_features",
    "read_dataset_folder",
]
