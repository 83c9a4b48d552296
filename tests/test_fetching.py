"""plan() and fetch() against a real server: cuts, lies, wrong files, mirrors, full disks, two at once."""

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from full_disk import full_disk
from labels_on_disk import small_broden
from serving import Served, Server, serving
from test_fetching_archives import tarred, zipped

from interpkit.errors import InterpkitError, LabelSetError, UnknownNameError
from interpkit.fetching import ArchiveError, Patience, TransferError, fetch, getting, offered, plan, size_text
from interpkit.fetching.checksums import FILE as KNOWN
from interpkit.fetching.getting import FOLDER
from interpkit.holding import Held, InUseError
from interpkit.labels import LabelSet
from interpkit.labels.manifest import read_manifest

CHECKOUT = Path(__file__).resolve().parents[1]
HASTY = Patience(connect=5, read=5, tries=3, pause=0.001)
NOISE = random.Random(7).randbytes(120_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        yield server


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$INTERPKIT_DATA, with ./datasets beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERPKIT_DATA", str(tmp_path / "data"))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "data"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A zip archive with a small label set in the folder town_8, and noise, so that it has some size."""
    root = tmp_path_factory.mktemp("made")
    small_broden(root / "town_8")
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return zipped({**files, "town_8/noise.bin": NOISE, "read.me": b"beside"})


def manifest(*downloads: str, name: str = "town") -> None:
    folder = Path("datasets") / name
    folder.mkdir(exist_ok=True)
    head = f'name = "{name}"\ntitle = "Town"\nlayout = "broden"\nroot = "town_8"\n'
    head += 'licence = "CC0"\ncitation = "Ann (2020)"\n'
    (folder / "manifest.toml").write_text(head + "".join(f"[[downloads]]\n{one}\n" for one in downloads))


def listed(url: str, *more: str, to: str = "town_8") -> str:
    return "\n".join([f'url = "{url}"', f'unpacks_to = "{to}"', *more])


def md5(data: bytes) -> str:
    return f'md5 = "{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def get(**how: object) -> Path:
    return fetch(plan("town", patience=HASTY, **how))  # type: ignore[arg-type]


def whole(data: Path) -> None:
    """The set is there, and nothing of the work on it."""
    assert LabelSet.open("town").root == data / "town/town_8"
    assert (data / "town/town_8/noise.bin").read_bytes() == NOISE
    assert [path.name for path in (data / "town").iterdir()] == ["town_8"]


def kept(data: Path) -> int:
    """Bytes of a download that wait for the next fetch; nothing else may be there."""
    parts = list((data / "town" / FOLDER).glob("*.part"))
    assert not (data / "town/town_8").exists()
    assert not (data / "town" / FOLDER / "unpacked").exists()
    return sum(path.stat().st_size for path in parts)


def test_a_set_is_fetched_and_opened_by_its_name(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town)))
    told: list[tuple[str, int, int]] = []
    planned = plan("town", patience=HASTY)
    assert (planned.size, planned.begun) == (len(town), 0)
    assert not data.exists(), "looking changes nothing"
    home = fetch(planned, progress=lambda *one: told.append(one))
    assert home == data / "town"
    whole(data)
    assert {stage for stage, _, _ in told} == {"download", "check", "unpack"}
    assert ("download", len(town), len(town)) in told
    assert plan("town", patience=HASTY).missing == ()


def test_what_a_user_should_know_is_said_before(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town), 'note = "Two\\nlines."', "unpacked = 3000000000"))
    said = plan("town", patience=HASTY).lines()
    assert said[:3] == ["town: Town", "licence: CC0", "citation: Ann (2020)"]
    assert f"{size_text(len(town))}, unpacked about 3 GB" in said[3]
    assert said[4].strip() == "Two lines."
    assert "are free" in said[-1]
    assert all("\n" not in line for line in said)


@pytest.mark.parametrize("validator", [{"etag": '"v1"'}, {"etag": "", "modified": "Sat, 01 Jan 2000 00:00:00 GMT"}])
def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, data: Path, town: bytes, validator) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000, 30_000], **validator)))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, "bytes=50000-", "bytes=80000-"]
    mark = validator.get("modified") or validator["etag"]
    assert server.marks == [None, None, mark, mark]


