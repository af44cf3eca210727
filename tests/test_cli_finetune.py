"""`proxylm finetune` and `proxylm experiment`: recipes and plans, end to end."""

import json

import pandas as pd
import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")

from test_finetuning import CHAT, make_pairs, write_massive
from tiny_models import make_model, make_seq2seq, make_tokenizer, save

from proxylm.cli import main
from proxylm.cli._finetune import append_rows
from proxylm.cli._recipes import read_recipe, ready_recipes

TINY = (
    "architecture.d_model=32 architecture.encoder_layers=1 "
    "architecture.decoder_layers=1 architecture.encoder_ffn_dim=64 "
    "architecture.decoder_ffn_dim=64 "
    "architecture.encoder_attention_heads=2 architecture.decoder_attention_heads=2 "
    "vocabulary.size=300 training.dtype=float32 training.max_epochs=1 "
    "training.max_updates=2 generation.max_new_tokens=12 generation.num_beams=2"
).split()
SEQ2SEQ = ("small100", "m2m100", "nllb")
CAUSAL = {
    "smollm_135m": "llama",
    "smollm_360m": "llama",
    "bloomz_560m": "bloom",
    "aya": "cohere",
    "llama3": "llama",
}


def settings(values):
    return [word for value in values for word in ("--set", value)]


@pytest.fixture
def corpus(tmp_path):
    """A folder in the layout of the original, made-up."""
    for language, seed in (("jav", 0), ("sun", 3)):
        for split, n_pairs in (("train", 24), ("dev", 6), ("test", 6)):
            folder = tmp_path / "corpus" / language / split / "numerals"
            folder.mkdir(parents=True)
            pairs = make_pairs(n_pairs, seed)
            lines = [
                json.dumps({"translation": {"ind": p.source, language: p.target}})
                for p in pairs
            ]
            (folder / f"{split}.json").write_text("\n".join(lines) + "\n")
            seed += 1
    return tmp_path / "corpus"


def tiny_model(name, folder):
    """Write a model of the architecture of a ready recipe; return what to set."""
    changes = [f"model={folder}", "training.max_updates=1", "training.dtype=float32"]
    changes += ["generation.max_new_tokens=8", "training.accumulation=1"]
    if name in SEQ2SEQ:
        style = "nllb" if name == "nllb" else "m2m100"
        module, tokenizer = make_seq2seq(style, folder)
        save(folder, module, tokenizer)
        if name == "small100":  # its files name a class of their own
            path = folder / "tokenizer_config.json"
            config = json.loads(path.read_text())
            config["tokenizer_class"] = "SMALL100Tokenizer"
            path.write_text(json.dumps(config))
        return [*changes, "generation.num_beams=2"]
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT
    save(folder, make_model(CAUSAL[name], max_position_embeddings=256), tokenizer)
    return changes


