"""The command `records join`: record tables in, one with the columns of all out."""

import os
from collections.abc import Sequence
from pathlib import Path

from proxylm.cli._featurize import SCHEMA
from proxylm.records import join_records, read_records, write_records
from proxylm.records._tables import table_suffix


def join_tables(paths: Sequence[Path], output: Path) -> None:
    """Write the table that has the columns of several."""
    table_suffix(output)  # says at once if the name is none
    tables = {os.fspath(path): path for path in paths}
    if len(tables) < 2 or len(tables) < len(paths):
        raise ValueError(
            "TABLE expects two tables or more, each once. Got "
            f"{' '.join(map(os.fspath, paths))}."
        )
    frames = {name: read_records(path, SCHEMA) for name, path in tables.items()}
    table = join_records(frames, SCHEMA)
    write_records(table, output)
    print(
        f"{output}: {len(table)} rows, {table.shape[1]} columns. Next: "
        f"proxylm evaluate {output} --target COLUMN"
    )