def test_a_later_fetch_goes_on_where_an_earlier_one_gave_up(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000, 0, 0, 0])))
    with pytest.raises(TransferError, match=r"the connection was cut .*50 kB are kept, and the same command goes on"):
        get()
    assert kept(data) == 50_000
    planned = plan("town", patience=HASTY)
    assert planned.begun == 50_000
    assert planned.size == len(town) - 50_000
    assert any("50 kB of this are there" in line for line in planned.lines())
    fetch(planned)
    whole(data)
    assert server.ranges("town.zip")[-1] == "bytes=50000-"


def test_a_server_that_knows_no_ranges_is_read_from_the_beginning(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000], ranges=False)))
    get()
    whole(data)


@pytest.mark.parametrize("published", [True, False])
def test_a_file_without_a_mark_goes_on_only_if_a_checksum_will_tell(
    server: Server, data: Path, town: bytes, *, published: bool
) -> None:
    url = server.offer("town.zip", town, cuts=[50_000], etag="")
    manifest(listed(url, *([md5(town)] if published else [])))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, "bytes=50000-" if published else None]


def test_a_weak_mark_is_no_mark(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000], etag='W/"v"')))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, None]


def test_a_file_that_changes_between_two_parts_is_not_put_together_of_both(server, data, town) -> None:
    old = bytes(len(town))
    manifest(listed(server.offer("town.zip", old, cuts=[50_000], then=Served(town, etag='"two"'))))
    get()
    whole(data)


def test_a_server_that_swaps_the_file_unmarked_is_found_out_by_the_checksum(server, data, town) -> None:
    manifest(listed(server.offer("town.zip", bytes(len(town)), cuts=[50_000], then=Served(town)), md5(town)))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, "bytes=50000-", None]


def test_a_part_that_begins_elsewhere_is_not_taken(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000], shifted=100)))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, "bytes=50000-", None]


def test_a_part_that_is_longer_than_it_should_be_is_not_taken(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000], extra=b"more")))
    get()
    whole(data)
    assert server.ranges("town.zip") == [None, "bytes=50000-", None]


def test_a_part_on_disk_that_is_no_part_of_it_is_thrown_away(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000, 0, 0, 0])))
    with pytest.raises(TransferError):
        get()
    (part,) = (data / "town" / FOLDER).glob("*.part")
    part.write_bytes(bytes(len(town) + 5))
    get()
    whole(data)


@pytest.mark.parametrize(
    "note",
    [
        *("", "{", "[]", '{"url": 3}', '{"url": "HERE"}'),
        '{"url": "HERE", "size": 125719, "etag": "a\\r\\nX: b", "modified": ""}',
        '{"url": "HERE", "size": 9, "etag": 3, "modified": ""}',
    ],
)
def test_a_damaged_note_costs_time_only(server: Server, data: Path, town: bytes, note: str) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000, 0, 0, 0])))
    with pytest.raises(TransferError):
        get()
    (path,) = (data / "town" / FOLDER).glob("*.json")
    path.write_text(note.replace("HERE", f"{server.address}/town.zip"))
    get()
    whole(data)


@pytest.mark.parametrize("length", [10, 10**12])
def test_a_server_that_lies_about_the_length_gives_one_line(server, data, town, length: int) -> None:
    manifest(listed(server.offer("town.zip", town, length=length, ranges=False), "bytes = 150000", "unpacked = 1"))
    with pytest.raises(TransferError, match=f"has {length} bytes, the one that is wanted 150000"):
        get()
    manifest(listed(server.offer("town.zip", town, length=len(town) + 9, ranges=False)))
    with pytest.raises(LabelSetError, match="connection was cut before the end"):
        get()
    server.files["town.zip"].length = len(town) - 9
    with pytest.raises(ArchiveError, match="damaged"):
        get()
    assert kept(data) == 0
    server.offer("town.zip", town, length=len(town) + 9)
    get()
    whole(data)


