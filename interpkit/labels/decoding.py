"""Image files to pixels: photographs to RGB, label maps to the numbers they were written with."""

import io
import stat
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from interpkit.errors import ImageError, one_line

# No photograph has as many bytes; what has would fill the memory before its size can be told.
LARGEST = 2**29
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif"})
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH = 24  # where a PNG file says how many bits a channel has
_ORIENTATION = 0x0112  # the EXIF tag


def png_fault(data: bytes) -> str | None:
    """Say what is wrong with the chunks of a PNG file; None if each is complete and its checksum fits.

    PIL shows a PNG file whose pixel data were altered without a word, so the checksums are compared here.
    """
    if not data:
        return "is empty"
    if not data.startswith(_SIGNATURE):
        return "is no PNG file"
    at = len(_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return "is damaged (a checksum does not fit)"
        if data[at + 4 : at + 8] == b"IEND":
            return _bomb_fault(int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
        at = end + 4
    return "is cut short"


def _bomb_fault(width: int, height: int) -> str | None:
    """Refuse a small file that would fill the memory, by the limit that PIL is set to."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None or width * height <= limit:
        return None
    return f"is refused as a decompression bomb: {width} x {height} pixels, over the limit of {limit}"


def read_bytes(path: Path) -> bytes:
    """Read the bytes of a file.

    Raises
    ------
    ImageError
        If it is missing or cannot be read.
    """
    try:
        about = path.stat()
        # A pipe would be waited for without end.
        if not stat.S_ISREG(about.st_mode):
            raise ImageError("is not a file")
        if about.st_size > LARGEST:
            raise ImageError(f"is a file of {about.st_size / 1e9:,.1f} GB, too large for an image")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("is missing") from None
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error


def decode_unified(path: Path) -> NDArray[Any]:
    """(sh, sw) label numbers of one of Broden's PNGs: R + 256 * G, or the grey value of a PNG with one channel.

    Raises
    ------
    ImageError
        If the file is missing, damaged or no PNG.
    """
    data = read_bytes(path)
    fault = png_fault(data)
    if fault:
        raise ImageError(fault)
    # IMREAD_UNCHANGED keeps 16 bits and expands a palette to its colours, which is what R + 256 * G is written in.
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError("is damaged")
    if pixels.ndim == 2:
        return pixels
    # OpenCV orders channels B, G, R. uint16 before the shift: 256 * G leaves 8 bits.
    numbers: NDArray[Any] = (pixels[..., 1].astype(np.uint16) << 8) | pixels[..., 2]
    return numbers


def decode_index(path: Path) -> NDArray[Any]:
    """(H, W) label numbers of a palette PNG (its indices) or of a grey PNG of 1, 2, 4, 8 or 16 bits (its values).

    Raises
    ------
    ImageError
        If the file is missing, damaged, no PNG, or holds colours instead of numbers.
    """
    data = read_bytes(path)
    fault = png_fault(data)
    if fault:
        raise ImageError(fault)
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            mode, values = image.mode, np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"cannot be read: {one_line(error)}") from error
    if mode not in {"1", "L", "P", "I", "I;16", "I;16B"}:
        raise ImageError(f"holds colours (mode {mode}), not label numbers; write a palette PNG or a grey one")
    if mode == "L":
        # PIL spreads grey values of 2 and 4 bits over 0..255.
        values = values // (255 // (2 ** data[_BIT_DEPTH] - 1))
    return values.astype(np.uint8) if mode == "1" else values


def decode_photograph(path: Path, *, upright: bool) -> Image.Image:
    """Decode an image fully to 8-bit RGB.

    16-bit grey keeps its upper 8 bits, CMYK and palettes are converted, transparency is dropped. ``upright`` turns the
    image as its EXIF orientation says.

    Raises
    ------
    ImageError
        If the file is missing, cut short, no image, too large to be meant, or holds floating-point values.
    """
    data = read_bytes(path)
    if not data:
        raise ImageError("is empty")
    fault = png_fault(data) if data.startswith(_SIGNATURE) else None
    if fault:
        raise ImageError(fault)
    try:
        return _decoded(data, upright=upright)
    except UnidentifiedImageError:
        raise ImageError("is no image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"is refused as a decompression bomb: {error}") from error
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise ImageError(f"cannot be decoded: {one_line(error)}") from error


def _decoded(data: bytes, *, upright: bool) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        fault = _bomb_fault(*image.size)
        if fault:
            raise ImageError(fault)
        image.load()
        return _rgb(ImageOps.exif_transpose(image) if upright else image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError("holds floating-point values, whose range is unknown; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"holds grey values {values.min()} to {values.max()}, more than 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    # PIL warns unless a palette with transparency goes through RGBA.
    return (image.convert("RGBA") if image.mode in {"P", "PA"} else image).convert("RGB")


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) as stored, from the header alone.

    Raises
    ------
    ImageError
        If the file is missing or no image.
    """
    try:
        if path.exists() and not path.is_file():
            raise ImageError("is not a file")
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise ImageError("is missing") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"is no image that can be read: {one_line(error)}") from error


def small_jpeg(path: Path, *, side: int, upright: bool) -> bytes:
    """Make a JPEG whose longest side is at most ``side``: the file itself if it is one, else drawn smaller.

    Raises
    ------
    ImageError
        As ``decode_photograph``.
    """
    data = read_bytes(path)
    image = decode_photograph(path, upright=upright)
    longest = max(image.size)
    if longest <= side and _shows_as_stored(data):
        return data
    if longest > side:
        size = (max(1, round(image.width * side / longest)), max(1, round(image.height * side / longest)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=87, optimize=True)
    return stream.getvalue()


def _shows_as_stored(data: bytes) -> bool:
    # A browser turns a JPEG by its EXIF orientation, and not every one shows CMYK.
    with Image.open(io.BytesIO(data)) as image:
        turned = image.getexif().get(_ORIENTATION, 1) not in {0, 1}
        return image.format == "JPEG" and image.mode in {"RGB", "L"} and not turned
