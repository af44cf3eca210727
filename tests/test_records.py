import copy
import json
import logging
import math
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from proxylm._remote import get_data_home
from proxylm.records import (
    SCORE_RANGES,
    Problem,
    RecordError,
    RecordSchema,
    check_records,
    concat,
    load_records,
    long_to_wide,
    make_records,
    read_records,
    validate,
    wide_to_long,
    write_records,
)

SCHEMA = RecordSchema(
    train_dataset="corpus",
    features=["size", "is_english"],
    indicators=["is_english"],
    proxies=["small"],
    target="big",
    standard_error="big_error",
    metric="BLEU",
    pivots=["eng"],
)


def table(**changes):
    columns = {
        "source_lang": ["eng", "eng", "ind", "jav"],
        "target_lang": ["ind", "jav", "eng", "eng"],
        "corpus": ["bible", "bible", "news", "news"],
        "size": [100, 250, 50, 70],
        "is_english": [0, 0, 1, 1],
        "small": [11.0, 0.0, 14.5, 9.0],
        "big": [31.5, 20.0, 40.0, 0.0],
        "big_error": [0.5, 0.4, 0.7, 0.1],
        "note": ["a", "b", "c", "d"],
    }
    return pd.DataFrame(columns | changes)


# RecordSchema


def test_schema_stores_lists_as_tuples():
    schema = RecordSchema(
        features=np.array(["a", "b"]), proxies=pd.Index(["c"]), score_range=[0, 1]
    )
    assert schema.features == ("a", "b")
    assert type(schema.features[0]) is str
    assert schema.proxies == ("c",)
    assert schema.score_range == (0.0, 1.0)
    assert schema.feature_names == ("a", "b", "c")


def test_schema_knows_its_languages():
    assert SCHEMA.languages == ("source_lang", "target_lang")
    assert replace(SCHEMA, source=None).languages == ("target_lang",)
    assert RecordSchema(source=None, target_language=None).languages == ()


def test_schema_knows_the_role_of_each_column():
    assert SCHEMA.columns["big"] == "target"
    assert SCHEMA.columns["small"] == "proxies"
    assert set(SCHEMA.columns) == set(table().columns) - {"note"}


@pytest.mark.parametrize("metric", SCORE_RANGES)
def test_range_follows_from_the_metric(metric):
    assert RecordSchema(metric=metric).range_ == SCORE_RANGES[metric]


def test_explicit_range_wins_and_no_metric_has_no_bounds():
    schema = RecordSchema(metric="BLEU", score_range=(0, math.inf))
    assert schema.range_ == (0.0, math.inf)
    assert RecordSchema().range_ == (-math.inf, math.inf)


def test_schema_is_a_value():
    assert replace(SCHEMA) == SCHEMA
    assert len({SCHEMA, replace(SCHEMA), RecordSchema()}) == 2
    assert pickle.loads(pickle.dumps(SCHEMA)) == SCHEMA
    assert copy.deepcopy(SCHEMA) == SCHEMA
    with pytest.raises(FrozenInstanceError):
        SCHEMA.target = "other"


def test_replaced_schema_is_checked_again():
    with pytest.raises(ValueError, match="each column in one role"):
        replace(SCHEMA, target="small")


@pytest.mark.parametrize(
    ("roles", "error", "message"),
    [
        ({"features": "size"}, TypeError, r"Write features=\['size'\]"),
        ({"features": 3}, TypeError, "features to be a list of names. Got 3"),
        ({"features": [3]}, TypeError, "features to hold names. Got 3"),
        ({"pivots": "eng"}, TypeError, r"Write pivots=\['eng'\]"),
        ({"target": ["big"]}, TypeError, "target to be the name of a column"),
        ({"source": ""}, TypeError, "source to be the name of a column"),
        ({"features": ["a", "b", "a"]}, ValueError, r"\['a'\] twice"),
        (
            {"features": ["a"], "proxies": ["a"]},
            ValueError,
            "'a' as features and as proxies",
        ),
        (
            {"target": "source_lang"},
            ValueError,
            "'source_lang' as source and as target",
        ),
        ({"indicators": ["a"]}, ValueError, r"Got \['a'\].*Add them to features"),
        ({"metric": "spbleu"}, ValueError, "Did you mean 'spBLEU'"),
        ({"metric": "meteor"}, ValueError, "'chrF2', 'TER'.*'meteor'.*score_range"),
        ({"score_range": (1, 0)}, ValueError, r"low < high. Got \(1, 0\)"),
        ({"score_range": (0, math.nan)}, ValueError, "low < high"),
        ({"score_range": 100}, ValueError, "two numbers"),
        ({"score_range": ("0", "1")}, ValueError, "two numbers"),
        ({"score_range": (0, None)}, ValueError, "inf"),
    ],
)
def test_schema_refuses_with_a_remedy(roles, error, message):
    with pytest.raises(error, match=message):
        RecordSchema(**roles)


def test_schema_survives_json():
    values = json.loads(json.dumps(SCHEMA.to_dict()))
    assert RecordSchema.from_dict(values) == SCHEMA
    assert values["features"] == ["size", "is_english"]


def test_schema_from_unknown_key_lists_the_known_and_the_nearest():
    with pytest.raises(ValueError, match=r"'standard_error'.*Did you mean 'features'"):
        RecordSchema.from_dict({"feature": ["size"]})
    with pytest.raises(TypeError, match="expects a mapping"):
        RecordSchema.from_dict(["features"])


names = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=6)


@given(
    names=names,
    cut=st.integers(0, 6),
    bounds=st.none() | st.tuples(st.floats(-9, 0), st.floats(1, 9)),
)
def test_any_schema_survives_its_dictionary_and_pickle(names, cut, bounds):
    schema = RecordSchema(
        source=None,
        target_language=None,
        features=names[:cut],
        proxies=names[cut:],
        indicators=names[:cut][::2],
        score_range=bounds,
    )
    assert RecordSchema.from_dict(schema.to_dict()) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert hash(RecordSchema.from_dict(schema.to_dict())) == hash(schema)
    assert list(schema.feature_names) == names


# validate


def problem_of(frame, schema=SCHEMA):
    (problem,) = validate(frame, schema)
    return problem


def test_good_table_has_no_problem():
    assert validate(table(), SCHEMA) == []
    check_records(table(), SCHEMA)


def test_real_scores_of_zero_are_no_problem():
    frame = table(big=[0.0, 0.0, 0.0, 0.0], small=[0, 0, 0, 0])
    assert validate(frame, SCHEMA) == []


def test_language_that_occurs_once_and_one_sided_languages_are_no_problem():
    frame = table(source_lang=["eng"] * 4, target_lang=["ind", "jav", "sun", "ind"])
    assert validate(frame, SCHEMA) == []


def test_missing_feature_values_are_no_problem():
    frame = table(size=[100, None, 50, 70], small=pd.array([1, None, 2, 3], "Int64"))
    assert validate(frame, SCHEMA) == []


def test_missing_column_is_named_with_its_role_and_the_nearest():
    problem = problem_of(table().rename(columns={"small": "small_"}))
    assert problem.column == "small"
    assert "as proxies" in problem.message
    assert "Did you mean 'small_'?" in problem.message


def test_missing_language_column_can_be_declared_absent():
    problem = problem_of(table().drop(columns="source_lang"))
    assert "source=None if the records have none" in problem.remedy


def test_duplicate_column_is_reported_once():
    frame = pd.concat([table(), table()[["small"]]], axis=1)
    assert problem_of(frame).column == "small"
    assert "Got it 2 times" in problem_of(frame).message


def test_empty_table_is_a_problem():
    assert "empty table" in problem_of(table().iloc[:0]).message


def test_one_language_is_a_problem():
    frame = table(source_lang=["ind"] * 4, target_lang=["ind"] * 4)
    assert "at least 2 languages. Got ['ind']" in problem_of(frame).message
    schema = replace(SCHEMA, source=None)
    assert problem_of(frame, schema).column == "target_lang"


def test_records_without_languages_need_none():
    schema = replace(SCHEMA, source=None, target_language=None, pivots=[])
    assert validate(table(), schema) == []


@pytest.mark.parametrize("cell", [None, np.nan, ""])
def test_missing_language_is_reported_with_its_row(cell):
    problem = problem_of(table(source_lang=["eng", cell, "ind", "jav"]))
    assert (problem.column, problem.rows) == ("source_lang", (1,))
    assert "empty cell" in problem.message


def test_unknown_language_is_reported_once_with_all_its_rows():
    problem = problem_of(table(target_lang=["ind", "xq9", "eng", "xq9"]))
    assert (problem.column, problem.rows) == ("target_lang", (1, 3))
    assert "'xq9'" in problem.message
    assert "nearest known codes" in problem.remedy


def test_language_that_is_no_text_is_reported():
    problem = problem_of(table(source_lang=["eng", 7, "ind", ["jav"]]).iloc[:2])
    assert problem.rows == (1,)
    assert "Got 7" in problem.message
    assert len(validate(table(source_lang=["eng", 7, "ind", ["jav"]]), SCHEMA)) == 2


def test_column_that_holds_no_languages_is_reported_briefly():
    frame = pd.DataFrame(
        {"source_lang": [f"text {i}" for i in range(500)], "target_lang": "ind"}
    )
    problems = validate(frame, RecordSchema())
    assert len(problems) == 21
    assert "Name the right column" in problems[20].remedy


def test_all_code_families_are_known():
    codes = ["id", "ind", "id-ID", "zho_Hans", "en_XX", "sl-SL", "zh-TW"]
    frame = pd.DataFrame({"source_lang": codes, "target_lang": "eng"})
    assert validate(frame, RecordSchema()) == []


def test_missing_target_is_reported_with_the_line_that_drops_it():
    problem = problem_of(table(big=[31.5, None, 40.0, None]))
    assert problem.rows == (1, 3)
    assert "frame.dropna(subset=['big'])" in problem.remedy


@pytest.mark.parametrize("column", ["big", "small", "size"])
def test_infinite_number_is_reported(column):
    frame = table(**{column: [1.0, 2.0, -np.inf, np.inf]})
    problem = problem_of(frame)
    assert (problem.column, problem.rows) == (column, (2, 3))
    assert "finite" in problem.message


@pytest.mark.parametrize("column", ["big", "small", "size", "big_error"])
def test_text_in_a_numeric_column_is_reported_with_its_row(column):
    problem = problem_of(table(**{column: [1.0, "n.a.", 3, 4]}))
    assert (problem.column, problem.rows) == (column, (1,))
    assert "'n.a.'" in problem.message
    assert "decimal point" in problem.remedy


