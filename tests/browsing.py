"""Asking a page in a browser for a value."""

import json
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

# The answer is written into the page, which the browser then prints.
HOOK = """<script>addEventListener("load", () => setTimeout(() => {
  let said;
  try { said = (() => { %s })(); } catch (error) { said = {error: String(error)}; }
  document.body.innerHTML = "";
  document.body.append(Object.assign(document.createElement("pre"), {id: "said", textContent: JSON.stringify(said)}));
}, 50))</script>"""
ERRORS = """<head><script>window.errors=[];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(`${event.violatedDirective} ${event.blockedURI}`));
console.error = (...words) => errors.push(words.join(" "));
</script>"""
# How wide the page wants to be, how wide it may be, and which scrolling parts hide something at their side.
WIDTHS = """const page = document.querySelector("iframe").contentDocument.documentElement;
const cut = [...page.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth);
return [page.scrollWidth, page.clientWidth, cut.map((one) => one.getAttribute("aria-label"))];"""

# What is wrong with each page of a row of frames: {kind: list} with an empty list for what is not.
FRAMED = """const faults = {};
const channels = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  return found.length === 3 ? [...found, 1] : found;
};
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ratio = (one, other) => {
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
for (const frame of document.querySelectorAll("iframe")) {
  const { contentDocument: page, contentWindow: world } = frame;
  const wrong = faults[frame.title] = [...world.errors];
  const style = (one) => world.getComputedStyle(one);
  const root = page.documentElement;
  page.querySelectorAll("details").forEach((one) => { one.open = true; });
  page.querySelectorAll(".layer").forEach((one) => { one.hidden = false; });
  if (root.scrollWidth > root.clientWidth) wrong.push(`${root.scrollWidth} wide on ${root.clientWidth}`);
  for (const one of page.querySelectorAll(".scroll")) {
    if (one.scrollWidth > one.clientWidth) wrong.push(`cut: ${one.getAttribute("aria-label")}`);
  }
  for (const { name } of world.performance.getEntriesByType("resource")) {
    if (!/^(file|data):/.test(name)) wrong.push(`fetched ${name}`);
  }
  page.querySelectorAll("[hidden]").forEach((one) => { one.hidden = false; });
  const around = (shape, text) => {
    const [outer, inner] = [shape, text].map((one) => one.getBoundingClientRect());
    if (outer.left > inner.left || outer.right < inner.right) return false;
    return outer.top <= inner.top + 3 && outer.bottom >= inner.bottom - 3;
  };
  const paper = channels(style(page.body).backgroundColor);
  const ground = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      // In a drawing, a shape before the text is what it stands on.
      const shape = at.tagName === "text" && at.previousElementSibling;
      if (shape && /^(circle|rect)$/.test(shape.tagName) && around(shape, at)) layers.push(channels(style(shape).fill));
      layers.push(channels(style(at).backgroundColor));
      if (layers.some((layer) => layer[3] === 1)) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), paper);
  };
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  const told = new Set();
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || one.closest("script,style,title,template,option")) continue;
    if (one.checkVisibility && !one.checkVisibility()) continue;
    const ink = channels(one.closest("svg") ? style(one).fill : style(one).color);
    for (let at = one; at; at = at.parentElement) ink[3] *= Number(style(at).opacity);
    const under = ground(one);
    const found = ratio(over(ink, under), under);
    const words = texts.currentNode.data.trim().slice(0, 30);
    if (found < 4.5) told.add(`${found.toFixed(2)} ${one.tagName} ${one.getAttribute("class")} ${words}`);
  }
  wrong.push(...told);
}
return faults;"""


def faults(chromium: Path, pages: dict[str, Path], *, width: int, dark: bool) -> dict[str, list[str]]:
    """What is wrong with each page at a width: errors, what is too wide or cut, fetches, text of low contrast."""
    folder = next(iter(pages.values())).parent.parent.parent
    for page in pages.values():
        page.with_name("asked.html").write_text(page.read_text().replace("<head>", ERRORS))
    frames = [
        f'<iframe title="{name}" style="width:{width}px;height:900px;border:0"'
        f' src="{page.with_name("asked.html").as_uri()}"></iframe>'
        for name, page in pages.items()
    ]
    around = folder / "frames.html"
    around.write_text(f"<body>{''.join(frames)}{HOOK % FRAMED}</body>")
    said: dict[str, list[str]] = _said(chromium, around.as_uri(), profile=folder / "profile", dark=dark)
    assert "error" not in said, said
    return said


def asked(chromium: Path, page: Path, script: str, *, at: str = "") -> Any:
    """What ``script`` returns in the page, opened at ``at``; what went wrong before stands in ``errors`` there."""
    html = page.read_text().replace("<head>", ERRORS).replace("</body>", HOOK % script + "</body>")
    copy = page.with_name("asked.html")
    copy.write_text(html)
    return _said(chromium, copy.as_uri() + at, profile=page.parent.parent / "profile")


def widths(chromium: Path, page: Path) -> tuple[int, int, list[str]]:
    """How wide the page wants to be at 420 pixels, how wide it may be, and which of its parts are cut."""
    # No headless window is narrower than 500 pixels; a frame is.
    frame = f'<iframe style="width:420px;height:900px;border:0" src="{page.as_uri()}"></iframe>'
    around = page.parent.parent / "frame.html"
    around.write_text(f"<body>{frame}{HOOK % WIDTHS}</body>")
    wide, screen, cut = _said(chromium, around.as_uri(), profile=page.parent.parent / "profile")
    return wide, screen, cut


def shows_it_whole(chromium: Path, page: Path) -> None:
    """Nothing is cut or wider than the screen, no script complains, and nothing is fetched from elsewhere."""
    wide, screen, cut = widths(chromium, page)
    assert wide <= screen
    assert cut == []
    script = 'return [errors, performance.getEntriesByType("resource").every((one) => one.name.startsWith("file:"))];'
    assert asked(chromium, page, script) == [[], True]


def _said(chromium: Path, address: str, *, profile: Path, dark: bool = False) -> Any:
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    # One page may look into another in a frame only where files may read files.
    free = ["--allow-file-access-from-files", "--window-size=1400,900", "--virtual-time-budget=2000"]
    night = ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [str(chromium), *quiet.split(), f"--user-data-dir={profile}", *free, *night]
    run = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True)
    said = run.stdout.partition('<pre id="said">')[2].partition("</pre>")[0]
    assert said, run.stdout[-500:] + run.stderr[-500:]
    return json.loads(unescape(said))
