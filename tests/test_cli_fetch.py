"""``interpkit data fetch``: what it says, asks and answers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Run, refused, runner
from labels_on_disk import small_broden
from serving import Server, serving
from test_fetching_archives import zipped

HEAD = 'name = "town"\ntitle = "Town"\nlayout = "broden"\nroot = "town_8"\nlicence = "CC0"\ncitation = "Ann (2020)"\n'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with the set `town`, whose manifest lies in ./datasets; $INTERPKIT_DATA is ./data."""
    small_broden(tmp_path / "made/town_8")
    files = {
        path.relative_to(tmp_path / "made").as_posix(): path.read_bytes()
        for path in (tmp_path / "made").rglob("*")
        if path.is_file()
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERPKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "datasets/town").mkdir(parents=True)
    with serving() as server:
        url = server.offer("town.zip", zipped(files))
        (tmp_path / "datasets/town/manifest.toml").write_text(
            f'{HEAD}[[downloads]]\nurl = "{url}"\nunpacks_to = "town_8"\nresolution = 8\n'
        )
        yield server


class Terminal:
    """Standard input with somebody there, who types ``answer``."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self, _limit: int = -1) -> str:
        return f"{self._answer}\n"


def test_it_says_what_it_is_and_how_to_open_it(run: Run, server: Server, tmp_path: Path) -> None:
    status, out, err = run("data", "fetch", "town", "--yes")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == ["town: Town", "licence: CC0", "citation: Ann (2020)"]
    assert "kB, unpacked about" in lines[3]
    assert lines[-2:] == [f"now in {tmp_path / 'data/town'}", "to use it: --labels town"]
    assert run("data", "check", "town")[0] == 0
    status, out, _ = run("data", "fetch", "town")
    assert (status, out.splitlines()[-1]) == (0, f"already there: {tmp_path / 'data/town'}")


def test_what_a_stop_left_undone_is_finished_without_asking(run: Run, server: Server, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    assert run("data", "fetch", "town", "--yes", "--out", out)[0] == 0
    (out / "manifest.toml").unlink()
    (out / ".fetch/unpacked").mkdir(parents=True)
    before = len(server.asked)
    status, said, err = run("data", "fetch", "town", "--out", out)
    assert (status, said.splitlines()[-1], err) == (0, f"already there: {out}", "")
    assert sorted(path.name for path in out.iterdir()) == ["manifest.toml", "town_8"]
    assert len(server.asked) == before


def test_it_asks_and_takes_no_for_an_answer(run, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n"))
    status, out, _ = run("data", "fetch", "town")
    assert status == 0
    assert "Download" in out
    assert out.endswith("nothing was downloaded\n")
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y"))
    assert run("data", "fetch", "town")[0] == 0
    assert (tmp_path / "data/town/town_8").is_dir()


def test_where_nobody_can_answer_it_wants_to_be_told(run, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))  # noqa: SIM115, PTH123 - closed below
    status, _, err = run("data", "fetch", "town")
    sys.stdin.close()
    assert status == 2
    assert "give --yes" in err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("resolution", [[], ["--resolution", "8"]])
def test_another_folder_and_a_resolution_are_opened_by_path(run, server, tmp_path, resolution) -> None:
    status, out, err = run("data", "fetch", "town", "--yes", "--out", tmp_path / "my sets", *resolution)
    assert (status, err) == (0, "")
    asked = tmp_path / "my sets/town_8"
    assert out.splitlines()[-1] == f"to use it: --labels '{asked}'"
    assert run("data", "check", asked)[0] == 0


def test_what_cannot_be_opened_is_said(run: Run, server: Server) -> None:
    server.offer("town.zip", zipped({"town_8/read.me": b"1"}))
    status, _, err = run("data", "fetch", "town", "--yes")
    assert status == 0
    assert "it cannot be opened: " in err


def test_mistakes_are_one_line(run: Run, server: Server) -> None:
    assert "did you mean 'town'" in refused(run, "data", "fetch", "towm")
    assert "there is 8" in refused(run, "data", "fetch", "town", "--resolution", "9")
    assert "has no file that can be fetched" in refused(run, "data", "fetch", "broden-mini")
    server.files.clear()
    assert "the server says 404" in refused(run, "data", "fetch", "town", "--yes")


def test_a_set_that_is_not_there_names_the_command(run: Run, server: Server) -> None:
    assert "interpkit data fetch town" in refused(run, "data", "check", "town")