def test_numbers_as_text_have_their_own_remedy():
    problem = problem_of(table(size=["1", "2", "3", "4"]))
    assert "pandas.to_numeric" in problem.remedy


@pytest.mark.parametrize(
    "cells", [pd.date_range("2020", periods=4), [1j, 2j, 3j, 4j], [[1], [2], [3], [4]]]
)
def test_cells_that_are_no_numbers_are_reported(cells):
    assert "Expected numbers" in problem_of(table(size=cells)).message


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2, None, 4], dtype=object),
        pd.Series([True, False, True, True]),
        pd.array([1.5, None, 2.0, 3.0], dtype="Float64"),
        pd.Series([1.5, 2, 3, 4], dtype="float32"),
        pd.Series([1, 2, 3, 4]).astype("category"),
    ],
)
def test_all_kinds_of_numbers_are_numbers(column):
    assert validate(table(size=column), SCHEMA) == []


def test_empty_feature_is_reported():
    problem = problem_of(table(size=[np.nan] * 4))
    assert problem.column == "size"
    assert "empty column" in problem.message


def test_indicator_is_zero_or_one():
    problem = problem_of(table(is_english=[0, 1, 2, None]))
    assert (problem.column, problem.rows) == ("is_english", (2,))
    assert "Got 2.0" in problem.message


def test_negative_standard_error_is_reported():
    problem = problem_of(table(big_error=[0.1, -0.1, None, 0.0]))
    assert (problem.column, problem.rows) == ("big_error", (1,))


@pytest.mark.parametrize("column", ["big", "small"])
def test_score_outside_the_range_of_its_metric_is_reported(column):
    problem = problem_of(table(**{column: [0.0, 100.0, 100.5, -1.0]}))
    assert (problem.column, problem.rows) == (column, (2, 3))
    assert "BLEU between 0 and 100. Got -1.0, 100.5" in problem.message


def test_ter_has_no_upper_bound_and_comet_none():
    frame = table(big=[-0.2, 120.0, 2398.1, 1.0])
    assert problem_of(frame, replace(SCHEMA, metric="TER")).rows == (0,)
    assert validate(frame, replace(SCHEMA, metric="comet")) == []


def test_repeated_record_is_reported_whatever_its_score():
    again = table(big=[1.0, 2.0, 3.0, 4.0], big_error=[0.9] * 4)
    frame = pd.concat([table(), again.iloc[[1]]])
    problem = problem_of(frame.reset_index(drop=True))
    assert problem.rows == (4,)
    assert "4 repeats 1" in problem.message


def test_same_features_in_another_data_set_are_another_record():
    frame = table().iloc[[1, 1]].assign(corpus=["bible", "news"])
    assert validate(frame, SCHEMA) == []


def test_column_without_a_role_tells_records_apart():
    frame = table().iloc[[1, 1]].assign(note=["first run", "second run"])
    assert validate(frame, SCHEMA) == []


def test_missing_values_do_not_hide_a_repeated_record():
    frame = table(size=[np.nan, 1, 2, 3])
    frame = pd.concat([frame, frame.iloc[[0]]], ignore_index=True)
    assert "4 repeats 0" in problem_of(frame).message


def test_every_problem_is_reported_at_once():
    frame = table(
        source_lang=["eng", "xq9", "ind", None],
        size=[1, 2, np.inf, 3],
        small=["a", "b", "c", "d"],
        big=[1, None, 101, 4],
        big_error=[-1, 0, 0, 0],
    ).drop(columns="is_english")
    with pytest.raises(RecordError) as caught:
        check_records(frame, SCHEMA)
    columns = [problem.column for problem in caught.value.problems]
    assert columns == [
        "is_english",
        "source_lang",
        "source_lang",
        "size",
        "small",
        "big",
        "big_error",
        "big",
    ]
    message = str(caught.value)
    assert message.startswith("The record table has 8 problems:\n- column")
    assert len(message.splitlines()) == 9
    assert isinstance(caught.value, ValueError)


def test_single_problem_is_one_line():
    with pytest.raises(RecordError, match="has a problem: column 'big', row 0"):
        check_records(table(big=[None, 1, 2, 3]), SCHEMA)


def test_error_survives_pickling_between_workers():
    error = RecordError([Problem("big", (1,), "Expected.", "Mend.")])
    again = pickle.loads(pickle.dumps(error))
    assert again.problems == error.problems
    assert str(again) == str(error)


def test_rows_are_named_by_their_labels_and_shortened():
    frame = table(big=[None] * 4).set_axis(["w", "x", "y", "z"])
    assert "rows w, x, y, z: " in str(problem_of(frame))
    assert str(Problem(None, tuple(range(9)), "M.", "R.")) == (
        "rows 0, 1, 2, 3, 4 and 4 more: M. R."
    )
    assert str(Problem(None, (), "M.", "R.")) == "table: M. R."


def test_equal_row_labels_do_not_confuse():
    frame = pd.concat([table(), table()])
    assert problem_of(frame).rows == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("frame", "schema"), [([[1]], SCHEMA), (table(), {"target": "big"})]
)
def test_validate_refuses_other_types(frame, schema):
    with pytest.raises(TypeError, match="expected in a"):
        validate(frame, schema)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(4)), shift=st.integers(-5, 5))