@pytest.mark.parametrize("name", sorted(ready_recipes()))
def test_every_ready_recipe_learns_writes_and_is_scored(name, corpus, tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    table = tmp_path / "results.csv"
    arguments = ["finetune", name, "-o", str(tmp_path / "run"), "--quiet"]
    arguments += ["--append", str(table)]
    if name == "transformer":
        changes = [*TINY, "metrics=[chrF2++, BLEU]"]
    else:
        changes = tiny_model(name, folder)
    if name in CAUSAL:
        if name in ("aya", "llama3"):
            pytest.importorskip("peft", reason="needs proxylm[finetune]")
        data = write_massive(tmp_path / "en-US.jsonl", 12)
        arguments += ["--data", str(data), "--source-lang", "en-US"]
        metrics = ["accuracy"]
    else:
        if name != "transformer":
            changes.append("metrics=[chrF2++, BLEU]")
        target = "jav"
        arguments += ["--data", str(corpus), "--source-lang", "ind"]
        arguments += ["--target-lang", target]
        metrics = ["chrF2++", "BLEU"]
    assert main([*arguments, *settings(changes)]) == 0, capsys.readouterr().err
    (row,) = pd.read_csv(table, comment="#").to_dict("records")
    assert row["model"] == name
    assert row["tuned"]
    assert row["n_updates"] >= 1
    assert row["training_flops"] > 0
    for metric in metrics:
        assert 0 <= row[metric] <= 100
        assert row[f"{metric}_se"] >= 0


def test_slots_are_learned_from_massive(tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    changes = tiny_model("smollm_135m", folder)
    data = write_massive(tmp_path / "en-US.jsonl", 12)
    arguments = ["finetune", "smollm_135m", "--task", "slot", "--data", str(data)]
    arguments += ["--source-lang", "en", "-o", str(tmp_path / "run"), "--quiet"]
    assert main([*arguments, *settings(changes)]) == 0
    assert "f1 " in capsys.readouterr().out


def test_a_model_as_it_is_is_scored_alone(tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    changes = [*tiny_model("smollm_135m", folder), "method=none"]
    data = write_massive(tmp_path / "en-US.jsonl", 12)
    arguments = ["finetune", "smollm_135m", "--data", str(data), "--quiet"]
    arguments += ["--source-lang", "en", "-o", str(tmp_path / "run")]
    assert main([*arguments, *settings(changes)]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out
    assert "updates" not in out


def test_files_of_texts_are_learned_from(tmp_path, capsys):
    for split, n_pairs in (("train", 20), ("dev", 5), ("test", 5)):
        pairs = make_pairs(n_pairs)
        for side in ("source", "target"):
            lines = "\n".join(getattr(pair, side) for pair in pairs)
            (tmp_path / f"{split}.{side}").write_text(lines + "\n")
    arguments = ["finetune", "transformer", "-o", str(tmp_path / "run"), "--quiet"]
    for split in ("train", "dev", "test"):
        files = [str(tmp_path / f"{split}.{side}") for side in ("source", "target")]
        arguments += [f"--{split}", ",".join(files)]
    arguments += settings([*TINY, "metrics=[chrF2++]"])
    assert main(arguments) == 0
    assert "chrF2++" in capsys.readouterr().out
    without_test = arguments[: arguments.index("--test")]
    without_test += arguments[arguments.index("--test") + 2 :]
    folder = tmp_path / "without"
    without_test[without_test.index("-o") + 1] = str(folder)
    assert main(without_test) == 0
    assert "1 update, " in capsys.readouterr().out
    assert (folder / "model" / "model.safetensors").is_file()
    assert main([*arguments, "--set", "training.learning_rate=0.5"]) == 1
    assert "has the scores of another recipe" in capsys.readouterr().err
    (tmp_path / "train.source").write_text("one\n")
    assert main([*arguments, "-o", str(tmp_path / "other")]) == 1
    assert "as many lines. Got 1 and 20" in capsys.readouterr().err


PLAN = """
task: translation
data: corpus
sizes: [10, 20]
seeds: [0, 1]
models:
  - recipe: transformer
    set:
      name: tiny
      architecture: {{model_type: marian, d_model: 32, encoder_layers: 1,
        decoder_layers: 1, encoder_ffn_dim: 64, decoder_ffn_dim: 64,
        encoder_attention_heads: 2, decoder_attention_heads: 2}}
      vocabulary.size: 300
      training: {{max_updates: 2, warmup_steps: 2, dtype: float32}}
      generation: {{max_new_tokens: 8}}
      metrics: [chrF2++]
  - recipe: m2m100
    tuned: false
    set: {{model: model, metrics: [chrF2++], generation.max_new_tokens: 8}}
pairs: [[ind, jav], [ind, sun]]
{more}
"""


@pytest.fixture
def plan(corpus, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    module, tokenizer = make_seq2seq("m2m100", folder)
    save(folder, module, tokenizer)
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(more="").replace("model: model", f"model: {folder}"))
    return path


def test_a_plan_ends_in_a_record_table(plan, capsys):
    assert main(["experiment", str(plan), "--dry-run"]) == 0
    assert "10 experiments" in capsys.readouterr().out
    assert main(["experiment", str(plan), "--quiet"]) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "[10/10]" in out
    output = plan.with_suffix("")
    results = pd.read_csv(output / "results.csv", comment="#")
    assert len(results) == 10
    records = pd.read_csv(output / "records.csv", comment="#")
    assert len(records) == 4
    assert records["m2m100_noft_chrF2++_mean"].notna().all()
    assert records["tiny_ft_chrF2++_mean"].notna().all()
    before = (output / "results.csv").read_text()
    assert main(["experiment", str(plan), "--quiet"]) == 0
    assert (output / "results.csv").read_text() == before
    # More of it, for which there is no budget: what was done stays in the records.
    more = plan.read_text().replace("sizes: [10, 20]", "sizes: [5, 10, 20]")
    plan.write_text(more + "budget: {flops: 1}\n")
    assert main(["experiment", str(plan), "--quiet"]) == 0
    assert "4 of 14 experiments are left" in capsys.readouterr().err
    assert len(pd.read_csv(output / "records.csv", comment="#")) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data: corpus", "data: nowhere", "There is no data at"),
        ("[ind, sun]", "[ind, sunn]", "Did you mean 'ind-sun'"),
        ("recipe: m2m100", "recipe: m2m10", "Did you mean 'm2m100'"),
        ("sizes: [10", "sizes: [1000", "at most the 24 training pairs"),
        ("seeds: [0", "seeds: [x", "seeds expects a whole number"),
        ("task: translation", "task: translatio", "task expects one of"),
        ("name: tiny", "nam: tiny", "Got 'nam'"),
        ("tuned: false", "tuned: maybe", "tuned expects true or false"),
        ("sizes:", "size:", "Did you mean 'sizes'"),
    ],
)
def test_plans_say_what_is_wrong(old, new, message, plan, capsys):
    plan.write_text(plan.read_text().replace(old, new, 1))
    assert main(["experiment", str(plan), "--quiet"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_plan_for_massive_scores_each_language_as_it_is_once(tmp_path, capsys):
    folder = tmp_path / "model"
    folder.mkdir()
    tiny_model("smollm_135m", folder)
    (tmp_path / "massive").mkdir()
    for locale in ("en-US", "de-DE"):
        write_massive(tmp_path / "massive" / f"{locale}.jsonl", 8)
    values = {
        "task": "intent",
        "data": "massive",
        "models": [
            {
                "recipe": "smollm_135m",
                "tuned": [True, False],
                "set": {
                    "model": str(folder),
                    "training.max_updates": 1,
                    "training.dtype": "float32",
                    "generation.max_new_tokens": 8,
                },
            }
        ],
    }
    plan = tmp_path / "plan.yaml"
    plan.write_text(json.dumps(values))
    assert main(["experiment", str(plan), "--quiet"]) == 0, capsys.readouterr().err
    assert "[4/4]" in capsys.readouterr().out
    records = pd.read_csv(plan.with_suffix("") / "records.csv", comment="#")
    assert len(records) == 4  # each language to each
    assert records["smollm_135m_noft_accuracy_mean"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "-o", "x"], "RECIPE expects the name of a ready recipe"),
        (["transformer"], "The folder of the model is expected as -o DIR"),
        (["transformer", "-o", "x"], "Got neither"),
        (["transformer", "-o", "x", "--train", "a,b", "--data", "c"], "Got both"),
        (["transformer", "-o", "x", "--train", "a,b"], "There is no file a"),
        (["transformer", "-o", "x", "--set", "colour=1"], "Got 'colour'"),
        (["transformer", "-o", "x", "--data", "."], "expects --source-lang"),
        (
            ["small10", "-o", "x"],
            "Did you mean 'small100'",
        ),
    ],
)
def test_arguments_say_what_is_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_recipes_are_listed(capsys):
    assert main(["finetune"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(ready_recipes())
    assert len(lines) == 9


def test_a_recipe_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: weights\ntask: slot\n")
    (tmp_path / "weights").mkdir()
    recipe = read_recipe(str(path))
    assert recipe.name == "mine"
    assert recipe.model == str(tmp_path / "weights")
    path.write_text("model: m.gguf\ncomet_model: comet\ntask: translation\n")
    (tmp_path / "m.gguf").write_bytes(b"")
    assert read_recipe(str(path)).model == str(tmp_path / "m.gguf")
    assert read_recipe(str(path)).comet_model == "comet"  # none is there
    (tmp_path / "comet").mkdir()
    assert read_recipe(str(path)).comet_model == str(tmp_path / "comet")
    path.write_text("model: weights\ntsk: slot\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: .*Got 'tsk'"):
        read_recipe(str(path))


def test_a_model_can_take_the_place_of_that_of_a_recipe():
    assert read_recipe("small100").revision is not None
    assert read_recipe("small100", [(("model",), "x")]).revision is None
    assert read_recipe("transformer", [(("model",), "x")]).architecture is None


def test_rows_of_the_same_experiment_are_replaced(tmp_path):
    path = tmp_path / "rows.csv"
    row = {
        "source_lang": "ind",
        "target_lang": "jav",
        "train_dataset": "d",
        "dataset_size": 10,
        "test_dataset": "t",
        "model": "m",
        "tuned": True,
        "seed": 0,
        "BLEU": 1.0,
    }
    append_rows(path, [row])
    append_rows(path, [{**row, "BLEU": 2.0}, {**row, "seed": 1}])
    table = pd.read_csv(path, comment="#")
    assert table["BLEU"].tolist() == [2.0, 1.0]
    path.write_text("a\n1\n")
    with pytest.raises(ValueError, match="no column 'source_lang'"):
        append_rows(path, [row])
