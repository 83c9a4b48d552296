"""Archives that should be unpacked, and those made to escape, to fill a disk or to hide something."""

import gzip
import io
import os
import random
import stat
import struct
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st

from interpkit.errors import LabelSetError
from interpkit.fetching import archives
from interpkit.fetching.archives import ArchiveError, unpack

Make = Callable[..., bytes]
GOOD = {"set/index.csv": b"image\n", "set/images/a.jpg": bytes(range(256)) * 20, "other/read.me": b"x"}
ROOM = 1 << 30


def zipped(files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, mode: int | None = None) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # it warns of names that come twice
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, data)
    return stream.getvalue()


def tarred(files: dict[str, bytes], *, packing: str = "gz", also: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{packing}") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in also:
            archive.addfile(info)
    return stream.getvalue()


def tar_plain(files: dict[str, bytes]) -> bytes:
    return tarred(files, packing="")


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(folder: Path, data: bytes, *, space: int = ROOM, wanted: str = "set") -> int:
    archive = folder / "it.archive"
    archive.write_bytes(data)
    inside = folder / "inside"
    inside.mkdir()
    return unpack(
        archive,
        inside,
        called="it.zip",
        wanted=lambda path: path.is_relative_to(PurePosixPath(wanted)),
        space=space,
        progress=lambda _done, _total: None,
    )


def found(folder: Path) -> dict[str, bytes]:
    inside = folder / "inside"
    return {path.relative_to(inside).as_posix(): path.read_bytes() for path in inside.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", [zipped, tarred, tar_plain])
def test_what_is_wanted_is_unpacked_and_nothing_else(tmp_path: Path, make: Make) -> None:
    assert unpacked(tmp_path, make(GOOD)) == 2
    assert found(tmp_path) == {name: data for name, data in GOOD.items() if name.startswith("set/")}


@pytest.mark.parametrize("make", [zipped, tarred])
def test_folders_may_be_named_and_named_again(tmp_path: Path, make: Make) -> None:
    stream = {"./set/": b"", "set/a/": b"", "./set/a/b": b"1"}
    if make is tarred:
        also = (special("./", tarfile.DIRTYPE), special("set/a", tarfile.DIRTYPE), special("set/a", tarfile.DIRTYPE))
        data = tarred({"./set/a/b": b"1"}, also=also)
    else:
        data = zipped(stream)
    unpacked(tmp_path, data)
    assert found(tmp_path) == {"set/a/b": b"1"}


def test_permissions_owners_and_dates_are_not_taken_over(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/run")
    info.mode, info.mtime, info.uid = 0o7777, 12, 1234
    unpacked(tmp_path, tarred({}, also=(info,)))
    told = (tmp_path / "inside/set/run").stat()
    assert not told.st_mode & (stat.S_IXUSR | stat.S_ISUID | stat.S_ISGID)
    assert told.st_mtime > 1e9
    assert told.st_uid == os.getuid()


ESCAPES = [
    "../out",
    "set/../../out",
    "/out",
    "//out",
    "..",
    "set/a/../../../out",
    "C:/out",
    "\\out",
    "set\\..\\..\\out",
]
ODD = ["set/a\x00b", "set/a\nb", "set/\x1b[2J", "set/" + "a" * 256, "set/" + "a/" * 2000 + "b"]


# A tar archive ends names at a NUL.
@pytest.mark.parametrize(
    ("make", "name"),
    [*((zipped, name) for name in (*ESCAPES, *ODD)), *((tarred, name) for name in (*ESCAPES, *ODD[1:]))],
)
def test_names_that_lead_out_or_hide_are_refused(tmp_path: Path, make: Make, name: str) -> None:
    data = make({"set/good": b"1", name.replace("\x00", "Q"): b"2"})
    # Python's own writer would not write it.
    data = data.replace(name.replace("\x00", "Q").encode(), name.encode()) if "\x00" in name else data
    with pytest.raises(ArchiveError, match="is refused") as caught:
        unpacked(tmp_path, data)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "it.archive"]


@pytest.mark.parametrize(
    ("info", "says"),
    [
        (special("set/l", tarfile.SYMTYPE, "/etc/passwd"), "a link to '/etc/passwd'"),
        (special("set/l", tarfile.SYMTYPE, "good"), "a link to 'good'"),
        (special("set/l", tarfile.LNKTYPE, "set/good"), "a link to 'set/good'"),
        (special("set/d", tarfile.CHRTYPE), "no plain file"),
        (special("set/d", tarfile.BLKTYPE), "no plain file"),
        (special("set/d", tarfile.FIFOTYPE), "no plain file"),
        (special("outside/l", tarfile.SYMTYPE, "/etc"), "a link to '/etc'"),
    ],
)
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, info: tarfile.TarInfo, says: str) -> None:
    with pytest.raises(ArchiveError, match=says):
        unpacked(tmp_path, tarred({"set/good": b"1"}, also=(info,)))


def test_a_link_and_a_file_through_it_are_refused(tmp_path: Path) -> None:
    link = special("set/l", tarfile.SYMTYPE, str(tmp_path))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(link)
        info = tarfile.TarInfo("set/l/out")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"1"))
    with pytest.raises(ArchiveError, match="a link"):
        unpacked(tmp_path, stream.getvalue())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("mode", "says"), [(stat.S_IFLNK | 0o777, "a link"), (stat.S_IFCHR, "no plain file")])
