"""Pictures of a graph: those that are made, in memory, and images of the label set, read when asked for."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from interpkit.labels import LabelSet
from interpkit.running import LabelSetPictures


class Album(Mapping[str, bytes]):
    """JPEG bytes by name, of both kinds."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._images = LabelSetPictures(labels, ())
        self._taken = frozenset(str(name) for name in labels.images["image"])
        self._made: dict[str, bytes] = {}

    def add(self, name: str, content: bytes) -> str:
        """Keep a picture that was made; gives the name it is kept by.

        That holds a digest of the content, since several graphs may keep their pictures in one folder, and is no
        image's.
        """
        name = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.jpg"
        while name in self._taken:
            name = f"_{name}"
        self._made[name] = content
        return name

    def show(self, names: Sequence[str]) -> None:
        """Hold these images of the label set too."""
        self._images = LabelSetPictures(self._labels, tuple(dict.fromkeys((*self._images, *names))))

    def __getitem__(self, name: str) -> bytes:
        return self._made[name] if name in self._made else self._images[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._made
        yield from self._images

    def __len__(self) -> int:
        return len(self._made) + len(self._images)


def jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """(H, W, 3) as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=87, optimize=True)
    return stream.getvalue()