def test_problems_do_not_depend_on_the_order_of_rows(order, shift):
    frame = table(
        source_lang=["eng", "xq9", None, "jav"],
        size=[1, "x", np.inf, 2],
        big=[1, 200, None, 3],
    )
    frame.index += shift
    expected = validate(frame, SCHEMA)
    found = validate(frame.iloc[list(order)], SCHEMA)
    assert [(p.column, sorted(p.rows)) for p in found] == [
        (p.column, sorted(p.rows)) for p in expected
    ]


# make_records


def test_records_are_taken_apart():
    records = make_records(table(), SCHEMA, "Four records.")
    names = ["size", "is_english", "small"]
    assert records.feature_names == names
    assert list(records.data.columns) == ["source_lang", "target_lang", *names]
    assert set(records.data[names].dtypes) == {np.dtype(float)}
    assert records.data.attrs["schema"] is SCHEMA
    assert records.schema is SCHEMA
    assert records.target.tolist() == [31.5, 20.0, 40.0, 0.0]
    assert records.target.name == "big"
    assert records.groups.equals(records.data[["source_lang", "target_lang"]])
    assert records.strata.tolist() == ["rare"] * 4
    assert records.dataset is None
    assert records.DESCR == "Four records."
    assert list(records.frame.columns) == list(table().columns)


def test_all_parts_have_the_index_from_zero():
    records = make_records(table().set_axis([7, 3, 3, 1]), SCHEMA)
    for part in ("frame", "data", "target", "groups", "strata"):
        assert records[part].index.equals(pd.RangeIndex(4)), part


def test_records_are_a_copy():
    frame = table()
    records = make_records(frame, SCHEMA)
    frame.loc[0, "big"] = 99.0
    assert records.frame.loc[0, "big"] == 31.5
    records.frame.loc[1, "size"] = -1
    assert records.data.loc[1, "size"] == 250
    assert frame.loc[1, "size"] == 250


def test_schema_travels_with_the_data():
    data = make_records(table(), SCHEMA).data
    for part in (data.iloc[[0, 2]], data.take([1]), pickle.loads(pickle.dumps(data))):
        assert part.attrs["schema"] == SCHEMA


def test_records_to_be_predicted_need_no_target():
    schema = replace(SCHEMA, target=None, standard_error=None)
    records = make_records(table().drop(columns=["big", "big_error"]), schema)
    assert records.target is None


def test_records_without_source_have_one_stratum():
    records = make_records(table(), replace(SCHEMA, source=None))
    assert records.strata.tolist() == ["all"] * 4
    assert list(records.groups.columns) == ["target_lang"]


def test_records_without_languages_have_groups_without_columns():
    schema = replace(SCHEMA, source=None, target_language=None)
    assert make_records(table(), schema).groups.shape == (4, 0)


def test_strata_can_be_given():
    records = make_records(table(), SCHEMA, strata=["same", "same", "other", "same"])
    assert records.strata.tolist() == ["same", "same", "other", "same"]
    with pytest.raises(ValueError, match=r"each of the 4 records. Got .*\(3,\)"):
        make_records(table(), SCHEMA, strata=["same", "same", "other"])


def test_data_set_labels_are_given_where_they_are_named():
    schema = replace(SCHEMA, train_dataset=None, dataset="corpus")
    records = make_records(table(), schema)
    assert records.dataset.tolist() == ["bible", "bible", "news", "news"]


def test_two_codes_of_one_language_are_warned_of():
    frame = table(source_lang=["eng", "eng", "id", "jav"])
    with pytest.warns(UserWarning, match=r"several: id and ind\. .*to_iso639_3"):
        make_records(frame, SCHEMA)


def test_language_codes_stay_as_they_are():
    frame = table(source_lang=pd.Categorical(["zh-CN", "zh-TW", "iw", "sl-SL"]))
    assert make_records(frame, SCHEMA).groups["source_lang"].tolist() == [
        "zh-CN",
        "zh-TW",
        "iw",
        "sl-SL",
    ]


def test_make_records_refuses_bad_tables():
    with pytest.raises(RecordError, match="empty cell"):
        make_records(table(big=[1, 2, 3, None]), SCHEMA)


# read_records


@pytest.mark.parametrize(
    "name", ["t.csv", "t.tsv", "t.parquet", "T.CSV", "v1.2.csv.gz"]
)
def test_table_is_read_by_its_suffix(tmp_path, name):
    path = tmp_path / name
    if "parquet" in name:
        table().to_parquet(path)
    else:
        table().to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    frame = read_records(path, SCHEMA)
    pd.testing.assert_frame_equal(frame, table(), check_dtype=False)
    assert validate(frame, SCHEMA) == []


def test_labels_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "source_lang,target_lang,corpus,test,size\nnan,na,null,007,1\nid,,NA,10,NA\n",
        encoding="utf-8-sig",
    )
    schema = RecordSchema(train_dataset="corpus", test_dataset="test")
    frame = read_records(path, schema)
    assert frame["source_lang"].tolist() == ["nan", "id"]
    assert frame["target_lang"].tolist() == ["na", ""]
    assert frame["corpus"].tolist() == ["null", "NA"]
    assert frame["test"].tolist() == ["007", "10"]
    assert frame["size"].isna().tolist() == [False, True]
    (problem,) = validate(frame, RecordSchema())
    assert (problem.column, problem.rows) == ("target_lang", (1,))