def test_a_length_that_no_disk_holds_is_refused_before_anything_is_written(server, data, town) -> None:
    manifest(listed(server.offer("town.zip", town, length=10**17)))
    with pytest.raises(LabelSetError, match=r"no room for town in .*it needs .* TB .*--out names another place"):
        get()
    assert not data.exists()


def test_a_file_of_unknown_length_is_fetched(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, tells_length=False)))
    planned = plan("town", patience=HASTY)
    assert planned.size is None
    assert "of unknown size" in "".join(planned.lines())
    fetch(planned)
    whole(data)


def test_a_server_in_trouble_is_asked_again_and_one_without_the_file_is_not(server, data, town) -> None:
    manifest(listed(server.offer("town.zip", town, statuses=[200, 503, 500])))
    get()
    whole(data)
    manifest(listed(f"{server.address}/gone.zip"), name="gone")
    with pytest.raises(TransferError, match=r"gone.zip: the server says 404 Not Found"):
        plan("gone", patience=HASTY)
    assert len([path for path, _ in server.asked if path == "gone.zip"]) == 1


def test_mirrors_are_tried_in_their_order(server: Server, data: Path, town: bytes) -> None:
    mirror = server.offer("mirror.zip", town)
    manifest(listed(f"{server.address}/gone.zip", f'mirrors = ["{server.address}/away.zip", "{mirror}"]'))
    get()
    whole(data)
    assert [path for path, _ in server.asked] == ["gone.zip", "away.zip", "mirror.zip"] * 2


@pytest.mark.parametrize("published", [True, False])
def test_a_mirror_goes_on_where_the_other_broke_if_a_checksum_will_tell(server, data, town, *, published: bool) -> None:
    url = server.offer("town.zip", town, cuts=[50_000, 0, 0, 0])
    mirror = server.offer("mirror.zip", town, etag='"other"')
    server.asked.append(("mirror.zip", None))
    manifest(listed(url, f'mirrors = ["{mirror}"]', *([md5(town)] if published else [])))
    get()
    whole(data)
    assert server.ranges("mirror.zip") == ["bytes=50000-" if published else None]


def test_wrong_bytes_are_refused_and_the_mirror_with_the_right_ones_is_taken(server, data, town) -> None:
    wrong = bytearray(town)
    wrong[1000] ^= 1
    url = server.offer("town.zip", bytes(wrong))
    manifest(listed(url, md5(town)))
    with pytest.raises(TransferError, match=r"not the published file: its md5 is .*, published is"):
        get()
    assert not (data / "town").exists()
    manifest(listed(url, md5(town), f'mirrors = ["{server.offer("mirror.zip", town)}"]'))
    get()
    whole(data)


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_every_kind_of_checksum_is_compared(server: Server, data: Path, town: bytes, kind: str) -> None:
    digest = hashlib.new(kind, town, usedforsecurity=False).hexdigest()
    url = server.offer("town.zip", town)
    manifest(listed(url, f'{kind} = "{digest[:-1]}{"0" if digest[-1] != "0" else "1"}"'))
    with pytest.raises(TransferError, match=f"its {kind} is {digest}"):
        get()
    manifest(listed(url, f'{kind} = "{digest.upper()}"'))
    get()
    whole(data)


def remembered(server: Server, data: Path, town: bytes) -> str:
    """The set fetched once, so that its checksum is recorded, and removed again."""
    url = server.offer("town.zip", town)
    manifest(listed(url))
    get()
    shutil.rmtree(data / "town")
    return url


def test_what_has_no_checksum_is_remembered_and_compared_later(server: Server, data: Path, town: bytes) -> None:
    url = remembered(server, data, town)
    known = json.loads((data / KNOWN).read_text())
    assert known[url]["sha256"] == hashlib.sha256(town).hexdigest()
    get()
    shutil.rmtree(data / "town")
    server.offer("town.zip", zipped({"town_8/index.csv": b"another"}))
    with pytest.raises(LabelSetError, match=f"is not the file that was fetched on .*remove its entry from .*{KNOWN}"):
        get()
    assert not (data / "town/town_8").exists()
    assert json.loads((data / KNOWN).read_text()) == known
    (data / KNOWN).write_text("{")
    with pytest.raises(LabelSetError, match=f"{KNOWN}.*cannot be read; mend it or remove it"):
        get()


