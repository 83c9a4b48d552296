"""The PDF of a run: what the page says, on paper."""

import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run, refused, runner
from conftest import lacking
from made_every import EVERY
from made_pages import EVIL, detecting, many_units, three_layers
from PIL import Image

from interpkit.errors import InterpkitError, ResultError, UnknownNameError
from interpkit.report import build_pdf, printing
from interpkit.report.building import blank, document
from interpkit.report.vectors import SVG, steady_strokes, stretched
from interpkit.results import load_run, save

pytestmark = pytest.mark.pdf
Print = Callable[..., Path]
# Points.
SIZES = {"a4": (595.28, 841.89), "letter": (612.0, 792.0)}
# Six millimetres from the edge of A4 a printer still prints.
EDGE = SIZES["a4"][0] - 6 / 25.4 * 72
# Of one kind's pages, those that others do not show too; without pictures that were never made.
PRINTED = sorted({*EVERY} - {"layers", "gate", "pair", "all of one layer"})


def stored(results: list[Any], run: Path) -> Path:
    for i, result in enumerate(results):
        save(result, run / f"layer{i}")
    return run


@pytest.fixture
def printed(pango: None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Print:
    """The PDF of results; what WeasyPrint could not do is a failure."""

    def call(results: list[Any], *, paper: str = "a4") -> Path:
        if not shutil.which("pdftotext"):
            lacking("pdftotext (poppler-utils) is not installed")
        path = build_pdf(stored(results, tmp_path / "run"), paper=paper)
        assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
        return path

    return call


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def said(command: str, *options: str | Path) -> str:
    done = subprocess.run([command, *map(str, options)], check=True, capture_output=True, text=True)
    return done.stdout


def pages(path: Path) -> list[str]:
    """The text of each page, its white space made single."""
    return [" ".join(page.split()) for page in said("pdftotext", "-layout", path, "-").split("\f")[:-1]]


def ink_beyond(path: Path, *, edge: float) -> list[int]:
    """Pages that carry ink right of ``edge``, in points: none that is cut off there."""
    subprocess.run(["pdftoppm", "-r", "36", "-gray", path, path.with_name("sheet")], check=True, capture_output=True)
    found = []
    for number, sheet in enumerate(sorted(path.parent.glob("sheet-*.pgm")), 1):
        with Image.open(sheet) as image:
            if np.asarray(image)[:, int(edge / 2) :].min() < 250:
                found.append(number)
    return found


def overlapping(path: Path) -> list[tuple[int, str, str]]:
    """Words of two letters or more that are printed over each other: (page, one, other)."""
    found = []
    for number, page in enumerate(said("pdftotext", "-bbox", path, "-").split("<page ")[1:], 1):
        words = re.findall(r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(..+?)</word>', page)
        boxes = np.array([[float(one) for one in word[:4]] for word in words]).reshape(-1, 4)
        shared = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
        height = boxes[:, 3] - boxes[:, 1]
        over = (shared[..., 0] > 1.5) & (shared[..., 1] > 0.5 * np.minimum(height[:, None], height))
        found += [(number, words[one][4], words[other][4]) for one, other in np.argwhere(np.triu(over, 1))]
    return found


def sizes(folder: Path) -> set[tuple[int, int]]:
    """(width, height) of the pictures in a folder."""
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        with Image.open(path) as image:
            found.add(image.size)
    return found


def title(element: Any) -> str:
    """The text of an element, its white space made single."""
    return " ".join("".join(element.itertext()).split())


def prepared(results: list[Any], run: Path) -> Any:
    """The tree that is laid out."""
    page = blank(stored(results, run), load_run(run), paper="a4")
    tree = printing._weasyprint().HTML(string=document(load_run(run), page)).etree_element
    printing._prepare(tree)
    return tree


@pytest.mark.parametrize("paper", ["a4", "letter"])
def test_it_says_what_the_page_says(printed: Print, paper: str) -> None:
    result = detecting()
    path = printed([result], paper=paper)
    assert path.name == "report.pdf"
    size = re.search(r"Page size:\s+([\d.]+) x ([\d.]+)", said("pdfinfo", path))
    assert size
    assert (float(size[1]), float(size[2])) == pytest.approx(SIZES[paper], abs=0.1)
    text = pages(path)
    whole = " ".join(text)
    summary = result.summary()
    assert f"of {summary['units']} units detect a concept" in whole
    assert re.search(rf"Above IoU \.04: {summary['detectors']} of", whole)
    assert [page for place, page in enumerate(text, 1) if not re.search(rf"{place} ?/ ?{len(text)}$", page)] == []
    assert all("What the units of model detect" in page for page in text)
    # What strangers write stays text.
    assert EVIL in whole


def test_the_contents_name_the_page_of_every_heading(printed: Print) -> None:
    path = printed(three_layers())
    text = pages(path)
    assert ink_beyond(path, edge=EDGE) == []
    listed = re.findall(r"([A-Z][\w ]+?) (?:\. ?){4,}(\d+)", text[0])
    assert {"Concepts found", "Units", "How to repeat it"} <= {title for title, _ in listed}
    assert len([title for title, _ in listed if title == "Units"]) == 3
    for title, number in listed:
        assert title in text[int(number) - 1]


@pytest.mark.parametrize("kind", PRINTED)
def test_nothing_leaves_the_paper_is_stretched_coarse_or_over_another(printed: Print, kind: str) -> None:
    path = printed(EVERY[kind]())
    assert ink_beyond(path, edge=EDGE) == []
    assert overlapping(path) == []
    # A picture has as many dots to the inch across as down; a matrix may have any.
    drawn = [line.split() for line in said("pdfimages", "-list", path).splitlines()[2:]]
    jpegs = [(float(row[12]), float(row[13])) for row in drawn if row[8] == "jpeg"]
    assert [pair for pair in jpegs if abs(pair[0] / pair[1] - 1) > 0.03] == []
    assert min((across for across, _ in jpegs), default=300) >= 72
    # Every picture has all the pixels that the run keeps of it.
    assert {(int(row[3]), int(row[4])) for row in drawn if row[8] == "jpeg"} <= sizes(path.parent / "images")


@pytest.mark.parametrize("kind", EVERY)
def test_the_contents_hold_every_heading_and_no_other(pango: None, tmp_path: Path, kind: str) -> None:
    tree = prepared(EVERY[kind](), tmp_path / "run")
    (contents,) = [one for one in tree.iter("nav") if one.get("class") == "contents"]
    parts = [one for one in tree.iter("section") if one.get("class") == "part"]
    named = [one for one in tree.iter("div") if one.get("class") in {"layer", "kind"}]
    heads = [(one.get("id"), title(one.find("h2"))) for one in [*parts, *named] if one.find("h2") is not None]
    listed = [((one.get("href") or "").removeprefix("#"), title(one)) for one in contents.iter("a")]
    assert len(heads) >= 2
    assert sorted(listed) == sorted(heads)


# Where pictures that are no vectors may stand: photographs, and fields of many cells.
RASTER = {"c", "cells", "heat", "knots"}


@pytest.mark.parametrize("kind", EVERY)
def test_charts_are_vectors(pango: None, tmp_path: Path, kind: str) -> None:
    tree = prepared(EVERY[kind](), tmp_path / "run")
    around = {child: one for one in tree.iter() for child in one}

    def stands_in(one: Any) -> set[str]:
        found = set()
        while (one := around.get(one)) is not None:
            found |= set(one.get("class", "").split())
        return found

    pictures = [one for tag in ("img", f"{SVG}image") for one in tree.iter(tag)]
    assert [one.get("src") or one.get("href") for one in pictures if not stands_in(one) & RASTER] == []
    charts = [one for one in tree.iter() if "chart" in one.get("class", "").split()]
    assert [one for one in charts if one.find(f".//{SVG}svg") is None or one.find(".//img") is not None] == []


def test_a_hundred_units_are_shown_and_all_are_listed(tmp_path: Path) -> None:
    many = many_units(130)
    run = stored([many], tmp_path / "run")
    paper, screen = (document([many], blank(run, [many], paper=paper)) for paper in ("a4", ""))
    assert (paper.count("<article"), screen.count("<article")) == (100, 130)
    assert paper.count("<tr data-u=") == screen.count("<tr data-u=") == 130
    assert "Pictures follow for the 100 units with the highest IoU." in paper
    assert "Pictures follow" not in screen
    best = many.table().sort_values("iou", ascending=False, kind="stable")["iou"].iloc[99]
    shown = [int(unit) for unit in re.findall(r'<article[^>]* data-u="(\d+)"', paper)]
    assert many.table().loc[shown, "iou"].min() >= best
    several = three_layers()
    assert blank(run, several, paper="letter").cards("dissect") == 33


def test_what_works_on_a_screen_alone_is_gone(pango: None, tmp_path: Path) -> None:
    tree = prepared([many_units(130)], tmp_path / "run")
    assert not {one.tag for one in tree.iter()} & {"script", "form", "input", "button", "template"}
    ids = {one.get("id") for one in tree.iter()}
    inside = [one.get("href") for one in tree.iter("a") if (one.get("href") or "").startswith("#")]
    assert inside
    assert [address for address in inside if address[1:] not in ids] == []
    # What stood behind them is still there.
    assert "unique detectors" in " ".join(tree.itertext())


def test_numbers_are_not_torn_apart(pango: None, tmp_path: Path) -> None:
    tree = prepared([detecting()], tmp_path / "run")
    whole = [one.text for one in tree.iter("span") if one.get("class") == "number"]
    assert ".04" in {text.rstrip(".:;,)") for text in whole}


def test_only_the_runs_own_files_are_read(pango: None, tmp_path: Path) -> None:
    run = stored([detecting()], tmp_path / "run")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    fetch = printing._fetcher(blank(run, load_run(run), paper="a4"))
    picture = next((run / "images").iterdir())
    assert fetch(f"run:images/{picture.name}").read() == picture.read_bytes()
    assert fetch("data:text/plain,here").read() == b"here"
    for address in ("run:../secret.jpg", (tmp_path / "secret.jpg").as_uri(), "http://example.org/x", "ftp://x/y"):
        with pytest.raises(ValueError, match=r"not a file of the run|disallowed"):
            fetch(address)


def test_strokes_keep_their_width_on_a_stretched_field() -> None:
    from xml.etree import ElementTree

    drawing = ElementTree.fromstring(
        f'<div xmlns:s="{SVG[1:-1]}" class="pair"><div class="with-scale"><s:svg width="100%" height="200">'
        '<s:svg viewBox="0 0 100 100" preserveAspectRatio="none"><s:path d="M0 50L100 25" vector-effect="x"/></s:svg>'
        '<s:svg viewBox="0 0 100 100" preserveAspectRatio="none"><s:path d="M0 50L100 25"/></s:svg>'
        "</s:svg></div></div>"
    )
    steady_strokes(drawing)
    first, second = drawing.findall(f".//{SVG}svg/{SVG}svg")
    assert first.get("viewBox") == "0 0 300 200"
    assert first[0].get("d") == "M0 100L300 50"
    assert second.get("viewBox") == "0 0 100 100"


def test_what_is_drawn_over_a_picture_is_cut_at_its_edges(pango: None, tmp_path: Path) -> None:
    tree = prepared([detecting()], tmp_path / "run")
    crops = [one for one in tree.iter("span") if one.get("class") == "c"]
    assert crops
    for crop in crops:
        (field,) = crop.find(f"{SVG}svg")
        assert (field.tag, field.get("width"), field.get("height")) == (f"{SVG}svg", "16", "16")
        assert field.findall(f"{SVG}path")


def test_every_kind_of_step_is_stretched() -> None:
    assert stretched("m1 2h3v-4.5c1 2,3 4 5-6z", (2, 10)) == "m2 20h6v-45c2 20 6 40 10 -60z"


def test_paper_is_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no paper 'a3'; there is a4 and letter"):
        build_pdf(tmp_path, paper="a3")


def test_a_failed_print_leaves_the_old_one(pango: None, tmp_path: Path) -> None:
    run = stored([detecting()], tmp_path / "run")
    (run / "report.pdf").write_bytes(b"old")
    (run / "layer0" / "scores.npz").write_bytes(b"damaged")
    with pytest.raises(ResultError, match="damaged"):
        build_pdf(run)
    assert (run / "report.pdf").read_bytes() == b"old"
    assert [path.name for path in run.glob(".*")] == []


@pytest.fixture
def no_pango(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WeasyPrint as it is where Pango is missing."""
    fake = tmp_path / "without" / "weasyprint"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise OSError(\"cannot load library 'libpango-1.0-0'\")")
    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(fake.parent)


def test_without_pango_one_line_says_what_to_install(no_pango: None, tmp_path: Path) -> None:
    with pytest.raises(InterpkitError, match=r"Pango.*apt-get install libpangoft2-1\.0-0"):
        build_pdf(stored([detecting()], tmp_path / "run"))


def test_without_pango_nothing_is_begun(no_pango: None, run: Run, tmp_path: Path) -> None:
    stored([detecting()], tmp_path / "run")
    assert "libpangoft2-1.0-0" in refused(run, "report", "run", "--pdf")
    assert not (tmp_path / "run" / "index.html").exists()
    # The network is not even looked for.
    assert "libpangoft2-1.0-0" in refused(run, "dissect", "nothing.pt", "--pdf")


def test_the_command_prints_where_both_are(pango: None, run: Run, tmp_path: Path) -> None:
    stored([detecting()], tmp_path / "run")
    status, out, err = run("report", "run", "--pdf", "--paper", "letter")
    assert (status, err) == (0, "")
    assert out.splitlines() == ["run/index.html", "run/report.pdf"]
    assert (tmp_path / "run" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_paper_without_a_print_is_a_mistake(run: Run, tmp_path: Path) -> None:
    stored([detecting()], tmp_path / "run")
    assert "--paper letter is the paper of --pdf" in refused(run, "report", "run", "--paper", "letter")
    assert "no paper 'a5'" in refused(run, "report", "run", "--pdf", "--paper", "a5")


def test_images_that_were_cut_off_stay_errors(pango: None) -> None:
    """WeasyPrint would have Pillow pass over them from then on, in labels and photographs too."""
    told = "from PIL import ImageFile; from interpkit.report import check_paper; check_paper('a4')"
    asked = f"{told}; print(ImageFile.LOAD_TRUNCATED_IMAGES)"
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
