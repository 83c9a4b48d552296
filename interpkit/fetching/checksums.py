"""Checksums of what was downloaded: compared with those published, and kept where none are."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interpkit.errors import LabelSetError
from interpkit.writing import written

FILE = "_downloads.json"
_PIECE = 1 << 20


def digests(path: Path, kinds: Iterable[str], progress: Callable[[int], None] | None = None) -> dict[str, str]:
    """Checksums of a file by algorithm, in one reading; ``progress`` is told the bytes read so far."""
    # Against accidents and for files whose publisher gives nothing better, also where these two may not guard secrets.
    sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            for one in sums.values():
                one.update(piece)
            done += len(piece)
            if progress is not None:
                progress(done)
    return {kind: one.hexdigest() for kind, one in sums.items()}


class Known:
    """Checksums of files as they were when they were first fetched, in one file of the data folder.

    Parameters
    ----------
    folder
        The data folder; made when something is recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def differs(self, url: str, sha256: str) -> str | None:
        """Say how a file differs from what it was the first time; None if it does not, or nobody knows.

        Raises
        ------
        LabelSetError
            If the record cannot be read.
        """
        before = self._read().get(url)
        if not isinstance(before, Mapping) or before.get("sha256") == sha256:
            return None
        return (
            f"what came is not the file that was fetched on {before.get('when')}: its SHA-256 is {sha256}, "
            f"then {before.get('sha256')}"
        )

    def advice(self, url: str) -> str:
        """What a user can do about a file that differs, whichever of the two is wrong."""
        return (
            "either what came is not the file, as where a network wants a sign-in or a server is at fault: then the "
            "same command later or from another network gets it; or its authors have changed it: to accept the new "
            f"one, remove its entry from {self._path}, under {url}"
        )

    def record(self, url: str, *, sha256: str, size: int) -> bool:
        """Keep what a file is, unless that is known already; whether it is kept now."""
        known = self._read()
        if url in known:
            return True
        known[url] = {"sha256": sha256, "bytes": size, "when": datetime.now(UTC).date().isoformat()}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with written(self._path) as part:
                part.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
            return True
        return False

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise LabelSetError(
                f"{self._path}, the checksums of earlier downloads, cannot be read; mend it or remove it"
            ) from error
        if not isinstance(known, dict):
            raise LabelSetError(f"{self._path}, the checksums of earlier downloads, holds none; remove it")
        return known
