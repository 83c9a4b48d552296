"""One file over HTTP into a folder: from several addresses, taken up again where a connection was cut."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError, IncompleteRead

from interpkit.errors import LabelSetError, one_line
from interpkit.fetching.sizes import room, size_text
from interpkit.writing import unwritable, written

_PIECE = 1 << 18
# A connection that brought this much before it was cut is worth trying again as if it were the first.
_WORTH = 1 << 20
# How much is written between two looks at the disk, of a file whose size nobody told before.
_LOOK = 64 << 20
# What a server says when it may answer later: too slow, too many requests, or something wrong with it.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class TransferError(LabelSetError):
    """A file that cannot be had; what came of it is kept."""


class _CutError(Exception):
    """A connection that broke off, or a server that may do better the next time."""


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes
    ----------
    connect, read
        Seconds until it takes the connection, and between two pieces.
    tries
        How often an address is asked that gives nothing, before the next one is.
    pause
        Seconds between the first two tries; each further pause is twice as long, up to half a minute.
    """

    connect: float = 20.0
    read: float = 60.0
    tries: int = 6
    pause: float = 1.0


@dataclass(frozen=True)
class Remote:
    """What a server says of a file: its address, its size in bytes, and by what it would know it again."""

    url: str
    size: int | None
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """What ``If-Range`` takes; empty where the server gives nothing that it would take."""
        return self.etag or self.modified


