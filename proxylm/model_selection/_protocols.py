"""The published protocols, by name."""

import pandas as pd

from proxylm._nearest import nearest
from proxylm.languages._pretraining import MODELS
from proxylm.model_selection._protocol_split import (
    CrossDatasetSplit,
    StratifiedRandomSplit,
)
from proxylm.model_selection._split import LeaveOneLanguageOut, UnseenLanguageSplit

INCREMENTAL_SIZES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9)
NO_DATASETS = (
    "{} expects records of several data sets. Got records without data-set labels. "
    'Join tables with proxylm.records.concat({{"name": records, ...}}), in a '
    "configuration with dataset: [mt560, nusa]."
)


def _random(records):
    return StratifiedRandomSplit(test_size=0.3)


def _check_pivots(protocol, records):
    """Refuse pivots that leave nothing to learn from, or nothing to test."""
    groups, pivots = records.groups, set(records.schema.pivots)
    languages = set(pd.unique(groups.to_numpy().ravel()))
    everywhere = sorted(
        language
        for language in languages - pivots
        if groups.eq(language).any(axis=1).all()
    )
    if everywhere:
        raise ValueError(
            f'The protocol "{protocol}" expects records without the language that is '
            f"left out. Got {everywhere} in every record. Name it in pivots."
        )
    if languages and languages <= pivots:
        raise ValueError(
            f'The protocol "{protocol}" expects languages to leave out. Got '
            f"{sorted(languages)}, all of them in pivots. Name fewer pivots."
        )


def _leave_one_language_out(records):
    _check_pivots("lolo", records)
    return LeaveOneLanguageOut(exclude=records.schema.pivots)


def _target_model(protocol, records):
    """Return the model whose pre-training tells seen languages from unseen ones."""
    model = records.schema.model
    if model not in MODELS:
        raise ValueError(
            f'The protocol "{protocol}" expects scores of a model whose pre-training '
            f"languages are known ({', '.join(MODELS)}). Got model={model!r} in "
            "the schema. Name the model there, or take UnseenLanguageSplit with a "
            "list of unseen languages."
        )
    return model


def _unseen(records):
    return UnseenLanguageSplit(_target_model("unseen", records))


def _unseen_reverse(records):
    model = _target_model("unseen_reverse", records)
    _check_pivots("unseen_reverse", records)
    return UnseenLanguageSplit(model, reverse=True, exclude=records.schema.pivots)


def _cross_dataset(records):
    if records.dataset is None:
        raise ValueError(NO_DATASETS.format('The protocol "cross_dataset"'))
    first, *others = pd.unique(records.dataset)
    return CrossDatasetSplit(train=first, test=others)


# name -> (splitter for given records, portions of the training rows)
PROTOCOLS = {
    "random": (_random, None),
    "lolo": (_leave_one_language_out, None),
    "unseen": (_unseen, None),
    "unseen_reverse": (_unseen_reverse, None),
    "cross_dataset": (_cross_dataset, None),
    "incremental": (_random, INCREMENTAL_SIZES),
}


def resolve_protocol(cv, records):
    """Return (splitter, train sizes) of a splitter or of the name of a protocol."""
    if not isinstance(cv, str):
        if not hasattr(cv, "split"):
            raise TypeError(
                f"cv expects a splitter or one of {list(PROTOCOLS)}. Got {cv!r:.80}. "
                "A number of folds is LanguageKFold(number)."
            )
        return cv, None
    if cv not in PROTOCOLS:
        raise ValueError(
            f"cv expects a splitter or one of {list(PROTOCOLS)}. Got {cv!r}."
            f"{nearest(cv, PROTOCOLS)}"
        )
    make_splitter, train_sizes = PROTOCOLS[cv]
    return make_splitter(records), train_sizes
