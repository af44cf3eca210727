"""Scores of translations, labels and slots that say how they were made."""

from ._labels import parse_slots, score_labels, score_slots
from ._score import Score
from ._translation import score_translations

__all__ = [
    "Score",
    "parse_slots",
    "score_labels",
    "score_slots",
    "score_translations",
]
