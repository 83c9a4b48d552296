"""Sizes and room on a disk, in words."""

import shutil
from pathlib import Path

# Left free on a disk whatever is fetched: other programs need some too.
RESERVE = 64 << 20


def size_text(size: int) -> str:
    """Bytes in the unit that gives one to three digits before the point.

    Examples
    --------
    >>> size_text(1_150_585_339), size_text(912)
    ('1.15 GB', '912 bytes')
    """
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if size < 999.5 * factor else f"{size / factor:,.0f} {unit}"
    return f"{size} bytes"


def room(folder: Path) -> int:
    """Bytes that may be written where ``folder`` is or will be; at least 0."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return max(0, shutil.disk_usage(there).free - RESERVE)
