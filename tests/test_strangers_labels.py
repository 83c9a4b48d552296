"""Label sets from strangers: links that lead out, tables that are none, images made to harm."""

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from labels_on_disk import Row, grid_of, photograph, small_broden, write_broden, write_csv
from PIL import Image

from interpkit.errors import ImageError, LabelSetError, nearest, printable
from interpkit.labels import LabelSet, check
from interpkit.labels.decoding import decode_photograph, image_size, read_bytes
from interpkit.labels.tables import read_table


def said(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.isprintable()
    return text


# --- links


@pytest.fixture
def linked(tmp_path) -> Path:
    """A set whose first image, and the part label of it, are links to files beside the set."""
    root = small_broden(tmp_path / "set")
    for name in ("a/one.jpg", "a/one_part_0.png"):
        file = root / "images" / name
        aside = tmp_path / file.name
        file.rename(aside)
        file.symlink_to(aside)
    return root


def test_a_link_out_of_the_set_is_refused_by_name(linked):
    labels = LabelSet.open(linked)
    for read in (labels.image, labels.stored_size, lambda i: labels.picture("a/one.jpg"), labels.labels):
        with pytest.raises(ImageError, match=r"index.csv row 2.*is a link out of the label set's folder") as error:
            read(0)
        assert "INTERPKIT_FOLLOW_LINKS=1" in said(error)
    assert labels.image(1).size == (16, 16)


def test_a_link_out_of_the_set_is_followed_where_that_is_meant(linked, monkeypatch):
    monkeypatch.setenv("INTERPKIT_FOLLOW_LINKS", "1")
    labels = LabelSet.open(linked)
    assert labels.image(0).size == (16, 16)
    assert len(labels.labels(0).layers) > 0


def test_the_check_lists_links_that_lead_out(linked):
    found = [str(finding) for finding in check(linked).findings]
    assert sum("is a link out of the label set's folder" in text for text in found) == 2


def test_a_folder_of_images_that_is_a_link_out(tmp_path):
    photograph(tmp_path / "private" / "a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images").symlink_to(tmp_path / "private")
    with pytest.raises(LabelSetError, match="images is a link out of the label set's folder"):
        LabelSet.open(tmp_path / "set")


def test_a_link_to_everything_is_not_walked(tmp_path, monkeypatch):
    photograph(tmp_path / "set" / "images" / "a.png")
    (tmp_path / "set" / "images" / "more").symlink_to("/")
    walked = []
    monkeypatch.setattr("os.scandir", lambda path=".", scan=os.scandir: walked.append(str(path)) or scan(path))
    with pytest.raises(LabelSetError, match="more is a link out of the label set's folder, to /"):
        LabelSet.open(tmp_path / "set")
    assert all(path.startswith(str(tmp_path)) and "more" not in path for path in walked if path != ".")


def test_a_manifest_whose_root_is_a_link_out(tmp_path, monkeypatch):
    photograph(tmp_path / "private" / "images" / "a.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "manifest.toml").write_text('name = "set"\nroot = "data"\n')
    (tmp_path / "set" / "data").symlink_to(tmp_path / "private")
    with pytest.raises(LabelSetError, match="data is a link out of the label set's folder"):
        LabelSet.open(tmp_path / "set")
    monkeypatch.setenv("INTERPKIT_FOLLOW_LINKS", "1")
    assert len(LabelSet.open(tmp_path / "set")) == 1


def test_links_inside_a_set_and_a_link_to_a_set_are_no_harm(tmp_path):
    root = small_broden(tmp_path / "set")
    (root / "images" / "a" / "one.jpg").rename(root / "kept.jpg")
    (root / "images" / "a" / "one.jpg").symlink_to("../../kept.jpg")
    (tmp_path / "there").symlink_to(root)
    assert LabelSet.open(tmp_path / "there").image(0).size == (16, 16)


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png", "c:\\x.png", "\\x.png", "a\\..\\x.png"])
def test_a_path_that_leaves_the_set_is_refused(tmp_path, name):
    root = small_broden(tmp_path / "set")
    index = root / "index.csv"
    index.write_text(index.read_text().replace("a/two.jpg", name))
    with pytest.raises(LabelSetError, match=r"row 3.*points outside the label set's folder"):
        LabelSet.open(root)


# --- images


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for read in (read_bytes, image_size, lambda path: decode_photograph(path, upright=False)):
        with pytest.raises(ImageError, match="is not a file"):
            read(tmp_path / "x.png")


def test_a_file_too_large_for_an_image_is_not_read(tmp_path):
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageError, match=r"is a file of 1,099\.5 GB, too large for an image"):
        decode_photograph(tmp_path / "x.png", upright=False)


@pytest.mark.parametrize("kind", ["zero", "cut", "bomb", "text", "16", "CMYK", "P", "EXIF"])
def test_odd_images_of_a_set_are_read_or_named(tmp_path, monkeypatch, kind):
    root = tmp_path / "set"
    photograph(root / "a.png")
    odd = root / "b.tiff"
    pixels = np.arange(48 * 32, dtype=np.uint16).reshape(32, 48) * 20
    colours = Image.fromarray((pixels >> 8).astype(np.uint8)).convert("RGB")
    match kind:
        case "zero" | "text":
            odd.write_bytes(b"" if kind == "zero" else b"no image at all")
        case "cut":
            colours.save(odd)
            odd.write_bytes(odd.read_bytes()[:900])
        case "16":
            Image.fromarray(pixels).save(odd)
        case "EXIF":
            exif = Image.Exif()
            exif[0x0112] = 6
            colours.save(odd, exif=exif)
        case _:
            colours.convert("RGB" if kind == "bomb" else kind).save(odd)
    if kind == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    labels = LabelSet.open(root)
    if kind in {"zero", "text", "cut", "bomb"}:
        with pytest.raises(ImageError, match=r"image b\.tiff") as error:
            labels.image(1)
        said(error)
        assert check(root).findings[-1].file == "b.tiff"
    else:
        assert labels.image(1).mode == "RGB"
        assert labels.image(1).size == ((32, 48) if kind == "EXIF" else (48, 32))


# --- tables


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"image,class\na.png,caf\xe9\n", r"t\.csv row 2: is no text in UTF-8"),
        ("image,class\na.png,x\n".encode("utf-16"), "holds NUL bytes"),
        (b"image,class\na\x00.png,x\n", "holds NUL bytes"),
        (b"image,class\na.png,x,y\n", "more values than there are columns"),
        (b"image,class,image\na.png,x,y\n", "has two columns 'image'"),
        (b"image, class,image \na.png,x,y\n", "has two columns 'image'"),
        (b"picture,class\na.png,x\n", "has no column 'image'; it has picture, class"),
        (b'image,class\n"a.png,x\n', "cannot be read as a CSV table"),
        (b"", "cannot be read as a CSV table"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, content, says):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(LabelSetError, match=says) as error:
        read_table(tmp_path / "t.csv", ["image"])
    said(error)


