"""Language codes, and which languages large models were pre-trained on."""

from ._codes import language_name, macrolanguage, to_iso639_3
from ._pretraining import is_pretrained, pretraining_languages

__all__ = [
    "is_pretrained",
    "language_name",
    "macrolanguage",
    "pretraining_languages",
    "to_iso639_3",
]
