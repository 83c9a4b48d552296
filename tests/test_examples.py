"""The example reports that are committed: small, whole, and shown where people look first."""

import re
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "reports" / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_they_are_those_that_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CHECKOUT / "reports")
    import build_examples
    import take_picture

    assert sorted(build_examples.RUNS) == NAMES
    assert sorted(view.example for view in take_picture.VIEWS) == NAMES
    assert build_examples.LARGEST == 25_000_000
    for module in ("build_examples", "take_picture"):
        sys.modules.pop(module)


def test_all_of_them_are_small() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25_000_000
    assert not {path.suffix for path in files} & {".safetensors", ".pt"}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_page_and_the_same_on_paper(name: str) -> None:
    assert (EXAMPLES / name / "index.html").read_text(encoding="utf-8").endswith("</html>")
    assert (EXAMPLES / name / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", NAMES)
def test_none_names_a_place_on_the_machine_that_made_it(name: str) -> None:
    for path in (EXAMPLES / name).rglob("*"):
        if path.suffix in {".html", ".json"}:
            assert not re.search(r"(?<![\w.:/])/(?:home|root|tmp|work|Users)/", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", NAMES)
def test_the_first_page_leads_to_each(name: str) -> None:
    assert f"](reports/examples/{name})" in README
    assert f"](reports/examples/{name}/report.pdf)" in README


def test_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^\]]{40,}\]\((docs/[\w-]+\.png)\)", README)
    assert len(pictures) == len(NAMES)
    assert [name for name in pictures if (CHECKOUT / name).stat().st_size > 200_000] == []