def test_links_and_devices_of_a_zip_are_refused(tmp_path: Path, mode: int, says: str) -> None:
    with pytest.raises(ArchiveError, match=says):
        unpacked(tmp_path, zipped({"set/l": b"/etc/passwd"}, mode=mode))
    assert found(tmp_path) == {}


def test_a_file_that_calls_itself_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="a folder by its mode and a file by its name"):
        unpacked(tmp_path, zipped({"set/l": b"1"}, mode=stat.S_IFDIR | 0o755))


@pytest.mark.parametrize("names", [("set/a", "set/b"), ("set/a", "./set/a"), ("set/a", "set//a")])
def test_names_that_come_twice_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    data = zipped({names[0]: b"1", names[1]: b"2"}).replace(b"set/b", b"set/a")
    with pytest.raises(ArchiveError, match="twice"):
        unpacked(tmp_path, data)
    assert found(tmp_path) == {}


@pytest.mark.parametrize("names", [("set/a", "set/a/b"), ("set/a/b", "set/a"), ("set/a/b/c", "set/a")])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_name_that_is_a_file_and_a_folder_is_refused(tmp_path: Path, make: Make, names: tuple[str, str]) -> None:
    with pytest.raises(ArchiveError, match="once as a folder and once as a file"):
        unpacked(tmp_path, make(dict.fromkeys(names, b"1")))


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 1 << 16)
    files = {f"set/{number}": bytes(1 << 20) for number in range(3)}
    with pytest.raises(ArchiveError, match=r"unpacks to .* and more from .*, as no pictures do"):
        unpacked(tmp_path, make(files))
    assert sum(map(len, found(tmp_path).values())) <= 1 << 20


def test_overlapping_files_of_a_zip_are_refused(tmp_path: Path) -> None:
    data = zipped({"set/a": random.Random(0).randbytes(5000)})
    head, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[head:end]
    many = b"".join(entry.replace(b"set/a", b"set/%c" % (97 + number)) for number in range(20))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 20, 20, len(many), head, 0)
    with pytest.raises(ArchiveError, match="overlap"):
        unpacked(tmp_path, data[:head] + many + tail)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 50)
    with pytest.raises(ArchiveError, match="more than 50 files"):
        unpacked(tmp_path, tarred({f"set/{number}": b"" for number in range(60)}))


def test_a_header_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    header = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 1 << 40
    with pytest.raises(ArchiveError, match="longer than that of any label set"):
        unpacked(tmp_path, gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))


def test_endless_nothing_behind_the_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 1 << 16)
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    data = gzip.compress(tarred({"set/a": b"1"}, packing="") + bytes(20 << 20))
    with pytest.raises(ArchiveError, match="as no pictures do"):
        unpacked(tmp_path, data)


