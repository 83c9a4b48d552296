"""The project speaks of itself alone: no file names a place that exists on one machine only."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ELSEWHERE = re.compile(
    r"""(?<![\w.)}/-])/(?:work|root|home|Users|opt|mnt)/   # an absolute path into somebody's machine
    |file://
    |https?://(?:localhost|127\.|10\.|192\.168\.)
    |(?:--index-url|--extra-index-url|--find-links|--trusted-host)
    """,
    re.VERBOSE,
)


def files() -> list[str]:
    """Files that git has, or would have after `git add`; outside a checkout there is nothing to hold to this rule."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    own = Path(__file__).relative_to(CHECKOUT).as_posix()
    return sorted({name for name in listed.stdout.splitlines() if name != own and (CHECKOUT / name).is_file()})


@pytest.mark.skipif(not files(), reason="not a git checkout")
def test_no_file_names_a_place_on_one_machine():
    found = []
    for name in files():
        try:
            text = (CHECKOUT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0].strip()}" for match in ELSEWHERE.finditer(text)]
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "read /home/ann/x.png",
        'Path("/work/data")',
        "(/root/.cache)",
        "file:///x",
        "--index-url x",
        "http://localhost:80",
    ],
)
def test_the_rule_sees(text):
    assert ELSEWHERE.search(text)


@pytest.mark.parametrize("text", ["../work/x", "docs/home/", "https://arxiv.org/abs/1704.05796", "a/root/b"])
def test_the_rule_lets_pass(text):
    assert not ELSEWHERE.search(text)
