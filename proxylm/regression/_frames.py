"""DataFrames as plain arrays, for files that hold nothing that could run code."""

from typing import Any

import pandas as pd


def to_arrays(frame: pd.DataFrame) -> dict[str, Any]:
    """Return a DataFrame as its columns: texts as lists, numbers as arrays."""
    return {
        "index": frame.index.tolist(),
        "name": frame.index.name,
        "columns": {
            name: values.to_numpy()
            if pd.api.types.is_numeric_dtype(values)
            else values.tolist()
            for name, values in frame.items()
        },
    }


def from_arrays(arrays: dict[str, Any]) -> pd.DataFrame:
    """Return the DataFrame that was taken apart."""
    index = pd.Index(arrays["index"], name=arrays["name"])
    return pd.DataFrame(arrays["columns"], index=index)
