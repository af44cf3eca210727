"""What a record is: roles of columns, validation, reading and joining of tables."""

from proxylm.records._bunch import load_records, make_records
from proxylm.records._concat import concat
from proxylm.records._join import join_records
from proxylm.records._problems import Problem, RecordError
from proxylm.records._schema import SCORE_RANGES, RecordSchema
from proxylm.records._tables import (
    long_to_wide,
    read_records,
    wide_to_long,
    write_records,
)
from proxylm.records._validation import check_records, validate

__all__ = [
    "SCORE_RANGES",
    "Problem",
    "RecordError",
    "RecordSchema",
    "check_records",
    "concat",
    "join_records",
    "load_records",
    "long_to_wide",
    "make_records",
    "read_records",
    "validate",
    "wide_to_long",
    "write_records",
]
