"""The page of a run: built from stored results alone, complete, escaped, and whole without a network."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from labels_on_disk import photograph, small_broden
from networks import tiny

from interpkit import LabelSet, Probe, build_report, dissect_layers, load_model, save
from interpkit.errors import ResultError
from interpkit.results import safe_name

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "input", "hr", "link", "rect", "line", "path", "use", "image", "circle"}
Make = Callable[..., Path]


class Reading(HTMLParser):
    """A page read strictly: elements must close in order; what matters is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID or tag in {"rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes {self.open[-1:] or 'nothing'}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(page: Path) -> Reading:
    reading = Reading()
    reading.feed(page.read_text(encoding="utf-8"))
    return reading


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a run: its folder, with results saved and no page yet."""

    def call(layers: tuple[str, ...] = ("body",), *, labels: Path | None = None, iou: float = 0.04) -> Path:
        root = labels or small_broden(tmp_path / "set")
        for table in root.glob("*.csv"):
            table.write_text(table.read_text().replace("name300", HOSTILE))
        probe = Probe(load_model(tiny(), size=16), layers)
        results = dissect_layers(
            probe, LabelSet.open(root), iou=iou, batch_size=1, memory_format="contiguous", threads=1
        )
        run = tmp_path / "run"
        for layer, result in results.items():
            save(result, run / safe_name(layer))
        return run

    return call


@pytest.mark.parametrize("single_file", [False, True])
def test_a_page_is_well_formed_and_asks_for_nothing(make: Make, *, single_file: bool) -> None:
    page = build_report(make(("stem", "body")), single_file=single_file)
    reading = read(page)
    assert reading.faults == []
    assert reading.open == []
    ids = Counter(attributes["id"] for _, attributes in reading.tags if attributes.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    assert "http-equiv" in page.read_text()
    for tag, attributes in reading.tags:
        for name in ("src", "href", "srcset"):
            address = attributes.get(name) or ""
            if tag == "a":
                continue
            assert not re.match(r"(https?:)?//", address)
            if single_file:
                assert address == "" or address.startswith(("data:", "#"))
            elif address and not address.startswith(("#", "data:")):
                assert (page.parent / address).is_file(), address


def test_links_inside_the_page_lead_somewhere(make: Make) -> None:
    page = build_report(make(("stem", "body")))
    reading = read(page)
    ids = {attributes["id"] for _, attributes in reading.tags if attributes.get("id")}
    for link in reading.all("a"):
        address = link["href"] or ""
        if address.startswith("#"):
            assert address[1:] in ids, address
        elif not address.startswith("http"):
            assert (page.parent / address).is_file(), address


def test_every_unit_has_a_row_and_a_card_with_described_pictures(make: Make) -> None:
    text = build_report(make()).read_text()
    cards = re.findall(r'<article class="card[^"]*"[^>]* data-u="(\d+)"', text)
    rows = re.findall(r'<tr[^>]* data-u="(\d+)"', text)
    assert sorted(map(int, cards)) == list(range(8))
    assert sorted(map(int, rows)) == list(range(8))


def test_what_strangers_write_stays_text(make: Make) -> None:
    text = build_report(make()).read_text()
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("</script>") == text.count("<script")


def test_pictures_are_described(make: Make) -> None:
    reading = read(build_report(make()))
    assert reading.all("img")
    assert all(attributes.get("alt") for attributes in reading.all("img"))
    assert all(attributes.get("width") and attributes.get("height") for attributes in reading.all("img"))


def test_the_headline_is_the_results(make: Make) -> None:
    from interpkit import load

    run = make()
    text = " ".join(read(build_report(run)).text)
    summary = load(run / "body").summary()
    assert f"of {summary['units']:,} units detect a concept" in text
    assert f"chance gives {summary['chance']['detectors']:,}" in text
    assert load(run / "body").provenance.command in text


def test_no_detector_reads_well(make: Make) -> None:
    text = " ".join(read(build_report(make(iou=0.99))).text)
    assert "of 8 units detect a concept" in text


def test_unlabelled_images(make: Make, tmp_path: Path) -> None:
    for seed in range(2):
        photograph(tmp_path / "photos" / f"{seed}.jpg", seed=seed)
    page = build_report(make(labels=tmp_path / "photos"))
    reading = read(page)
    assert reading.faults == []
    assert reading.all("img")
    assert "IoU >" not in " ".join(reading.text)


def test_a_page_needs_no_torch(make: Make) -> None:
    run = make()
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom interpkit.report import build\n"
        f"print(build({str(run)!r}))\nassert 'cv2' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(run / "index.html")


def test_a_failed_build_leaves_the_old_page(make: Make) -> None:
    run = make()
    page = build_report(run)
    before = page.read_bytes()
    (run / "body" / "scores.npz").write_bytes(b"damaged")
    with pytest.raises(ResultError, match="damaged"):
        build_report(run)
    assert page.read_bytes() == before
    assert [path.name for path in run.glob(".*")] == []


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="no result in"):
        build_report(tmp_path)
