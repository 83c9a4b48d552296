"""Photograph the example reports for the README: ``python reports/take_picture.py``; needs Chromium and the examples.

A picture holds what a reader looks at first: the answer, and one or two sections. It is kept small, in a palette of 256
colours, since it is committed.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops, ImageColor

from interpkit.plot import COLOURS

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "reports" / "examples"
PICTURES = CHECKOUT / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT, MARGIN = 1200, 2400, 24
LARGEST = 200_000


@dataclass(frozen=True)
class View:
    """What is shown of an example: sections by their heading, and of each so many cards; how wide the picture is."""

    example: str
    picture: str
    shown: tuple[str, ...]
    cards: int
    width: int = WIDTH


VIEWS = (
    View("efficientnet-lite0-broden-mini", "report.png", ("Concepts found", "Units"), 4),
    View(
        "efficientnet-lite0-broden-mini-before-after",
        "before-after.png",
        ("The same units on the same images",),
        3,
        800,
    ),
    View("efficientnet-lite0-broden-mini-cat", "graph.png", ("The graph",), 0, 600),
)
# Leaves the sections of a view, and of a list of cards the first.
LESS = """<script>addEventListener("load", () => {
  const {shown, cards} = %s;
  for (const part of document.querySelectorAll("section.part")) {
    if (!shown.includes(part.querySelector("h2").textContent.trim())) part.remove();
  }
  for (const sheets of document.querySelectorAll(".cards")) {
    const first = [...sheets.querySelectorAll("article")].slice(0, cards);
    const sheet = sheets.querySelector(".sheet");
    sheet.replaceChildren(...first);
    sheets.replaceChildren(sheet);
    sheets.closest(".part").replaceChildren(sheets.closest(".part").querySelector("h2"), sheets);
  }
  for (const one of document.querySelectorAll("section:not(.part) .table, section:not(.part) details")) one.remove();
})</script></body>"""


def photographed(browser: str, example: Path, view: View) -> Image.Image:
    """What is to be seen of an example's page, without the empty space below it."""
    less = LESS % json.dumps({"shown": view.shown, "cards": view.cards})
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(example, Path(folder) / "run")) / "index.html"
        copy.write_text(copy.read_text(encoding="utf-8").replace("</body>", less), encoding="utf-8")
        shot = Path(folder) / "shot.png"
        quiet = "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking"
        where = [f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}"]
        subprocess.run([browser, *quiet.split(), *where, copy.as_uri()], check=True, capture_output=True, timeout=120)
        whole = Image.open(shot).convert("RGB")
    paper = Image.new("RGB", whole.size, whole.getpixel((0, 0)))
    *_, bottom = ImageChops.difference(whole, paper).getbbox() or (0, 0, WIDTH, HEIGHT)
    return whole.crop((0, 0, WIDTH, min(HEIGHT, bottom + MARGIN)))


def in_few_colours(picture: Image.Image) -> Image.Image:
    """A palette of 256 colours, among which those of the categories are exact."""
    exact = [channel for colour in ("#ffffff", *COLOURS.values()) for channel in ImageColor.getrgb(colour)]
    found = picture.quantize(256 - len(exact) // 3).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*found[: 768 - len(exact)], *exact])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def main() -> None:
    """Take every picture and write it, no larger than LARGEST bytes."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--of", type=Path, default=EXAMPLES, help="the folder of the examples")
    parser.add_argument("--into", type=Path, default=PICTURES, help="where the pictures go")
    asked = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium on PATH")
    for view in VIEWS:
        picture = asked.into / view.picture
        whole = photographed(browser, asked.of / view.example, view)
        size = (view.width, round(whole.height * view.width / whole.width))
        in_few_colours(whole.resize(size, Image.Resampling.LANCZOS)).save(picture, optimize=True)
        taken = picture.stat().st_size
        if taken > LARGEST:
            raise SystemExit(f"{picture.name} has {taken:,} bytes, more than {LARGEST:,}")
        print(f"{picture}: {taken / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
