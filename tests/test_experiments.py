"""Results in folders as the original ProxyLM writes them."""

import json
import math
import os

import numpy as np
import pandas as pd
import pytest

from proxylm import load_records, read_experiments
from proxylm.cli import main
from proxylm.datasets import fetch_mt560

CHECKPOINT = {
    "m2m100": "1.2B_last_checkpoint.pt",
    "nllb": "nllb200densedst1bcheckpoint.pt",
    "small100": "model_small100_fairseq.pt",
}
VALUES = {"spBLEU": 10.4, "chrF2++": 33.3, "BLEU": 7.6, "chrF2": 36.0, "TER": 89.3}


def entry(metric, mean, half_width=0.6):
    """Return a result as sacrebleu writes it."""
    name, tok = ("BLEU", "flores200") if metric == "spBLEU" else (metric, "none")
    return {
        "name": name,
        "score": mean,
        "confidence_mean": mean,
        "confidence_var": half_width,
        "confidence": f"μ = {mean} ± {half_width}",
        **({} if name.startswith("chrF") else {"tok": tok}),
    }


def sacrebleu_text(values):
    """Return what the two commands print, warnings included."""
    parts = []
    for metrics in (("spBLEU", "chrF2++"), ("BLEU", "chrF2", "TER")):
        found = [entry(name, values[name]) for name in metrics if name in values]
        parts.append("sacreBLEU: That's 100 lines that end in a tokenized period\n")
        parts.append(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return "".join(parts)


def experiment(
    root,
    model="m2m100",
    pair=("sin", "eng"),
    train=("MT560_WikiMatrix", 1000),
    tests=("flores",),
    comet=None,
    unnamed=False,
    **values,
):
    """Write the folder of an experiment and return it."""
    train_name = "no_finetune" if train is None else f"{train[0]}_{train[1]}"
    model_name = [] if unnamed else [model]
    folder = root / "_".join([*model_name, *pair, train_name])
    (folder / "outputs").mkdir(parents=True)
    config = {"source_lang": pair[0], "target_lang": pair[1]}
    if model == "transformer":
        config["train"] = {"model": {}}
    else:
        path = f"/home/me/src/model/{CHECKPOINT.get(model, 'other.pt')}"
        config |= {"perform_finetune": train is not None}
        config["finetune"] = {"pretrained_model_path": path}
    (folder / f"{folder.name}.json").write_text(json.dumps(config, indent=4))
    (folder / "stats.json").write_text("{}")
    for test in tests:
        text = sacrebleu_text({**VALUES, **values})
        (folder / "outputs" / f"sacrebleu_{test}.txt").write_text(text)
        (folder / "outputs" / f"output_{test}.txt").write_text("H-0\t-0.3\thello\n")
        (folder / "outputs" / f"output_{test}.hyp").write_text("hello\n")
        if comet is not None:
            segments = [{"src": "a", "mt": "b", "ref": "c", "COMET": x} for x in comet]
            (folder / "outputs" / f"comet_{test}.json").write_text(
                json.dumps({"outputs/output.hyp": segments}, indent=4)
            )
    return folder


def predictions(root, model, source, target, lines):
    folder = root / model / source / target
    folder.mkdir(parents=True)
    path = folder / "generated_predictions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def problems_of(*arguments, **parameters):
    with pytest.raises(ValueError) as caught:
        read_experiments(*arguments, **parameters)
    return str(caught.value)


def test_scores_stand_under_the_names_of_the_published_tables(tmp_path):
    experiment(tmp_path, comet=[0.6, 0.8, 1.0], spBLEU=12.5)
    (row,) = read_experiments(tmp_path).to_dict("records")
    scores = {name: value for name, value in row.items() if name.startswith("m2m100")}
    assert {name: row[name] for name in row if name not in scores} == {
        "source_lang": "sin",
        "target_lang": "eng",
        "train_dataset": "MT560_WikiMatrix",
        "dataset_size": 1000,
        "test_dataset": "flores",
    }
    expected = {}
    for metric, value in {**VALUES, "spBLEU": 12.5}.items():
        expected[f"m2m100_ft_{metric}_mean"] = value
        expected[f"m2m100_ft_{metric}_se"] = 0.6
    expected["m2m100_ft_comet_mean"] = 0.8
    expected["m2m100_ft_comet_se"] = round(math.sqrt(0.08 / 3), 4)
    assert scores == pytest.approx(expected)


@pytest.mark.records
def test_columns_are_those_of_the_published_table_in_its_order(tmp_path):
    for model in CHECKPOINT:
        for train in (("bible", 500), None):
            experiment(tmp_path, model, train=train, comet=[0.5])
    experiment(tmp_path, "transformer", train=("bible", 500), comet=[0.5])
    found = read_experiments(tmp_path)
    assert len(found) == 1
    published = [
        name
        for name in fetch_mt560().frame
        if name in found.columns or name.endswith(("_mean", "_se"))
    ]
    assert list(found.columns) == published


def test_what_a_model_scores_without_fine_tuning_is_in_all_its_records(tmp_path):
    for size in (1000, 5000):
        experiment(tmp_path, train=("bible", size), tests=("flores", "bible"))
    experiment(tmp_path, train=None, tests=("flores",), spBLEU=3.5)
    experiment(tmp_path, pair=("eng", "sin"), train=None, spBLEU=4.5)
    found = read_experiments(tmp_path, metrics=["spBLEU"])
    columns = ["source_lang", "dataset_size", "test_dataset", "m2m100_noft_spBLEU_mean"]
    rows = found[columns].astype(object)
    rows = rows.where(rows.notna(), None).to_numpy().tolist()
    assert rows == [
        ["eng", None, "flores", 4.5],
        ["sin", 1000, "bible", None],
        ["sin", 1000, "flores", 3.5],
        ["sin", 5000, "bible", None],
        ["sin", 5000, "flores", 3.5],
    ]
    assert found["train_dataset"].isna().tolist() == [True] + 4 * [False]


def test_folders_may_lie_in_folders_of_languages_and_lack_the_model(tmp_path):
    experiment(tmp_path / "sin", "nllb", unnamed=True)
    experiment(tmp_path / "sin", "transformer", pair=("eng", "sin"), unnamed=True)
    (tmp_path / "dataset" / "sin" / "outputs").mkdir(parents=True)
    (tmp_path / "dataset" / "sin" / "outputs" / "sacrebleu_a.txt").write_text("")
    found = read_experiments(tmp_path, metrics=["BLEU"]).set_index("source_lang")
    assert found.loc["sin", "nllb_ft_BLEU_mean"] == VALUES["BLEU"]
    assert found.loc["eng", "trfm_BLEU_mean"] == VALUES["BLEU"]


def test_other_models_and_names_with_underscores_are_read(tmp_path):
    experiment(tmp_path, "my_model", train=("nusa_kalimat_mt", 6600))
    found = read_experiments(tmp_path)
    assert found["train_dataset"].tolist() == ["nusa_kalimat_mt"]
    assert found["dataset_size"].tolist() == [6600]
    assert "my_model_ft_TER_mean" in found


def test_the_folder_of_one_experiment_can_be_given(tmp_path):
    assert len(read_experiments(experiment(tmp_path))) == 1


def test_a_score_of_zero_or_below_is_a_score(tmp_path):
    experiment(tmp_path, spBLEU=0.0, comet=[-0.25, 0.05])
    found = read_experiments(tmp_path)
    assert found["m2m100_ft_spBLEU_mean"].tolist() == [0.0]
    assert found["m2m100_ft_comet_mean"].tolist() == [-0.1]


def test_the_table_is_one_of_records(tmp_path):
    for pair in (("sin", "eng"), ("eng", "sin"), ("ind", "eng")):
        for model in ("m2m100", "transformer"):
            experiment(tmp_path / "all", model, pair=pair)
    table = tmp_path / "table.csv"
    read_experiments(tmp_path / "all").to_csv(table, index=False)
    records = load_records(
        table,
        target="m2m100_ft_spBLEU_mean",
        proxies=["trfm_spBLEU_mean"],
        features=["dataset_size"],
        train_dataset="train_dataset",
        test_dataset="test_dataset",
        metric="spBLEU",
    )
    assert records.feature_names == ["dataset_size", "trfm_spBLEU_mean"]
    assert len(records.data) == 3


# What can be wrong


def test_everything_that_is_wrong_is_told_at_once_with_the_file(tmp_path):
    cut = experiment(tmp_path, train=("a", 1)) / "outputs/sacrebleu_flores.txt"
    cut.write_text(cut.read_text()[:-40])
    config = experiment(tmp_path, train=("b", 1))
    config = config / f"{config.name}.json"
    config.write_text("{")
    lacking = experiment(tmp_path, train=("c", 1)) / "outputs/sacrebleu_flores.txt"
    lacking.write_text(sacrebleu_text({"BLEU": 1.0, "chrF2": 2.0}))
    message = problems_of(tmp_path)
    first, *lines = message.splitlines()
    assert first == "The experiments have 3 problems:"
    assert lines[0].startswith(f"- {cut}: expected JSON. It has")
    assert lines[1].startswith(f"- {config}: expected JSON. It has")
    assert lines[2] == (f"- {lacking}: expected spBLEU, chrF2++, TER. Got BLEU, chrF2.")


def test_two_results_of_one_record_are_an_error_that_names_both(tmp_path):
    one = experiment(tmp_path / "first")
    two = experiment(tmp_path / "second", spBLEU=99.0)
    message = problems_of(tmp_path)
    assert "The experiments have a problem: " in message
    assert str(one) in message
    assert f"{two / 'outputs/sacrebleu_flores.txt'}: expected one result" in message


def test_two_results_in_one_file_are_an_error_unless_they_agree(tmp_path):
    path = experiment(tmp_path) / "outputs/sacrebleu_flores.txt"
    path.write_text(path.read_text() * 2)
    assert len(read_experiments(tmp_path)) == 1
    path.write_text(path.read_text() + sacrebleu_text({"TER": 1.0}))
    assert f"{path}: expected one result of TER. It has two." in problems_of(tmp_path)


@pytest.mark.parametrize(
    "name, text, message",
    [
        (
            "sacrebleu_flores.txt",
            "",
            "expected spBLEU, chrF2++, BLEU, chrF2, TER.",
        ),
        ("sacrebleu_flores.txt", "[\n1]\n", "expected results of metrics. Got 1"),
        (
            "sacrebleu_flores.txt",
            '[\n{"name": "TER", "score": 1.0}\n]\n',
            "expected confidence_mean and confidence_var of TER",
        ),
        ("comet_flores.json", "{", "expected JSON"),
        ("comet_flores.json", '{"a": [], "b": []}', "expected the segments of one"),
        ("comet_flores.json", '{"a": [{"COMET": "x"}]}', "expected the segments of"),
        ("comet_flores.json", '{"a": [{"COMET": NaN}]}', "expected the segments of"),
        ("comet_flores.json", "[]", "expected the segments of one system"),
        ("comet_flores.json", b"\xff", "expected a text in UTF-8"),
        ("comet_flores.json", None, "expected comet. Got spBLEU"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, text, message):
    path = experiment(tmp_path, comet=[0.5]) / "outputs" / name
    experiment(tmp_path, train=("bible", 1), comet=[0.5])
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problem = problems_of(tmp_path)
    assert f"{path}: " in problem
    assert message in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    "config, message",
    [
        ("[]", "expected the keys source_lang and target_lang"),
        ('{"source_lang": "sin"}', "expected the keys source_lang and target_lang"),
        (
            '{"source_lang": "ind", "target_lang": "eng"}',
            "expected a folder MODEL_ind_eng_DATASET_SIZE",
        ),
        (None, "could not be read (No such file or directory)"),
    ],
)
def test_a_configuration_that_says_nothing_is_named(tmp_path, config, message):
    folder = experiment(tmp_path)
    path = folder / f"{folder.name}.json"
    path.unlink()
    if config is not None:
        path.write_text(config)
    assert f"{path}: {message}" in problems_of(tmp_path)


def test_a_model_that_nothing_names_is_an_error(tmp_path):
    experiment(tmp_path, "unknown", unnamed=True)
    assert "expected the model in the name" in problems_of(tmp_path)


def test_translations_without_scores_are_missing_results(tmp_path):
    outputs = experiment(tmp_path) / "outputs"
    (outputs / "output_bible.txt").write_text("H-0\t-0.3\thello\n")
    empty = experiment(tmp_path, train=("bible", 1), tests=()) / "outputs"
    message = problems_of(tmp_path)
    assert "There is no result." in message
    assert f"{outputs / 'sacrebleu_bible.txt'}: expected spBLEU" in message
    assert f"{empty}: expected results. There are none." in message
    found = read_experiments(tmp_path, missing="nan")
    assert found["test_dataset"].tolist() == ["bible", "flores"]
    assert np.isnan(found["m2m100_ft_TER_mean"][0])


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"metrics": ["spbleu"]}, "Got 'spbleu'. Did you mean 'spBLEU'?"),
        ({"missing": "drop"}, "missing expects 'error' or 'nan'. Got 'drop'."),
    ],
)
def test_unknown_parameters_are_refused(tmp_path, parameters, message):
    assert message in problems_of(tmp_path, **parameters)


