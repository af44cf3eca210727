"""Splitters that leave out languages or data sets, and the loop that uses them."""

from proxylm.model_selection._evaluate import evaluate
from proxylm.model_selection._evaluation import Evaluation
from proxylm.model_selection._protocol_split import (
    CrossDatasetSplit,
    StratifiedRandomSplit,
    subsample,
)
from proxylm.model_selection._split import (
    LanguageKFold,
    LeaveOneLanguageOut,
    UnseenLanguageSplit,
)

__all__ = [
    "CrossDatasetSplit",
    "Evaluation",
    "LanguageKFold",
    "LeaveOneLanguageOut",
    "StratifiedRandomSplit",
    "UnseenLanguageSplit",
    "evaluate",
    "subsample",
]
