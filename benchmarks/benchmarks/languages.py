"""LanguageFeaturizer: time for all pairs of some hundred languages, and its filling."""

import warnings

import numpy as np

from proxylm import LanguageFeaturizer
from proxylm.languages._uriel import vectors


class Distances:
    """All seven kinds of distance between every two of n languages."""

    params = (100, 440)
    param_names = ("n_languages",)

    def setup(self, n_languages):
        codes = sorted(vectors("syntactic").rows)[:: 7_970 // n_languages][:n_languages]
        self.pairs = np.array([(i, j) for i in codes for j in codes], dtype=object)
        self.featurizer = LanguageFeaturizer(unknown="nan").fit(self.pairs[:1])
        self.filling = LanguageFeaturizer(unknown="nan", fill="knn").fit(self.pairs[:1])

    def time_transform(self, n_languages):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.featurizer.transform(self.pairs)

    def time_transform_filled(self, n_languages):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.filling.transform(self.pairs)

    def peakmem_transform_filled(self, n_languages):
        self.time_transform_filled(n_languages)
