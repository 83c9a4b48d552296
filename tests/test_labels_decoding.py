import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_on_disk import photograph
from PIL import Image

from interpkit.errors import ImageError
from interpkit.labels.decoding import decode_index, decode_photograph, decode_unified, png_fault, small_jpeg
from interpkit.labels.masks import sampled

GRADIENT = (np.arange(12)[:, None] * 20 + np.arange(10)).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1, 2 or 4 bits a pixel, which PIL does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows += b"\0" + bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_masks_of_few_bits_hold_their_own_values(tmp_path, bits):
    values = np.arange(70).reshape(7, 10) % 2**bits
    (tmp_path / "m.png").write_bytes(grey_png(values, bits))
    assert (decode_index(tmp_path / "m.png") == values).all()


def test_masks_of_16_bits_and_palettes_hold_their_numbers(tmp_path):
    values = np.arange(120).reshape(12, 10).astype(np.uint16) * 500
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert (decode_index(tmp_path / "deep.png") == values).all()
    palette = Image.fromarray(GRADIENT, mode="P")
    palette.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    palette.save(tmp_path / "palette.png")
    assert (decode_index(tmp_path / "palette.png") == GRADIENT).all()


def test_a_mask_of_colours_is_refused(tmp_path):
    photograph(tmp_path / "m.png")
    with pytest.raises(ImageError, match=r"holds colours \(mode RGB\), not label numbers"):
        decode_index(tmp_path / "m.png")


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_png_is_an_error_or_decodes_to_the_same(tmp_path_factory, at, flip, cut):
    pixels = np.random.default_rng(1).integers(0, 4, (16, 16, 3)).astype(np.uint8)
    data = bytearray(png(pixels))
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= flip
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(data)
    for decode in (decode_unified, decode_index, lambda file: decode_photograph(file, upright=False)):
        with pytest.raises(ImageError):
            decode(path)


def test_a_sound_png_has_no_fault():
    assert png_fault(png(GRADIENT)) is None
    assert png_fault(png(GRADIENT) + b"trailing bytes") is None


def brute_force_sample(numbers: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The pixel whose square holds the centre of the grid's pixel, in exact fractions."""
    out = np.zeros(grid, numbers.dtype)
    for j in range(grid[0]):
        for k in range(grid[1]):
            y = max(i for i in range(numbers.shape[0]) if 2 * i * grid[0] <= (2 * j + 1) * numbers.shape[0])
            x = max(i for i in range(numbers.shape[1]) if 2 * i * grid[1] <= (2 * k + 1) * numbers.shape[1])
            out[j, k] = numbers[y, x]
    return out


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 13) for _ in range(4)])
def test_masks_are_read_at_the_centres_of_the_grid(height, width, sh, sw):
    numbers = np.arange(height * width).reshape(height, width)
    assert (sampled(numbers, (sh, sw)) == brute_force_sample(numbers, (sh, sw))).all()
    assert (sampled(numbers, (height, width)) == numbers).all()


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "png"),
        ("1", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "png"),
        ("CMYK", "jpg"),
        ("L", "jpg"),
        ("P", "gif"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, suffix):
    path = tmp_path / f"x.{suffix}"
    before = Image.fromarray(np.where(GRADIENT > 100, 255, 0).astype(np.uint8))
    before.convert("RGB").convert(mode).save(path)
    image = decode_photograph(path, upright=False)
    assert image.mode == "RGB"
    found = np.asarray(image).astype(int)
    assert abs(found - np.asarray(before)[..., None]).max() < 60
    image.resize((3, 3))


def test_a_palette_with_transparency_gives_no_warning(tmp_path):
    image = Image.fromarray(GRADIENT % 4, mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "x.png", transparency=bytes([0, 255, 128, 3]))
    assert decode_photograph(tmp_path / "x.png", upright=False).getpixel((1, 0)) == (255, 0, 0)


def test_16_bits_keep_the_upper_8(tmp_path):
    values = (GRADIENT.astype(np.uint16) << 8) + 77
    Image.fromarray(values).save(tmp_path / "x.png")
    found = np.asarray(decode_photograph(tmp_path / "x.png", upright=False))
    assert (found == GRADIENT[..., None]).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [(GRADIENT.astype(np.float32), "floating-point"), (GRADIENT.astype(np.int32) * 100_000, "more than 16 bits")],
)
def test_values_of_unknown_range_are_refused(tmp_path, values, says):
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(ImageError, match=says):
        decode_photograph(tmp_path / "x.tif", upright=False)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tif", "gif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.8])
def test_half_an_image_is_an_error(tmp_path, suffix, share):
    path = photograph(tmp_path / f"x.{suffix}", size=(64, 64))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError) as caught:
        decode_photograph(path, upright=False)
    assert "\n" not in str(caught.value)


def test_text_and_missing_files_are_errors(tmp_path):
    (tmp_path / "x.jpg").write_text("no image at all")
    with pytest.raises(ImageError, match="is no image"):
        decode_photograph(tmp_path / "x.jpg", upright=False)
    with pytest.raises(ImageError, match="is missing"):
        decode_photograph(tmp_path / "y.jpg", upright=False)
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ImageError, match="is not a file"):
        decode_photograph(tmp_path / "folder.jpg", upright=False)


@pytest.mark.parametrize("limit", [59, 100, 119])
@pytest.mark.parametrize("suffix", ["png", "bmp", "jpg"])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, limit, suffix):
    path = photograph(tmp_path / f"x.{suffix}", size=(12, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match="decompression bomb"):
        decode_photograph(path, upright=False)
    if suffix == "png":
        for decode in (decode_unified, decode_index):
            with pytest.raises(ImageError, match=f"decompression bomb: 10 x 12 pixels, over the limit of {limit}"):
                decode(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 120)
    assert decode_photograph(path, upright=False).size == (10, 12)


def test_a_decompression_bomb_is_refused_where_warnings_are_errors(tmp_path, monkeypatch):
    path = photograph(tmp_path / "x.bmp", size=(12, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="decompression bomb"):
        decode_photograph(path, upright=False)


def turned(path: Path) -> Path:
    """An image of 20 x 40 pixels that asks to be shown turned to 40 x 20."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph(path, size=(20, 40))
    with Image.open(path) as image:
        image.save(path, exif=exif)
    return path


def test_exif_turns_only_where_it_is_asked_to(tmp_path):
    path = turned(tmp_path / "x.jpg")
    assert decode_photograph(path, upright=False).size == (40, 20)
    assert decode_photograph(path, upright=True).size == (20, 40)


def test_a_small_jpeg_is_its_own_picture(tmp_path):
    path = photograph(tmp_path / "x.jpg", size=(30, 40))
    assert small_jpeg(path, side=40, upright=False) == path.read_bytes()
    assert small_jpeg(path, side=39, upright=False) != path.read_bytes()


@pytest.mark.parametrize(
    ("name", "size", "want"),
    [("x.jpg", (300, 600), (224, 112)), ("x.png", (30, 20), (20, 30)), ("x.jpg", (900, 2), (1, 224))],
)
def test_a_picture_is_a_jpeg_no_larger_than_asked(tmp_path, name, size, want):
    data = small_jpeg(photograph(tmp_path / name, size=size), side=224, upright=False)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", want)


def test_a_picture_shows_what_the_labels_belong_to(tmp_path):
    path = turned(tmp_path / "x.jpg")
    for upright, size in ((False, (40, 20)), (True, (20, 40))):
        with Image.open(io.BytesIO(small_jpeg(path, side=224, upright=upright))) as image:
            assert image.size == size
            assert image.getexif().get(0x0112, 1) == 1
