"""The commands `score` and `cache`, against ProxyScorer."""

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_models
import torch

import proxylm
from proxylm import ProxyScorer
from proxylm.cli import main
from proxylm.lm._cache import ScoreCache

ENGLISH, RUSSIAN, MALAY = (tiny_models.TEXTS[k] for k in (0, 2, 3))
METRICS = ["bits_per_byte", "information_parity"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    return tiny_models.save(path, tiny_models.make_model("llama"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Run in a folder of our own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def manifest(here):
    """Two corpora with their sources, and a row without a text."""
    texts = here / "texts"
    texts.mkdir()
    (texts / "eng.txt").write_text(f"{ENGLISH}\nfree and equal\n")
    (texts / "rus.txt").write_text(f"{RUSSIAN}\n\n", encoding="utf-8")
    (texts / "msa.txt").write_text(f"{MALAY}\r\nsama", encoding="utf-8")
    table = pd.DataFrame(
        {
            "source_lang": "eng",
            "target_lang": ["rus", "nan", "msa"],
            "source": "eng.txt",
            "text": ["rus.txt", None, "msa.txt"],
            "bleu": [10.5, 11, 12],
        }
    )
    path = texts / "manifest.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def corpora():
    """The corpora of the manifest."""
    sources = [ENGLISH, "free and equal"]
    texts = [[RUSSIAN, ""], [MALAY, "sama"]]
    russian, malay = (list(zip(sources, one, strict=True)) for one in texts)
    return [russian, None, malay]


def call(capsys, *arguments):
    """Run the program, which must succeed; return stdout and stderr."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out, captured.err


def error_of(capsys, *arguments):
    """Run what must fail; return its one line on stderr."""
    assert main([str(argument) for argument in arguments]) == 1
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert captured.out == "" and line.startswith("proxylm: error: ")
    return line


def score(capsys, texts, *options):
    """Score texts into a.csv; return what is printed and the table."""
    out, _ = call(capsys, "score", texts, "-o", "a.csv", "--quiet", *options)
    return out, proxylm.records.read_records("a.csv")


def test_a_corpus_per_row_has_the_scores_of_proxy_scorer(
    capsys, folder, manifest, corpora
):
    options = ["--model", folder, "--metrics", ",".join(METRICS), "--dtype", "float32"]
    out, found = score(capsys, manifest, *options)
    assert list(found) == ["source_lang", "target_lang", "bleu", *METRICS]
    assert found["target_lang"].tolist() == ["rus", "nan", "msa"]
    scorer = ProxyScorer(folder, metrics=METRICS, dtype="float32")
    expected = scorer.fit_transform(corpora)
    np.testing.assert_array_equal(found[METRICS].to_numpy(), expected)
    assert np.isnan(expected[1]).all() and np.isfinite(expected[::2]).all()
    first, signature, following = out.splitlines()
    assert first == "a.csv: 3 rows, 5 columns."
    assert signature == f"tiny-llama: {scorer.signatures_['tiny-llama']}"
    assert following.endswith(
        "proxylm evaluate a.csv --target COLUMN --proxies " + ",".join(METRICS)
    )
    assert not Path("a.csv.partial").exists()


def test_each_line_of_a_text_file_is_scored(capsys, folder, here):
    Path("lines.txt").write_text(f"{ENGLISH}\n\n{ENGLISH} And more.\n")
    options = ["--dtype", "float32", "--window", "16", "--stride", "5", "--bos", "</s>"]
    out, found = score(capsys, "lines.txt", "--model", folder, *options)
    assert found["line"].tolist() == [1, 2, 3]
    scorer = ProxyScorer(folder, dtype="float32", window=16, stride=5, bos="</s>")
    expected = scorer.fit_transform([ENGLISH, "", f"{ENGLISH} And more."])
    np.testing.assert_array_equal(found.iloc[:, 2:].to_numpy(), expected)
    assert list(found)[2:] == list(scorer.get_feature_names_out())
    assert "window:16|stride:5" in out
    call(capsys, "score", "lines.txt", "-o", "b.tsv", "--model", folder, "--quiet")
    assert len(pd.read_csv("b.tsv", sep="\t")) == 3


def test_several_models_name_their_scores(capsys, folder, here):
    other = tiny_models.save("other", tiny_models.make_model("gpt2"))
    Path("lines.txt.gz").write_bytes(gzip.compress(b"free\nequal\n"))
    options = ["--model", f"{folder},{other}", "--metrics", "bits_per_byte"]
    out, found = score(capsys, "lines.txt.gz", *options, "--dtype", "float32")
    names = ["tiny-llama_bits_per_byte", "other_bits_per_byte"]
    assert list(found) == ["line", "text", *names]
    signatures = out.splitlines()[1:3]
    assert [line.split(":")[0] for line in signatures] == ["tiny-llama", "other"]


def test_labels_are_found_by_a_prompt_in_the_languages_of_columns(
    capsys, folder, manifest, corpora
):
    Path("texts/rus.txt").write_text("yes\nno\n")
    Path("texts/msa.txt").write_text("no\nno\n")
    prompt = "{source_language}: {text}\\nAnswer:"
    options = ["--model", folder, "--task", "labels", "--metrics", "accuracy"]
    _, found = score(
        capsys, manifest, *options, "--prompt", prompt, "--dtype", "float32"
    )
    scorer = ProxyScorer(
        folder,
        task="labels",
        metrics=["accuracy"],
        prompt="English: {text}\nAnswer:",
        dtype="float32",
    )
    labels = [["yes", "no"], None, ["no", "no"]]
    X = [
        corpus and [(s, label) for (s, _), label in zip(corpus, row, strict=True)]
        for corpus, row in zip(corpora, labels, strict=True)
    ]
    np.testing.assert_array_equal(found[["accuracy"]], scorer.fit_transform(X))


def test_a_translator_reads_the_language_columns(capsys, manifest, here):
    Path("m2m").mkdir()
    model, tokenizer = tiny_models.make_seq2seq("m2m100", "m2m")
    path = tiny_models.save("m2m", model, tokenizer)
    rows = "- {target_lang: ru, text: texts/rus.txt, source: texts/eng.txt}\n"
    Path("rows.yaml").write_text(rows + "- {target_lang: ms, text: [a], source: [b]}\n")
    options = ["--model", path, "--metrics", "bits_per_byte", "--dtype", "float32"]
    out, found = score(capsys, "rows.yaml", *options, "--source-lang", "eng")
    assert "--target-language target_lang" in out
    assert "source_lang expects a code" in error_of(
        capsys, "score", "rows.yaml", *options, "-o", "b.csv", "--quiet"
    )
    X = pd.DataFrame(
        {
            "code": ["ru", "ms"],
            "text": [[(ENGLISH, RUSSIAN), ("free and equal", "")], [("b", "a")]],
        }
    )
    scorer = ProxyScorer(
        path,
        metrics=["bits_per_byte"],
        dtype="float32",
        source_lang="eng",
        target_lang="code",
    )
    np.testing.assert_array_equal(found[["bits_per_byte"]], scorer.fit_transform(X))


def interrupt_when_scored(path, is_over):
    """Press Ctrl-C when the first scores are in a cache, until it is heard."""
    while not is_over.is_set():
        if path.is_file():
            with closing(sqlite3.connect(path)) as connection:
                query = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'results'"
                if connection.execute(query).fetchone() != (0,):
                    (n,) = connection.execute("SELECT COUNT(*) FROM results").fetchone()
                    if n:
                        os.kill(os.getpid(), signal.SIGINT)
                        # Once more if it came where Python can't pass it on.
                        if is_over.wait(5):
                            return
        time.sleep(0.01)


def test_an_interrupted_command_goes_on_where_it_was(capsys, folder, here):
    lines = [f"{ENGLISH} {k}" for k in range(6_000)]
    Path("lines.txt").write_text("\n".join(lines))
    arguments = ["score", "lines.txt", "--model", folder, "-o", "a.csv"]
    arguments += ["--metrics", "bits_per_byte", "--dtype", "float32"]
    is_over = threading.Event()
    cache = Path("a.csv.partial/scores.sqlite")
    # Other libraries of the process may have taken the signal for themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt_when_scored, args=(cache, is_over))
    thread.start()
    try:
        code = main([*arguments, "--quiet", "--max-tokens", "32"])
    finally:
        is_over.set()
        thread.join()
    error = capsys.readouterr().err
    assert code == 130
    assert "What was scored is kept in a.csv.partial. Run the same command" in error
    assert not Path("a.csv").exists()
    with ScoreCache("a.csv.partial") as opened:
        n_kept = opened.summary()["n_texts"].sum()
    assert 0 < n_kept < 6_000
    _, error = call(capsys, *arguments)
    assert f"tiny-llama: {n_kept} of 6000 texts are cached" in error
    assert "tokens/s" in error
    assert not Path("a.csv.partial").exists()
    scorer = ProxyScorer(folder, metrics=["bits_per_byte"], dtype="float32")
    found = pd.read_csv("a.csv")[["bits_per_byte"]]
    # Batches of another size round otherwise.
    np.testing.assert_allclose(found, scorer.fit_transform(lines), rtol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["texts/manifest.csv", "-o", "a.txt"], "expected to end in one of ['.csv'"),
        (["nowhere.csv", "-o", "a.csv"], "Could not open nowhere.csv"),
        (["nowhere.txt", "-o", "a.csv"], "No corpus at 'nowhere.txt'"),
        (["lines.eng", "-o", "a.csv"], "TEXTS is expected to be a manifest"),
        (["texts", "-o", "a.csv"], "TEXTS is expected to be a manifest"),
        (["other.csv", "-o", "a.csv"], "to have the column 'text'"),
        (["none.csv", "-o", "a.csv"], "none.csv is expected to have texts"),
        (["empty.txt", "-o", "a.csv"], "empty.txt is expected to have texts"),
        (["lost.csv", "-o", "a.csv"], "No corpus at 'lost.txt'"),
        (["number.yaml", "-o", "a.csv"], "Got 5 of type int"),
        (["uneven.csv", "-o", "a.csv"], "Got 2 in 'two.txt' and 3 in 'three.txt'."),
        (["clash.csv", "-o", "a.csv"], "the names of scores: ['bits_per_byte']"),
        (["two.txt", "-o", "a.csv", "--metrics", "bits_per_bite"], "mean 'bits_per_b"),
        (["two.txt", "-o", "a.csv", "--window", "0"], "'window' parameter of"),
        (
            ["two.txt", "-o", "a.csv", "--task", "labels"],
            "Got none in row 0. List the file in a manifest that has beside it, in",
        ),
        (
            ["two.txt", "-o", "a.csv", "--metrics", "information_parity"],
            "two.txt is expected to have a source for each text: --metrics",
        ),
        (
            ["alone.csv", "-o", "a.csv", "--task", "translation", "--prompt", "{text}"],
            "--task translation needs it. Got none in row 1. Add the column source to",
        ),
        (
            ["two.txt", "-o", "a.csv", "--task", "translation"],
            "Give one, such as --prompt '{source_language}: {text}\\n",
        ),
    ],
)
def test_a_bad_command_is_one_line(capsys, folder, manifest, arguments, message):
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("none.csv").write_text("text,b\n")
    Path("empty.txt").write_text("")
    Path("two.txt").write_text("a\nb\n")
    Path("three.txt").write_text("a\nb\nc\n")
    Path("lost.csv").write_text("text,b\nlost.txt,2\n")
    Path("number.yaml").write_text("- {text: 5}\n")
    Path("uneven.csv").write_text("text,source\ntwo.txt,three.txt\n")
    Path("alone.csv").write_text("text,source\ntwo.txt,two.txt\ntwo.txt,\n")
    Path("clash.csv").write_text("text,bits_per_byte\ntwo.txt,1\n")
    error = error_of(capsys, "score", *arguments, "--model", folder, "--quiet")
    assert message in error
    assert not Path("a.csv").exists()
    assert list(Path().glob("*.partial")) == []  # no time was spent


def test_an_encoder_decoder_needs_sources(capsys, here):
    Path("m2m").mkdir()
    tiny_models.save("m2m", *tiny_models.make_seq2seq("m2m100", "m2m"))
    Path("two.txt").write_text("a\nb\n")
    options = ["--model", "m2m", "-o", "a.csv", "--quiet"]
    capsys.readouterr()  # transformers has shown a bar
    error = error_of(capsys, "score", "two.txt", *options)
    assert "the encoder-decoder --model m2m needs it. Got none in row 0." in error


def test_models_of_one_name_are_refused(capsys, folder, here):
    Path("two.txt").write_text("a\nb\n")
    options = ["--model", f"{folder},tiny-llama", "-o", "a.csv"]
    error = error_of(capsys, "score", "two.txt", *options)
    assert "Got ['tiny-llama', 'tiny-llama']. Rename a folder, or" in error


def test_pickled_weights_are_read_when_that_is_allowed(capsys, folder, here):
    model = tiny_models.make_model("llama")
    model.config.save_pretrained("pickled")
    tiny_models.make_tokenizer().save_pretrained("pickled")
    torch.save(model.state_dict(), "pickled/pytorch_model.bin")
    Path("two.txt").write_text("one\ntwo\n")
    options = ["--model", "pickled", "--dtype", "float32"]
    error = error_of(
        capsys, "score", "two.txt", *options, "-o", "a.csv", "--quiet", "--n-jobs", "1"
    )
    assert "has its weights as a pickle (pytorch_model.bin), which can run" in error
    assert error.endswith("or give --allow-pickle if you trust their source.")
    assert "allow_pickle" not in error and not Path("a.csv").exists()
    _, found = score(capsys, "two.txt", *options, "--allow-pickle")
    scorer = ProxyScorer(folder, dtype="float32")
    expected = scorer.fit_transform(["one", "two"])
    np.testing.assert_array_equal(found.iloc[:, 2:], expected)


def test_a_model_that_is_not_there_is_one_line(capsys, here):
    Path("two.txt").write_text("a\nb\n")
    options = ["two.txt", "-o", "a.csv", "--model", "./nowhere"]
    assert "There is no folder './nowhere'" in error_of(capsys, "score", *options)


def test_a_cache_is_listed_and_pruned(capsys, folder, here):
    Path("two.txt").write_text("one\ntwo\n")
    options = ["--model", folder, "--cache", "kept"]
    score(capsys, "two.txt", *options, "--dtype", "float32")
    score(capsys, "two.txt", *options, "--dtype", "float64")
    assert not Path("a.csv.partial").exists()
    out, _ = call(capsys, "cache", "kept")
    heading, *rows = (line.split() for line in out.splitlines())
    assert heading == ["id", "model", "task", "dtype", "texts", "MB", "last", "used"]
    assert sorted(row[:6] for row in rows) == [
        ["1", "tiny-llama", "likelihood", "float32", "2", "0.0"],
        ["2", "tiny-llama", "likelihood", "float64", "2", "0.0"],
    ]
    out, _ = call(capsys, "cache", "kept", "--prune", "1")
    assert out.splitlines()[0] == "Removed 2 texts." and "float32" not in out
    assert "ids among [2], or all. Got [1]." in error_of(
        capsys, "cache", "kept", "--prune", "1,2"
    )
    out, _ = call(capsys, "cache", "kept", "--older-than", "0.5")
    assert out.startswith("Removed 0 texts.\n") and "float64" in out
    with closing(sqlite3.connect("kept/scores.sqlite")) as connection, connection:
        connection.execute("UPDATE signatures SET used = used - 86400")
    out, _ = call(capsys, "cache", "kept", "--older-than", "0.5")
    assert out == "Removed 2 texts.\nkept keeps no scores.\n"
    score(capsys, "two.txt", *options)
    out, _ = call(capsys, "cache", "kept", "--prune", "all")
    assert out == "Removed 2 texts.\nkept keeps no scores.\n"


def test_a_folder_without_a_cache_stays_as_it_is(capsys, here):
    assert "It has no scores.sqlite" in error_of(capsys, "cache", ".")
    assert "It has no scores.sqlite" in error_of(capsys, "cache", "nowhere")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["score", "a.txt", "-o", "a.csv"], "required: --model"),
        (["score", "a.txt", "--model", "m"], "required: -o/--output"),
        (["cache", "a", "--prune", "one"], "invalid list of ids value"),
        (["cache", "a", "--older-than", "-1"], "invalid number of days value"),
        (["cache", "a", "--older-than", "1", "--prune", "all"], "not allowed with"),
    ],
)
def test_wrong_usage_ends_with_two(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command, words",
    [
        ("score", ["--model MODEL,MODEL", "-o TABLE", "--prompt TEXT", r"\n is a"]),
        ("cache", ["--prune all|ID,ID", "--older-than DAYS"]),
    ],
)
def test_the_installed_commands_have_help(command, words):
    program = Path(sys.executable).with_name("proxylm")
    result = subprocess.run(
        [program, command, "--help"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith(f"usage: proxylm {command}")
    assert all(word in result.stdout for word in words)
