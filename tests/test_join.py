"""Record tables side by side: what matches, what does not, and the command."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxylm.cli import main
from proxylm.records import RecordSchema, join_records

KEYS = ["source_lang", "target_lang", "train_dataset", "dataset_size", "test_dataset"]


def records(**changes):
    """Return scores of two sizes and a third record."""
    columns = {
        "source_lang": ["eng", "eng", "ind"],
        "target_lang": ["ind", "ind", "eng"],
        "train_dataset": "bible",
        "dataset_size": [100, 500, 100],
        "test_dataset": "flores",
        "bleu": [20.0, 30.0, 10.0],
    }
    return pd.DataFrame({**columns, **changes})


def features(**changes):
    """Return what is known of the languages of the same records."""
    columns = {
        "source_lang": ["ind", "eng"],
        "target_lang": ["eng", "ind"],
        "genetic": [0.7, 0.8],
    }
    return pd.DataFrame({**columns, **changes})


def join(**tables):
    return join_records(tables)


def test_a_table_with_fewer_keys_gives_its_columns_to_several_rows():
    found = join(a=records(), b=features())
    pd.testing.assert_frame_equal(found, records(genetic=[0.8, 0.8, 0.7]))


def test_a_table_with_all_keys_is_matched_by_all_of_them():
    other = records(bleu=[1, 2, 3]).rename(columns={"bleu": "size"})
    found = join(a=records(), b=other[::-1])
    pd.testing.assert_frame_equal(found, records(size=[1, 2, 3]))


def test_tables_are_joined_from_left_to_right_on_columns_that_came_later():
    names = records()[["source_lang", "target_lang", "test_dataset"]].drop_duplicates()
    first = names[["source_lang", "target_lang"]]
    by_test = names.assign(length=[7, 8])
    domain = pd.DataFrame({"test_dataset": ["flores"], "n_domains": [3]})
    found = join(a=first, b=by_test, c=domain)
    assert found["length"].tolist() == [7, 8]
    assert found["n_domains"].tolist() == [3, 3]
    assert list(found.index) == [0, 1]


def test_tables_are_left_as_they_were():
    tables = {"a": records(), "b": features()}
    join_records(tables)
    pd.testing.assert_frame_equal(tables["a"], records())
    pd.testing.assert_frame_equal(tables["b"], features())


def test_rows_without_a_match_are_counted_and_have_missing_values():
    other = features(target_lang=["eng", "jav"])
    with pytest.warns(UserWarning) as caught:
        found = join(a=records(), b=other)
    (warning,) = caught
    message = str(warning.message)
    assert "2 of 3 rows of 'a' have no match in 'b'" in message
    assert "1 of 2 rows of 'b' match no row of 'a', and are left out" in message
    assert warning.filename == __file__
    assert found["genetic"].isna().tolist() == [True, True, False]
    assert found["bleu"].tolist() == [20, 30, 10]


@pytest.mark.parametrize(
    "code, other", [("ind", "id"), ("ind", "IND"), ("ind", "ind_Latn"), ("nan", None)]
)
def test_codes_are_compared_as_they_are_written(code, other):
    with pytest.warns(UserWarning, match="as they are written"):
        found = join(
            a=pd.DataFrame({"target_lang": [code], "bleu": 1.0}),
            b=pd.DataFrame({"target_lang": [other], "genetic": 0.5}),
        )
    assert found["genetic"].isna().all()


@pytest.mark.parametrize(
    "sizes", [[100.0, 500.0, 100.0], ["100", "500", "100"], ["100", "all", "100"]]
)
def test_sizes_are_numbers_however_they_are_stored(sizes):
    ours = records()
    if "all" in sizes:
        ours["dataset_size"] = [100, "all", 100]
    for own in (ours, ours.astype({"dataset_size": object})):
        other = records(dataset_size=sizes, bleu=[1, 2, 3])
        found = join(a=own, b=other.rename(columns={"bleu": "x"}))
        assert found["x"].tolist() == [1, 2, 3]


def test_categories_and_text_are_the_same():
    other = features().astype({"source_lang": "category", "target_lang": object})
    found = join(a=records(), b=other)
    assert found["genetic"].tolist() == [0.8, 0.8, 0.7]


@pytest.mark.parametrize("none", [None, ""])  # in memory, and as it is read
def test_a_model_as_it_is_has_neither_training_set_nor_size(none):
    ours = records(train_dataset=["bible", "bible", none], dataset_size=[1, 2, None])
    other = records()[:2].assign(dataset_size=[1, 2]).rename(columns={"bleu": "x"})
    with pytest.warns(UserWarning, match="1 of 3 rows of 'a'"):
        found = join(a=ours, b=other)
    assert found["x"].isna().tolist() == [False, False, True]
    both = join(a=ours, b=ours.rename(columns={"bleu": "x"}))
    assert both["x"].tolist() == [20, 30, 10]


def test_a_schema_names_other_columns():
    schema = RecordSchema(source=None, target_language="lang", train_dataset="corpus")
    ours = pd.DataFrame(
        {"lang": ["a", "b"], "corpus": "x", "n": [1, 2], "bleu": [3, 4]}
    )
    other = pd.DataFrame({"n": [2, 1], "lang": ["b", "a"], "y": [5, 6]})
    found = join_records({"a": ours, "b": other}, schema, size="n")
    assert found["y"].tolist() == [6, 5]


@pytest.mark.parametrize(
    "other, message",
    [
        (
            pd.DataFrame({"text": ["x"]}),
            "columns that name records, among ['source_lang'",
        ),
        (
            features(bleu=1.0),
            "Got 'bleu' in 'a' and in 'b'. Remove or rename it in one of them.",
        ),
        (
            records()[[*KEYS]].iloc[[0, 1, 1, 2]].set_axis([3, 5, 7, 9]),
            "at most one row of 'b' for a row of 'a'. Got the rows 5, 7 for "
            "source_lang 'eng', target_lang 'ind', train_dataset 'bible', dataset_size "
            "500, test_dataset 'flores', and several for 1 rows in all.",
        ),
        (
            records(dataset_size=[100, None, 100]).drop(columns="bleu"),
            "'dataset_size' in every row of 'b' with a training set, as in 'a'. Got an "
            "empty cell in the rows 1. Write how many",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(other, message):
    with pytest.raises(ValueError) as caught:
        join(a=records(), b=other)
    assert message in str(caught.value)


def test_tables_without_a_key_in_common_are_refused():
    ours = pd.DataFrame({"source_lang": ["eng"], "bleu": [1.0]})
    other = pd.DataFrame({"target_lang": ["ind"], "x": [1.0]})
    third = ours[["source_lang"]].assign(y=2)
    with pytest.raises(ValueError, match="in common with 'a', 'c'"):
        join(a=ours, c=third, b=other)


def test_the_first_table_may_lack_the_size_of_all_pairs_too():
    ours = records(dataset_size=[100, None, 100])
    other = records(dataset_size=[100, None, 100]).rename(columns={"bleu": "x"})
    assert join(a=ours, b=other)["x"].tolist() == [20, 30, 10]
    with pytest.raises(ValueError, match="every row of 'a' with a training set"):
        join(a=ours, b=records().rename(columns={"bleu": "x"}))


def test_a_table_that_tells_more_apart_goes_first():
    with pytest.raises(ValueError, match="Got the rows 0, 1 for source_lang 'eng'"):
        join(b=features(), a=records())


@pytest.mark.parametrize(
    "tables, error",
    [
        ([records(), features()], TypeError),
        ({"a": records()}, TypeError),
        ({"a": records(), "b": [1]}, TypeError),
        ({"a": records(), "b": pd.concat([features()] * 2, axis=1)}, ValueError),
    ],
)
def test_other_types_are_refused(tables, error):
    with pytest.raises(error, match="join_records expects"):
        join_records(tables)


def test_an_empty_table_matches_nothing():
    with pytest.warns(UserWarning, match="3 of 3 rows"):
        found = join(a=records(), b=features()[:0])
    assert found["genetic"].isna().all()
    with pytest.warns(UserWarning, match="2 of 2 rows of 'b'"):
        assert join(a=records()[:0], b=features()).empty


@given(
    st.lists(st.tuples(*[st.sampled_from("abc")] * 2, st.integers(1, 2)), max_size=12),
    st.lists(
        st.tuples(*[st.sampled_from("abc")] * 2, st.integers(1, 2)),
        max_size=12,
        unique=True,
    ),
)
def test_a_join_is_that_of_pandas(left, right):
    names = ["source_lang", "target_lang", "dataset_size"]
    ours = pd.DataFrame(left, columns=names).assign(x=range(len(left)))
    other = pd.DataFrame(right, columns=names).assign(y=range(len(right)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = join(a=ours, b=other)
    if left and right:
        expected = ours.merge(other, on=names, how="left")
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


# the command


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Run in a folder of our own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys, *arguments):
    """Run the program; return its exit code, stdout and stderr."""
    code = main(list(map(str, arguments)))
    return code, *capsys.readouterr()


def test_scores_features_and_likelihoods_become_a_table_to_evaluate(capsys, here):
    tiny_models = pytest.importorskip("tiny_models", reason="needs proxylm[lm]")
    codes = ["nan", "jav", "sun", "ind", "tam", "tel"]
    keys = pd.DataFrame({"source_lang": "eng", "target_lang": codes})
    rng = np.random.default_rng(0)
    rows = [
        keys.assign(
            train_dataset="null",
            dataset_size=size,
            test_dataset="001",
            big_ft_chrF2_mean=rng.uniform(10, 60, len(codes)),
        )
        for size in (100, 200)
    ]
    pd.concat(rows).to_csv(here / "records.csv", index=False)
    for code in codes:
        (here / f"{code}.txt").write_text(f"some words in {code}\nand more\n")
    paths = [f"{code}.txt" for code in codes]
    keys.assign(test=paths).to_csv(here / "texts.csv", index=False)
    keys.assign(test_dataset="001", text=paths).to_csv(here / "score.csv", index=False)
    model = tiny_models.save(here / "tiny", tiny_models.make_model("llama"))
    features = ["--features", "size", "--distances", "genetic"]
    scores = ["--model", model, "--metrics", "bits_per_byte", "--dtype", "float32"]
    for arguments in (
        ["featurize", "texts.csv", "-o", "features.parquet", *features],
        ["score", "score.csv", "-o", "scores.tsv", *scores],
    ):
        code, _, err = call(capsys, *arguments, "--quiet")
        assert code == 0, err
    tables = ["records.csv", "features.parquet", "scores.tsv"]
    code, out, err = call(capsys, "records", "join", *tables, "-o", "all.csv")
    assert (code, err) == (0, "")
    assert out.startswith("all.csv: 12 rows, 9 columns.")
    found = pd.read_csv("all.csv", keep_default_na=False)
    assert list(found)[-3:] == ["test_size", "genetic", "bits_per_byte"]
    assert found["target_lang"].tolist() == codes * 2
    assert set(found["train_dataset"]) == {"null"}
    roles = ["--target", "big_ft_chrF2_mean", "--proxies", "bits_per_byte"]
    roles += ["--train-dataset", "train_dataset", "--test-dataset", "test_dataset"]
    options = ["--regressor", "ridge", "--pivots", "eng", "--n-jobs", "1", "--quiet"]
    code, out, err = call(capsys, "evaluate", "all.csv", *roles, *options)
    assert code == 0, err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["a.csv"], "TABLE expects two tables or more, each once. Got a.csv."),
        (["a.csv", "a.csv"], "each once. Got a.csv a.csv."),
        (["a.csv", "none.csv"], "Could not open none.csv"),
        (["a.csv", "b.csv", "b2.csv"], "Got 'genetic' in 'b.csv' and in 'b2.csv'"),
        (["b.csv", "a.csv"], "put the table that tells more records apart first"),
    ],
)
def test_a_bad_command_is_one_line(capsys, here, arguments, message):
    records().to_csv("a.csv", index=False)
    for name in ("b.csv", "b2.csv"):
        features().to_csv(name, index=False)
    code, out, err = call(capsys, "records", "join", *arguments, "-o", "all.csv")
    (line,) = err.strip().splitlines()
    assert (code, out) == (1, "") and message in line
    assert not (here / "all.csv").exists()


def test_the_name_of_the_output_is_checked_first(capsys, here):
    code, _, err = call(capsys, "records", "join", "none", "nor", "-o", "all.txt")
    assert code == 1 and "expected to end in one of" in err


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_of_the_command_is_one_line(capsys, here):
    records().to_csv("a.csv", index=False)
    features()[:1].to_csv("b.csv", index=False)
    code, _, err = call(capsys, "records", "join", "a.csv", "b.csv", "-o", "all.csv")
    (line,) = err.strip().splitlines()
    assert code == 0
    assert line.startswith("warning: 2 of 3 rows of 'a.csv' have no match in 'b.csv'")


def test_the_command_has_help(capsys):
    code, out, _ = call(capsys, "records", "join", "--help")
    assert code == 0 and out.startswith("usage: proxylm records join")
