"""Fine-tuning: the loss, the loop, what is resumed, and what goes wrong."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")

import torch
from tiny_models import CAUSAL, SEQ2SEQ, make_model, make_seq2seq, make_tokenizer, save

from proxylm import ProxyScorer
from proxylm.lm import Recipe, finetune, score_model
from proxylm.lm._encoding import Chunk
from proxylm.lm._loading import LanguageModel, LoadingOptions
from proxylm.lm._output_layer import LinearOutput
from proxylm.lm._pairs import make_encoder
from proxylm.lm.finetuning import (
    Budget,
    Experiment,
    TestSet,
    TrainingOptions,
    TrainingSet,
    _linear_loss,
    _loss,
    _trainer,
    records_of,
    run_experiment,
    run_experiments,
)
from proxylm.lm.finetuning._batches import cut, epoch_batches
from proxylm.lm.finetuning._checkpoint import CHECKPOINT
from proxylm.lm.finetuning._data import (
    Pair,
    draw,
    join_sides,
    read_json_lines,
    read_massive,
    read_massive_splits,
    read_parallel,
)
from proxylm.lm.finetuning._examples import make_examples, text_examples
from proxylm.lm.finetuning._finetune import hold
from proxylm.lm.finetuning._loss import ExampleLoss
from proxylm.lm.finetuning._recipe import VocabularyOptions
from proxylm.lm.finetuning._schedule import rate_at
from proxylm.lm.finetuning._scratch import make_model as make_model_from_scratch
from proxylm.lm.finetuning._scratch import train_tokenizer
from proxylm.lm.finetuning._trainer import Trainer

WORDS = "satu dua tiga empat lima enam tujuh delapan sembilan sepuluh".split()
ARCHITECTURE = {
    "model_type": "marian",
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "dropout": 0.1,
}
TRAINING = {
    "schedule": "constant",
    "learning_rate": 3e-3,
    "max_epochs": 3,
    "batch_size": 8,
    "max_tokens": 400,
    "dtype": "float32",
}


def make_pairs(n_pairs, seed=0, codes=()):
    """Return pairs of numerals and the same the other way round."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(n_pairs):
        words = rng.choice(WORDS, rng.integers(2, 7)).tolist()
        pairs.append(Pair(" ".join(words), " ".join(words[::-1]), *codes))
    return pairs


PAIRS = make_pairs(60)
DEV = make_pairs(12, seed=1)


def scratch(**changes):
    """Return a recipe of a small transformer from scratch."""
    training = {**TRAINING, **changes.pop("training", {})}
    return Recipe.of(
        {
            "name": "small",
            "architecture": ARCHITECTURE,
            "vocabulary": {"size": 300},
            "training": training,
            **changes,
        }
    )


def weights_of(folder):
    safetensors = pytest.importorskip("safetensors.torch")
    return safetensors.load_file(folder / "model.safetensors")


def assert_equal_weights(first, second):
    first, second = weights_of(first), weights_of(second)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("llama"), make_model("llama"))


def examples_of(model, pairs, prompt="{text}\n"):
    prompt = prompt if model.kind == "causal" else None
    return make_examples(pairs, make_encoder(model, prompt, "auto"), model, 128)


def own_loss(module, batch, kind):
    """Return the loss of a model of transformers on the same tokens."""
    n_columns = max(len(chunk.ids) for chunk in batch)
    ids = torch.zeros(len(batch), n_columns, dtype=torch.long)
    labels = torch.full((len(batch), n_columns), -100)
    for row, chunk in enumerate(batch):
        ids[row, : len(chunk.ids)] = torch.from_numpy(chunk.ids)
        # labels[t] is what the output at t predicts: their shift puts it at t + 1
        labels[row, chunk.positions] = torch.from_numpy(chunk.targets)
    if kind == "causal":
        mask = torch.tensor([[1] * n_columns] * len(batch))
        shifted = torch.full((len(batch), n_columns + 1), -100)
        shifted[:, 1:] = labels
        ids = torch.cat([ids, ids[:, -1:]], dim=1)
        mask = torch.cat([mask, mask[:, -1:]], dim=1)
        return module(input_ids=ids, attention_mask=mask, labels=shifted).loss
    n_read = max(len(chunk.encoder_ids) for chunk in batch)
    read = torch.zeros(len(batch), n_read, dtype=torch.long)
    seen = torch.zeros_like(read)
    for row, chunk in enumerate(batch):
        read[row, : len(chunk.encoder_ids)] = torch.from_numpy(chunk.encoder_ids)
        seen[row, : len(chunk.encoder_ids)] = 1
    return module(
        input_ids=read, attention_mask=seen, decoder_input_ids=ids, labels=labels
    ).loss