def test_a_folder_without_results_is_an_error(tmp_path):
    assert "No result was found" in problems_of(tmp_path)
    with pytest.raises(NotADirectoryError, match="There is none at"):
        read_experiments(tmp_path / "nothing")


# Intents and slots

INTENTS = [
    {"prompt": "wake me", "predict": "alarm_set", "label": "alarm_set"},
    {"prompt": "sing", "predict": " Play_music ", "label": "play_music"},
    {"prompt": "stop", "predict": "alarm_set", "label": "audio_volume_mute"},
    {"predict": "quirky", "label": "general_quirky"},
]
SLOTS = [
    {"predict": "wake me at [time : five]", "label": "wake me at [time : five]"},
    {"predict": "play [song : stairway]", "label": "play [song : it] [artist : you]"},
    {"predict": "stop", "label": "stop"},
]


def test_predictions_of_labels_have_an_accuracy_those_of_slots_an_f1(tmp_path):
    for model, lines in (("aya", INTENTS), ("smollm_135m", SLOTS)):
        predictions(tmp_path / "predict", model, "ka", "da", lines)
    predictions(tmp_path / "predict", "aya", "km-KH", "sw-KE", INTENTS[:2])
    found = read_experiments(tmp_path)
    expected = pd.DataFrame(
        {
            "source_lang": ["ka", "km-KH"],
            "target_lang": ["da", "sw-KE"],
            "aya_accuracy": [50.0, 100.0],
            "smollm_135m_f1": [40.0, np.nan],
        }
    )
    pd.testing.assert_frame_equal(found, expected)