def test_nameless_first_column_is_the_index(tmp_path):
    path = tmp_path / "t.csv"
    table().set_axis([4, 5, 6, 7]).to_csv(path)
    frame = read_records(path)
    assert list(frame.columns) == list(table().columns)
    assert frame.index.tolist() == [4, 5, 6, 7]


def test_duplicate_names_in_the_file_are_seen(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_lang,target_lang,size,size\nid,jv,1,2\n")
    (problem,) = validate(read_records(path), RecordSchema())
    assert "column 'size': Expected each column name once" in str(problem)


def test_table_without_rows_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("source_lang,target_lang,size\n")
    (problem,) = validate(read_records(path), RecordSchema())
    assert "empty table" in problem.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "No columns"),
        ("t.csv", b"a;b;c\n1;2;3\n", "one column name, 'a;b;c'"),
        ("t.csv", b"a;b\n1,5;2,5\n", "one column name, 'a;b'"),
        ("t.tsv", b"a,b,c\n1,2,3\n", r"Separate them by '\\t'"),
        ("t.csv", b"a,b\n1,2,3\n4,5,6\n", "line 2"),
        ("t.csv", b",a,b\n1,2,3,4\n4,5,6,7\n", "line 2"),
        ("t.csv", b"a,b\n1,2\n4,5,6\n", "line 3"),
        ("t.csv", b"a,b\n\xff\xfe,2\n", "UTF-8. Got the byte 0xff"),
        ("t.csv.gz", b"a,b\n1,2\n", "gzip"),
        ("t.parquet", b"a,b\n1,2\n", "Parquet"),
    ],
)
def test_unreadable_file_is_one_clear_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_records(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_are_read_to_the_last_digit(tmp_path):
    numbers = np.random.default_rng(0).uniform(0, 60, 1000)
    table = pd.DataFrame({"score": numbers})
    table.to_csv(tmp_path / "t.csv", index=False)
    assert read_records(tmp_path / "t.csv")["score"].equals(table["score"])


def test_missing_file_and_unknown_suffix_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Could not open .*t\.csv: No such"):
        read_records(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match=r"t\.parquet"):
        read_records(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"\['.csv', '.tsv', '.parquet'\]. Got .*xlsx"):
        read_records(tmp_path / "t.xlsx")


# long and wide tables

LONG = pd.DataFrame(
    {
        "lang": ["ind", "ind", "jav", "ind", "jav"],
        "size": [5, 5, 6, 5, 6],
        "model": ["small", "big", "small", "small", "small"],
        "metric": ["bleu", "bleu", "bleu", "ter", "ter"],
        "value": [20.0, 30.0, 10.0, 60.0, 80.0],
        "error": [0.2, 0.3, 0.1, 0.6, 0.8],
    }
)


def test_long_table_becomes_wide():
    wide = long_to_wide(LONG, standard_error="error")
    expected = pd.DataFrame(
        {
            "lang": ["ind", "jav"],
            "size": [5, 6],
            "small_bleu": [20.0, 10.0],
            "small_bleu_se": [0.2, 0.1],
            "big_bleu": [30.0, np.nan],
            "big_bleu_se": [0.3, np.nan],
            "small_ter": [60.0, 80.0],
            "small_ter_se": [0.6, 0.8],
        }
    )
    pd.testing.assert_frame_equal(wide, expected)


def test_index_names_the_columns_that_tell_records_apart():
    wide = long_to_wide(LONG.drop(columns="error"), index=["lang"])
    assert wide["size"].tolist() == [5, 6]
    with pytest.raises(ValueError, match=r"'error' to be constant .*\[0, 1, 2, 3, 4\]"):
        long_to_wide(LONG, index=["lang"])


def test_long_columns_may_have_other_names():
    frame = LONG.rename(columns={"model": "m", "metric": "k", "value": "v"})
    wide = long_to_wide(frame.drop(columns="error"), model="m", metric="k", value="v")
    assert list(wide.columns) == ["lang", "size", "small_bleu", "big_bleu", "small_ter"]


def test_records_with_missing_features_are_kept():
    wide = long_to_wide(LONG.drop(columns="error").assign(size=np.nan))
    assert len(wide) == 2


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (LONG.drop(columns="metric"), "expects the column 'metric'"),
        (LONG[["model", "metric", "value"]], "at least one column"),
        (LONG.assign(error=0, model=["a", None, "a", "a", "a"]), r"empty cell.*\[1\]"),
        (pd.concat([LONG, LONG.iloc[[0]]]), r"another one in the rows \[0\]"),
        (
            pd.concat([LONG.assign(error=0)] * 2),
            r"rows \[0, 1, 2, 3, 4\]\. Average",
        ),
        (
            pd.concat([LONG, LONG.assign(lang=[*"abcde"])] * 2, ignore_index=True),
            r"rows \[10, 11, 12, 13, 14\] and others",
        ),
        (
            LONG.assign(
                error=0,
                model=["a_b", "a", "a", "a", "a"],
                metric=["c", "b_c", "x", "y", "z"],
            ),
            r"'a_b_c' from \[\('a_b', 'c'\), \('a', 'b_c'\)\]",
        ),
        (LONG.assign(error=0, small_bleu=0), "would write the column 'small_bleu'"),
    ],
)
def test_long_table_that_makes_no_sense_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        long_to_wide(frame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["small", "giant"]}, "for the model 'giant'"),
        ({"metrics": ["bleu", "chrf"]}, "for the metric 'chrf'"),
        ({"model": "lang"}, "would write the column 'lang'"),
        ({"standard_error": "se"}, "expects the column 'small_bleu_se'"),
    ],
)
def test_wide_table_without_the_scores_is_refused(changes, message):
    wide = long_to_wide(LONG.drop(columns="error"))
    options = {"models": ["small", "big"], "metrics": ["bleu", "ter"]} | changes
    with pytest.raises(ValueError, match=message):
        wide_to_long(wide, **options)