def check_loss(module, batch, kind):
    """Compare the loss and its gradients with those of transformers."""
    n_tokens = sum(len(chunk.targets) for chunk in batch)
    ours = ExampleLoss(module, kind)(batch) / n_tokens
    ours.backward()
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    module.zero_grad()
    theirs = own_loss(module, batch, kind)
    theirs.backward()
    # transformers adds up in float32, whatever the model computes in
    torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-6, atol=0)
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(
                gradients[name], parameter.grad, rtol=1e-4, atol=1e-7
            )


@pytest.mark.parametrize("name", sorted(CAUSAL))
def test_loss_of_causal_models_is_that_of_transformers(name, tmp_path):
    folder = save(tmp_path / "model", make_model(name))
    model = LanguageModel(folder, options=LoadingOptions(device="cpu"))
    batch = examples_of(model, PAIRS[:6])
    module = make_model(name, dtype=torch.float64)
    check_loss(module, batch, "causal")


@pytest.mark.parametrize("name", sorted(SEQ2SEQ))
def test_loss_of_encoder_decoders_is_that_of_transformers(name, tmp_path):
    module, tokenizer = make_seq2seq(name, tmp_path)
    model = LanguageModel((module, tokenizer))
    codes = {"m2m100": ("id", "jv"), "nllb": ("ind_Latn", "jav_Latn")}
    codes = codes.get(name, ("id_ID", "en_XX"))
    batch = examples_of(
        model,
        [
            pair._replace(source_lang=codes[0], target_lang=codes[1])
            for pair in PAIRS[:6]
        ],
    )
    module, _ = make_seq2seq(name, tmp_path, dtype=torch.float64)
    check_loss(module, batch, "seq2seq")


def test_the_prompt_is_not_learned_and_the_end_is(causal_folder):
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    (example,) = examples_of(model, [Pair("satu dua", "dua satu")])
    tokenizer = model.tokenizer
    assert tokenizer.decode(example.targets[:-1]) == "dua satu"
    assert example.targets[-1] == tokenizer.eos_token_id
    read = tokenizer.decode(example.ids[: example.positions[0] + 1])
    assert read.endswith("satu dua\n")


def test_smoothing_is_its_formula(causal_folder):
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    module = make_model("llama", dtype=torch.float64)
    batch = examples_of(model, PAIRS[:3])
    with torch.no_grad():
        found = float(ExampleLoss(module, "causal")(batch, smoothing=0.2))
        expected = 0.0
        for chunk in batch:
            logits = module(torch.from_numpy(chunk.ids)[None]).logits[0]
            logprobs = logits.log_softmax(-1)[torch.from_numpy(chunk.positions)]
            chosen = logprobs.gather(1, torch.from_numpy(chunk.targets)[:, None])
            expected -= 0.8 * float(chosen.sum()) + 0.2 * float(logprobs.mean(1).sum())
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama", "hidden_size": 30, "num_attention_heads": 2},
        {"model_type": "llama", "hidden_size": 32, "num_attention_heads": 3},
        {"model_type": "marian", "d_model": 30, "decoder_attention_heads": 4},
    ],
)
def test_sizes_that_do_not_go_together_are_refused(changes):
    tokenizer = train_tokenizer(["a b c"], VocabularyOptions(size=300))
    with pytest.raises(ValueError, match=r"architecture expects sizes that .* Got \{"):
        make_model_from_scratch(changes, tokenizer, seed=0)


