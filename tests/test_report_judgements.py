"""What a page says of rotations, shuffles and untrained networks, whatever they found."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import shows_it_whole
from conftest import lacking
from made_judgements import rotation, shuffles, untrained
from made_pages import detecting
from pages import having, read
from PIL import Image

from interpkit import build_report
from interpkit.report import printing
from interpkit.report.sections.rotation import ABOVE, BELOW, OVER, WIDE
from interpkit.report.vectors import SVG, faint_words
from interpkit.results import result_folder_name, save


def page(folder: Path, *results: Any) -> str:
    for result in results:
        save(result, folder / result_folder_name(result), overwrite=True)
    return build_report(folder).read_text()


def words(html: str) -> str:
    return " ".join("".join(one.content for one in having(read(html), "main")).split())


# --- luck


def test_the_rate_and_where_it_is_small_are_said(tmp_path: Path) -> None:
    said = words(page(tmp_path, shuffles()))
    assert "The false-detector rate is 50 %: that share of the detectors luck would give as well." in said
    assert "From IoU > .100 on it is 5 % or less." in said


def test_a_rate_that_rises_again_is_not_small_from_there_on(tmp_path: Path) -> None:
    # Of 41 detectors luck has 5.5 at .04 and half a one from .045 on; past .06 a single detector is left.
    found, luck = [0.06] * 40 + [0.1], [[0.045] * 10 + [0.0] * 30 + [0.09], [0.0] * 41]
    assert "From IoU > .090 on it is 5 % or less." in words(page(tmp_path, shuffles(found, luck)))


def test_where_luck_reaches_as_far_no_threshold_is_named(tmp_path: Path) -> None:
    said = words(page(tmp_path, shuffles((0.2, 0.05, 0.0, 0.0), ((0.2, 0.0, 0.0, 0.0),))))
    assert "The false-detector rate is 50 %" in said
    assert "or less" not in said
    assert "or less" not in words(page(tmp_path, shuffles((0.07, 0.05, 0.0, 0.0), ((0.075, 0.0, 0.0, 0.0),))))
    assert "Without a detector" in words(page(tmp_path, shuffles((0.0, 0.0, 0.0, 0.0))))
    assert "1 detector at IoU > .04; with" in words(page(tmp_path, shuffles((0.2, 0.0, 0.0, 0.0))))


@pytest.mark.parametrize(("iou", "last", "side"), [(0.0, ".2", "start"), (0.04, ".12", "start"), (0.9, "1", "end")])
def test_every_threshold_has_its_chart(tmp_path: Path, iou: float, last: str, side: str) -> None:
    html = page(tmp_path, shuffles((0.2, 0.95 if iou > 0.2 else 0.1, 0.05, 0.01), iou=iou))
    figure = html.partition('<figure class="shuffles">')[2].partition("</figure>")[0]
    assert "nan" not in figure
    assert re.search(rf">{re.escape(last)}<", figure)
    (said,) = [one for one in having(read(html), "text") if " at " in one.content]
    assert said.attributes.get("text-anchor", "start") == side


# --- turns


def test_one_rotation_is_no_verdict(tmp_path: Path) -> None:
    said = words(page(tmp_path, rotation(turned=[[0.2, 0.01, 0.0, 0.0]])))
    assert "but one rotation does not say how much the count varies" in said
    assert "what is lost" not in said
    assert "what is lost belongs to the units" in words(page(tmp_path, rotation()))


@pytest.mark.parametrize("steps", [2, 6, 41])
def test_numbers_on_the_curve_do_not_run_into_each_other(tmp_path: Path, steps: int) -> None:
    one = rotation()
    many = {name: np.resize(getattr(one, name), (steps, *one.iou.shape[1:])) for name in one.ARRAYS if name != "alphas"}
    html = page(tmp_path, replace(one, alphas=np.linspace(0, 1, steps), **many))
    figure = html.partition('<figure class="rotation">')[2].partition("</figure>")[0]
    assert figure.count("<title>alpha") == steps
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)%" y="[\d.]+%" dy="-9"', figure)]
    assert np.diff(places).min() >= WIDE
    assert places[-1] == 100
    assert len(places) >= min(steps, 6)


def test_chance_is_written_under_its_line_where_the_curve_is_near(tmp_path: Path) -> None:
    def place(html: str) -> tuple[float, int]:
        ((y, dy),) = re.findall(r'y="([\d.]+)%" dy="(-?\d+)" text-anchor="end"[^>]*>chance', html)
        return float(y), int(dy)

    high = (0.2, 0.1, 0.09, 0.0)
    many, one = page(tmp_path, rotation(high, [high] * 2)), page(tmp_path, rotation(high, [[0.2, 0.01, 0.01, 0.0]] * 2))
    assert place(many)[1] == ABOVE
    assert place(one)[1] == BELOW
    assert place(one)[0] == place(many)[0]
    nothing = page(tmp_path, rotation(high, [[0.0] * 4] * 2))
    assert place(nothing)[1] == OVER


def test_a_single_step_is_no_curve(tmp_path: Path) -> None:
    one = rotation()
    last = {name: getattr(one, name)[2:] for name in one.ARRAYS}
    html = page(tmp_path, replace(one, **last))
    assert "1 unique detector with the units turned into a random basis" in words(html)
    assert "<figure" not in html
    assert len(having(read(html), "tr")) == 2


@pytest.mark.parametrize("make", [rotation, shuffles, untrained])
def test_results_alone_make_a_page(tmp_path: Path, make: Callable[[], Any]) -> None:
    assert "<h1>" in page(tmp_path, make())


def test_a_judged_dissection_fits_a_narrow_screen(chromium: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    page(run, detecting(), rotation(), shuffles(), untrained())
    shows_it_whole(chromium, run / "index.html")


def test_faint_words_are_painted_on_paper(pango: None, tmp_path: Path) -> None:
    if not shutil.which("pdftoppm"):
        lacking("pdftoppm (poppler-utils) is not installed")
    weasyprint = printing._weasyprint()

    def ink(*, mended: bool) -> int:
        """Dark pixels of a sheet that holds one faint word, which ends at its place."""
        word = '<text x="100%" y="50" text-anchor="end" opacity=".75">chance</text>'
        style = "<style>@page{size:80mm 40mm;margin:8mm}</style>"
        html = weasyprint.HTML(string=f'{style}<svg width="200" height="80">{word}</svg>')
        if mended:
            faint_words(html.etree_element)
        html.write_pdf(tmp_path / "word.pdf")
        subprocess.run(["pdftoppm", "-gray", tmp_path / "word.pdf", tmp_path / "word"], check=True)
        with Image.open(next(tmp_path.glob("word*.pgm"))) as sheet:
            return int((np.asarray(sheet) < 160).sum())

    assert ink(mended=False) == 0, "WeasyPrint paints it by itself: faint_words() can go"
    assert ink(mended=True) > 100


def test_printing_mends_all_faint_words(pango: None, tmp_path: Path) -> None:
    page(tmp_path, detecting(), rotation(), shuffles())
    root = printing._weasyprint().HTML(string=(tmp_path / "index.html").read_text()).etree_element
    before = [one.get("opacity") for one in root.iter(f"{SVG}text") if one.get("opacity")]
    printing._prepare(root)
    after = [one.get("fill-opacity") for one in root.iter(f"{SVG}text") if one.get("fill-opacity")]
    assert len(before) >= 3
    assert after == before
    assert not any(one.get("opacity") for one in root.iter(f"{SVG}text"))
