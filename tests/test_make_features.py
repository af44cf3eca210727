"""From folders and manifests to record tables, in Python and from the command line."""

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

import proxylm
from proxylm import (
    DatasetFeaturizer,
    LanguageFeaturizer,
    LeaveOneLanguageOut,
    ProxyRegressor,
    make_features,
    read_dataset_folder,
)
from proxylm.cli import main

pytest.importorskip("icu4py.breakers", reason="needs the extra text")
pytest.importorskip("urielplus.database", reason="needs the extra uriel")

WORDS = "eins zwei drei vier fünf sechs sieben acht neun zehn".split()
CODES = ["deu", "nld", "fra", "ita", "ind", "jav", "fin", "swh"]


def sentences(n, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 5)) for _ in range(n)]


@pytest.fixture
def table():
    rows = [
        {
            "source_lang": "eng",
            "target_lang": code,
            "train": sentences(20 + 5 * k, k),
            "test": sentences(8, 100 + k),
            "small_bleu": 10.0 + k,
        }
        for k, code in enumerate(CODES)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Run in a folder of our own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def manifest(here, table):
    """The table with its texts in files, as a CSV file."""
    folder = here / "texts"
    folder.mkdir()
    for name in ("train", "test"):
        paths = []
        for code, texts in zip(table["target_lang"], table[name], strict=True):
            path = folder / f"{name}.{code}.txt"
            path.write_text("\n".join(texts) + "\n", encoding="utf-8")
            paths.append(path.name)
        table[name] = paths
    path = folder / "manifest.csv"
    table.assign(bleu=table["small_bleu"] * 2).to_csv(path, index=False)
    return path


def test_texts_and_codes_become_the_columns_of_a_record_table(table):
    found = make_features(["train", "test"]).fit_transform(table)
    assert list(found.columns[:2]) == ["dataset_size", "test_size"]
    assert found["dataset_size"].tolist() == [20 + 5 * k for k in range(8)]
    expected = LanguageFeaturizer(["genetic"]).fit_transform(
        table[["source_lang", "target_lang"]]
    )
    assert found["genetic"].tolist() == expected[:, 0].tolist()
    for name in ("source_lang", "target_lang", "small_bleu"):
        assert found[name].tolist() == table[name].tolist()


def test_they_feed_a_regressor_in_a_pipeline(table):
    y = np.arange(8.0) * 2 + 20
    pipeline = make_pipeline(make_features(["train", "test"]), ProxyRegressor("ridge"))
    pipeline.set_params(columntransformer__texts__features=["size", "jsd"])
    groups = table[["source_lang", "target_lang"]]
    predicted = cross_val_predict(
        pipeline, table, y, groups=groups, cv=LeaveOneLanguageOut(exclude=["eng"])
    )
    assert np.abs(predicted - y).mean() < y.std() / 2
    assert pipeline.fit(table, y).predict(table[:2]).shape == (2,)


def test_either_part_may_be_left_out(table):
    featurizer = DatasetFeaturizer(["size"])
    alone = make_features(["train"], [], dataset_featurizer=featurizer)
    columns = list(alone.fit_transform(table))
    assert columns[0] == "dataset_size" and "genetic" not in columns
    found = make_features([], ["target_lang"]).fit_transform(table)
    assert list(found)[:2] == ["target_lang_population", "target_lang_web_share"]


def write_pairs(folder, split, pairs, size=None):
    """Write pairs as the original lays them out: {code: sentences}."""
    folder.mkdir(parents=True)
    for code, texts in pairs.items():
        (folder / f"{split}_{code}.txt").write_text("\n".join(texts) + "\n")


@pytest.fixture
def layout(tmp_path):
    """A folder in the layout of the original, of two languages."""
    folder = tmp_path / "dataset"
    for code in ("ace", "ban"):
        train = {code: ["a b", "", "c d", "e " * 1_024, "f"], "eng": list("ghijk")}
        write_pairs(folder / code / "train" / "nusa", "train", train)
        both = {code: ["a c"], "eng": ["g i"]}
        write_pairs(folder / code / "dev" / "nusa", "dev", both)
        write_pairs(folder / code / "test" / "nusa", "test", both)
    pairs = [{"ace": "satu dua", "eng": "one two"}, {"ace": "x", "eng": "yy"}]
    lines = [json.dumps({"translation": pair}) for pair in [*pairs, pairs[0]]]
    path = folder / "ace" / "train" / "MT560_news" / "train.json"
    path.parent.mkdir()
    path.write_text("\n".join(lines))
    flores = folder / "ace" / "dev" / "flores" / "dev.json"
    flores.parent.mkdir()
    flores.write_text(lines[0])
    return folder


def test_the_layout_of_the_original_is_read(layout):
    records = read_dataset_folder(layout)
    keys = ["source_lang", "target_lang", "train_dataset", "test_dataset"]
    assert sorted(map(tuple, records[keys].to_numpy())) == [
        ("ace", "eng", "MT560_news", "nusa"),
        ("ace", "eng", "nusa", "nusa"),
        ("ban", "eng", "nusa", "nusa"),
        ("eng", "ace", "MT560_news", "nusa"),
        ("eng", "ace", "nusa", "nusa"),
        ("eng", "ban", "nusa", "nusa"),
    ]
    by_key = records.set_index(["source_lang", "target_lang", "train_dataset"])
    # Empty and very long texts are dropped with their other side, as is "x" in JSON.
    nusa = by_key.loc["eng", "ace", "nusa"]
    assert list(nusa["train"]()) == ["a b", "c d", "f"]
    assert list(by_key.loc["ace", "eng", "nusa"]["train"]()) == ["g", "i", "k"]
    news = by_key.loc["eng", "ace", "MT560_news"]
    assert list(news["train"]()) == ["satu dua"] * 2
    assert list(news["dev"]()) == ["satu dua"]
    assert list(news["test"]()) == ["a c"]


def test_a_folder_gives_a_record_for_each_size(layout):
    records = read_dataset_folder(layout, sizes=[1, 2])
    sizes = records.loc[records["train_dataset"] == "nusa", "dataset_size"]
    assert sizes.tolist() == [1, 1, 2, 2] * 2
    found = DatasetFeaturizer(["size"], tokenizer=str.split).fit_transform(
        records[["train", "dev", "test"]]
    )
    assert found[:, 0].tolist() == records["dataset_size"].tolist()


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            lambda f: (f / "ace/train/nusa/train_eng.txt").write_text("g\nh\n"),
            ValueError,
            r"train_eng\.txt ends before line 3 of the other",
        ),
        (
            lambda f: (f / "ace/dev/flores/dev.json").write_text("{}"),
            ValueError,
            r"dev\.json, line 1: expected .* with two languages",
        ),
        (
            lambda f: (f / "ace/train/MT560_news/train.json").write_text(
                '{"translation": {"ace": "aa", "eng": "bb"}}\n\n{"translation": 3}'
            ),
            ValueError,
            r"train\.json, line 3: expected",
        ),
        (
            lambda f: (f / "ace/train/MT560_news/train.json").write_text(
                '{"translation": {"ace": null, "eng": "bb"}}'
            ),
            ValueError,
            r"train\.json, line 1: expected",
        ),
    ],
)
def test_a_broken_data_set_is_named_with_its_line(layout, change, error, message):
    change(layout)
    with pytest.raises(error, match=message):
        DatasetFeaturizer(["size"]).fit_transform(
            read_dataset_folder(layout)[["train", "dev", "test"]]
        )


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"No training set was found in"):
        read_dataset_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"Expected the folder of a data set"):
        read_dataset_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".csv.gz"])