@pytest.mark.parametrize("is_fused", [True, False])
def test_many_logits_are_made_in_parts_with_the_same_gradient(
    causal_folder, monkeypatch, is_fused
):
    if not is_fused:
        monkeypatch.setattr(_loss, "has_gradient", lambda *_: False)
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    batch = examples_of(model, PAIRS[:6])

    def gradients():
        module = make_model("llama", dtype=torch.float64)
        loss = ExampleLoss(module, "causal")(batch, 0.1)
        loss.backward()
        return float(loss.detach()), [
            parameter.grad for parameter in module.parameters()
        ]

    whole, expected = gradients()
    most = 7 * len(make_tokenizer())
    for module in (_loss, _linear_loss):
        monkeypatch.setattr(module, "MOST_LOGITS", {"cpu": most, "cuda": most})
    parts, found = gradients()
    assert parts == pytest.approx(whole, rel=1e-12)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_gradient_of_the_linear_loss_is_that_of_cross_entropy(
    smoothing, scale, has_bias, rows, monkeypatch
):
    most = rows * 11
    monkeypatch.setattr(_linear_loss, "MOST_LOGITS", {"cpu": most, "cuda": most})
    rng = torch.Generator().manual_seed(0)
    states, weight = (
        torch.randn(n, 5, generator=rng, dtype=torch.float64, requires_grad=True)
        for n in (7, 11)
    )
    bias = torch.randn(11, generator=rng, dtype=torch.float64) if has_bias else None
    targets = torch.randint(11, (7,), generator=rng)
    output = LinearOutput(weight, bias, scale)
    found = _linear_loss.linear_cross_entropy(output, states, targets, smoothing)
    logits = torch.nn.functional.linear(states, weight, bias) * scale
    expected = torch.nn.functional.cross_entropy(
        logits, targets, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    ours = torch.autograd.grad(3 * found, (states, weight))
    theirs = torch.autograd.grad(3 * expected, (states, weight))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_linear_loss_of_frozen_weights_has_a_gradient_by_states_alone():
    states = torch.randn(4, 3, requires_grad=True)
    output = LinearOutput(torch.randn(6, 3))
    targets = torch.tensor([0, 5, 2, 2])
    loss = _linear_loss.linear_cross_entropy(output, states, targets, 0.0)
    loss.backward()
    assert states.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "dtype", "expected"),
    [
        ({}, torch.bfloat16, True),
        ({}, torch.float16, False),
        ({"cap": 30.0}, torch.float32, False),
        ({"bias": torch.zeros(6)}, torch.float32, True),
        ({"bias": torch.zeros(6, requires_grad=True)}, torch.float32, False),
    ],
)
def test_what_the_linear_loss_knows_the_gradient_of(changes, dtype, expected):
    output = LinearOutput(torch.zeros(6, 3), **changes)
    assert _linear_loss.has_gradient(output, dtype) is expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.25, 0.5, 1, 1, 1]),
        ("inverse_sqrt", [0.25, 0.5, 1, (4 / 8) ** 0.5, (4 / 12) ** 0.5]),
        ("linear", [0.25, 0.5, 1, 0.5, 0]),
        ("cosine", [0.25, 0.5, 1, 0.5, 0]),
    ],
)
def test_schedules_are_those_of_the_papers(schedule, expected):
    found = [rate_at(schedule, step, 4, 12) for step in (1, 2, 4, 8, 12)]
    assert found == pytest.approx(expected)


def test_batches_have_each_example_once_within_the_budget():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 60, (500, 2))
    batches = epoch_batches(lengths, 300, 16, seed=1, epoch=0)
    assert sorted(n for batch in batches for n in batch) == list(range(500))
    for batch in batches:
        widest = lengths[batch].max(axis=0).sum()
        assert len(batch) == 1 or (len(batch) * widest <= 300 and len(batch) <= 16)
    assert batches == epoch_batches(lengths, 300, 16, seed=1, epoch=0)
    assert batches != epoch_batches(lengths, 300, 16, seed=1, epoch=1)
    assert batches != epoch_batches(lengths, 300, 16, seed=2, epoch=0)


def test_an_example_above_the_budget_is_a_batch_of_its_own():
    lengths = np.array([[5, 0], [900, 0], [5, 0]])
    assert cut([0, 1, 2], lengths, 20, 8) == [[0], [1], [2]]


def test_the_best_weights_are_kept_and_patience_stops(tmp_path):
    # A rate so high that the development loss goes up again.
    options = {"max_epochs": 10, "learning_rate": 0.02}
    free = finetune(scratch(training=options), PAIRS, DEV, folder=tmp_path / "free")
    losses = [row["dev_loss"] for row in free.history]
    best, n_worse, expected = np.inf, 0, len(losses)
    for number, loss in enumerate(losses, 1):
        n_worse = 0 if loss < best else n_worse + 1
        best = min(best, loss)
        if n_worse == 1:
            expected = number
            break
    assert expected < len(losses)
    patient = scratch(training={**options, "patience": 1})
    tuned = finetune(patient, PAIRS, DEV, folder=tmp_path / "patient")
    assert len(tuned.history) == expected
    assert [row["dev_loss"] for row in tuned.history] == losses[:expected]
    assert tuned.dev_loss == min(losses[:expected])
    model = LanguageModel(str(tuned.folder), options=LoadingOptions(device="cpu"))
    trainer = Trainer(
        model.load_trainable(),
        "seq2seq",
        examples_of(model, PAIRS),
        examples_of(model, DEV),
        TrainingOptions(**TRAINING),
        tmp_path,
    )
    assert trainer.evaluate() == pytest.approx(tuned.dev_loss, rel=1e-6)


