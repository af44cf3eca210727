import json

import pytest

from proxylm._optional import import_optional


def test_present_module_is_returned():
    assert import_optional("json", extra="search") is json


def test_submodule_is_returned_itself():
    assert import_optional("os.path", extra="search").__name__.endswith("path")


def test_absent_module_is_answered_with_the_pip_line():
    with pytest.raises(ImportError, match=r'pip install "proxylm\[search\]"') as caught:
        import_optional("proxylm_needs_no_such_module", extra="search")
    assert "'proxylm_needs_no_such_module'" in str(caught.value)
    assert caught.value.name == "proxylm_needs_no_such_module"
    assert "\n" not in str(caught.value)


def test_module_that_fails_to_import_tells_its_own_reason(tmp_path, monkeypatch):
    (tmp_path / "broken_on_import.py").write_text("import needs_this_other_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="needs_this_other_module"):
        import_optional("broken_on_import", extra="lm")
