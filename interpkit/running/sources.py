"""The pictures of a label set, as a result takes them along."""

from collections.abc import Iterator, Mapping

from interpkit.labels import LabelSet


class LabelSetPictures(Mapping[str, bytes]):
    """JPEG bytes of a label set's images, read when asked for."""

    def __init__(self, labels: LabelSet, names: tuple[str, ...]) -> None:
        self._labels = labels
        self._names = names

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return self._labels.picture(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