KILLED = """
    import sys
    sys.path.insert(0, {tests!r})
    import torch
    torch.set_num_threads(1)
    from test_finetuning import DEV, PAIRS, finetune, scratch
    from proxylm.lm.finetuning import _trainer
    _trainer.CHECKPOINT_SECONDS = 0
    finetune(scratch(training={{"max_epochs": 60}}), PAIRS, DEV, folder={folder!r})
"""


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    recipe = scratch(training={"max_epochs": 60})
    undisturbed = finetune(recipe, PAIRS, DEV, folder=tmp_path / "undisturbed")
    folder = tmp_path / "killed"
    script = textwrap.dedent(KILLED).format(
        tests=os.path.dirname(__file__), folder=str(folder)
    )
    n_killed = 0
    for number in range(3):
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script])
        written = None
        while process.poll() is None:
            path = folder / CHECKPOINT
            if path.exists() and path.stat().st_mtime_ns != written:
                if written is not None:
                    time.sleep(0.05 * number)
                    break
                written = path.stat().st_mtime_ns
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            n_killed += 1
        process.wait()
    assert n_killed
    again = finetune(recipe, PAIRS, DEV, folder=folder)
    assert again.history == undisturbed.history
    assert again.n_tokens == undisturbed.n_tokens
    assert_equal_weights(again.folder, undisturbed.folder)
    assert not (folder / CHECKPOINT).exists()


def test_a_finished_training_is_not_done_again(tmp_path):
    first = finetune(scratch(), PAIRS, DEV, folder=tmp_path)
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    second = finetune(scratch(), PAIRS, DEV, folder=tmp_path)
    assert second == first
    assert (second.folder / "model.safetensors").stat().st_mtime_ns == written


def test_seeds_matter_and_nothing_else_does(tmp_path):
    recipe = scratch(training={"max_epochs": 1})
    state = torch.get_rng_state()
    first = finetune(recipe, PAIRS, DEV, folder=tmp_path / "1")
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(7)
    same = finetune(recipe, PAIRS, DEV, folder=tmp_path / "2")
    assert_equal_weights(first.folder, same.folder)
    other = scratch(training={"max_epochs": 1, "seed": 1})
    other = finetune(other, PAIRS, DEV, folder=tmp_path / "3")
    assert other.dev_loss != first.dev_loss


def test_accumulated_batches_make_the_update_of_a_large_one(causal_folder, tmp_path):
    """Batches are weighed by their tokens, not alike."""
    values = {"name": "x", "model": causal_folder, "task": "intent"}
    training = {**TRAINING, "max_epochs": 1, "batch_size": 60, "max_tokens": 100_000}
    large = Recipe.of({**values, "training": training})
    parts = {**training, "batch_size": 5, "accumulation": 100}
    parts = Recipe.of({**values, "training": parts})
    large = finetune(large, PAIRS, folder=tmp_path / "large")
    parts = finetune(parts, PAIRS, folder=tmp_path / "parts")
    assert large.n_updates == parts.n_updates == 1
    first, second = weights_of(large.folder), weights_of(parts.folder)
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=2e-4)


def test_packed_examples_learn_the_same(causal_folder, tmp_path):
    values = {"name": "x", "model": causal_folder, "task": "intent"}
    apart = Recipe.of({**values, "training": TRAINING})
    packed = Recipe.of({**values, "training": {**TRAINING, "pack": True}})
    apart = finetune(apart, PAIRS, DEV, folder=tmp_path / "apart")
    packed = finetune(packed, PAIRS, DEV, folder=tmp_path / "packed")
    assert packed.dev_loss == pytest.approx(apart.dev_loss, rel=1e-3)
    assert packed.history[0]["train_loss"] == pytest.approx(
        apart.history[0]["train_loss"], rel=1e-3
    )


