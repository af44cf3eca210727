"""The program: what it prints, what it writes, and how it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import proxylm
from proxylm import Evaluation
from proxylm.cli import main

EXAMPLES = Path(__file__).parent.parent / "examples"
LANGUAGES = ["eng", "fra", "ind", "jav", "mri", "zho"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(proxylm.__file__).parent.parent),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Run in a folder of our own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(here):
    """Write a small table of scores, and return its path."""
    rng = np.random.default_rng(0)
    pairs = [(s, t) for s in LANGUAGES for t in LANGUAGES if s != t]
    frame = pd.DataFrame(pairs, columns=["source_lang", "target_lang"])
    frame["size"] = rng.integers(1_000, 9_000, len(frame))
    frame["small"] = rng.uniform(5, 40, len(frame)).round(2)
    noise = rng.normal(0, 3, len(frame))
    frame["big"] = (0.8 * frame["small"] + frame["size"] / 1_000 + noise).round(2)
    path = here / "scores.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def config(here, table):
    """Write a configuration for the small table, and return its path."""
    path = here / "run.yaml"
    path.write_text(
        "records:\n"
        "  table: scores.csv\n"
        "  schema: {features: [size], proxies: [small], target: big, metric: BLEU}\n"
        "regressor: ridge\n"
        "output: results\n"
        "n_jobs: 1\n"
    )
    return path


def call(capsys, *arguments):
    """Run the program; return its exit code, stdout and stderr."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def error_of(capsys, *arguments):
    """Run what must fail; return its one line on stderr."""
    code, out, err = call(capsys, *arguments)
    assert code == 1, out + err
    assert out == ""
    assert "Traceback" not in err
    (line,) = err.strip().splitlines()
    assert line.startswith("proxylm: error: ")
    return line


# Help and usage


def test_help_names_the_commands_and_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from proxylm.cli import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = 'sklearn pandas numpy yaml matplotlib xgboost lightgbm tqdm'.split()\n"
        "sys.exit(','.join(name for name in heavy if name in sys.modules) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 0, result.stderr
    for command in ("run", "evaluate", "datasets", "--config", "--set", "--debug"):
        assert command in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        *["run", "evaluate", "featurize", "score", "cache", "datasets"],
        *["download", "records", "records collect"],
    ],
)
def test_every_command_has_help(capsys, command):
    code, out, _ = call(capsys, *command.split(), "--help")
    assert code == 0
    assert out.startswith(f"usage: proxylm {command}")