def test_a_wrong_file_is_not_kept_and_not_blamed_on_the_record(server: Server, data: Path, town: bytes) -> None:
    url = remembered(server, data, town)
    server.offer("town.zip", b"<!DOCTYPE html><title>Sign in</title>", etag="")
    with pytest.raises(TransferError, match=r"either what came is not the file.* its authors have changed") as said:
        get()
    assert f"remove its entry from {data / KNOWN}, under {url}" in str(said.value)
    assert "\n" not in str(said.value)
    assert not (data / "town").exists(), "a page that was kept would be found there again"
    server.offer("town.zip", town)
    get()
    whole(data)


def test_a_mirror_gives_the_file_that_was_fetched_before(server: Server, data: Path, town: bytes) -> None:
    url = remembered(server, data, town)
    server.offer("town.zip", zipped({"town_8/index.csv": b"another"}))
    wrong, right = server.offer("wrong.zip", b"<html>"), server.offer("right.zip", town)
    manifest(listed(url, f'mirrors = ["{wrong}"]'))
    with pytest.raises(TransferError, match=r"town.zip: what came is not .*wrong.zip: what came is not .*; either"):
        get()
    manifest(listed(url, f'mirrors = ["{wrong}", "{right}"]'))
    get()
    whole(data)


def test_a_whole_file_of_another_size_is_not_the_one_that_is_wanted(server: Server, data: Path, town: bytes) -> None:
    url = server.offer("town.zip", town)
    manifest(listed(url))
    planned = plan("town", patience=HASTY)
    part, note = began(data, url, b"<html>")
    server.asked.clear()
    fetch(planned)
    whole(data)
    assert [given for _, given in server.asked] == [None], "nothing is put behind it"
    shutil.rmtree(data / "town")
    began(data, url, town[:-9])
    note.write_text(json.dumps({"url": url, "size": None, "etag": '"one"', "modified": ""}))
    manifest(listed(url, f"bytes = {len(town)}"))
    planned = plan("town", patience=HASTY)
    server.offer("town.zip", town[:-9])
    with pytest.raises(TransferError, match=f"has {len(town) - 9} bytes, the one that is wanted {len(town)}"):
        fetch(planned)
    assert not part.exists()


def began(data: Path, url: str, body: bytes) -> tuple[Path, Path]:
    """The part and the note of a download that brought all of ``body`` and was stopped before it was looked at."""
    folder, name = data / "town" / FOLDER, hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    part, note = folder / f"{name}.part", folder / f"{name}.json"
    part.write_bytes(body)
    note.write_text(json.dumps({"url": url, "size": len(body), "etag": "", "modified": ""}))
    return part, note


@pytest.mark.parametrize("body", [b"<html>", bytes(200_000)])
def test_a_body_whose_length_nobody_told_is_measured(server: Server, data: Path, town: bytes, body: bytes) -> None:
    url = server.offer("town.zip", body, tells_length=False)
    manifest(listed(url, f"bytes = {len(town)}", f'mirrors = ["{server.offer("mirror.zip", town)}"]'))
    get()
    whole(data)


def test_a_redirect_is_followed_and_one_that_goes_in_circles_is_not(server: Server, data: Path, town: bytes) -> None:
    there = server.offer("there.zip", town, cuts=[50_000])
    server.asked.append(("there.zip", None))
    manifest(listed(server.offer("town.zip", b"", moved=there)))
    get()
    whole(data)
    manifest(listed(server.offer("round.zip", b"", moved=f"{server.address}/round.zip")), name="round")
    with pytest.raises(TransferError, match="Exceeded 10 redirects"):
        plan("round", patience=HASTY)
    manifest(listed(server.offer("odd.zip", b"", moved="file" + ":///etc/passwd")), name="odd")
    with pytest.raises(TransferError, match="cannot be had"):
        plan("odd", patience=HASTY)


def test_nobody_there_is_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serving() as server:
        manifest(listed(f"{server.address}/town.zip"))
    with pytest.raises(TransferError, match=r"no answer \(.*[Rr]efused\)") as caught:
        plan("town", patience=HASTY)
    assert "\n" not in str(caught.value)
    assert " at 0x" not in str(caught.value)


