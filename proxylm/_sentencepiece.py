"""SentencePiece models from files."""

import os
from typing import Any

from proxylm._optional import import_optional


def load_sentencepiece(path: str | os.PathLike, extra: str) -> Any:
    """Return the processor of a SentencePiece model.

    Parameters
    ----------
    path : str or path-like
        The file of the model, which exists.
    extra : str
        The extra of proxylm that installs SentencePiece for the caller.

    Returns
    -------
    SentencePieceProcessor

    Raises
    ------
    ValueError
        If the file holds no model.
    """
    sentencepiece = import_optional("sentencepiece", extra=extra)
    try:
        return sentencepiece.SentencePieceProcessor(model_file=os.fspath(path))
    except RuntimeError as error:
        raise ValueError(
            f"{os.fspath(path)} is no SentencePiece model ({error})."
        ) from error