def test_adapters_merge_to_the_same_logits(tmp_path):
    peft = pytest.importorskip("peft", reason="needs proxylm[finetune]")
    start = save(tmp_path / "start", make_model("llama"))
    recipe = Recipe.of(
        {
            "name": "x",
            "model": start,
            "task": "intent",
            "method": "lora",
            "training": {**TRAINING, "learning_rate": 0.05},
            "lora": {"rank": 4, "alpha": 8},
        }
    )
    tuned = finetune(recipe, PAIRS, DEV, folder=tmp_path / "tuned")
    ids = torch.arange(20)[None]
    first = make_model("llama")
    before = first(ids).logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft's, of transformers
        place = tmp_path / "tuned/adapter"
        with_adapters = peft.PeftModel.from_pretrained(first, place)
    merged = LanguageModel(str(tuned.folder), options=LoadingOptions(device="cpu"))
    merged = merged.load_trainable().eval()
    with torch.no_grad():
        expected = with_adapters.eval()(ids).logits
        torch.testing.assert_close(merged(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert (expected - before).abs().max() > 0.1
    config = json.loads((tmp_path / "tuned/adapter/adapter_config.json").read_text())
    names = "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj".split()
    named = config["target_modules"]
    assert named == sorted(named)
    assert sorted({name.rpartition(".")[2] for name in named}) == names


def test_adapters_name_the_layers_that_there_are(causal_folder, tmp_path):
    pytest.importorskip("peft", reason="needs proxylm[finetune]")
    values = {"name": "x", "model": causal_folder, "method": "lora", "task": "intent"}
    recipe = Recipe.of({**values, "lora": {"layers": ["nothing"]}})
    with pytest.raises(ValueError, match=r"lora.layers expects.*q_proj.*nothing"):
        finetune(recipe, PAIRS, folder=tmp_path)


def test_gradient_checkpointing_changes_nothing(causal_folder, tmp_path):
    values = {"name": "x", "model": causal_folder, "task": "intent"}
    plain = Recipe.of({**values, "training": TRAINING})
    again = {**TRAINING, "gradient_checkpointing": True}
    again = Recipe.of({**values, "training": again})
    plain = finetune(plain, PAIRS, DEV, folder=tmp_path / "plain")
    again = finetune(again, PAIRS, DEV, folder=tmp_path / "again")
    assert again.dev_loss == pytest.approx(plain.dev_loss, rel=1e-5)
    assert again.flops == pytest.approx(plain.flops * 4 / 3, rel=0.1)


class ScarceMemory:
    """Lets a model run out of memory on batches above a size, as a GPU would."""

    def __init__(self, module, n_tokens):
        self.n_tokens, self.n_refused = n_tokens, 0
        module.base_model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module, args, kwargs):
        if module.training and kwargs["input_ids"].numel() > self.n_tokens:
            self.n_refused += 1
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def make_trainer(folder, tmp_path, **changes):
    model = LanguageModel(folder, options=LoadingOptions(device="cpu"))
    options = TrainingOptions(**{**TRAINING, **changes})
    arguments = (examples_of(model, PAIRS), examples_of(model, DEV), options)
    tmp_path.mkdir()
    return Trainer(model.load_trainable(), "causal", *arguments, tmp_path)


def test_out_of_memory_halves_batches_and_changes_no_update(causal_folder, tmp_path):
    plain = make_trainer(causal_folder, tmp_path / "plain", batch_size=20)
    expected = plain.run()
    scarce = make_trainer(causal_folder, tmp_path / "scarce", batch_size=20)
    memory = ScarceMemory(scarce.module, 150)
    state = scarce.run()
    assert memory.n_refused
    assert state.max_tokens < expected.max_tokens
    assert state.update == expected.update
    assert state.best_loss == pytest.approx(expected.best_loss, rel=1e-3)


def test_memory_for_no_pair_at_all_is_an_error(causal_folder, tmp_path):
    trainer = make_trainer(causal_folder, tmp_path / "run")
    ScarceMemory(trainer.module, 1)
    with pytest.raises(MemoryError, match=r"on single pairs.*gradient_checkpointing"):
        trainer.run()


def test_a_loss_that_is_no_number_names_update_and_pairs(causal_folder, tmp_path):
    trainer = make_trainer(causal_folder, tmp_path / "run", batch_size=4)
    with torch.no_grad():
        trainer.module.model.norm.weight[0] = float("nan")
    with pytest.raises(
        FloatingPointError, match=r"update 1 is nan, in the batch of the training pairs"
    ):
        trainer.run()


def test_a_full_disk_keeps_the_last_checkpoint(causal_folder, tmp_path):
    trainer = make_trainer(causal_folder, tmp_path / "run", max_epochs=1)
    trainer.run()
    path = tmp_path / "run" / CHECKPOINT
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"Could not write .*checkpoint\.pt"):
            trainer._save(_trainer.TrainingState())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        ["best.safetensors", CHECKPOINT]
    )


