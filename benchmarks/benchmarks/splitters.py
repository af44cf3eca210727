"""Folds of languages: of a published table, and of a table that fills a machine."""

import numpy as np
import pandas as pd

from proxylm import (
    LanguageKFold,
    LeaveOneLanguageOut,
    StratifiedRandomSplit,
    UnseenLanguageSplit,
)

TABLES = {"published": (2_601, 51), "large": (1_000_000, 500)}


def random_pairs(n_records, n_languages):
    rng = np.random.default_rng(0)
    names = np.array([f"l{number:03d}" for number in range(n_languages)], dtype=object)
    pairs = names[rng.integers(0, n_languages, (n_records, 2))]
    return pd.DataFrame(pairs, columns=["source", "target"])


class Split:
    """Every fold of a splitter."""

    params = (
        list(TABLES),
        ["LeaveOneLanguageOut", "LanguageKFold", "UnseenLanguageSplit"],
    )
    param_names = ("table", "splitter")

    def setup(self, table, splitter):
        n_records, n_languages = TABLES[table]
        self.groups = random_pairs(n_records, n_languages)
        self.X = np.zeros((n_records, 1))
        self.splitter = {
            "LeaveOneLanguageOut": LeaveOneLanguageOut(),
            "LanguageKFold": LanguageKFold(random_state=0),
            "UnseenLanguageSplit": UnseenLanguageSplit(
                sorted(set(self.groups["source"]))[::2]
            ),
        }[splitter]

    def split(self):
        return self.splitter.split(self.X, groups=self.groups)

    def time_folds(self, table, splitter):
        for _ in self.split():
            pass

    def peakmem_folds(self, table, splitter):
        for _ in self.split():
            pass

    def track_share_of_records_in_training(self, table, splitter):
        sizes = [len(train) for train, _ in self.split()]
        return np.mean(sizes) / len(self.X)


class RandomSplit:
    """The five published random splits."""

    def setup(self):
        self.strata = random_pairs(*TABLES["published"])["source"]
        self.splitter = StratifiedRandomSplit(5, random_state=42)

    def time_folds(self):
        for _ in self.splitter.split(self.strata, groups=self.strata):
            pass