def test_a_page_instead_of_the_file_is_said_to_be_one(server: Server, data: Path) -> None:
    manifest(listed(server.offer("town.zip", b"<!DOCTYPE html><title>Sign in</title>")))
    with pytest.raises(ArchiveError, match="neither a zip nor a tar archive; it begins with '<!DOCTYPE html"):
        get()
    assert not (data / "town").exists(), "a page that was kept would be found there again"


def test_an_archive_made_to_escape_leaves_nothing(server: Server, data: Path, tmp_path: Path) -> None:
    manifest(listed(server.offer("town.zip", zipped({"town_8/index.csv": b"1", "../../../out": b"2"}))))
    with pytest.raises(ArchiveError, match="leads out of the folder"):
        get()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "datasets"]
    assert list(data.iterdir()) == []
    assert not (data / KNOWN).exists(), "what was refused is not remembered as good"


def test_an_archive_of_something_else_says_so(server: Server, data: Path) -> None:
    manifest(listed(server.offer("town.zip", zipped({"village/index.csv": b"1"}))))
    with pytest.raises(ArchiveError, match="holds no folder town_8"):
        get()
    assert not (data / "town").exists()


def test_a_packed_tar_that_the_server_calls_packed_is_taken_as_it_is(server: Server, data: Path) -> None:
    packed = tarred({"town_8/noise.bin": NOISE})
    manifest(listed(server.offer("town.tgz", packed, headers={"Content-Encoding": "x-gzip"}), md5(packed)))
    get()
    assert (data / "town/town_8/noise.bin").read_bytes() == NOISE


def test_a_set_of_two_archives_needs_both_and_gets_only_what_is_missing(
    server: Server, data: Path, town: bytes
) -> None:
    more = zipped({"more/b": b"2"})
    manifest(listed(server.offer("town.zip", town)), listed(server.offer("more.zip", more), to="more"))
    (data / "town/more").mkdir(parents=True)
    planned = plan("town", patience=HASTY)
    assert [one.unpacks_to for one in planned.missing] == ["town_8"]
    fetch(planned)
    assert "more.zip" not in {path for path, _ in server.asked}
    shutil.rmtree(data / "town/more")
    get()
    assert (data / "town/more/b").read_bytes() == b"2"
    assert [path for path, _ in server.asked].count("town.zip") == 2


def test_a_set_in_several_sizes(server: Server, data: Path, town: bytes) -> None:
    small = town.replace(b"town_8", b"town_4")
    one = listed(server.offer("town.zip", town), "resolution = 8")
    other = listed(server.offer("small.zip", small), "resolution = 4", to="town_4")
    manifest(one, other)
    assert [download.unpacks_to for download in plan("town", patience=HASTY).missing] == ["town_8"]
    with pytest.raises(LabelSetError, match="not to be had at resolution 5; there is 8, 4"):
        get(resolution=5)
    get(resolution=4)
    assert LabelSet.open("town").root == data / "town/town_4", "the one that is there is the one that is meant"
    by_path = LabelSet.open(data / "town/town_4")
    assert (by_path.name, by_path.citation) == ("town", "Ann (2020)")
    get()
    assert LabelSet.open("town").root == data / "town/town_8"
    manifest(listed(f"{server.address}/town.zip"))
    with pytest.raises(LabelSetError, match="comes in one size"):
        get(resolution=8)


def test_another_folder_is_opened_by_its_path(server: Server, data: Path, town: bytes, tmp_path: Path) -> None:
    manifest(listed(server.offer("town.zip", town)))
    assert get(out=tmp_path / "elsewhere") == tmp_path / "elsewhere"
    labels = LabelSet.open(tmp_path / "elsewhere")
    assert (labels.name, labels.root) == ("town", tmp_path / "elsewhere/town_8")
    assert not (data / "town").exists()


def test_tables_beside_the_manifest_go_with_the_images(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town)))
    Path("datasets/town/labels.csv").write_text("number,name\n1,wall\n")
    get()
    assert (data / "town/town_8/labels.csv").read_text() == "number,name\n1,wall\n"