def test_a_manifest_becomes_a_record_table(manifest, table, suffix, capsys):
    output = f"records{suffix}"
    assert main(["featurize", str(manifest), "-o", output, "--quiet"]) == 0
    assert "8 records" in capsys.readouterr().out
    found = proxylm.records.read_records(output)
    assert list(found)[:4] == ["source_lang", "target_lang", "small_bleu", "bleu"]
    assert found["dataset_size"].tolist() == [20 + 5 * k for k in range(8)]
    assert "train" not in found and found["syntactic"].notna().all()
    assert sorted(path.name for path in Path().iterdir()) == [output, "texts"]


def test_the_table_is_ready_for_evaluation(manifest, capsys):
    main(["featurize", str(manifest), "-o", "records.csv", "--quiet"])
    arguments = ["evaluate", "records.csv", "--target", "bleu", "--pivots", "eng"]
    arguments += ["--proxies", "small_bleu", "--regressor", "ridge", "--quiet"]
    assert main([*arguments, "--seeds", "42", "--output", "results"]) == 0


def test_a_yaml_manifest_and_options(manifest, layout, capsys):
    names = sorted(path.name for path in manifest.parent.glob("train.*"))
    records = "\n".join(
        f"- {{source_lang: eng, target_lang: {name.split('.')[1]}, train: {name}}}"
        for name in names
    )
    yaml = manifest.with_name("manifest.yaml")
    yaml.write_text(f"records:\n{records}\n")
    arguments = ["featurize", str(yaml), "-o", "a.csv", "--quiet"]
    arguments += ["--features", "size,ttr", "--distances", "genetic", "--coverage"]
    assert main([*arguments, "--knowledge", "web_share", "--cache", "kept"]) == 0
    assert list(pd.read_csv("a.csv")) == [
        *["source_lang", "target_lang", "dataset_size", "ttr_train", "genetic"],
        *["genetic_coverage", "source_lang_web_share", "target_lang_web_share"],
    ]
    assert len(list(Path("kept").iterdir())) == 8
    arguments = ["featurize", str(layout), "-o", "b.csv", "--paper", "--sizes", "1,2"]
    assert main([*arguments, "--quiet"]) == 0
    found = pd.read_csv("b.csv")
    assert len(found) == 12 and found["train_test_tf_idf"].notna().all()
    assert found["train_word_vocab_size"].max() < 10
    # The size that was asked for stays where the sentences are not counted.
    arguments = [*arguments[:3], "c.csv", *arguments[4:], "--features", "jsd"]
    assert main([*arguments, "--quiet"]) == 0
    assert sorted(set(pd.read_csv("c.csv")["dataset_size"])) == [1, 2]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["texts/manifest.csv", "-o", "a.txt"], "is expected to end in one of ['.csv'"),
        (["nowhere.csv", "-o", "a.csv"], "Could not open nowhere.csv"),
        (["texts/manifest.csv", "-o", "a.csv", "--features", "jds"], "mean 'jsd'?"),
        (
            ["texts/manifest.csv", "-o", "a.csv", "--sizes", "3"],
            "--sizes expects a fol",
        ),
        (["other.csv", "-o", "a.csv"], "is expected to have columns among"),
        (["other.yaml", "-o", "a.csv"], "is expected to hold a list of records"),
        (["lost.csv", "-o", "a.csv"], "No corpus at "),
        (["number.yaml", "-o", "a.csv"], "Got 5 of type int"),
        (["clash.csv", "-o", "a.csv"], "with the names of features: ['genetic']"),
        (["code.csv", "-o", "a.csv", "--distances", "script"], "expects two columns"),
    ],
)
def test_a_bad_command_is_one_line(manifest, arguments, message, capsys):
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("other.yaml").write_text("a: 1\n")
    Path("lost.csv").write_text("source_lang,target_lang,train\neng,deu,lost.txt\n")
    Path("number.yaml").write_text("- {target_lang: deu, train: 5}\n")
    Path("clash.csv").write_text("source_lang,target_lang,genetic\neng,deu,1\n")
    Path("code.csv").write_text("target_lang\ndeu\n")
    assert main(["featurize", *arguments, "--quiet"]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not Path("a.csv").exists()
    assert list(Path().glob("*.partial")) == []  # no time was spent


def test_an_interrupted_command_says_how_to_go_on(manifest):
    """It is interrupted within a long text, after the first were counted."""
    long = manifest.with_name("long.txt")
    long.write_text("\n".join(sentences(100, 0)) * 10_000)
    lines = manifest.read_text().splitlines()
    lines[2] = lines[2].replace("train.nld.txt", "long.txt")
    manifest.write_text("\n".join(lines))
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from proxylm.cli import main\n"
        f"sys.exit(main(['featurize', {str(manifest)!r}, '-o', 'a.csv', '--quiet']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True
    )
    kept = Path("a.csv.partial")
    try:
        while process.poll() is None and len(list(kept.glob("[!.]*.npz"))) < 2:
            pass
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "What was counted is kept in a.csv.partial" in error
    assert not Path("a.csv").exists()


