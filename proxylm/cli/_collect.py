"""The command `records collect`: results of experiments in, a record table out."""

from pathlib import Path
from typing import Any

import proxylm
from proxylm.records import write_records
from proxylm.records._tables import table_suffix


def collect_records(folder: Path, output: Path, **options: Any) -> None:
    """Write the table of the results in a folder."""
    table_suffix(output)  # says at once if the name is none
    table = proxylm.read_experiments(folder, **options)
    write_records(table, output)
    print(f"{output}: {len(table)} rows, {table.shape[1]} columns.")
