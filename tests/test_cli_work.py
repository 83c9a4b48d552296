"""Commands that were stopped and go on, two of them at once, and what `interpkit data clean` says and removes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Run, refused, runner
from full_disk import full_disk
from small_networks import small_set
from stopping import assert_same_files
from together import environment

from interpkit.holding import Held
from interpkit.keeping import Work
from interpkit.labels import LabelSet

TINY = ["python:networks:tiny", "--size", "16"]
FED = ["--batch-size", "4", "--memory-format", "contiguous", "--threads", "1"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder, with work beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERPKIT_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("INTERPKIT_DATA", str(tmp_path / "data"))
    return runner(capsys)


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_set(tmp_path_factory.mktemp("set") / "set", images=40).root


@pytest.fixture
def labels(whole_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_set, tmp_path / "set"))


def command(labels: Path, out: str, *more: str) -> list[str | Path]:
    return ["dissect", *TINY, "--labels", labels, "--layer", "stem,body", *FED, "--out", out, "--no-report", *more]


def left(root: Path = Path("work")) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


# --- killed, and started again


def killed_once(words: list[str], env: dict[str, str], *, cwd: Path, after: float) -> bool:
    """Whether a command was killed that long after it had begun to keep work."""
    process = subprocess.Popen(words, env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end and not list(cwd.glob("work/*/*/batches.npz")):
            time.sleep(0.005)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
    finally:
        _, said = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, said.decode()
    return process.returncode != 0


def test_killed_it_goes_on_and_ends_the_same(run: Run, whole_set: Path, tmp_path: Path) -> None:
    assert run(*command(whole_set, "whole", "--cache", "disk"))[0] == 0
    words = [sys.executable, "-m", "interpkit", *map(str, command(whole_set, "killed", "--cache", "disk"))]
    env = environment(INTERPKIT_WORK=str(tmp_path / "work"), INTERPKIT_COMMIT_SECONDS="0")
    random.seed(7)
    kills = sum(killed_once(words, env, cwd=tmp_path, after=random.uniform(0, 0.2)) for _ in range(2))
    status, _, err = run(*command(whole_set, "killed", "--cache", "disk"))
    assert status == 0, err
    if kills and "already done" not in err:
        assert "going on with what an earlier run has done (dissect tiny stem,body on set)" in err
    assert_same_files(Path("killed"), Path("whole"))
    assert not left()
    assert [path.name for path in Path("killed").iterdir() if path.name.startswith(".")] == []


def test_what_a_killed_run_was_writing_goes(run: Run, labels: Path) -> None:
    for name in (".body.ab12cd_9", ".stem.old.ab12cd_9", "images/.a.jpg.4711", ".index.html.12"):
        path = Path("out") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if "." in name[1:5] and "html" not in name and "jpg" not in name else path.write_text("half")
    Path("out/.mine").write_text("mine")
    assert run(*command(labels, "out"))[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [".mine", "body", "images", "stem"]
    assert not list(Path("out/images").glob(".*"))


def test_work_is_dropped_when_results_are_saved(run: Run, labels: Path) -> None:
    assert run(*command(labels, "out"))[0] == 0
    assert list(Path("work").iterdir()) == []


def test_work_lies_with_the_maps(run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("big").mkdir()
    monkeypatch.setattr("interpkit.cli._runs.store", _stopped)
    assert run(*command(labels, "out", "--scratch", "big"))[0] == 130
    assert left(Path("big/interpkit-work"))
    assert not left()
    assert "dissect tiny" in run("data", "clean", "--scratch", "big")[1]
    assert not Path("out").exists()


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


# --- disks and folders


def test_a_full_disk_keeps_what_is_done(run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_disk(Path("disk"), room=1 << 17) as disk:
        monkeypatch.setenv("INTERPKIT_WORK", str(disk))
        monkeypatch.setenv("INTERPKIT_COMMIT_SECONDS", "0")
        status, out, err = run(*command(labels, "out", "--cache", "disk"))
        assert (status, out) == (2, "")
        said = err.splitlines()[-1]
        assert said.startswith(("interpkit: no space for the kept maps in", "interpkit: cannot keep finished work in"))
        assert {path.name for path in left(disk)} >= {"about.json", "batches.npz", "thresholds.npz"}
    assert not Path("out").exists()


def test_a_work_folder_that_cannot_be_made_costs_the_work_alone(
    run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setenv("INTERPKIT_WORK", "file/work")
    status, _, err = run(*command(labels, "out"))
    assert status == 0
    assert "cannot keep finished work in file/work" in err
    assert "INTERPKIT_WORK names another folder" in err


def test_seconds_are_a_number(run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPKIT_COMMIT_SECONDS", "often")
    assert "INTERPKIT_COMMIT_SECONDS is 'often'" in refused(run, *command(labels, "out"))


# --- two at once


def test_the_second_is_told_who_holds_the_folder(run: Run, labels: Path) -> None:
    Path("out").mkdir()
    with Held(Path("out"), doing="interpkit dissect"):
        said = refused(run, *command(labels, "out"))
        assert f"out is in use by process {os.getpid()} on " in said
        assert "(interpkit dissect); wait for it" in said
    assert run(*command(labels, "out"))[0] == 0
    with Held(Path("out"), doing="interpkit report"):
        assert "already done" in run(*command(labels, "out"))[2]


def test_the_same_run_for_another_folder_waits_too(run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpkit.cli._runs.store", _stopped)
    assert run(*command(labels, "out"))[0] == 130
    (folder,) = Path("work").glob("*/*")
    with Work(folder, title="the first of two"):
        assert "(the first of two)" in refused(run, *command(labels, "other"))
    assert not Path("other").exists()


# --- files that changed


def test_touched_files_are_done_and_changed_ones_are_not(run: Run, labels: Path) -> None:
    words = command(labels, "out")
    assert run(*words)[0] == 0
    made = Path("out/body/result.json").read_bytes()
    here = LabelSet.open(labels)
    for row in range(len(here)):
        here.path(row).touch()
    assert "already done" in run(*words)[2]
    shutil.copy(here.path(1), here.path(0))
    assert here.path(0).stat().st_size != 0
    status, _, err = run(*words, "--overwrite") if here.sha != LabelSet.open(labels).sha else run(*words)
    assert (status, "already done" in err) == (0, False)
    about, before = json.loads(Path("out/body/result.json").read_bytes()), json.loads(made)
    assert about["provenance"]["labels_content"] != before["provenance"]["labels_content"]
    assert "already done" in run(*words)[2]


def test_an_image_of_the_same_size_gives_no_stale_number(run: Run, labels: Path) -> None:
    words = command(labels, "out")
    assert run(*words)[0] == 0
    path = LabelSet.open(labels).path(0)
    data = bytearray(path.read_bytes())
    # Behind the end of the picture: the same pixels, other bytes of the same number.
    path.write_bytes(data + b"1")
    assert run(*words, "--overwrite")[0] == 0
    made = Path("out/body/result.json").read_bytes()
    path.write_bytes(data + b"2")
    status, _, err = run(*words)
    assert (status, "already done" in err) == (0, False)
    assert Path("out/body/result.json").read_bytes() != made


def test_a_folder_in_the_place_of_another_gives_no_stale_number(run: Run, labels: Path) -> None:
    words = command(labels, "out")
    folder = LabelSet.open(labels).path(0).parent
    other = Path(shutil.copytree(folder, "other"))
    path = other / LabelSet.open(labels).path(0).name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    time.sleep(1.1)
    assert run(*words)[0] == 0
    folder.rename("gone")
    other.rename(folder)
    assert "already done" not in run(*words)[2]


def test_results_without_a_digest_are_made_anew_where_files_are_newer(run: Run, labels: Path) -> None:
    words = command(labels, "out")
    assert run(*words)[0] == 0
    for layer in ("stem", "body"):
        path = Path("out") / layer / "result.json"
        about = json.loads(path.read_text())
        del about["provenance"]["labels_content"]
        about["provenance"] |= {"seconds": 1.5, "stages": {"counting": 1.0}}
        path.write_text(json.dumps(about))
    LabelSet.open(labels).path(3).touch()
    assert "already done" not in run(*words)[2]


# --- data clean


@pytest.fixture
def some_left(run: Run) -> Path:
    """Work of two runs and a part of a download."""
    for name, title in [("aaa", "dissect one"), ("bbb", "parts two")]:
        for rank in range(2):
            with Work(Path("work") / name / f"{rank}-of-2", title=title) as work:
                work.begin("key")
    (Path("work") / "ccc" / "0-of-1").mkdir(parents=True)
    part = Path("data/broden/.fetch")
    part.mkdir(parents=True)
    (part / "broden.zip.part").write_bytes(bytes(100_000))
    return Path("work")


def test_nothing_left_is_said(run: Run) -> None:
    assert run("data", "clean")[:2] == (0, "nothing is left of any run or download\n")
    assert run("data", "clean", "--all")[:2] == (0, "nothing is left of any run or download\n")
    assert run("data", "clean", "--json")[:2] == (0, "[]\n")


def test_what_is_left_is_listed_and_stays(run: Run, some_left: Path) -> None:
    status, out, _ = run("data", "clean")
    assert status == 0
    lines = [line.split("  ") for line in out.splitlines()]
    assert [line[0].strip() for line in lines] == ["name", "aaa", "bbb", "ccc", "broden"]
    assert "dissect one" in out
    assert "a run that had just begun" in out
    assert "a part of the download of broden" in out
    assert "1 seconds" not in out
    found = json.loads(run("data", "clean", "--json")[1])
    assert [one["name"] for one in found] == ["aaa", "bbb", "ccc", "broden"]
    assert found[3]["size"] >= 100_000
    assert len(left(some_left)) == 4


def test_what_is_named_is_removed(run: Run, some_left: Path) -> None:
    assert "asks before it removes" in refused(run, "data", "clean", "bbb")
    status, out, _ = run("data", "clean", "bbb", "broden", "--yes")
    assert (status, "removed: bbb" in out, "removed: broden" in out) == (0, True, True)
    assert sorted(path.name for path in some_left.iterdir()) == ["aaa", "ccc"]
    assert list(Path("data/broden").iterdir()) == []
    assert "there is no 'bbx' to remove; there is aaa, ccc" in refused(run, "data", "clean", "bbx", "--yes")


def test_what_is_held_is_left_alone(run: Run, some_left: Path) -> None:
    with Held(some_left / "aaa" / "1-of-2", doing="dissecting"), Held(Path("data/broden"), doing="fetching broden"):
        assert "(dissecting)" in run("data", "clean", "--json")[1]
        assert "in use by process" in refused(run, "data", "clean", "aaa", "--yes")
        assert "fetching broden" in refused(run, "data", "clean", "broden", "--yes")
        assert run("data", "clean", "--all", "--yes")[0] == 0
        assert [path.name for path in some_left.iterdir()] == ["aaa"]
    assert run("data", "clean", "--all", "--yes")[0] == 0
    assert list(some_left.iterdir()) == []


def test_what_goes_meanwhile_is_not_missed(run: Run, some_left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interpkit.cli import _clean

    looking = _clean.holder

    def ends(folder: Path) -> str | None:
        if folder.name == "bbb":
            shutil.rmtree(some_left / "ccc", ignore_errors=True)
        return looking(folder)

    monkeypatch.setattr(_clean, "holder", ends)
    listed = json.loads(run("data", "clean", "--json")[1])
    assert [one["name"] for one in listed] == ["aaa", "bbb", "broden"]
    (some_left / "ccc" / "0-of-1").mkdir(parents=True)
    monkeypatch.setattr(_clean, "holder", looking)
    asking = _clean._chosen

    def chosen(there: list[_clean.Left], names: list[str], *, every: bool) -> list[_clean.Left]:
        found = asking(there, names, every=every)
        shutil.rmtree(some_left / "ccc")
        return found

    monkeypatch.setattr(_clean, "_chosen", chosen)
    assert run("data", "clean", "ccc", "--yes")[0] == 0


def test_asked_on_a_terminal(run: Run, some_left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpkit.cli._clean.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: question != "Remove")
    assert "removed: ccc" in run("data", "clean", "ccc")[1]
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert "nothing was removed" in run("data", "clean", "aaa")[1]
    assert (some_left / "aaa").exists()


def test_a_download_that_began_while_one_was_asked_is_left_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / "data" / "dtd" / ".fetch" / "part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    begun: list[Held] = []

    def asked(_words: str) -> bool:
        begun.append(Held(tmp_path / "data" / "dtd", doing="fetching dtd"))
        return True

    monkeypatch.setattr("typer.confirm", asked)
    monkeypatch.setattr("interpkit.cli._clean.sys.stdin.isatty", lambda: True, raising=False)
    status, _, err = run("data", "clean", "dtd")
    assert (status, "it is left alone" in err) == (2, True)
    assert part.read_bytes() == b"half"
    begun[0].release()


def test_a_result_that_was_moved_away_comes_back(run: Run, labels: Path) -> None:
    """A process was killed between the two renames by which a result takes the place of another."""
    run(*command(labels, "run"))
    made = Path("run/body/result.json").read_bytes()
    Path("run/.body.old.abcdefgh").mkdir()
    Path("run/body").rename("run/.body.old.abcdefgh/result")
    # Another verb: the result is none of those that it writes.
    assert run(*command(labels, "run"), "--shuffle-labels", "2")[0] == 0
    assert Path("run/body/result.json").read_bytes() == made
    assert not Path("run/.body.old.abcdefgh").exists()


def test_what_judges_a_result_that_was_replaced_is_not_shown(run: Run, labels: Path) -> None:
    """A process was killed after it had put another dissection in the place of the one that was shuffled."""
    assert run(*command(labels, "run"), "--shuffle-labels", "2")[0] == 0
    made = json.loads(Path("run/body-shuffle/result.json").read_text())
    assert run(*command(labels, "run"))[0] == 0
    assert Path("run/body-shuffle/result.json").exists()
    made["provenance"]["when"] = "2020-01-01T00:00:00+00:00"
    Path("run/body-shuffle/result.json").write_text(json.dumps(made))
    shutil.copytree("run/body-shuffle", "run/body-shuffle-of-mine")
    with Held(Path("run"), doing="dissecting"):
        assert "(dissecting)" in refused(run, *command(labels, "run"))
    assert Path("run/body-shuffle").exists()
    assert run(*command(labels, "run"))[0] == 0
    assert not Path("run/body-shuffle").exists()
    assert Path("run/body-shuffle-of-mine").exists()
    assert Path("run/body/result.json").exists()


def test_a_result_that_came_while_the_folder_was_taken_is_not_replaced(
    run: Run, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from interpkit.cli._runs import RunFolder

    run(*command(labels, "other"))
    taking = RunFolder.take

    def late(place: RunFolder) -> bool:
        if not place.folder.exists():
            shutil.copytree("other", place.folder)
        return taking(place)

    monkeypatch.setattr(RunFolder, "take", late)
    made = Path("other/body/result.json").read_bytes()
    status, _, err = run(*command(labels, "run", "--top", "1"))
    assert (status, "another run" in err) == (2, True)
    assert Path("run/body/result.json").read_bytes() == made
