"""Photograph an example report for the README: ``python reports/take_picture.py``; needs Chromium and the examples.

The picture holds what a reader looks at first: the answer, the concepts found, and some units. It is kept small, in a
palette of 256 colours, since it is committed.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops, ImageColor

from interpkit.plot import COLOURS

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLE = CHECKOUT / "reports" / "examples" / "efficientnet-lite0-broden-mini"
PICTURE = CHECKOUT / "docs" / "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH, HEIGHT, MARGIN = 1200, 2400, 24
LARGEST = 200_000
# Leaves the headings in `shown`, and of the units their first cards.
LESS = """<script>addEventListener("load", () => {
  const shown = ["Concepts found", "Units"];
  for (const part of document.querySelectorAll("section.part")) {
    const title = part.querySelector("h2").textContent.trim();
    if (!shown.includes(title)) part.remove();
    else if (title === "Units") {
      const cards = [...part.querySelectorAll("article")].slice(0, 4);
      const sheet = part.querySelector(".sheet");
      sheet.replaceChildren(...cards);
      sheet.parentElement.replaceChildren(sheet);
      part.replaceChildren(part.querySelector("h2"), sheet.parentElement);
    }
  }
  for (const one of document.querySelectorAll("section:not(.part) .table, section:not(.part) details")) one.remove();
})</script></body>"""


def photographed(browser: str, example: Path) -> Image.Image:
    """What is to be seen of an example's page, without the empty space below it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(example, Path(folder) / "run")) / "index.html"
        copy.write_text(copy.read_text(encoding="utf-8").replace("</body>", LESS), encoding="utf-8")
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
    """Take the picture and write it, no larger than LARGEST bytes."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium on PATH")
    in_few_colours(photographed(browser, EXAMPLE)).save(PICTURE, optimize=True)
    size = PICTURE.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{PICTURE.name} has {size:,} bytes, more than {LARGEST:,}")
    print(f"{PICTURE}: {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
