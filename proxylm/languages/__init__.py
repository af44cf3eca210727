"""Language codes, and what is known of a language before any model is run."""

from ._codes import language_name, macrolanguage, to_iso639_3
from ._featurizer import LanguageFeaturizer
from ._pretraining import is_pretrained, pretraining_languages
from ._web_share import web_share

__all__ = [
    "LanguageFeaturizer",
    "is_pretrained",
    "language_name",
    "macrolanguage",
    "pretraining_languages",
    "to_iso639_3",
    "web_share",
]
