"""Features of which some are words: arrays of objects, DataFrames of both kinds."""

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils._set_output import _get_output_config


def mixed_output(
    transformer: TransformerMixin, values: np.ndarray, index: pd.Index, words: set[str]
) -> np.ndarray | pd.DataFrame:
    """Return features in the form that a transformer was asked for.

    Parameters
    ----------
    transformer : transformer
        Its `get_feature_names_out` names the features.
    values : ndarray of shape (n_samples, n_features)
        Of type object if some of them are words.
    index : Index
        Names of the samples.
    words : set of str
        Which features are words.

    Returns
    -------
    features : ndarray or DataFrame
        A DataFrame, whose columns of numbers are float64, where `set_output` asks for
        one and there are words: from the array every column would be of type object.
    """
    config = _get_output_config("transform", transformer)
    if values.dtype != object or config["dense"] == "default":
        return values
    names = transformer.get_feature_names_out()
    frame = pd.DataFrame(values, index=index, columns=names)
    return frame.astype({name: np.float64 for name in names if name not in words})