def test_names_that_cannot_be_fetched(data: Path) -> None:
    manifest(listed("https://example.org/town.zip"))
    with pytest.raises(
        UnknownNameError, match=r"no label set 'twon' to fetch; did you mean 'town'\? there is .*broden"
    ):
        plan("twon")
    with pytest.raises(LabelSetError, match="'broden-mini' has no file that can be fetched"):
        plan("broden-mini")
    manifest(name="hand")
    path = Path("datasets/hand/manifest.toml")
    path.write_text('homepage = "https://example.org"\n' + path.read_text())
    with pytest.raises(LabelSetError, match=r"get it by hand from https://example.org"):
        plan("hand")
    manifest('url = "https://example.org/town.zip"', name="short")
    with pytest.raises(LabelSetError, match=r"does not say what .* unpacks to"):
        plan("short")


def test_room_is_looked_for_before(server: Server, data: Path, town: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(listed(server.offer("town.zip", town), "unpacked = 2000000"))
    monkeypatch.setattr(getting, "room", lambda _: 2_000_000)
    with pytest.raises(LabelSetError, match=r"no room for town in .*needs 2.\d\d MB .*and 2 MB are free"):
        plan("town", patience=HASTY)
    monkeypatch.setattr(getting, "room", lambda _: 2_000_000 + len(town))
    assert plan("town", patience=HASTY).needed == 2_000_000 + len(town)


def test_a_disk_that_fills_keeps_what_came(server: Server, data: Path, town: bytes, monkeypatch) -> None:
    manifest(listed(server.offer("town.zip", town)))
    monkeypatch.setattr(getting, "room", lambda _: 1 << 30)
    with full_disk(Path("small").absolute()) as small:
        planned = plan("town", out=small / "town", patience=HASTY)
        with pytest.raises(LabelSetError, match=r"cannot write the download into .*what has come is kept.*--out"):
            fetch(planned)
        assert 0 < sum(path.stat().st_size for path in (small / "town" / FOLDER).glob("*.part")) < len(town)


def test_a_folder_that_cannot_be_written_is_one_line(server: Server, data: Path, town: bytes, tmp_path: Path) -> None:
    manifest(listed(server.offer("town.zip", town)))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LabelSetError, match=r"cannot write into .*--out names another place"):
        get(out=tmp_path / "file" / "town")


def test_two_at_once_and_the_second_says_who_is_at_it(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town)))
    planned = plan("town", patience=HASTY)
    (data / "town" / FOLDER).mkdir(parents=True)
    with Held(data / "town", doing="fetching town"), pytest.raises(InUseError, match=r"in use by process .*fetching"):
        fetch(planned)
    fetch(planned)
    whole(data)
    before = len(server.asked)
    fetch(planned)
    assert len(server.asked) == before, "what another process has brought is not brought again"


def test_stopped_by_hand_the_download_is_kept(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000])))

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "unpack":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(plan("town", patience=HASTY), progress=stop)
    assert kept(data) == len(town)
    get()
    whole(data)
    assert len(server.ranges("town.zip")) == 3, "the first look, two parts, the second look: nothing came twice"


@pytest.mark.parametrize("stage", ["download", "check", "unpack"])
def test_killed_at_any_stage_it_goes_on(server: Server, data: Path, town: bytes, stage: str, tmp_path: Path) -> None:
    manifest(listed(server.offer("town.zip", town)))
    program = (
        "import os, signal\n"
        "from interpkit.fetching import fetch, plan\n"
        "def show(stage, done, total):\n"
        f"    if stage == {stage!r} and done: os.kill(os.getpid(), signal.SIGKILL)\n"
        "fetch(plan('town'), progress=show)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (data / "town/town_8").exists()
    assert list((data / "town" / FOLDER).glob("*.part"))
    get()
    whole(data)


def killed_when_in_place(data: Path, *, out: Path | None, after: bool) -> None:
    """A fetch of another process, killed right before or after the set is put in its place."""
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from interpkit.fetching import fetch, plan\n"
        "real = Path.rename\n"
        "def rename(self, target):\n"
        f"    if {after!r}: real(self, target)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.rename = rename\n"
        f"fetch(plan('town', out={str(out) if out else None!r} and Path({str(out)!r})))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", program], cwd=data.parent, env=env, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    home = out or data / "town"
    assert (home / "town_8").exists() is after
    (part,) = (home / FOLDER).glob("*.part")
    part.with_name(f".{part.stem}.json.1").write_text("a note that a process was writing when it was killed")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_killed_when_all_is_in_its_place_the_next_one_finishes(server, data, town, *, elsewhere: bool) -> None:
    url = server.offer("town.zip", town)
    manifest(listed(url))
    out = data.parent / "elsewhere" if elsewhere else None
    killed_when_in_place(data, out=out, after=True)
    assert json.loads((data / KNOWN).read_text())[url]["sha256"] == hashlib.sha256(town).hexdigest()
    before = len(server.asked)
    assert get(out=out) == (out or data / "town")
    assert len(server.asked) == before
    if out is None:
        whole(data)
    else:
        assert sorted(path.name for path in out.iterdir()) == ["manifest.toml", "town_8"]
        assert LabelSet.open(out).name == "town"