def test_wide_table_becomes_long_again():
    wide = long_to_wide(LONG, standard_error="error")
    long = wide_to_long(wide, ["small", "big"], ["bleu", "ter"], standard_error="error")
    keys = ["lang", "model", "metric"]
    pd.testing.assert_frame_equal(
        long.sort_values(keys, ignore_index=True),
        LONG.sort_values(keys, ignore_index=True),
    )


@settings(deadline=None)
@given(
    scores=st.dictionaries(
        st.tuples(
            st.sampled_from(["ind", "jav", "nan", None]),
            st.sampled_from(["small", "big"]),
            st.sampled_from(["bleu", "ter"]),
        ),
        st.floats(-1e6, 1e6),
        min_size=1,
    )
)
def test_long_to_wide_and_back_is_the_same_table(scores):
    long = pd.DataFrame([*scores], columns=["lang", "model", "metric"], dtype=object)
    long["value"] = [*scores.values()]
    wide = long_to_wide(long)
    assert len(wide) == long["lang"].nunique(dropna=False)
    again = wide_to_long(wide, long["model"].unique(), long["metric"].unique())
    keys = ["lang", "model", "metric"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys, ignore_index=True),
        long.sort_values(keys, ignore_index=True),
        check_dtype=False,
    )


# load_records

ROLES = {"target": "big", "proxies": ["small"], "metric": "BLEU"}


@pytest.mark.parametrize(
    "counts", [[1, 4], [4, 4, 1], [5, 3, 1, 1], [1] * 7, [2] * 20, [4, 4, 4, 4, 2]]
)
def test_rare_languages_share_a_stratum_that_a_random_split_can_keep(counts):
    codes = ["ind", "jav", "sun", "min", "deu", "fra", "ita", "spa", "por", "nld"]
    codes += ["swe", "dan", "fin", "est", "lav", "lit", "pol", "ces", "slk", "hun"]
    source = np.repeat(codes[: len(counts)], counts)
    frame = pd.DataFrame({"source_lang": source, "size": range(len(source)), "big": 1})
    records = load_records(frame, target_language=None, target="big")
    train, test = train_test_split(
        np.arange(len(source)), test_size=0.3, stratify=records.strata, random_state=0
    )
    assert len(train) + len(test) == len(source)
    kept = records.strata[records.strata == source]
    assert set(kept) == {c for c, n in zip(codes, counts, strict=False) if n >= 4}


def test_own_table_is_loaded_by_the_names_of_its_scores(tmp_path, caplog):
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)
    with caplog.at_level(logging.INFO, "proxylm"):
        records = load_records(path, exclude=["big_error"], **ROLES)
    assert records.feature_names == ["size", "is_english", "small"]
    assert records.schema == RecordSchema(features=["size", "is_english"], **ROLES)
    assert "size, is_english" in caplog.text
    assert str(path) in records.DESCR


def test_features_can_be_named():
    records = load_records(table(), features=["size"], **ROLES)
    assert records.feature_names == ["size", "small"]


def test_schema_is_taken_at_its_word_and_roles_replace_its_fields(tmp_path):
    path = tmp_path / "t.parquet"
    table().to_parquet(path)
    assert load_records(path, schema=SCHEMA).schema == SCHEMA
    records = load_records(
        path, schema=SCHEMA, target="is_english", features=[], indicators=[]
    )
    assert records.schema.target == "is_english"
    assert records.feature_names == ["small"]


def test_found_features_leave_out_text_empty_and_role_columns():
    frame = table(empty=[np.nan] * 4, day=pd.date_range("2020", periods=4), ok=True)
    records = load_records(
        frame,
        train_dataset="corpus",
        standard_error="big_error",
        indicators=["ok"],
        **ROLES,
    )
    assert records.schema.features == ("size", "is_english", "ok")
    assert records.schema.indicators == ("ok",)


def test_stray_text_in_a_found_feature_is_reported_and_not_dropped(tmp_path):
    path = tmp_path / "t.csv"
    table(size=["100", "250", "unknown", "70"]).to_csv(path, index=False)
    with pytest.raises(RecordError, match=r"'size', row 2: .* Got 'unknown'\."):
        load_records(path, exclude=["big_error"], **ROLES)


@pytest.mark.parametrize("cells", [["1,250", "12,5"], ["7 %", "8%"], ["1.250,5", ""]])
def test_numbers_written_in_another_way_are_reported_and_not_dropped(tmp_path, cells):
    path = tmp_path / "t.csv"
    table(size=[*cells, *cells]).to_csv(path, index=False)
    with pytest.raises(RecordError, match=r"'size'.* Expected numbers"):
        load_records(path, exclude=["big_error"], **ROLES)