class Transfer:
    """The download of one file.

    Parameters
    ----------
    urls
        Tried in this order.
    folder
        Exists. What has come so far lies in it, and a note of where it came from.
    checked
        Whether a checksum will tell if parts fit together: then what was begun at one address goes on at another.
    size
        Bytes of the file, if that is known: a server that says otherwise has another file.
    told
        Bytes that a server said it has when it was last looked at; counts as ``size`` until what comes is wrong.
    """

    def __init__(
        self,
        urls: tuple[str, ...],
        folder: Path,
        *,
        checked: bool,
        size: int | None,
        patience: Patience,
        told: int | None = None,
    ) -> None:
        name = hashlib.sha256(urls[0].encode()).hexdigest()[:16]
        self.urls, self._checked, self._size, self._patience = urls, checked, size, patience
        self._told = told
        self.part, self._note = folder / f"{name}.part", folder / f"{name}.json"

    @property
    def have(self) -> int:
        """Bytes that have come."""
        try:
            return self.part.stat().st_size
        except OSError:
            return 0

    @property
    def _wanted(self) -> int | None:
        return self._size if self._size is not None else self._told

    def clear(self) -> None:
        """Throw away what has come."""
        self.part.unlink(missing_ok=True)
        # Beside the note, what a process was writing of it when it was killed.
        for note in (self._note, *self._note.parent.glob(f".{self._note.name}.*")):
            note.unlink(missing_ok=True)

    def look(self) -> Remote:
        """Ask for the file without taking it.

        Raises
        ------
        TransferError
            If no address has it.
        """
        faults = []
        for url in self.urls:
            try:
                with _session() as session, self._asked(session, url, {}) as answer:
                    return self._remote(answer, url)
            except (_CutError, TransferError) as error:
                faults.append(f"{url}: {error}")
        raise TransferError(f"the file cannot be had; {'; '.join(faults)}")

    def run(self, accept: Callable[[], str | None], progress: Callable[[int, int | None], None]) -> str:
        """Bring the whole file into ``part``.

        Parameters
        ----------
        accept
            Looks at the whole file and says what is wrong with it; None if nothing is.
        progress
            Told the bytes that have come and, where it is known, the size.

        Returns
        -------
        str
            The address it came from.

        Raises
        ------
        TransferError
            If no address gives it whole, or the disk is full. What came is kept, unless it is the wrong file.
        """
        faults = []
        for url in self.urls:
            try:
                self._from(url, accept, progress)
                return url
            except (_CutError, TransferError) as error:
                faults.append(f"{url}: {error}")
        kept = f"; {size_text(self.have)} are kept, and the same command goes on from there" if self.have else ""
        raise TransferError(f"the file cannot be had; {'; '.join(faults)}{kept}")

    def _from(self, url: str, accept: Callable[[], str | None], progress: Callable[[int, int | None], None]) -> None:
        tries, mended = 0, False
        while True:
            before = self.have
            try:
                self._some(url, progress)
                wrong = accept()
                if wrong is None:
                    return
                self.clear()
                # It was the size of the wrong file, by which a mirror with the right one would be refused.
                self._told = None
                # A file put together from parts may be wrong because of the first of them; once is enough to know.
                if mended or not before:
                    raise TransferError(wrong)
                mended = True
            except _CutError:
                tries = 0 if self.have - before >= _WORTH else tries + 1
                if tries >= self._patience.tries:
                    raise
                time.sleep(min(self._patience.pause * 2 ** max(tries - 1, 0), 30.0))

    def _some(self, url: str, progress: Callable[[int, int | None], None]) -> None:
        """Bring the rest of the file, or as much of it as one connection gives."""
        have, before = self.have, self._noted()
        if have and before is not None and before.size == have:
            if self._wanted in {None, have}:
                return
            # All of another file: whatever follows it belongs to none.
            self.clear()
            have, before = 0, None
        headers = self._rest(url, have, before)
        with _session() as session, self._asked(session, url, headers) as answer:
            if answer.status_code == 416 and headers:
                if _total(answer) == have and self._size in {None, have}:
                    return
                self.clear()
                raise _CutError("it does not give the rest of what has come")
            remote = self._remote(answer, url)
            start = self._start(answer, remote, before) if answer.status_code == 206 else 0
            if not start:
                # Killed between this and the next line, it must not take the old bytes for those of the new file.
                self.part.unlink(missing_ok=True)
            self._keep(remote)
            self._write(answer, remote.size, start=start, progress=progress)
        size = remote.size if remote.size is not None else self._wanted
        if size is not None and self.have > size:
            self.clear()
            raise _CutError("it gave more than the part asked for")
        if size is not None and self.have < size:
            raise _CutError(f"the connection was cut after {size_text(self.have)} of {size_text(size)}")

    def _rest(self, url: str, have: int, before: Remote | None) -> dict[str, str]:
        """The headers that ask for the rest alone; empty where all of it has to be asked for."""
        if not have or before is None:
            return {}
        if before.url == url and before.validator:
            return {"Range": f"bytes={have}-", "If-Range": before.validator}
        return {"Range": f"bytes={have}-"} if self._checked else {}

    def _start(self, answer: requests.Response, remote: Remote, before: Remote | None) -> int:
        """Where the part begins that a server gives; it must be where the one here ends, and of the same file."""
        match = re.fullmatch(r"bytes (\d{1,18})-\d+/(?:\d+|\*)", answer.headers.get("Content-Range", ""))
        fits = match is not None and int(match[1]) == self.have
        if before is None or not fits or (before.size is not None and remote.size != before.size):
            self.clear()
            raise _CutError("it gave another part than the one asked for")
        if before.url == remote.url and remote.validator and remote.validator != before.validator:
            self.clear()
            raise _CutError("the file there changed while it was fetched")
        return self.have

    def _write(
        self,
        answer: requests.Response,
        size: int | None,
        *,
        start: int,
        progress: Callable[[int, int | None], None],
    ) -> None:
        done, looked, url = start, start, answer.url
        with _one_line(self.part.parent), self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for piece in _pieces(answer):
                file.write(piece)
                done += len(piece)
                progress(done, size)
                if None in {size, self._wanted} and done - looked >= _LOOK:
                    looked = done
                    if not room(self.part.parent):
                        raise LabelSetError(
                            f"no room left in {self.part.parent} for {url}, whose size was not known before"
                        )

    @contextmanager
    def _asked(self, session: requests.Session, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        """A server's answer, its body still to be read.

        Raises
        ------
        TransferError
            If the server will not give the file.
        _CutError
            If it may do so later.
        """
        # Unpacking on the way would make lengths and checksums those of another file.
        headers = {"Accept-Encoding": "identity", **headers}
        try:
            answer = session.get(
                url, headers=headers, stream=True, timeout=(self._patience.connect, self._patience.read)
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _CutError(f"no answer ({_reason(error)})") from error
        except requests.RequestException as error:
            raise TransferError(_reason(error)) from error
        with answer:
            if url.startswith("https:") and not answer.url.startswith("https:"):
                raise TransferError("it leads to an address without encryption")
            said = f"the server says {answer.status_code} {answer.reason}".rstrip()
            if answer.status_code in _LATER:
                raise _CutError(said)
            if answer.status_code not in ({200, 206, 416} if "Range" in headers else {200}):
                raise TransferError(said)
            yield answer

    def _remote(self, answer: requests.Response, url: str) -> Remote:
        etag, length = answer.headers.get("ETag", ""), answer.headers.get("Content-Length", "")
        size = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        size = _total(answer) if answer.status_code == 206 else size
        if None not in (size, self._wanted) and size != self._wanted:
            raise TransferError(f"the file there has {size} bytes, the one that is wanted {self._wanted}")
        # A weak one may stand for two files that differ in their bytes.
        return Remote(url, size, "" if etag.startswith("W/") else etag, answer.headers.get("Last-Modified", ""))

    def _keep(self, remote: Remote) -> None:
        with _one_line(self._note.parent), written(self._note) as part:
            part.write_text(json.dumps(asdict(remote)), encoding="utf-8")

    def _noted(self) -> Remote | None:
        try:
            note = Remote(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        texts = (note.url, note.etag, note.modified)
        return note if all(isinstance(text, str) and text.isprintable() for text in texts) else None


def _session() -> requests.Session:
    session = requests.Session()
    session.max_redirects = 10
    session.headers["User-Agent"] = "interpkit"
    return session


def _total(answer: requests.Response) -> int | None:
    """The size of the whole file in an answer about a part of it."""
    match = re.search(r"/(\d{1,18})$", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    try:
        yield from answer.raw.stream(_PIECE, decode_content=False)
    except (HTTPError, ConnectionError, TimeoutError) as error:
        why = "" if isinstance(error.__context__, IncompleteRead) else f" ({_reason(error)})"
        raise _CutError(f"the connection was cut before the end{why}") from error


def _reason(error: Exception) -> str:
    """The innermost cause of a failed request, without the objects' addresses that it is wrapped in."""
    while isinstance(error.__context__, Exception):
        error = error.__context__
    return re.sub(r"<[^>]*>:? ?", "", one_line(error)) or type(error).__name__


def _one_line(folder: Path) -> AbstractContextManager[None]:
    return unwritable(
        lambda why: LabelSetError(
            f"cannot write the download into {folder}: {why}; what has come is kept, and the same command goes on from "
            "there; --out names another place"
        )
    )