def test_a_damaged_checkpoint_is_named(tmp_path):
    recipe = scratch()
    with pytest.raises(KeyboardInterrupt):
        finetune(recipe, Interrupting(PAIRS), DEV, folder=tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt can't be read.*Remove it"):
        finetune(recipe, PAIRS, DEV, folder=tmp_path)


class Interrupting(list):
    """Pairs whose reader is interrupted."""

    def __iter__(self):
        yield from super().__iter__()
        raise KeyboardInterrupt


def test_another_recipe_in_the_folder_is_refused(tmp_path):
    finetune(scratch(training={"max_epochs": 1}), PAIRS, DEV, folder=tmp_path)
    other = scratch(training={"max_epochs": 1, "learning_rate": 0.5})
    with pytest.raises(
        ValueError, match=r"recipe\.training\.learning_rate was 0\.003 and is 0\.5"
    ):
        finetune(other, PAIRS, DEV, folder=tmp_path)
    with pytest.raises(ValueError, match=r"train was '.*' and is '"):
        finetune(scratch(training={"max_epochs": 1}), PAIRS[:50], DEV, folder=tmp_path)


def test_two_runs_in_a_folder_are_refused(tmp_path):
    with (
        hold(tmp_path),
        pytest.raises(ValueError, match="Another run is at work in"),
    ):
        finetune(scratch(), PAIRS, DEV, folder=tmp_path)


def test_patience_needs_a_development_set(tmp_path):
    recipe = scratch(training={"patience": 2})
    with pytest.raises(ValueError, match=r"patience expects a development set"):
        finetune(recipe, PAIRS, folder=tmp_path)


def test_without_a_development_set_the_last_weights_are_kept(tmp_path):
    tuned = finetune(scratch(), PAIRS, folder=tmp_path)
    assert tuned.dev_loss is None
    assert tuned.best_update == tuned.n_updates
    assert "dev_loss" not in tuned.history[-1]


def test_unknown_languages_are_named_with_the_nearest(tmp_path):
    module, tokenizer = make_seq2seq("m2m100", tmp_path)
    folder = save(tmp_path / "model", module, tokenizer)
    recipe = Recipe.of({"name": "x", "model": folder, "training": TRAINING})
    pairs = make_pairs(4, codes=("id", "xxx"))
    with pytest.raises(ValueError, match="xxx"):
        finetune(recipe, pairs, folder=tmp_path / "run")


def test_sizes_are_drawn_by_seed_and_nested():
    small, large = (draw(PAIRS, size, seed=3) for size in (10, 30))
    assert len(small) == 10
    assert set(small) <= set(large)
    assert small != draw(PAIRS, 10, seed=4)
    assert draw(PAIRS, None, seed=3) == PAIRS


@pytest.mark.parametrize("size", [0, -1, 61])
def test_sizes_that_there_are_not_are_refused(size):
    with pytest.raises(ValueError, match=r"size expects"):
        draw(PAIRS, size, seed=0)


def test_sides_of_different_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"as many sentences. Got 2 and 1"):
        join_sides(["a", "b"], ["c"])
    for name, text in (("a", "1\n2\n"), ("b", "1\n")):
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"as many lines. Got 2 and 1"):
        read_parallel(tmp_path / "a", tmp_path / "b")


def test_json_lines_name_the_line_that_is_wrong(tmp_path):
    path = tmp_path / "train.json"
    line = json.dumps({"translation": {"ind": "satu", "jav": "siji"}})
    path.write_text(f"{line}\n\n")
    assert read_json_lines(path, "ind", "jav") == [Pair("satu", "siji", "ind", "jav")]
    path.write_text(f"{line}\n{{}}\n")
    with pytest.raises(ValueError, match=r"line 2: expected"):
        read_json_lines(path, "ind", "jav")