def test_a_model_may_have_both_tasks_and_none_of_them_twice(tmp_path):
    one = predictions(tmp_path / "intent", "aya", "ka", "da", INTENTS)
    predictions(tmp_path / "slot", "aya", "ka", "da", SLOTS)
    assert list(read_experiments(tmp_path))[2:] == ["aya_accuracy", "aya_f1"]
    two = predictions(tmp_path / "intent2", "aya", "ka", "da", INTENTS)
    message = problems_of(tmp_path)
    assert f"{two}: expected one result of aya (accuracy)" in message
    assert str(one) in message


def test_predictions_without_languages_in_their_path_are_an_error(tmp_path):
    folder = tmp_path / "predict" / "aya"
    folder.mkdir(parents=True)
    path = folder / "generated_predictions.jsonl"
    path.write_text(json.dumps(INTENTS[0]))
    message = problems_of(tmp_path)
    assert f"{path}: expected the file in MODEL/SOURCE/TARGET" in message


@pytest.mark.parametrize(
    "text, message",
    [
        ('{"predict": "a"}', "line 1: expected {"),
        ('{"predict": "a", "label": "a"}\n{"pre', "line 2: expected {"),
        ('{"predict": 1, "label": "a"}', "expected texts: predictions expects strings"),
        ('{"predict": "a", "label": null}', "expected texts: "),
        ("", "A score expects at least one segment"),
    ],
)
def test_a_damaged_file_of_predictions_is_named(tmp_path, text, message):
    path = predictions(tmp_path, "aya", "ka", "da", [])
    path.write_text(text)
    problem = problems_of(tmp_path)
    assert f"{path}: " in problem
    assert message in problem


