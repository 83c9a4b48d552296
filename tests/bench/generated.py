"""A label set of any size that lies nowhere: every image and its labels are drawn when they are asked for."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from interpkit.labels import ImageLabels, LabelSet
from interpkit.labels.contents import Contents, Source, numbering_of

# As many as Broden has, or one more.
CONCEPTS, CATEGORIES = 1198, ("object", "part")


class Generated(LabelSet):
    """Images of ``side`` x ``side`` pixels with two layers of labels, each of one rectangle; the same every time."""

    def files(self, i: int) -> list[Path]:
        """None."""
        return []

    def image(self, i: int) -> Image.Image:
        """Blocks of colour."""
        rng = np.random.default_rng(i)
        side = int(self.manifest["side"])
        blocks = rng.integers(0, 256, (7, 7, 3), np.uint8)
        return Image.fromarray(blocks).resize((side, side), Image.Resampling.BILINEAR)

    def labels(self, i: int) -> ImageLabels:
        """A concept of each category, somewhere."""
        rng = np.random.default_rng([i, 1])
        sh, sw = self.grid or (1, 1)
        layers = np.full((2, sh, sw), -1, np.int32)
        top, left = rng.integers(0, (sh // 2, sw // 2))
        for layer, concept in enumerate(rng.integers(0, CONCEPTS // 2, 2) * 2):
            layers[layer, top : top + sh // 2, left : left + sw // 2] = concept + layer
        return ImageLabels(layers, np.empty(0, np.int32), np.ones(2, np.bool_))

    def picture(self, name: str, *, side: int = 224) -> bytes:
        """The image as a JPEG."""
        stream = io.BytesIO()
        self.image(int(name.removesuffix(".png"))).save(stream, "JPEG")
        return stream.getvalue()


def generated(images: int, *, side: int = 32, grid: int = 112) -> Generated:
    """A set of so many images with label maps of ``grid`` x ``grid``."""
    number = np.arange(1, CONCEPTS + 1)
    concepts = pd.DataFrame(
        {
            "number": number,
            "name": [f"concept {n}" for n in number],
            "category": [CATEGORIES[(n - 1) % 2] for n in number],
            "frequency": np.nan,
            "coverage": np.nan,
        }
    )
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(images)], "split": "", "line": np.arange(images) + 2})
    source = Source(
        cells=lambda _: (),
        decode=_never,
        numbering=numbering_of(concepts, CATEGORIES),
        grid=(grid, grid),
        folder=Path(),
        table="concepts",
    )
    contents = Contents(table, Path(), concepts=concepts, categories=CATEGORIES, source=source)
    return Generated(
        name=f"generated-{images}",
        root=Path(),
        layout="generated",
        images=table,
        classes=None,
        landmarks=None,
        manifest={"side": side},
        _contents=contents,
        _rows=np.arange(images),
    )


def _never(file: str, image: str) -> Any:
    raise AssertionError(f"{file} of {image} is read, and there are no files")