def test_stray_text_hides_no_other_problem_of_its_column(tmp_path):
    path = tmp_path / "t.csv"
    table(big=["20", "n.a.", "", "120"]).to_csv(path, index=False)
    with pytest.raises(RecordError) as caught:
        load_records(path, exclude=["big_error"], **ROLES)
    assert [problem.rows for problem in caught.value.problems] == [(1,), (2,), (3,)]


def test_column_names_that_are_no_text_are_named():
    with pytest.raises(TypeError, match=r"features to hold names\. Got 0"):
        load_records(table().rename(columns={"size": 0}), **ROLES)


def test_duplicate_column_of_an_own_table_is_reported():
    frame = pd.concat([table(), table()[["size"]]], axis=1)
    with pytest.raises(RecordError, match="'size': Expected each column name once"):
        load_records(frame, **ROLES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"exclude": ["big_eror"]}, ValueError, "Did you mean 'big_error'"),
        ({"exclude": ["size"], "features": ["size"]}, ValueError, "not named"),
        ({"exclude": ["size"], "schema": SCHEMA}, ValueError, "not named"),
        ({"layout": "tall"}, ValueError, "'wide' or 'long'. Got 'tall'"),
        ({"proxy": ["small"]}, TypeError, "Did you mean 'proxies'"),
        ({"target": "giant"}, RecordError, "'giant'"),
    ],
)
def test_load_records_refuses_with_a_remedy(options, error, message):
    with pytest.raises(error, match=message):
        load_records(table(), **options)


def test_long_table_is_loaded_without_scores_among_the_features(tmp_path):
    long = wide_to_long(
        table()
        .rename(columns={"small": "small_BLEU", "big": "big_BLEU"})
        .assign(small_TER=[90.0, 80.0, 70.0, 60.0])
        .drop(columns=["big_error", "note"]),
        models=["small", "big"],
        metrics=["BLEU", "TER"],
    ).assign(standard_error=0.5)
    path = tmp_path / "t.csv"
    long.to_csv(path, index=False)
    records = load_records(
        path,
        layout="long",
        target="big_BLEU",
        standard_error="big_BLEU_se",
        proxies=["small_BLEU"],
        metric="BLEU",
    )
    assert records.feature_names == ["size", "is_english", "small_BLEU"]
    assert records.target.tolist() == [31.5, 20.0, 40.0, 0.0]
    assert "small_TER" in records.frame


# concat


@pytest.fixture
def bible():
    return make_records(table(), SCHEMA, "Bible.", strata=["x", "y", "x", "y"])


@pytest.fixture
def news():
    frame = table(
        source_lang=["en", "id", "id", "jv"], target_lang=["id", "en", "jv", "id"]
    )
    schema = replace(SCHEMA, features=["size"], indicators=[], pivots=["ind"])
    return make_records(frame.drop(columns=["is_english", "note"]), schema, "News.")


@pytest.mark.filterwarnings("ignore:Codes of one language")
def test_joined_tables_keep_what_they_share(bible, news, caplog):
    with caplog.at_level(logging.INFO, "proxylm"):
        records = concat({"bible": bible, "news": news})
    assert "not all tables have them: ['is_english']" in caplog.text
    assert records.feature_names == ["size", "small"]
    assert records.schema.indicators == ()
    assert records.schema.pivots == ("eng", "ind")
    assert records.schema.dataset == "dataset"
    assert records.schema.train_dataset == "corpus"
    assert records.schema.standard_error == "big_error"
    assert records.dataset.tolist() == ["bible"] * 4 + ["news"] * 4
    assert "is_english" not in records.frame
    assert "note" not in records.frame
    assert records.target.tolist() == bible.target.tolist() + news.target.tolist()
    assert records.data.index.equals(pd.RangeIndex(8))
    assert "Bible." in records.DESCR and "News." in records.DESCR


def test_order_of_features_is_that_of_the_first_table(bible, news):
    other = make_records(
        table(), replace(SCHEMA, features=["is_english", "size"]), "Other."
    )
    joined = concat({"a": bible, "b": other})
    assert joined.feature_names == ["size", "is_english", "small"]
    assert joined.schema.indicators == ("is_english",)
    assert concat({"b": other, "a": bible}).feature_names[0] == "is_english"


def test_strata_of_joined_tables_are_told_apart(bible):
    strata = concat({"a": bible, "b": bible}).strata.tolist()
    assert strata == [0, 1, 0, 1, 2, 3, 2, 3]


def test_language_codes_are_unified_on_request(bible, news):
    with pytest.warns(UserWarning, match="several: en and eng, id and ind, jav and jv"):
        as_is = concat({"bible": bible, "news": news})
    assert set(as_is.groups["source_lang"]) == {"eng", "en", "ind", "id", "jav", "jv"}
    unified = concat({"news": news, "bible": bible}, languages="iso639_3")
    assert set(unified.groups["source_lang"]) == {"eng", "ind", "jav"}
    assert unified.frame["source_lang"].equals(unified.groups["source_lang"])
    assert unified.schema.pivots == ("ind", "eng")


def test_columns_of_another_name_are_renamed_as_in_the_first(bible):
    names = {"big": "large", "source_lang": "src", "corpus": "text"}
    schema = replace(
        SCHEMA, target="large", source="src", train_dataset="text", standard_error=None
    )
    other = make_records(
        table().rename(columns=names).drop(columns="big_error"), schema
    )
    records = concat({"bible": bible, "other": other})
    assert records.schema.target == "big"
    assert records.schema.standard_error is None
    assert records.frame["source_lang"].notna().all()
    assert records.frame["corpus"].tolist() == ["bible", "bible", "news", "news"] * 2
    assert not {"large", "src", "text"} & set(records.frame.columns)


