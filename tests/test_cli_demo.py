"""`proxylm demo`: what it prints and writes, and that the next command works."""

import re
import shlex

import pandas as pd
import pytest

import proxylm
from proxylm.cli import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda text="", **_: lines.append(str(text)))
        code = main(["demo", "--for", "swh", "-o", str(folder), "--n-jobs", "1"])
    assert code == 0
    return folder, "\n".join(lines)


@pytest.mark.slow
def test_table_has_the_default_beside_naive_baselines(demo):
    _, text = demo
    rows = re.findall(r"^(\S.*?)  +([\d.]+)", text, re.M)
    errors = {name: float(error) for name, error in rows}
    ours = errors["ProxyRegressor()"]
    assert ours < 0.8 * errors["baseline: line on best proxy"]
    assert ours < 0.8 * errors["baseline: mean"]
    share = int(re.search(r"left-out scores (\d+)% are within", text)[1])
    assert share >= 80


@pytest.mark.slow
def test_a_language_is_predicted_by_the_others_beside_the_truth(demo):
    _, text = demo
    assert "Swahili (swh), by all other languages" in text
    records = proxylm.load_udhr_records()
    truths = records.target[records.groups["target_lang"] == "swh"]
    rows = re.findall(r"^ +(4|16) +(\d) +([\d,]+) +(\d+) to (\d+) +(\d+)$", text, re.M)
    assert [int(row[-1]) for row in rows] == [round(truth) for truth in truths]
    assert all(int(low) < int(value) < int(high) for _, _, value, low, high, _ in rows)


@pytest.mark.slow
def test_picture_and_table_are_written(demo):
    folder, text = demo
    assert {path.name for path in folder.iterdir()} == {"prediction.png", "records.csv"}
    assert (folder / "prediction.png").stat().st_size > 10_000
    table = pd.read_csv(folder / "records.csv", keep_default_na=False, na_values=[""])
    records = proxylm.load_udhr_records()
    assert len(table) == len(records.target)
    assert list(table)[:-1] == list(records.data)
    assert str(folder) in text


@pytest.mark.slow
def test_the_command_to_try_next_works(demo, capsys):
    _, text = demo
    command = re.search(r"proxylm (predict .*?) --for", text, re.S)[1]
    arguments = shlex.split(command.replace("\\\n", " "))
    assert main([*arguments, "--for", "swh", "--regressor", "ridge"]) == 0
    assert "of swh were not looked at" in capsys.readouterr().out


def test_unknown_language_is_refused(tmp_path, capsys):
    assert main(["demo", "--for", "swa", "-o", str(tmp_path / "x")]) != 0
    assert "expects a language of the table" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