def test_translations_and_labels_are_tables_of_their_own(tmp_path):
    experiment(tmp_path)
    predictions(tmp_path, "aya", "ka", "da", INTENTS)
    assert "Collect their folders one by one" in problems_of(tmp_path)


# The command


def call(capsys, *arguments):
    code = main(["records", "collect", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_command_writes_the_table_and_says_what_is_in_it(tmp_path, capsys, suffix):
    experiment(tmp_path / "all")
    experiment(tmp_path / "all", train=("bible", 10))
    table = tmp_path / f"table{suffix}"
    code, out, err = call(capsys, tmp_path / "all", "-o", table, "--metrics", "BLEU")
    assert (code, err) == (0, "")
    assert out == f"{table}: 2 rows, 7 columns.\n"
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    pd.testing.assert_frame_equal(
        read(table), read_experiments(tmp_path / "all", metrics=["BLEU"])
    )


def test_the_command_lists_all_problems(tmp_path, capsys):
    for size in (1, 2):
        folder = experiment(tmp_path / "all", train=("bible", size))
        (folder / "outputs" / "sacrebleu_flores.txt").write_text("")
    table = tmp_path / "table.csv"
    code, out, err = call(capsys, tmp_path / "all", "-o", table)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 3
    assert not table.exists()
    assert call(capsys, tmp_path / "all", "-o", table, "--missing", "nan")[0] == 0


def test_the_name_of_the_table_is_checked_before_the_folder_is_read(tmp_path, capsys):
    code, _, err = call(capsys, tmp_path / "nothing", "-o", "table.doc")
    assert code == 1
    assert "table.doc" in err


def test_a_file_without_permission_is_named(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root")
    path = experiment(tmp_path) / "outputs/sacrebleu_flores.txt"
    path.chmod(0)
    assert f"{path}: could not be read (Permission denied)" in problems_of(tmp_path)
