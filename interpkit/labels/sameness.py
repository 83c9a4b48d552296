"""Whether the files of a label set still hold what they held: hashes of their bytes, which add up."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from interpkit.labels.labelset import LabelSet

# Hashes are added as whole numbers below this: images may come in any order, and from several processes.
SIZE = 2**256
READERS = 4


def digest(labels: LabelSet, i: int) -> int:
    """A hash of the bytes of image ``i`` and its label files, and of their names, as a whole number below 2^256.

    A file that is missing counts as such.
    """
    found = hashlib.sha256()
    for file in labels.files(i):
        try:
            held = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            held = "missing"
        found.update(f"{file.relative_to(labels.root).as_posix()}\0{held}\0".encode())
    return int.from_bytes(found.digest())


def combined(digests: Iterable[int]) -> int:
    """The digest of all images from those of some and the others.

    Examples
    --------
    >>> combined([1, combined([2, 3])]) == combined([3, 2, 1])
    True
    """
    return sum(digests) % SIZE


def content(labels: LabelSet) -> str:
    """The digest of all images of a set, which reads every file; as a result's provenance says it."""
    return as_text(content_of(labels, range(len(labels))))


def content_of(labels: LabelSet, rows: Iterable[int]) -> int:
    """The digest of some of the images."""
    with ThreadPoolExecutor(READERS) as pool:
        return combined(pool.map(lambda i: digest(labels, i), rows))


def as_text(digested: int) -> str:
    """A digest in 64 characters."""
    return f"{digested:064x}"


def changed_since(labels: LabelSet, when: datetime) -> bool:
    """Whether a listed file may be another one than at that time: it or its folder was written, moved or touched."""
    folders = {labels.root}
    for i in range(len(labels)):
        for file in labels.files(i):
            if _changed(file, when):
                return True
            # Another folder in the place of one brings files that nobody has touched.
            folders.update(one for one in file.parents if one.is_relative_to(labels.root))
    return any(_changed(folder, when) for folder in folders)


def _changed(path: Path, when: datetime) -> bool:
    try:
        told = path.stat()
    except OSError:
        return True
    return max(told.st_mtime, told.st_ctime) >= when.timestamp()