def write_massive(path, n_utterances=40):
    """Write made-up utterances in the format of MASSIVE."""
    rows = []
    for number in range(n_utterances):
        hour = number % 12 + 1
        partition = ("train", "train", "dev", "test")[number % 4]
        rows.append(
            {
                "id": str(number),
                "locale": path.stem,
                "partition": partition,
                "intent": ("alarm_set", "alarm_remove")[number % 2],
                "utt": f"{('set', 'cancel')[number % 2]} my alarm at {hour}",
                "annot_utt": f"{('set', 'cancel')[number % 2]} my alarm at "
                f"[time : {hour}]",
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_massive_is_read_by_task_and_partition(tmp_path):
    path = write_massive(tmp_path / "en-US.jsonl")
    splits = read_massive_splits(path, "slot")
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [20, 10, 10]
    assert splits["train"][0] == Pair(
        "set my alarm at 1", "set my alarm at [time : 1]", "en-US", "en-US"
    )
    assert read_massive(path, "intent", "dev")[0].target == "alarm_set"
    path.write_text('{"utt": "hello"}\n')
    with pytest.raises(ValueError, match=r"line 1: expected JSON with the keys"):
        read_massive(path, "intent")


def test_nearly_empty_and_too_long_pairs_are_left_out(causal_folder, caplog):
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    pairs = [*PAIRS[:3], Pair("satu", "dua " * 200)]
    examples = examples_of(model, pairs)
    assert [example.text for example in examples] == [0, 1, 2]
    assert "1 of 4 pairs are left out" in caplog.text


def test_texts_alone_are_learned_as_they_are_scored(causal_folder, tmp_path):
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    texts = [" ".join(WORDS * 8), "satu dua"]
    examples = text_examples([Pair("", text) for text in texts], model, 40)
    assert all(isinstance(example, Chunk) for example in examples)
    n_tokens = sum(len(model.tokenizer(text)["input_ids"]) for text in texts)
    assert sum(len(example.targets) for example in examples) == n_tokens
    recipe = Recipe.of(
        {
            "name": "x",
            "model": causal_folder,
            "task": "text",
            "cutoff": 40,
            "training": {**TRAINING, "max_epochs": 8},
        }
    )
    before = score_model(recipe, texts).values
    tuned = finetune(recipe, texts, folder=tmp_path)
    after = score_model(recipe, texts, model=tuned.folder).values
    assert after["bits_per_byte"] < before["bits_per_byte"]


def test_a_vocabulary_from_scratch_reads_every_text_back():
    for kind in ("bpe", "unigram"):
        options = scratch(vocabulary={"kind": kind, "size": 320}).vocabulary
        tokenizer = train_tokenizer([pair.source for pair in PAIRS], options)
        assert len(tokenizer) <= 320
        for text in ("satu dua", "ሁሉም 人人 …", "a\tb  c"):
            ids = tokenizer(text)["input_ids"]
            assert ids[-1] == tokenizer.eos_token_id
            assert tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training": {"learning_rat": 1}}, r"learning_rat'.*learning_rate"),
        ({"training": {"patience": 0}}, r"training.patience expects a whole number"),
        ({"training": {"schedule": "cosin"}}, r"schedule expects.*cosine"),
        ({"training": {"schedule": "inverse_sqrt"}}, r"warmup_steps expects updates"),
        ({"training": {"betas": [0.9]}}, r"training.betas expects two numbers"),
        ({"training": {"label_smoothing": 1}}, r"a number below 1"),
        ({"task": "translate"}, r"task expects one of.*translation"),
        ({"metrics": ["accurac"]}, r"metrics expects names among"),
        ({"model": "x"}, r"either a model or the architecture"),
        ({"method": "lora"}, r"method expects 'full' for a model from scratch"),
        ({"generation": {"beams": 3}}, r"generation expects keys"),
        ({"vocabulary": {"size": 10}}, r"vocabulary.size expects"),
        ({"colour": 1}, r"A recipe expects keys among"),
    ],
)
def test_recipes_say_what_is_wrong(values, message):
    with pytest.raises(ValueError, match=message):
        scratch(**values)


def test_an_unknown_architecture_names_the_nearest(tmp_path):
    recipe = scratch(architecture={"model_type": "marain"})
    with pytest.raises(ValueError, match="Did you mean 'marian'"):
        finetune(recipe, PAIRS, folder=tmp_path / "1")
    recipe = scratch(architecture={"model_type": "marian", "d_modl": 3})
    with pytest.raises(ValueError, match="Did you mean 'd_model'"):
        finetune(recipe, PAIRS, folder=tmp_path / "2")


def test_wrong_pairs_are_named(tmp_path):
    with pytest.raises(TypeError, match=r"train expects pairs.*Got 'satu'.* at 0"):
        finetune(scratch(), ["satu"], folder=tmp_path)
    with pytest.raises(ValueError, match=r"train expects pairs with texts"):
        finetune(scratch(), [("a", "b")], folder=tmp_path)
    with pytest.raises(ValueError, match=r"method 'full' or 'lora'"):
        recipe = Recipe.of({"name": "x", "model": "y", "method": "none"})
        finetune(recipe, PAIRS, folder=tmp_path)


def test_a_model_object_is_not_trained():
    model = LanguageModel((make_model("llama"), make_tokenizer()))
    with pytest.raises(TypeError, match="save_pretrained"):
        model.load_trainable()


CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|answer|>{% endif %}"
)