def test_a_byte_order_mark_a_short_row_and_a_huge_cell_are_read(tmp_path):
    huge = "x" * 1_000_000
    (tmp_path / "t.csv").write_text(f"\ufeffimage,class\na.png\n\n{huge},y\n", encoding="utf-8")
    table = read_table(tmp_path / "t.csv", ["image", "class"])
    assert table["image"].tolist() == ["a.png", huge]
    assert table["class"].tolist() == ["", "y"]
    assert table["line"].tolist() == [2, 4]


def test_a_pipe_in_place_of_a_table_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(LabelSetError, match="is not a file"):
        read_table(tmp_path / "t.csv", ["image"])


def test_a_table_that_no_memory_holds_is_not_read(tmp_path):
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(LabelSetError, match="too large for a table"):
        read_table(tmp_path / "t.csv", ["image"])


@pytest.mark.parametrize("cell", ["9" * 5000, "9" * 20, "x" * 100_000, "\x1b[2J", "٣" * 30])
def test_cells_of_any_length_and_kind_are_named_in_one_line(tmp_path, cell):
    root = small_broden(tmp_path / "set")
    index = root / "index.csv"
    lines = index.read_text().splitlines()
    lines[2] = lines[2].replace(",5;6,", f",{cell},")
    assert cell in lines[2]
    index.write_text("\n".join(lines))
    with pytest.raises(LabelSetError) as error:
        LabelSet.open(root).labels(1)
    assert len(said(error)) <= 2000
    findings = check(root).findings
    assert findings
    assert all(str(finding).isprintable() and len(str(finding)) <= 2000 for finding in findings)


def test_many_faulty_rows_take_seconds_and_little_memory(tmp_path):
    """Every number is unlisted and every size another, which was quadratic once."""
    root = write_broden(
        tmp_path / "set", {1: {"part": 1.0}}, [Row("a.png", {"part": [grid_of(1)]})], categories=["part"]
    )
    rows = ([f"{n}.png", "", 16, 16, 8, 8, n + 2] for n in range(60_000))
    write_csv(root / "index.csv", ["image", "split", "ih", "iw", "sh", "sw", "part"], rows)
    write_csv(root / "classes.csv", ["image", "class"], ([f"x{n}.png", n % 7] for n in range(5_000)))
    before, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LabelSetError, match=r"part is number 2, which label\.csv does not list"):
        LabelSet.open(root)
    found: list[object] = []
    from interpkit.labels.places import locate

    LabelSet.read(locate(root), found.append)
    assert len(found) >= 65_000
    assert time.process_time() - before < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1_500_000


# --- what is said


def test_messages_are_one_line_that_a_terminal_can_show():
    error = LabelSetError("one\ntwo\x1b[31m\u202e\ud800 café")
    assert str(error) == r"one two\x1b[31m\u202e\ud800 café"
    assert len(printable("\x1b" * 5000)) <= 2000
    assert printable("plain") == "plain"


def test_the_nearest_of_huge_names_is_found_at_once():
    before = time.process_time()
    assert nearest("ab" * 500_000, ["ab" * 500_000 + "c", "z"], count=1) == ["ab" * 500_000 + "c"]
    assert time.process_time() - before < 5
