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


def _said(chromium: Path, address: str, *, profile: Path) -> Any:
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    # One page may look into another in a frame only where files may read files.
    free = ["--allow-file-access-from-files", "--window-size=1400,900", "--virtual-time-budget=2000"]
    command = [str(chromium), *quiet.split(), f"--user-data-dir={profile}", *free]
    run = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True)
    said = run.stdout.partition('<pre id="said">')[2].partition("</pre>")[0]
    assert said, run.stdout[-500:] + run.stderr[-500:]
    return json.loads(unescape(said))
