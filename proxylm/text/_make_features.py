"""make_features, from a table of texts and codes to the columns of a record table."""

from collections.abc import Sequence

from sklearn.compose import ColumnTransformer

from proxylm.languages import LanguageFeaturizer

from ._features import SPLITS
from ._featurizer import DatasetFeaturizer


def make_features(
    texts: Sequence[str] = SPLITS,
    languages: Sequence[str] = ("source_lang", "target_lang"),
    *,
    dataset_featurizer: DatasetFeaturizer | None = None,
    language_featurizer: LanguageFeaturizer | None = None,
) -> ColumnTransformer:
    """Build the transformer from texts and language codes to features.

    Parameters
    ----------
    texts : sequence of str, default=("train", "dev", "test")
        Columns of texts, each a corpus that `DatasetFeaturizer` reads. Empty for none.
    languages : sequence of str, default=("source_lang", "target_lang")
        One or two columns of language codes; they stay beside the features, so that a
        regressor knows which language a record is of. Empty for none.
    dataset_featurizer : DatasetFeaturizer, default=None
        None takes the defaults. With other columns than "train", "dev" and "test" it
        goes by their number.
    language_featurizer : LanguageFeaturizer, default=None
        None takes all distances where there are two columns of codes, else the
        population and the share of the web of the language.

    Returns
    -------
    transformer : ColumnTransformer
        Gives a DataFrame: features of the texts, distances of the languages, and all
        other columns as they are; none of them may have the name of a feature.

    See Also
    --------
    DatasetFeaturizer : Statistics of training, development and test texts.
    LanguageFeaturizer : Distances between languages.

    Examples
    --------
    >>> import pandas as pd
    >>> from proxylm import DatasetFeaturizer, make_features
    >>> table = pd.DataFrame({
    ...     "source_lang": ["eng"], "target_lang": ["deu"], "small_bleu": [21.5],
    ...     "train": [["ein Haus", "ein Hund"]], "test": [["ein Haus"]],
    ... })
    >>> features = make_features(
    ...     ["train", "test"],
    ...     dataset_featurizer=DatasetFeaturizer(["size"], tokenizer=str.split),
    ... )
    >>> list(features.fit_transform(table))[:4]
    ['dataset_size', 'test_size', 'genetic', 'geographic']
    """
    texts, languages = list(texts), list(languages)
    if dataset_featurizer is None:
        dataset_featurizer = DatasetFeaturizer()
    if language_featurizer is None:
        # A single code has no distance.
        knowledge = ("population", "web_share") if len(languages) == 1 else ()
        language_featurizer = LanguageFeaturizer(knowledge=knowledge)
    parts = []
    if texts:
        parts.append(("texts", dataset_featurizer, texts))
    if languages:
        parts.append(("languages", language_featurizer, languages))
        parts.append(("codes", "passthrough", languages))
    transformer = ColumnTransformer(
        parts, remainder="passthrough", verbose_feature_names_out=False
    )
    return transformer.set_output(transform="pandas")