def test_a_compressed_side_is_read(tmp_path):
    for split in ("train", "test"):
        folder = tmp_path / "ace" / split / "nusa"
        folder.mkdir(parents=True)
        for code in ("ace", "eng"):
            path = folder / f"{split}_{code}.txt.gz"
            path.write_bytes(gzip.compress(b"aa\nbb\n"))
    records = read_dataset_folder(tmp_path)
    assert list(records.loc[0, "train"]()) == ["aa", "bb"]
    assert records["dev"].isna().all()


def test_codes_alone_and_one_code_become_a_table(here, capsys):
    Path("pairs.csv").write_text("source_lang,target_lang\neng,nan\n")
    assert main(["featurize", "pairs.csv", "-o", "a.csv", "--distances", "all"]) == 0
    found = proxylm.records.read_records("a.csv")
    assert found.loc[0, "target_lang"] == "nan"  # Min Nan is a language
    assert found["genetic"].notna().all() and len(found.columns) == 9
    Path("empty.yaml").write_text("- {target_lang: swh, train: ' '}\n")
    assert main(["featurize", "empty.yaml", "-o", "d.csv", "--features", "ttr"]) == 0
    assert pd.read_csv("d.csv")["ttr_train"].isna().all()
    Path("codes.csv").write_text("target_lang,train\nswh,\n")
    assert main(["featurize", "codes.csv", "-o", "b.csv", "--quiet"]) == 0
    found = proxylm.records.read_records("b.csv")
    assert found["target_lang_web_share"].notna().all()
    assert found["dataset_size"].isna().all()
    arguments = ["featurize", "codes.csv", "-o", "c.csv", "--quiet"]
    assert main([*arguments, "--knowledge", "script", "--features", "ttr"]) == 0
    found = pd.read_csv("c.csv")
    assert list(found) == ["target_lang", "ttr_train", "target_lang_script"]
    assert main([*arguments, "--unknown", "nan", "--features", "ttr"]) == 0
    assert "target_lang_population" in pd.read_csv("c.csv")


def test_codes_with_a_script_and_cut_parts_are_told_apart(tmp_path):
    folder = tmp_path / "zho_Hans" / "train" / "news"
    folder.mkdir(parents=True)
    for name in ("zho_Hans", "eng", "es-419", "zho_Hans_1000", "eng_1000"):
        (folder / f"train_{name}.txt").write_text("aa\n")
    records = read_dataset_folder(tmp_path)
    assert sorted(zip(records["source_lang"], records["target_lang"], strict=True)) == [
        *[("eng", "zho_Hans"), ("es-419", "zho_Hans")],
        *[("zho_Hans", "eng"), ("zho_Hans", "es-419")],
    ]


def test_a_data_set_without_the_side_of_its_language_is_none(tmp_path):
    (tmp_path / "ace" / "train" / "nusa").mkdir(parents=True)
    (tmp_path / "ace" / "train" / "nusa" / "train_eng.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"No training set was found"):
        read_dataset_folder(tmp_path)
