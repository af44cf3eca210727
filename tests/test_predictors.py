"""load_predictor: a file without code, and what happens if there is none."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from skops.io.exceptions import UntrustedTypesFoundException

import proxylm
from proxylm.predictors import _load, list_predictors, load_predictor
from proxylm.predictors._store import TRUSTED, describe, load, save


@pytest.fixture(scope="module")
def records():
    return proxylm.load_udhr_records()


@pytest.fixture
def quick(monkeypatch):
    """Fit few records, and count how often."""
    fits = []

    def fit(records):
        fits.append(records.target.name)
        few = records.data.head(24), records.target.head(24)
        return proxylm.ProxyRegressor(random_state=0).fit(*few)

    monkeypatch.setattr(_load, "fit_predictor", fit)
    return fits


def test_shipped_predictor_is_that_of_its_records(records, tmp_path):
    stem = _load.FOLDER / _load.SHIPPED.replace("/", "-")
    facts = json.loads(stem.with_name(f"{stem.name}.json").read_text())
    assert facts["records"] == describe(records)["records"]
    predictor = load_predictor("udhr/smollm2", data_home=tmp_path)
    check_is_fitted(predictor)
    assert list(predictor.feature_names_in_) == list(records.data)
    if facts == describe(records):  # of the pinned versions
        assert not list(tmp_path.iterdir())


def test_shipped_predictor_predicts_what_it_did_when_it_was_saved(records, tmp_path):
    expected = pd.read_csv(Path(__file__).with_name("shipped_predictions.csv"))
    predictor = load_predictor("udhr/smollm2", data_home=tmp_path)
    new = records.data.head(len(expected)).assign(target_lang="xxx")
    predicted, interval = predictor.predict(new, return_interval=True)
    found = np.column_stack([predicted, interval])
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-6)


@pytest.mark.slow
def test_shipped_predictor_is_what_the_default_is_today(records, tmp_path):
    loaded = load_predictor("udhr/smollm2", data_home=tmp_path)
    fitted = _load.fit_predictor(records)
    new = records.data.assign(target_lang="xxx")
    # Rounding differs between processors, and a search for parameters with it.
    difference = loaded.predict(new) - fitted.predict(new)
    assert np.sqrt(np.mean(difference**2)) < 0.05 * records.target.std()


def test_predictor_is_fitted_once_and_kept(quick, records, tmp_path):
    name = "udhr/smollm2/bits_per_byte"
    first = load_predictor(name, data_home=tmp_path)
    second = load_predictor(name, data_home=tmp_path)
    assert quick == ["smollm2_ft_bits_per_byte"]
    table = proxylm.load_udhr_records(score="bits_per_byte").data
    np.testing.assert_array_equal(first.predict(table), second.predict(table))
    # These come from rows that are kept as arrays.
    np.testing.assert_array_equal(
        first.feature_importances_, second.feature_importances_
    )


def test_a_file_of_other_versions_is_not_read(quick, tmp_path):
    name = "udhr/smollm2/bits_per_byte"
    load_predictor(name, data_home=tmp_path)
    (path,) = (tmp_path / "predictors").glob("*.json")
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"scikit-learn": "0.1"}))
    load_predictor(name, data_home=tmp_path)
    load_predictor(name, data_home=tmp_path)
    assert len(quick) == 2


def test_a_folder_that_cannot_be_written_is_only_a_warning(quick, tmp_path, caplog):
    place = tmp_path / "file"
    place.write_text("no folder")
    predictor = load_predictor("udhr/smollm2/bits_per_byte", data_home=place)
    check_is_fitted(predictor)
    assert "could not be kept" in caplog.text


def test_a_file_with_any_other_type_is_refused(records, tmp_path):
    facts = describe(records)
    save(StandardScaler().fit([[1.0]]), tmp_path / "scaler", facts)
    assert isinstance(load(tmp_path / "scaler", facts), StandardScaler)
    with (
        zipfile.ZipFile(tmp_path / "scaler.skops") as archive,
        zipfile.ZipFile(tmp_path / "evil.skops", "w") as other,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            if name == "schema.json":
                assert b'"StandardScaler"' in content
                content = content.replace(b'"sklearn.preprocessing._data"', b'"os"')
                content = content.replace(b'"StandardScaler"', b'"system"')
            other.writestr(name, content)
    shutil.copy(tmp_path / "scaler.json", tmp_path / "evil.json")
    with pytest.raises(UntrustedTypesFoundException):
        load(tmp_path / "evil", facts)


def test_trusted_types_are_those_of_the_file():
    stem = _load.FOLDER / _load.SHIPPED.replace("/", "-")
    found = skops.io.get_untrusted_types(file=stem.with_name(f"{stem.name}.skops"))
    assert set(found) <= set(TRUSTED)


@pytest.mark.records
@pytest.mark.slow
@pytest.mark.parametrize("name", ["nusa/nllb", "nusa/m2m100/comet"])
def test_predictors_of_fetched_tables_are_kept(name, tmp_path, monkeypatch):
    records = _load.load_records_of(name)
    monkeypatch.setattr(_load, "get_data_home", lambda _: tmp_path)
    first = load_predictor(name)
    second = load_predictor(name)
    np.testing.assert_array_equal(
        first.predict_interval(records.data), second.predict_interval(records.data)
    )
    assert len(list((tmp_path / "predictors").glob("*.skops"))) == 1


def test_all_predictors_have_records_of_their_own():
    names = list_predictors()["name"]
    assert names.is_unique
    assert len(names) == 30


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("udhr/smolm2", "such as one of .* Did you mean 'udhr/smollm2'"),
        ("udhr", "TABLE/MODEL"),
        (3, "TABLE/MODEL"),
        ("mt560/nllb/BLUE", "score of mt560 .* Did you mean 'BLEU'"),
        ("mt560/nllb/BLEU/x", "TABLE/MODEL"),
    ],
)
def test_unknown_names_are_refused(name, words):
    with pytest.raises(ValueError, match=words):
        load_predictor(name)