@pytest.mark.filterwarnings("ignore:Codes of one language")
def test_joined_tables_can_be_joined_again(bible, news):
    both = concat({"bible": bible, "news": news})
    records = concat({"both": both, "bible": bible})
    assert records.dataset.tolist() == ["both"] * 8 + ["bible"] * 4


def test_tables_without_target_can_be_joined():
    schema = replace(SCHEMA, target=None)
    records = make_records(table(), schema)
    assert concat({"a": records, "b": records}).target is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "chrF2"}, "one metric and range.*'BLEU'.*'chrF2'"),
        ({"score_range": (0, 200)}, "one metric and range"),
        (
            {"target": "is_english", "features": [], "indicators": []},
            "'is_english' as the target",
        ),
        ({"target": None}, "a target in all tables or in none"),
        ({"source": None}, "the same language columns"),
        (
            {"features": ["big_error"], "proxies": [], "indicators": []}
            | {"standard_error": None},
            "feature or a proxy that all tables have",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(bible, changes, message):
    other = make_records(table(), replace(SCHEMA, **changes))
    with pytest.raises(ValueError, match=message):
        concat({"bible": bible, "other": other})


def test_label_column_is_not_overwritten(bible):
    other = make_records(table(dataset=1), SCHEMA)
    with pytest.raises(ValueError, match="Give another one as column"):
        concat({"bible": bible, "other": other})
    records = concat({"bible": bible, "other": other}, column="origin")
    assert records.schema.dataset == "origin"


@pytest.mark.parametrize("tables", [{}, [1], {"a": table()}])
def test_concat_refuses_other_types(tables):
    with pytest.raises(TypeError, match="concat expects"):
        concat(tables)


def test_concat_refuses_unknown_language_option(bible):
    with pytest.raises(ValueError, match="'as_is' or 'iso639_3'"):
        concat({"bible": bible}, languages="iso")


# the published tables

PUBLISHED = {
    "mt560": ("m2m100_ft_spBLEU_mean", "spBLEU", 1954),
    "nusa": ("nllb_ft_TER_mean", "TER", 224),
    "intent": ("aya_accuracy", "accuracy", 2601),
    "slot": ("llama3_f1", "f1", 2601),
}


@pytest.mark.records
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_tables_are_valid(name):
    path = get_data_home() / f"{name}_experiments.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not in PROXYLM_DATA")
    target, metric, n_records = PUBLISHED[name]
    records = load_records(path, target=target, metric=metric)
    assert len(records.data) == n_records


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet"])
def test_a_table_is_read_as_it_was_written(tmp_path, name):
    frame = pd.DataFrame(
        {"source_lang": ["eng", "nan"], "score": [0.1 + 0.2, np.nan]}, index=[5, 7]
    )
    write_records(frame, tmp_path / "new" / name)
    found = read_records(tmp_path / "new" / name)
    pd.testing.assert_frame_equal(found, frame.reset_index(drop=True))


def test_a_table_is_written_under_a_name_that_tells_its_format(tmp_path):
    with pytest.raises(ValueError, match=r"end in one of .* Got '.*a\.txt'"):
        write_records(pd.DataFrame(), tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "left_out"),
    [
        ("big_ft_BLEU_mean", ["big_ft_BLEU_se", "big_ft_TER_mean", "big_ft_TER_se"]),
        ("big_ft_BLEU_se", []),
        ("small_accuracy", ["small_f1"]),
        ("big_ft_TER_mean", ["big_ft_BLEU_mean", "big_ft_BLEU_se", "big_ft_TER_se"]),
    ],
)
def test_other_scores_of_the_target_are_no_features(target, left_out, caplog):
    names = ["big_ft_BLEU_mean", "big_ft_BLEU_se", "big_ft_TER_mean", "big_ft_TER_se"]
    names += ["big_noft_BLEU_mean", "small_accuracy", "small_f1", "size"]
    frame = pd.DataFrame(
        {"source_lang": "eng", "target_lang": ["ind", "jav", "sun"]}
        | {name: [1.0, 2.0, 3.0] for name in names}
    )
    with caplog.at_level("INFO"):
        records = load_records(frame, target=target)
    expected = [name for name in names if name != target and name not in left_out]
    assert records.feature_names == expected
    assert all(name in caplog.text for name in left_out)
    named = load_records(frame, target=target, features=["big_noft_BLEU_mean", "size"])
    assert named.feature_names == ["big_noft_BLEU_mean", "size"]
    for name in left_out:
        assert load_records(frame, target=target, features=[name]).feature_names == [
            name
        ]


def test_records_to_be_predicted_may_be_of_one_language():
    frame = pd.DataFrame({"target_lang": ["ind", "ind"], "size": [1.0, 2.0]})
    schema = RecordSchema(source=None, features=["size"])
    assert make_records(frame, schema).groups["target_lang"].tolist() == ["ind"] * 2
    taught = replace(schema, target="bleu")
    with pytest.raises(RecordError, match="at least 2 languages"):
        make_records(frame.assign(bleu=[3.0, 4.0]), taught)