def test_chat_prompts_are_those_of_the_template(tmp_path):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT
    folder = save(tmp_path / "model", make_model("llama"), tokenizer)
    model = LanguageModel(folder, options=LoadingOptions(device="cpu"))
    encoder = make_encoder(model, "Say: {text}", "auto", chat=True)
    (example,) = make_examples([Pair("satu", "dua")], encoder, model, 100)
    message = [{"role": "user", "content": "Say: satu"}]
    expected = tokenizer.apply_chat_template(
        message, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert example.ids[: example.positions[0] + 1].tolist() == expected
    # What a text has of the template is text.
    (posing,) = make_examples([Pair("</s>", "dua")], encoder, model, 100)
    n_ends = (example.ids == tokenizer.eos_token_id).sum()
    assert (posing.ids == tokenizer.eos_token_id).sum() == n_ends
    options = {"method": "generation", "generation": {"max_new_tokens": 5}}
    scorer = ProxyScorer(folder, task="labels", chat=True, **options)
    assert np.isfinite(scorer.fit_transform([("satu", "dua")])).all()
    assert "{text}" in scorer.signatures_["model"]


def test_chat_needs_a_template(causal_folder):
    model = LanguageModel(causal_folder, options=LoadingOptions(device="cpu"))
    with pytest.raises(ValueError, match="chat=True expects a tokenizer with a chat"):
        make_encoder(model, None, "auto", chat=True)


def sets(codes=("ind", "jav")):
    training = TrainingSet(*codes, "numerals", make_pairs(60, 0), make_pairs(8, 1))
    return training, (TestSet(*codes, "numerals", make_pairs(6, 2)),)


def small_recipe(**changes):
    return scratch(
        metrics=["chrF2++"],
        generation={"max_new_tokens": 20},
        training={"max_epochs": 1},
        **changes,
    )


def test_experiments_are_done_once_and_end_in_records(tmp_path):
    training, tests = sets()
    experiments = [
        Experiment(small_recipe(), training, tests, size) for size in (20, 40)
    ]
    rows = [row for _, part in run_experiments(experiments, tmp_path) for row in part]
    assert [row["dataset_size"] for row in rows] == [20, 40]
    for name in ("training_flops", "scoring_flops", "peak_memory", "training_seconds"):
        assert all(row[name] > 0 for row in rows)
    records = records_of(rows)
    assert records.columns.tolist() == [
        "source_lang",
        "target_lang",
        "train_dataset",
        "dataset_size",
        "test_dataset",
        "small_ft_chrF2++_mean",
        "small_ft_chrF2++_se",
    ]
    again = [row for _, part in run_experiments(experiments, tmp_path) for row in part]
    assert again == rows
    assert not list(tmp_path.rglob("model.safetensors"))


def test_a_test_set_that_comes_later_is_scored(tmp_path):
    training, tests = sets()
    first = Experiment(small_recipe(), training, tests)
    (row,) = run_experiment(first, tmp_path)
    other = TestSet("ind", "jav", "more", make_pairs(5, 4))
    rows = run_experiment(
        Experiment(small_recipe(), training, (*tests, other)), tmp_path
    )
    assert rows[0] == row
    assert rows[1]["test_dataset"] == "more"


def test_a_budget_that_is_used_up_ends_before_the_next(tmp_path, caplog):
    training, tests = sets()
    experiments = [
        Experiment(small_recipe(), training, tests, size) for size in (20, 30)
    ]
    for budget in (Budget(flops=1.0), Budget(hours=1e-9)):
        done = list(run_experiments(experiments, tmp_path, budget=budget))
        assert len(done) == 1
    assert "1 of 2 experiments are left" in caplog.text
    assert len(list(run_experiments(experiments, tmp_path))) == 2


def test_records_average_seeds_and_join_models_as_they_are():
    keys = {
        "source_lang": "ind",
        "target_lang": "jav",
        "train_dataset": "d",
        "dataset_size": 10,
        "test_dataset": "t",
        "model": "m",
        "tuned": True,
    }
    rows = [
        {**keys, "seed": seed, "BLEU": value, "BLEU_se": 1.0, "dev_loss": 0.5}
        for seed, value in enumerate((10.0, 14.0))
    ]
    as_it_is = {**keys, "tuned": False, "train_dataset": None, "dataset_size": None}
    rows.append({**as_it_is, "seed": 0, "BLEU": 3.0, "BLEU_se": 0.5})
    (record,) = records_of(rows).to_dict("records")
    assert record["m_ft_BLEU_mean"] == 12.0
    assert record["m_ft_BLEU_se"] == pytest.approx((1.0 + 8.0 / 2) ** 0.5)
    assert record["m_noft_BLEU_mean"] == 3.0
    assert "m_ft_dev_loss_mean" not in record