def test_version_is_the_version(capsys):
    assert call(capsys, "--version")[:2] == (0, f"{proxylm.__version__}\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "expected a command or --config FILE"),
        (["rum"], "invalid choice: 'rum'"),
        (["run"], "the following arguments are required: FILE"),
        (["run", "a.yaml", "--sed", "3"], "unrecognized arguments: --sed 3"),
        (["run", "a.yaml", "--seeds", "a"], "invalid list of whole numbers value: 'a'"),
        (["--config", "a.yaml", "run", "b.yaml"], "one of the two"),
        (["evaluate", "a.csv"], "the following arguments are required: --target"),
    ],
)
def test_wrong_usage_ends_with_two(capsys, arguments, message):
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("program", ["proxylm", "proxylm-cli"])
def test_the_installed_program_runs(program):
    path = shutil.which(program, path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"{program} is not installed beside {sys.executable}")
    result = subprocess.run([path, "datasets"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "mt560" in result.stdout


def test_the_module_runs_as_a_program():
    result = subprocess.run(
        [sys.executable, "-m", "proxylm.cli", "--version"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert (result.returncode, result.stdout) == (0, f"{proxylm.__version__}\n")


def test_datasets_are_listed_with_their_place(capsys, here, monkeypatch):
    monkeypatch.setenv("PROXYLM_DATA", str(here))
    (here / "nusa_experiments.csv").touch()
    code, out, err = call(capsys, "datasets")
    assert (code, err) == (0, "")
    heading, *rows = [line.split() for line in out.splitlines()]
    assert heading == ["name", "rows", "languages", "targets", "scores", "cached"]
    ours, *rows = rows
    assert ours[0] == "udhr"
    assert Path(ours[-1]).is_file()
    assert [row[:3] for row in rows] == [
        ["mt560", "1954", "51"],
        ["nusa", "224", "8"],
        ["intent", "2601", "51"],
        ["slot", "2601", "51"],
    ]
    assert rows[0][-2:] == ["not", "yet"]
    assert rows[1][-1] == str(here / "nusa_experiments.csv")


# A run


def test_a_run_prints_its_tables_and_the_paths_of_the_figures(capsys, config):
    code, out, err = call(capsys, "run", config)
    assert code == 0, err
    assert out.startswith("scores.csv, big | lolo, 6 folds | seed 42\n")
    for words in ("Indonesian (ind)", "RMSE  as source  as target", "baseline: mean"):
        assert words in out
    figures = [line.strip() for line in out.splitlines() if line.endswith(".png")]
    assert len(figures) == 3
    assert all(Path(figure).is_file() for figure in figures)
    assert out.endswith("All results are in results\n")
    assert "ridge: 100%" in err


def test_a_run_without_a_published_setting_is_compared_with_none(capsys, config):
    _, out, _ = call(capsys, "run", config)
    assert "ublished" not in out


def test_columns_of_a_table_line_up(capsys, config):
    _, out, _ = call(capsys, "run", config)
    lines = out.splitlines()
    heading = next(line for line in lines if "Spearman" in line)
    row = next(line for line in lines if line.startswith("ridge "))
    assert len(heading) == len(row)
    end = heading.index("RMSE") + len("RMSE")
    assert row[:end].split()[-1].replace(".", "").isdigit()
    assert row[end] == " "


def test_the_results_folder_is_complete(capsys, config, here):
    call(capsys, "run", config)
    found = {
        str(path.relative_to(here / "results"))
        for path in (here / "results").rglob("*")
        if path.is_file()
    }
    figures = {
        f"figures/{name}.{suffix}"
        for name in ("prediction", "language_error", "language_pair")
        for suffix in ("png", "svg")
    }
    assert found == figures | {
        "config.yaml",
        "predictions.csv",
        "predictions.parquet",
        "summary.csv",
        "summary.md",
        "by_language.csv",
        "signature.json",
    }


def test_tables_hold_what_evaluate_finds(capsys, config, here, table):
    call(capsys, "run", config)
    records = proxylm.load_records(
        table, target="big", features=["size"], proxies=["small"], metric="BLEU"
    )
    expected = proxylm.evaluate(proxylm.ProxyRegressor("ridge"), records, "lolo")
    folder = here / "results"
    for name in ("predictions.csv", "predictions.parquet"):
        found = Evaluation.read(folder / name)
        pd.testing.assert_frame_equal(
            found.predictions, expected.predictions, check_dtype=False
        )
        assert found.signature == expected.signature
    summary = pd.read_csv(folder / "summary.csv", comment="#")
    pd.testing.assert_frame_equal(summary, expected.summary())
    by_language = pd.read_csv(folder / "by_language.csv", comment="#")
    pd.testing.assert_frame_equal(
        by_language.set_index("language").sort_index(), expected.by_language()
    )


def test_every_file_carries_the_signature(capsys, config, here):
    call(capsys, "run", config)
    folder = here / "results"
    line = json.loads((folder / "signature.json").read_text())["line"]
    assert "split:LeaveOneLanguageOut" in line
    for name in ("summary.csv", "by_language.csv"):
        assert (folder / name).read_text().splitlines()[0] == f"# {line}"
    assert f"`{line}`" in (folder / "summary.md").read_text()
    assert line.encode() in (folder / "figures/prediction.png").read_bytes()
    assert "LeaveOneLanguageOut" in (folder / "figures/prediction.svg").read_text()


def test_the_written_configuration_runs_again_with_the_same_result(
    capsys, config, here
):
    call(capsys, "run", config)
    before = (here / "results/summary.csv").read_text()
    code, _, err = call(capsys, "run", here / "results/config.yaml")
    assert code == 0, err
    assert (here / "results/summary.csv").read_text() == before
    stored = yaml.safe_load((here / "results/config.yaml").read_text())
    assert stored["regressor"]["cv"] == 5
    assert stored["baselines"] is True


def test_options_take_the_place_of_what_the_file_says(capsys, config, here):
    code, out, err = call(
        capsys,
        *("run", config, "--output", "other", "--seeds", "1,2", "--quiet"),
        *("--set", "regressor=poly", "--set", "regressor.params.degree=1"),
        *("--set", "protocol.languages=[ind, jav]"),
    )
    assert (code, err) == (0, "")
    assert "lolo_ind-jav, 2 folds | seeds 1, 2" in out
    assert "poly1 " in out
    assert "Indonesian" not in out
    assert not (here / "results").exists()
    stored = yaml.safe_load((here / "other/config.yaml").read_text())
    assert stored["seeds"] == [1, 2]
    assert stored["regressor"]["params"] == {"degree": 1}


def test_train_sizes_make_a_learning_curve(capsys, config, here):
    code, out, err = call(
        capsys,
        *("run", config, "--set", "train_sizes=[0.5, 1]"),
        *("--set", "protocol=StratifiedRandomSplit"),
    )
    assert code == 0, err
    assert "train size" in out
    curve = pd.read_csv(here / "results/learning_curve.csv", comment="#")
    assert sorted(curve["train_size"].unique()) == [0.5, 1]
    assert (here / "results/figures/learning_curve.svg").is_file()
    assert not (here / "results/by_language.csv").exists()


def test_a_sparse_table_has_no_heat_map(capsys, config, here, table):
    frame = pd.read_csv(table)
    frame[(frame[["source_lang", "target_lang"]] == "eng").any(axis=1)].to_csv(
        table, index=False
    )
    code, _, err = call(
        capsys, "run", config, "--set", "records.schema.pivots=[eng]", "--quiet"
    )
    assert code == 0, err
    names = {path.stem for path in (here / "results/figures").iterdir()}
    assert names == {"prediction", "language_error"}


# The results folder


def test_results_of_another_configuration_are_not_replaced(capsys, config, here):
    call(capsys, "run", config)
    before = (here / "results/predictions.csv").read_bytes()
    line = error_of(capsys, "run", config, "--set", "regressor.params.alpha=3")
    assert "regressor.params.alpha is None there and 3 here" in line
    assert "--overwrite" in line
    assert (here / "results/predictions.csv").read_bytes() == before


def test_overwrite_replaces_them_and_leaves_nothing_behind(capsys, config, here):
    call(capsys, "run", config)
    code, _, err = call(
        capsys,
        *("run", config, "--overwrite", "--set", "protocol=StratifiedRandomSplit"),
    )
    assert code == 0, err
    assert not (here / "results/by_language.csv").exists()
    assert not (here / "results/figures/language_error.png").exists()


def test_the_same_configuration_may_run_again_elsewhere_and_faster(capsys, config):
    call(capsys, "run", config, "--quiet")
    code, _, err = call(capsys, "run", config, "--n-jobs", "2", "--quiet")
    assert code == 0, err


def test_an_unfinished_run_may_be_followed_by_another(capsys, config, here):
    call(capsys, "run", config, "--quiet")
    (here / "results/signature.json").unlink()
    code, _, err = call(
        capsys, "run", config, "--quiet", "--set", "regressor.params.alpha=3"
    )
    assert code == 0, err


@pytest.mark.parametrize("name", ["config.yaml", "summary.csv"])
def test_a_file_that_is_not_ours_is_never_replaced(capsys, here, config, name):
    (here / name).write_text("mine: 1")
    line = error_of(capsys, "run", config, "--output", here, "--overwrite")
    assert f"a folder of its own. Got {here} with {name} of other origin" in line
    assert (here / name).read_text() == "mine: 1"


def test_a_folder_below_a_file_is_refused_before_the_fits(capsys, config, here):
    (here / "taken").touch()
    line = error_of(capsys, "run", config, "--output", "taken/results")
    assert "Could not write taken/results/config.yaml: Not a directory" in line


def test_a_folder_without_permission_is_refused_before_the_fits(capsys, config, here):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root")
    (here / "locked").mkdir(mode=0o500)
    line = error_of(capsys, "run", config, "--output", "locked/results")
    assert "Permission denied" in line


def test_a_full_disk_ends_in_one_line_and_no_broken_file(capsys, config, here):
    folder = here / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    try:
        code, out, err = call(capsys, "run", config, "--output", folder, "--quiet")
        assert code == 1
        assert "baseline: mean" in out  # what was found is on the screen
        (line,) = err.strip().splitlines()
        assert line.startswith(f"proxylm: error: Could not write {folder}")
        assert "No space left on device. Free some space" in line
        assert not (folder / "signature.json").exists()
        assert not [path for path in folder.rglob(".*") if path.is_file()]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


# Interruption

STOP_AFTER_TWO_FITS = """
import sys
from sklearn.linear_model import Ridge
from proxylm.cli import main
fits = []
fit = Ridge.fit
def stop(self, *arguments, **keywords):
    fits.append(1)
    if len(fits) > 2:
        raise KeyboardInterrupt
    return fit(self, *arguments, **keywords)
Ridge.fit = stop
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(capsys, config, here):
    result = subprocess.run(
        [sys.executable, "-c", STOP_AFTER_TWO_FITS, "run", str(config)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 130, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "kept in results/checkpoint. Run the same command again" in result.stderr
    kept = list((here / "results/checkpoint").rglob("*.npy"))
    assert len(kept) == 2
    code, _, err = call(capsys, "run", config)
    assert code == 0, err
    assert not (here / "results/checkpoint").exists()
    found = Evaluation.read(here / "results/predictions.csv")
    assert found.predictions["fold"].nunique() == 6


def test_what_was_kept_is_not_fitted_again(capsys, config, here, monkeypatch):
    from sklearn.linear_model import Ridge

    fits, fit = [], Ridge.fit

    def counted(self, *arguments, **keywords):
        fits.append(1)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return fit(self, *arguments, **keywords)

    monkeypatch.setattr(Ridge, "fit", counted)
    assert call(capsys, "run", config, "--quiet")[0] == 130
    assert call(capsys, "run", config, "--quiet")[0] == 0
    assert len(fits) == 4 + 3


@pytest.fixture
def heeds_ctrl_c():
    """Let programs heed Ctrl-C even where a shell that started the tests does not."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_ends_the_program(config, here):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "proxylm.cli", "run", str(config)),
            *("--set", "regressor={name: ridge, search: random, n_iter: 200}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    for _ in range(600):
        if list(here.rglob("*.npy")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err


# Errors


def test_a_key_that_is_unknown_names_the_file_and_the_nearest(capsys, config):
    config.write_text(config.read_text().replace("regressor:", "regresor:"))
    line = error_of(capsys, "run", config)
    assert f"{config}: The configuration expects known keys. Got 'regresor'." in line
    assert "Did you mean 'regressor'? Known are: baselines, n_jobs, output" in line


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("regressor=svm", "Known are: auto, gp, lgbm, lightgbm, mf"),
        ("regressor.params.alfa=3", "Did you mean 'alpha'?"),
        ("regressor.cv=1", "'cv' parameter of ProxyRegressor must be an int in the r"),
        ("protocol=lol", "Did you mean 'lolo'?"),
        ("protocol.languages=[idn]", "Got 'idn'. Did you mean 'ind'?"),
        ("protocol=cross_dataset", "expects records of several data sets"),
        ("records.schema.target=bigg", "Expected this column, which the schema names"),
        ("records.schema.metric=blue", "metric to be one of"),
        ("records.table=none.csv", "none.csv: No such file"),
        ("seeds=a", "seeds expects a whole number. Got 'a'"),
        ("seeds", "--set expects KEY=VALUE"),
        ("a=[1", "--set a=[1 is no valid YAML"),
    ],
)
def test_bad_values_end_in_one_line(capsys, config, assignment, message):
    assert message in error_of(capsys, "run", config, "--set", assignment, "--quiet")


def test_languages_are_for_protocols_that_leave_out_one(capsys, config):
    line = error_of(
        capsys,
        *("run", config, "--set", "protocol={name: random, languages: [ind]}"),
        "--quiet",
    )
    assert "a protocol that leaves one language out at a time (lolo)" in line


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "Could not read"),
        (b"\xff\xfe", "is expected to be a text in UTF-8"),
        (b"a: [1", "is no valid YAML"),
        (b"", "expects keys with values"),
        (b"- 1", "expects keys with values"),
    ],
)
@pytest.mark.parametrize("arguments", [["run"], ["--config"]])
def test_a_file_that_cannot_be_read_is_named(capsys, here, arguments, content, message):
    path = here / "bad.yaml"
    if content is not None:
        path.write_bytes(content)
    line = error_of(capsys, *arguments, path)
    assert message in line
    assert "bad.yaml" in line


def test_a_table_with_problems_lists_each_of_them(capsys, config, table):
    frame = pd.read_csv(table)
    frame.loc[0, "source_lang"] = "xx1"
    frame.loc[1, "big"] = 130
    frame.loc[2, "big"] = np.nan
    frame.to_csv(table, index=False)
    code, out, err = call(capsys, "run", config, "--quiet")
    assert (code, out) == (1, "")
    heading, *problems = err.strip().splitlines()
    assert heading == "proxylm: error: The record table has 3 problems:"
    assert all(line.startswith("- column ") for line in problems)


def test_debug_shows_the_traceback(capsys, config):
    with pytest.raises(ValueError, match=r"Known are: auto"):
        main(["run", str(config), "--set", "regressor=svm", "--debug"])
    with pytest.raises(ValueError, match=r"Known are: auto"):
        main(["--debug", "run", str(config), "--set", "regressor=svm"])


def test_an_error_of_lightgbm_is_one_line(capsys, config):
    code, _, err = call(
        capsys,
        *("run", config, "--quiet", "--set", "regressor=lightgbm"),
        *("--set", "regressor.params.num_leaves=-3"),
    )
    assert code == 1
    assert "num_leaves" in err.strip().splitlines()[-1]
    assert "Traceback" not in err


def test_an_error_of_xgboost_is_one_line(capsys, config):
    line = error_of(
        capsys,
        *("run", config, "--quiet", "--set", "regressor=xgboost"),
        *("--set", "regressor.params.max_depth=deep"),
    )
    assert "max_depth" in line


def test_warnings_and_messages_are_single_lines_on_stderr(here, table):
    code = (
        "import warnings, sys\n"
        "from proxylm.cli import main\n"
        "from proxylm.cli import _commands\n"
        "import logging\n"
        "def datasets(args):\n"
        "    warnings.warn('first\\nwarning')\n"
        "    logging.getLogger('proxylm.x').info('a message')\n"
        "_commands.datasets.__code__ = datasets.__code__\n"
        "_commands.warnings, _commands.logging = warnings, logging\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "default", "-c", code, "datasets"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 0
    assert result.stderr == "warning: first warning\ninfo: a message\n"


def test_a_terminal_without_all_letters_is_no_error(config):
    result = subprocess.run(
        [sys.executable, "-m", "proxylm.cli", "run", str(config)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 0, result.stderr
    assert "M?ori (mri)" in result.stdout


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "proxylm.cli", "datasets"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


# The user's own table


def test_evaluate_takes_a_table_and_its_columns(capsys, table, here):
    code, out, err = call(
        capsys,
        *("evaluate", table, "--target", "big", "--proxies", "small"),
        *("--metric", "BLEU", "--regressor", "ridge", "--n-jobs", "1"),
        *("--pivots", "eng", "--output", "mine"),
    )
    assert code == 0, err
    assert "scores.csv, big | lolo, 5 folds | seed 42" in out
    assert "baseline: best proxy" in out
    stored = yaml.safe_load((here / "mine/config.yaml").read_text())
    assert stored["records"]["schema"]["proxies"] == ["small"]
    signature = json.loads((here / "mine/signature.json").read_text())
    assert signature["features"] == ["source_lang", "target_lang", "size", "small"]


def test_evaluate_takes_one_language_column(capsys, table, here):
    frame = pd.read_csv(table).groupby("target_lang", as_index=False).first()
    frame.rename(columns={"target_lang": "lang"}).to_csv(table, index=False)
    code, out, err = call(
        capsys,
        *("evaluate", table, "--target", "big", "--target-language", "lang"),
        *("--features", "size,small", "--regressor", "ridge", "--n-jobs", "1"),
        *("--score-range", "0,100", "--output", "mine", "--quiet"),
    )
    assert code == 0, err
    assert "lolo, 6 folds" in out
    schema = yaml.safe_load((here / "mine/config.yaml").read_text())["records"][
        "schema"
    ]
    assert (schema["source"], schema["target_language"]) == (None, "lang")
    assert schema["score_range"] == [0, 100]


def test_evaluate_takes_a_long_table(capsys, table, here):
    frame = pd.read_csv(table).rename(
        columns={"big": "big_BLEU", "small": "small_BLEU"}
    )
    long = proxylm.records.wide_to_long(frame, ["big", "small"], ["BLEU"])
    long.to_csv(here / "long.csv", index=False)
    code, out, err = call(
        capsys,
        *("evaluate", "long.csv", "--layout", "long", "--target", "big_BLEU"),
        *("--proxies", "small_BLEU", "--regressor", "ridge", "--n-jobs", "1"),
        *("--protocol", "random", "--quiet"),
    )
    assert code == 0, err
    assert "long.csv, big_BLEU | random, 1 fold" in out
    assert (here / "proxylm_results/long_big_BLEU_random_ridge/summary.md").is_file()


def test_evaluate_asks_whose_scores_they_are_where_languages_are_unseen(capsys, table):
    arguments = ["evaluate", table, "--target", "big", "--protocol", "unseen"]
    arguments += ["--regressor", "ridge", "--n-jobs", "1", "--quiet"]
    assert "Got model=None in the schema" in error_of(capsys, *arguments)
    code, out, err = call(capsys, *arguments, "--model", "m2m100")
    assert code == 0, err
    assert "scores.csv, big | unseen, 1 fold" in out
    line = error_of(capsys, *arguments, "--model", "nllb", "--overwrite")
    assert "expects at least 1 unseen language" in line


def test_evaluate_leaves_out_what_is_excluded(capsys, table, here):
    call(
        capsys,
        *("evaluate", table, "--target", "big", "--exclude", "size"),
        *("--regressor", "ridge", "--n-jobs", "1", "--output", "mine", "--quiet"),
    )
    signature = json.loads((here / "mine/signature.json").read_text())
    assert signature["features"] == ["source_lang", "target_lang", "small"]


# The published tables

QUICK = ["--set", "regressor=ridge", "--seeds", "42"]
# Examples that run with the regressor they name, and what makes some of them quick.
AS_THEY_ARE = {
    "nusa_lolo": ["--seeds", "42"],
    "cross_dataset": [],
    "original_lolo": ["--seeds", "42", "--set", "protocol.languages=[ind]"],
    "original_random": [
        *("--seeds", "42", "--set", "regressor.n_iter=2"),
        *("--set", "regressor.param_space.n_estimators.high=120"),
    ],
    "original_unseen": ["--seeds", "42"],
}


def command_of(path):
    """Return how an example is run."""
    option = "--config" if path.stem.startswith("original") else "run"
    return [option, path, *AS_THEY_ARE.get(path.stem, QUICK)]


@pytest.mark.records
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_example_runs(capsys, here, path):
    code, out, err = call(capsys, *command_of(path), "--n-jobs", "1", "--output", "out")
    assert code == 0, err
    assert "RMSE" in out
    assert "baseline: best proxy" in out
    assert list((here / "out").rglob("figures/prediction.svg"))
    for config in (here / "out").rglob("config.yaml"):
        assert (config.parent / "signature.json").is_file()


def test_there_is_an_example_for_each_mode_and_table():
    expected = {"cross_dataset", "udhr_lolo"}
    for dataset, modes in {
        "mt560": ["random", "lolo", "unseen", "unseen_reverse", "incremental"],
        "nusa": ["random", "lolo", "unseen", "incremental"],
        "intent": ["random", "lolo"],
        "slot": ["random", "lolo"],
    }.items():
        expected |= {f"{dataset}_{mode}" for mode in modes}
    found = {path.stem for path in EXAMPLES.glob("*.yaml")}
    assert {name for name in found if not name.startswith("original_")} == expected
    assert {"original_lolo", "original_random"} <= found


@pytest.mark.records
def test_a_published_setting_is_compared(capsys, here):
    code, out, err = call(
        capsys,
        *("run", EXAMPLES / "nusa_lolo.yaml", "--set", "regressor=poly2"),
        *("--set", "regressor.score_range=null", "--seeds", "42", "--n-jobs", "1"),
        *("--output", "out"),
    )
    assert code == 0, err
    ours, same, best = out[out.index("Beside the published") :].splitlines()[2:5]
    published = proxylm.load_published().query(
        "dataset == 'nusa' and protocol == 'lolo' and model == 'm2m100'"
    )
    figure = published.query("regressor == 'poly2' and features == 'ensemble'")
    assert ours.split()[:4] == ["this", "run:", "poly2,", "ensemble"]
    assert same.split()[:3] == ["published:", "poly2,", "ensemble"]
    assert same.split()[3] == f"{figure['rmse'].item():.2f}"
    assert same.split()[-1] == "1.00"
    assert best.startswith("published, best: ")
    table = pd.read_csv(here / "out/published.csv", comment="#")
    assert table["ratio"].iloc[1] == pytest.approx(1, abs=1e-3)


@pytest.mark.records
@pytest.mark.parametrize(
    "assignment",
    [
        "protocol.languages=[ind]",
        "protocol={splitter: LeaveOneLanguageOut, side: source}",
        "train_sizes=[0.5]",
        "records.score=chrF2",
    ],
)
def test_another_setting_than_the_published_is_not_compared(capsys, here, assignment):
    code, out, err = call(
        capsys,
        *("run", EXAMPLES / "nusa_lolo.yaml", *QUICK, "--set", assignment),
        *("--n-jobs", "1", "--output", "out"),
    )
    assert code == 0, err
    assert "ublished" not in out


@pytest.mark.records
def test_a_learning_curve_stands_beside_the_published_one_without_ratios(capsys, here):
    code, out, err = call(
        capsys,
        *("run", EXAMPLES / "mt560_incremental.yaml", "--seeds", "42", "--n-jobs", "1"),
        *("--set", "regressor.params.n_estimators=20", "--output", "out"),
    )
    assert code == 0, err
    part = out[out.index("Beside the published") :]
    assert part.count("published: xgboost, ensemble") == 7
    assert "ratio" not in part
    assert "older table with 830 training records" in part


@pytest.mark.records
def test_the_original_unseen_runs_both_directions(capsys, here):
    path = EXAMPLES / "original_unseen.yaml"
    code, _, err = call(capsys, "--config", path, *QUICK, "--n-jobs", "1", "--quiet")
    assert code == 0, err
    names = sorted(folder.name for folder in (here / "proxylm_results").iterdir())
    assert names == [
        "mt560_m2m100_spBLEU_ensemble_unseen_reverse_ridge",
        "mt560_m2m100_spBLEU_ensemble_unseen_ridge",
    ]


@pytest.mark.parametrize(
    "option, name, other",
    [
        ("run", "original_lolo.yaml", "--config"),
        ("--config", "nusa_lolo.yaml", "proxylm run"),
    ],
)
def test_a_file_of_the_other_format_says_how_to_run_it(capsys, option, name, other):
    assert other in error_of(capsys, option, EXAMPLES / name)