def test_killed_before_it_is_in_its_place_the_next_one_unpacks_again(server, data, town) -> None:
    manifest(listed(server.offer("town.zip", town)))
    killed_when_in_place(data, out=None, after=False)
    get()
    whole(data)
    assert len(server.ranges("town.zip")) == 2, "only looked at again"


def test_what_is_all_there_is_left_alone(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town)))
    get()
    planned = plan("town", patience=HASTY)
    with Held(data / "town", doing="fetching another size"):
        assert fetch(planned) == data / "town"
        (data / "town" / FOLDER).mkdir()
        assert fetch(planned) == data / "town", "whoever is at it finishes it"
        assert (data / "town" / FOLDER).exists()
    fetch(planned)
    whole(data)


def test_a_manifest_that_could_not_be_written_whole_is_not_there(server, data, town, tmp_path, monkeypatch) -> None:
    manifest(listed(server.offer("town.zip", town)))
    real = shutil.copyfile

    def breaks(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(getting.shutil, "copyfile", breaks)
    with pytest.raises(LabelSetError, match="cannot write into"):
        get(out=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere/manifest.toml").exists()
    monkeypatch.setattr(getting.shutil, "copyfile", real)
    get(out=tmp_path / "elsewhere")
    assert LabelSet.open(tmp_path / "elsewhere").name == "town"


def test_a_part_of_another_size_waits(server: Server, data: Path, town: bytes) -> None:
    small = town.replace(b"town_8", b"town_4")
    one = listed(server.offer("town.zip", town), "resolution = 8")
    url = server.offer("small.zip", small, cuts=[50_000, 0, 0, 0])
    manifest(one, listed(url, "resolution = 4", to="town_4"))
    with pytest.raises(TransferError, match="50 kB are kept, and the same command goes on"):
        get(resolution=4)
    get()
    get()
    get(resolution=4)
    assert server.ranges("small.zip")[-1] == "bytes=50000-"
    assert sorted(path.name for path in (data / "town").iterdir()) == ["town_4", "town_8"]


def test_a_slow_server_is_given_up(server: Server, data: Path, town: bytes) -> None:
    manifest(listed(server.offer("town.zip", town, cuts=[50_000, 10_000, 10_000, 10_000, 10_000])))
    start = time.monotonic()
    with pytest.raises(TransferError, match="connection was cut"):
        get()
    assert len(server.ranges("town.zip")) == HASTY.tries
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "datasets").glob("*/manifest.toml")), ids=lambda path: path.parent.name
)
def test_every_download_of_ours_can_be_planned(path: Path, data: Path) -> None:
    listing = read_manifest(path.parent)
    if not listing.get("downloads"):
        return
    shutil.copytree(path.parent, Path("datasets") / path.parent.name)
    for resolution in {one.get("resolution") for one in listing["downloads"]}:
        offer = offered(path.parent.name, resolution=resolution)
        assert offer.downloads
        assert offer.root in {"", *(one["unpacks_to"] for one in listing["downloads"])}


def test_errors_are_the_users() -> None:
    assert issubclass(TransferError, InterpkitError)
    assert issubclass(ArchiveError, InterpkitError)
