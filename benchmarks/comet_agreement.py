"""Compare the scores of CometScorer with those of the library of COMET itself.

Tiny metrics with random weights are made and saved by unbabel-comet, in an environment
of its own, and score 50 translations there: between languages, empty, cut off, with
characters that are normalised and words that look like special tokens. CometScorer
reads the checkpoints and is to give the same scores to 1e-5; the largest differences
are printed for each kind of metric.

    pip install unbabel-comet "setuptools<81"   # in an environment of its own
    python benchmarks/comet_agreement.py --python comet/bin/python
"""

import argparse
import io
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import sentencepiece
import transformers
from tokenizers import normalizers

from proxylm.lm import CometScorer

N_SEGMENTS = 50
MOST = 1e-5
TEXTS = [
    "All human beings are born free and equal in dignity and rights.",
    "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i praw.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.",
    "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.",
    "人人生而自由,在尊严和权利上一律平等。",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "ሁሉም የሰው ልጆች ነጻና ክብርና መብታቸው እኩል ሆኖ የተወለዱ ናቸው።",
    "",
    "  two   spaces, a\ttab and a\nbreak ",
    "ﬁne ＦＵＬＬ ｗｉｄｔｈ, ½ and 🙂",
    "a <pad> and a </s> <mask> in the text",
    "Rights and dignity. " * 30,
]
# By name: what differs from the settings of wmt22-comet-da.
KINDS = {
    "as wmt22-comet-da": {},
    "softmax": {"layer_transformation": "softmax"},
    "softmax, layer norm": {"layer_transformation": "softmax", "layer_norm": True},
    "sparsemax, layer norm": {"layer_norm": True},
    "sigmoid at the end": {"final_activation": "Sigmoid", "hidden_sizes": [40]},
}
USUAL = {"layer_transformation": "sparsemax", "layer_norm": False, "hidden_sizes": [48]}
# Run by the other interpreter: makes a metric, saves it, loads it and scores.
THEIRS = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import pytorch_lightning, torch, yaml
from comet import load_from_checkpoint
from comet.models import RegressionMetric
folder, encoder, settings, samples = (json.loads(x) for x in sys.argv[1:])
torch.manual_seed(0)
model = RegressionMetric(
    pretrained_model=encoder, load_pretrained_weights=False, **settings
)
with torch.no_grad():
    for parameter in model.encoder.parameters():
        parameter *= 4 if parameter.dim() > 1 else 1
        parameter += 0.3 * torch.randn_like(parameter) * (parameter.dim() == 1)
    for parameter in model.layerwise_attention.scalar_parameters:
        parameter.normal_(0, 0.5)
    model.layerwise_attention.gamma.fill_(1.3)
trainer = pytorch_lightning.Trainer(
    logger=False, enable_checkpointing=False, accelerator="cpu"
)
trainer.strategy.connect(model)
path = Path(folder) / "checkpoints" / "model.ckpt"
path.parent.mkdir(parents=True)
trainer.save_checkpoint(path, weights_only=True)
(Path(folder) / "hparams.yaml").write_text(yaml.dump(dict(model.hparams)))
model = load_from_checkpoint(path)
found = model.predict(samples, batch_size=8, gpus=0, progress_bar=False)
print(json.dumps([found.scores, found.system_score]))
"""


def make_encoder(folder):
    """Write the configuration and the tokenizer of a tiny XLM-RoBERTa."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        vocab_size=400,
        hard_vocab_limit=False,
        character_coverage=0.99,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    special = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = transformers.XLMRobertaTokenizer(
        vocab=[*special, *pieces[3:], ("<mask>", 0.0)]
    )
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    folder.mkdir()
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    transformers.XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=130,
        type_vocab_size=1,
    ).save_pretrained(folder)


def make_samples():
    """Return triples of texts that are unlike each other."""
    pairs = itertools.product(range(len(TEXTS)), repeat=3)
    triples = [[TEXTS[i], TEXTS[j], TEXTS[k]] for i, j, k in pairs if j != k]
    rows = np.random.default_rng(0).choice(len(triples), N_SEGMENTS, replace=False)
    samples = [triples[row] for row in rows]
    return [dict(zip(("src", "mt", "ref"), texts, strict=True)) for texts in samples]


def run_theirs(python, folder, encoder, settings, samples):
    """Return the scores of the library, which leaves the checkpoint in a folder."""
    arguments = [str(folder), str(encoder), settings, samples]
    command = [python, "-c", THEIRS, *map(json.dumps, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    segments, system = json.loads(done.stdout.splitlines()[-1])
    return np.array(segments), system


def main():
    """Print the largest differences; return 1 if they are too large."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", required=True, help="one that has unbabel-comet")
    python = parser.parse_args().python
    samples = make_samples()
    columns = [[sample[name] for sample in samples] for name in ("src", "mt", "ref")]
    worst = 0.0
    with tempfile.TemporaryDirectory() as place:
        encoder = Path(place) / "tiny"
        make_encoder(encoder)
        for number, (kind, changes) in enumerate(KINDS.items()):
            folder = Path(place) / str(number)
            settings = {**USUAL, **changes}
            segments, system = run_theirs(python, folder, encoder, settings, samples)
            scorer = CometScorer(folder, device="cpu")
            found, score = scorer.score_segments(*columns), scorer.score(*columns)
            difference = np.abs(found - segments).max()
            worst = max(worst, difference, abs(score.value - system))
            print(
                f"{kind}: {len(found)} segments of {segments.min():.3f} to "
                f"{segments.max():.3f} differ by {difference:.1e} at most, the system "
                f"of {system:.4f} by {abs(score.value - system):.1e}"
            )
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
