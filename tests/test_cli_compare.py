"""``interpkit compare``: runs and published tables side by side, from a terminal."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from commands import Run, refused, runner
from made_beside import blocked, optioned, published
from pages import having, read

from interpkit.holding import holder
from interpkit.results import Comparison, SideBySide, load_run, save


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs of one layer that compare, and one that was made otherwise."""
    made = [blocked(0), blocked(1), blocked(2, options=optioned(quantile=0.01))]
    folders = [tmp_path / "runs" / name for name in ("first", "second", "otherwise")]
    for result, folder in zip(made, folders, strict=True):
        save(result, folder / "layer")
    return folders


def test_two_runs_give_a_page_and_an_answer(run: Run, runs: list[Path]) -> None:
    asked = ["compare", str(runs[0]), str(runs[1]), "--names", "before,after", "--match", "yes", "--out", "out"]
    status, out, err = run(*asked)
    assert (status, err) == (0, "")
    assert out.startswith("before and after side by side\n")
    assert "Unique detectors, top label" in out
    assert out.splitlines()[-1] == str(Path("out/index.html"))
    side, pair = load_run("out")
    assert (type(side), type(pair)) == (SideBySide, Comparison)
    assert side.provenance.command == shlex.join(["interpkit", *asked])


def test_the_default_folder_is_that_of_the_names(run: Run, runs: list[Path]) -> None:
    status, out, _ = run("compare", runs[0] / "layer", runs[1], "--match", "no")
    assert status == 0
    assert out.splitlines()[-1] == str(Path("reports/compare-net-0-net-1/index.html"))
    assert [type(one) for one in load_run("reports/compare-net-0-net-1")] == [SideBySide]


def test_published_tables_stand_beside_a_run(run: Run, tmp_path: Path, runs: list[Path]) -> None:
    tables = [published(tmp_path / f"net{n}.csv", seed=n) for n in range(3)]
    status, out, _ = run("compare", *tables, "--rule", "every-category", "--no-report", "--out", "tables")
    assert status == 0
    assert not Path("tables/index.html").exists()
    assert out.splitlines()[-1] == "tables"
    assert load_run("tables")[0].rule == "every-category"
    status, out, _ = run("compare", runs[0], runs[1] / "layer" / "units.csv", "--out", "mixed")
    assert status == 0
    assert "a published table names neither its label set nor its settings" in out


def test_json_is_the_summary_and_nothing_else(run: Run, runs: list[Path]) -> None:
    status, out, err = run("compare", *runs[:2], "--json", "--quiet", "--out", "out", "--single-file")
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert said["compared"] == json.loads(json.dumps(load_run("out")[0].summary()))
    assert (said["run"], said["report"]) == ("out", str(Path("out/index.html")))
    html = Path("out/index.html").read_text(encoding="utf-8")
    assert not having(read(html), "img")


def test_the_same_again_is_done_and_another_is_refused(run: Run, runs: list[Path]) -> None:
    asked = ("compare", runs[0], runs[1], "--out", "out")
    assert run(*asked)[0] == 0
    assert run(*asked)[0] == 0
    assert "holds another run" in refused(run, *asked, "--match", "no")
    assert run(*asked, "--match", "no", "--overwrite")[0] == 0
    assert [type(one) for one in load_run("out")] == [SideBySide]


def test_what_goes_is_removed_while_the_folder_is_held_and_at_once(
    run: Run, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed meanwhile, the same command again ends it."""
    asked = ("compare", *runs[:2], "--out", "out", "--no-report")
    other = (*asked, "--match", "no", "--overwrite")
    assert run(*asked, "--match", "yes")[0] == 0
    both = {path.name for path in Path("out").iterdir()}
    whole, held = shutil.rmtree, []

    def killed(folder: Path, *arguments: object, **keywords: bool) -> None:
        found = [] if ".old." in Path(folder).name else sorted(Path(folder).rglob("result.json"))
        if not found:
            return whole(folder, *arguments, **keywords)
        held.append(holder(Path("out")))
        found[0].unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        assert run(*other)[0] != 0
    assert len(held) == 1
    assert held[0]
    assert run(*other)[0] == 0
    alone = {path.name for path in Path("out").iterdir()}
    assert alone < both
    assert run(*asked, "--match", "yes", "--overwrite")[0] == 0
    assert {path.name for path in Path("out").iterdir()} == both


def test_a_pdf_on_request(run: Run, runs: list[Path], pango: None) -> None:
    status, out, _ = run("compare", *runs[:2], "--match", "no", "--out", "out", "--pdf", "--paper", "letter")
    assert status == 0
    printed = Path(out.splitlines()[-1])
    assert printed.suffix == ".pdf"
    assert printed.read_bytes().startswith(b"%PDF")


def test_open_and_report_know_it(run: Run, runs: list[Path]) -> None:
    run("compare", *runs[:2], "--out", "out")
    first = Path("out/index.html").read_text(encoding="utf-8")
    assert run("report", "out")[0] == 0
    assert Path("out/index.html").read_text(encoding="utf-8") == first
    status, out, _ = run("open", "out", "--no-browser")
    assert status == 0
    assert out.startswith("net 0 and net 1 side by side")


def test_what_does_not_compare_is_refused_and_forced(run: Run, runs: list[Path]) -> None:
    said = refused(run, "compare", runs[0], runs[2])
    assert "quantile 0.005 / 0.01" in said
    assert "--force" in said
    status, out, _ = run("compare", runs[0], runs[2], "--force", "--out", "out")
    assert status == 0
    assert "forced; they do not compare" in out


def test_mistakes_are_one_line(run: Run, runs: list[Path], tmp_path: Path) -> None:
    assert "two results or more" in refused(run, "compare", runs[0])
    assert "no result in" in refused(run, "compare", runs[0], tmp_path / "nowhere")
    assert "cannot be read" in refused(run, "compare", runs[0], tmp_path / "nowhere.csv")
    assert "top-label, every-category" in refused(run, "compare", *runs[:2], "--rule", "best")
    assert "auto, yes, no" in refused(run, "compare", *runs[:2], "--match", "maybe")
    assert "1 names for 2 columns" in refused(run, "compare", *runs[:2], "--names", "one")
    assert "a name is empty" in refused(run, "compare", *runs[:2], "--names", ",")
    assert "1 names for 2 columns" in refused(run, "compare", *runs[:2], "--names", "")
    run("compare", *runs[:2], "--out", "out")
    assert "give the runs it was made of" in refused(run, "compare", "out", runs[0])