def test_more_than_there_is_room_for_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(LabelSetError, match=r"unpacks to .* and 10 kB are free there; it is kept") as caught:
        unpacked(tmp_path, zipped({"set/a": b"1" * 20_000}, method=zipfile.ZIP_STORED), space=10_000)
    assert not isinstance(caught.value, ArchiveError), "the archive is good and has to be kept"
    assert found(tmp_path) == {}


def test_many_small_files_need_a_block_each(tmp_path: Path) -> None:
    with pytest.raises(LabelSetError, match="are free there"):
        unpacked(tmp_path, zipped({f"set/{number}": b"1" for number in range(100)}), space=100 * 4095)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(1 << 18)
    archive = tmp_path / "it.zip"
    archive.write_bytes(zipped({"set/a": noise}))
    with (
        full_disk(tmp_path / "small") as folder,
        pytest.raises(LabelSetError, match=r"cannot unpack it.zip into .*kept"),
    ):
        unpack(archive, folder, called="it.zip", wanted=lambda _: True, space=ROOM, progress=lambda _a, _b: None)


def test_an_encrypted_or_oddly_compressed_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"set/a": b"12345"}))
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(head) + flags] |= 1
    with pytest.raises(ArchiveError, match="encrypted"):
        unpacked(tmp_path, bytes(data))
    (tmp_path / "inside").rmdir()
    with pytest.raises(ArchiveError, match="unusual way"):
        unpacked(tmp_path, zipped({"set/a": b"1"}, method=zipfile.ZIP_LZMA))


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html>\n<title>Sign in</title>", bytes(600), b"\x1b[31mred"])
def test_what_is_no_archive_is_said_to_begin_otherwise(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArchiveError, match="neither a zip nor a tar archive; it begins with") as caught:
        unpacked(tmp_path, data)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("make", [zipped, tarred, tar_plain])
def test_a_damaged_archive_is_one_line(tmp_path: Path, make: Make) -> None:
    noise = random.Random(1).randbytes(20_000)
    data = make({"set/a": noise, "set/b": noise})
    for number, broken in enumerate((data[:100], data[: len(data) // 2], data[:-21_000])):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(ArchiveError, match=r"damaged|neither") as caught:
            unpacked(folder, broken)
        assert str(caught.value).isprintable()


# The size of a zip's list of files, and where it begins.
@pytest.mark.parametrize("at", [-7, -3])
def test_a_zip_that_points_before_its_beginning_is_damaged(tmp_path: Path, at: int) -> None:
    data = bytearray(zipped({"set/a": b"1"}))
    data[at] = 255
    with pytest.raises(ArchiveError, match="damaged"):
        unpacked(tmp_path, bytes(data))


def test_a_tar_that_ends_between_two_files_is_damaged(tmp_path: Path) -> None:
    data = tar_plain({"set/a": bytes(512), "set/b": bytes(512)})
    with pytest.raises(ArchiveError, match="damaged: it ends before its last file"):
        unpacked(tmp_path, data[:1024])


@pytest.mark.parametrize("make", [zipped, tarred])
def test_one_wrong_bit_is_seen(tmp_path: Path, make: Make) -> None:
    data = bytearray(make({"set/a": random.Random(2).randbytes(20_000)}))
    data[10_000] ^= 1
    with pytest.raises(ArchiveError, match="damaged"):
        unpacked(tmp_path, bytes(data))


@given(st.sampled_from([zipped, tarred, tar_plain]), st.data())
def test_whatever_is_in_an_archive_nothing_gets_out_and_nothing_but_one_line_is_said(make: Make, data: st.DataObject):
    whole = bytearray(make(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "deep" / "er"
        folder.mkdir(parents=True)
        with suppress(ArchiveError):
            unpacked(folder, bytes(whole))
        assert [path.name for path in Path(name).iterdir()] == ["deep"]
        assert [path.name for path in folder.parent.iterdir()] == ["er"]
        assert sorted(path.name for path in folder.iterdir()) == ["inside", "it.archive"]
