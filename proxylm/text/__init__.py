"""Statistics of training, development and test texts."""

from ._featurizer import DatasetFeaturizer

__all__ = ["DatasetFeaturizer"]
