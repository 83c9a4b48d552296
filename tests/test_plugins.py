import sys
from textwrap import dedent

import pytest

from interpkit import _plugins
from interpkit.errors import InterpkitError, UnknownNameError


@pytest.fixture
def offers(tmp_path, monkeypatch):
    """A package with two plug-ins, a private module, and one file that cannot be imported."""
    folder = tmp_path / "offers_of_this_test"
    folder.mkdir()
    for name, source in {
        "__init__": "",
        "recall": "OFFER = 'the recall'",
        "accuracy": "OFFER = 'the accuracy'",
        "_shared": "OFFER = 'private'",
        "broken": "raise ValueError('imported')",
    }.items():
        (folder / f"{name}.py").write_text(dedent(source))
    (folder / "notes.txt").write_text("not a module")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_the_folder_is_the_list(offers):
    assert _plugins.names(offers) == ["accuracy", "broken", "recall"]


def test_listing_imports_nothing(offers):
    _plugins.names(offers)
    assert not [name for name in sys.modules if name.startswith(f"{offers}.")]


def test_a_new_file_is_on_offer(offers, tmp_path):
    (tmp_path / offers / "precision.py").write_text("OFFER = 'the precision'")
    assert "precision" in _plugins.names(offers)
    assert _plugins.load(offers, "precision") == "the precision"


def test_load_gives_the_offer(offers):
    assert _plugins.load(offers, "recall") == "the recall"


def test_a_folder_is_a_plug_in_too(offers, tmp_path):
    (tmp_path / offers / "curve").mkdir()
    (tmp_path / offers / "curve" / "__init__.py").write_text("OFFER = 'the curve'")
    assert _plugins.load(offers, "curve") == "the curve"


def test_an_unknown_name_is_a_mistake_with_the_nearest_names(offers):
    with pytest.raises(UnknownNameError, match=r"^no 'recal' in offers_of_this_test; there is recall") as caught:
        _plugins.load(offers, "recal")
    assert isinstance(caught.value, InterpkitError)


def test_where_nothing_is_near_all_names_are_listed(offers):
    with pytest.raises(UnknownNameError, match=r"there is accuracy, broken, recall$"):
        _plugins.load(offers, "zzz")


def test_private_modules_are_not_on_offer(offers):
    with pytest.raises(UnknownNameError):
        _plugins.load(offers, "_shared")


def test_a_broken_plug_in_keeps_its_own_error(offers):
    with pytest.raises(ValueError, match="imported"):
        _plugins.load(offers, "broken")
