"""The published protocols, by name."""

import pandas as pd

from proxylm._nearest import nearest
from proxylm.model_selection._protocol_split import (
    CrossDatasetSplit,
    StratifiedRandomSplit,
)
from proxylm.model_selection._split import LeaveOneLanguageOut, UnseenLanguageSplit

INCREMENTAL_SIZES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 0.9)


def _random(records):
    return StratifiedRandomSplit(test_size=0.3)


def _leave_one_language_out(records):
    return LeaveOneLanguageOut(exclude=records.schema.pivots)


def _unseen(records):
    return UnseenLanguageSplit("m2m100")


def _unseen_reverse(records):
    return UnseenLanguageSplit("m2m100", reverse=True, exclude=records.schema.pivots)


def _cross_dataset(records):
    if records.dataset is None:
        raise ValueError(
            'The protocol "cross_dataset" expects records of several data sets. Got '
            "records without data-set labels. Join tables with "
            'proxylm.records.concat({"name": records, ...}).'
        )
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
        return cv, None
    if cv not in PROTOCOLS:
        raise ValueError(
            f"cv expects a splitter or one of {list(PROTOCOLS)}. Got {cv!r}."
            f"{nearest(cv, PROTOCOLS)}"
        )
    make_splitter, train_sizes = PROTOCOLS[cv]
    return make_splitter(records), train_sizes
