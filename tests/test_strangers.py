"""Text that strangers wrote does nothing on a terminal or a page, and is there all the same."""

import logging
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_every import BACKWARDS, BINDING, UNBROKEN

from interpkit.cli import _screen, main
from interpkit.strangers import escape, html_table, readable, shortened, visible

OVERRIDE, ISOLATE = "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{RIGHT-TO-LEFT ISOLATE}"


@given(st.text(st.characters(exclude_categories=())))
def test_a_line_stays_a_line_and_can_be_written(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert len(f"{shown}|".splitlines()) == 1
    assert not set(shown) & {*map(chr, range(32)), *map(chr, range(127, 160)), OVERRIDE, ISOLATE}


@pytest.mark.parametrize(
    "text", ["cat", "d\xe9j\xe0 vu", "\u732b", "\u05d7\u05ea\u05d5\u05dc", "a\N{ZERO WIDTH JOINER}b", r"a\x1b"]
)
def test_what_does_nothing_is_left_alone(text: str) -> None:
    assert visible(text) == text


def test_white_space_of_a_page_is_left_alone() -> None:
    assert readable("a\tb\nc\x0bd") == "a\tb\nc\\x0bd"


def test_only_leftward_text_is_set_apart() -> None:
    assert readable("\u732b \xd7") == "\u732b \xd7"
    assert readable("\u0642\u0637 7") == "\u2068\u0642\u0637 7\u2069"


def test_nothing_closes_the_isolate_early() -> None:
    shown = readable(BACKWARDS)
    assert (shown.count("\u2068"), shown.count("\u2069")) == (1, 1)
    assert shown.endswith("\u2069")


def test_letters_without_an_encoding_can_be_written() -> None:
    assert escape("\udcff<").encode() == b"\\udcff&lt;"


def test_tables_of_a_notebook() -> None:
    shown = html_table(pd.DataFrame({f"a{OVERRIDE}": ["<b>", "\x1b"], "n": [0.12345, 2.0]}))
    assert "a\\u202e" in shown
    assert "&lt;b&gt;" in shown
    assert "\\x1b" in shown
    assert "0.123" in shown


def test_shortened_keeps_what_fits() -> None:
    assert shortened("abcd", most=4) == "abcd"
    assert len(shortened("abcde", most=4)) == 4


def test_columns_stay_aligned_under_harmful_names() -> None:
    rows = [("name", "n"), (BINDING, "1"), (UNBROKEN, "22"), (BACKWARDS, "3")]
    lines = _screen.aligned(rows)
    assert {len(one) for one in lines} == {_screen.LONGEST + 4}
    assert "\x1b" not in "".join(lines)


def test_mistakes_repeat_names_without_their_orders(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", f"no\x1b[31m{OVERRIDE}run"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "no\\x1b[31m\\u202erun" in said
    assert "\x1b" not in said


def test_remarks_of_a_run_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with _screen._remarks_shown():
        logging.getLogger("interpkit.labels").info("left out: %s", BINDING)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    _screen.as_json({BACKWARDS: BINDING})
    sys.stdout.flush()
    said = capsys.readouterr().out
    assert said.isascii()
    assert "\x1b" not in said
    assert said.count("\n") == 3
