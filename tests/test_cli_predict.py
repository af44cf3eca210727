"""`proxylm predict`: rows with a score teach, those without are predicted."""

import re

import numpy as np
import pandas as pd
import pytest

from proxylm.cli import main

INFO = "info: Features, taken from the numeric columns: size\n"
LANGUAGES = "deu fra ita spa por nld swe dan pol ces fin hun tur kat hye ell".split()


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    small = rng.uniform(5, 40, len(LANGUAGES))
    frame = pd.DataFrame(
        {
            "source_lang": "eng",
            "target_lang": LANGUAGES,
            "test_dataset": "flores",
            "small": small,
            "size": rng.integers(100, 900, len(LANGUAGES)),
            "big": 5 + 1.2 * small + rng.normal(0, 0.5, len(LANGUAGES)),
        }
    )
    path = tmp_path / "scores.csv"
    frame.to_csv(path, index=False)
    return path


def predict(table, *arguments):
    options = ["--target", "big", "--proxies", "small", "--regressor", "ridge"]
    return main(["predict", str(table), *options, "--pivots", "eng", *arguments])


def test_rows_without_a_score_are_predicted(table, tmp_path, capsys):
    frame = pd.read_csv(table)
    truth = frame.loc[[2, 5], "big"].to_numpy()
    frame.loc[[2, 5], "big"] = np.nan
    frame.to_csv(table, index=False)
    output = tmp_path / "predicted.csv"
    options = ("--regressor", "auto", "-o", str(output))
    assert predict(table, *options) == 0, capsys.readouterr().err
    found = pd.read_csv(output)
    assert found["target_lang"].tolist() == ["ita", "nld"]
    np.testing.assert_allclose(found["prediction"], truth, atol=4)
    assert (found["lower"] < found["prediction"]).all()
    assert (found["prediction"] < found["upper"]).all()
    out = capsys.readouterr().out
    assert "measured" not in out
    assert "flores" not in out  # the same in all rows


def test_scores_of_the_named_languages_are_not_looked_at(table, capsys):
    assert predict(table, "--for", "kat,ell") == 0
    out = capsys.readouterr().out
    assert "kat" in out
    assert "measured scores of kat, ell were not looked at" in out
    frame = pd.read_csv(table)
    frame.loc[frame["target_lang"].isin(["kat", "ell"]), "big"] = 99.0
    frame.to_csv(table, index=False)
    assert predict(table, "--for", "kat,ell") == 0
    again = capsys.readouterr().out

    def columns(text):
        lines = [line.split() for line in text.splitlines() if line.startswith("eng ")]
        return [line[:5] for line in lines]

    assert columns(again) == columns(out)
    assert len(columns(out)) == 2


def test_a_feature_that_new_rows_miss_is_no_error(table, capsys):
    frame = pd.read_csv(table)
    frame.loc[frame["target_lang"] == "kat", ["size", "big"]] = np.nan
    frame.to_csv(table, index=False)
    assert predict(table) == 0, capsys.readouterr().err


def test_wider_intervals_for_more_confidence(table, tmp_path):
    widths = []
    for level in ("0.5", "0.9"):
        output = tmp_path / f"{level}.csv"
        options = ("--for", "kat", "--confidence-level", level, "-o", str(output))
        assert predict(table, *options) == 0
        found = pd.read_csv(output)
        widths.append(float((found["upper"] - found["lower"]).iloc[0]))
    assert widths[0] < widths[1]


def test_the_default_learns_from_features_of_all_rows(table, capsys):
    options = ["--target", "big", "--proxies", "small", "--pivots", "eng"]
    assert main(["predict", str(table), *options, "--for", "kat"]) == 0
    assert "within their intervals" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Every row of .* has a score"),
        (["--for", "kta"], "--for expects languages.*Did you mean 'kat'"),
        (["--target", "bgi"], "--target expects a column.*Did you mean 'big'"),
        (["--for", "eng"], "No row with a score is left"),
        (["--for", "kat", "-o", "x.txt"], r"x\.txt"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, table, capsys):
    assert predict(table, *arguments) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.replace(INFO, "").count("\n") == 1


def test_columns_of_predictions_are_not_overwritten(table, capsys):
    frame = pd.read_csv(table).assign(lower=0.0)
    frame.to_csv(table, index=False)
    assert predict(table, "--for", "kat", "--exclude", "lower") == 1
    assert "columns with the names of predictions" in capsys.readouterr().err
