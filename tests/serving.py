"""A real HTTP server on loopback that does what it is told, also what no server should."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file, and how it is given.

    ``cuts`` holds for each request that sends it after how many bytes the connection breaks off, ``statuses`` what is
    said instead of it; both are used up. The first request of a fetch only looks. ``length`` is what the server says
    the length were, ``moved`` an address to go to instead, ``extra`` what it sends beyond the part asked for.
    """

    data: bytes
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    length: int | None = None
    tells_length: bool = True
    moved: str = ""
    shifted: int = 0
    extra: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    then: "Served | None" = None


@dataclass
class Server:
    """What is served by path, what was asked for, and by which mark (``If-Range``)."""

    address: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    marks: list[str | None] = field(default_factory=list)

    def offer(self, path: str, data: bytes, **how: object) -> str:
        """Serve ``data`` and give its address."""
        self.files[path] = Served(data, **how)  # type: ignore[arg-type]
        return f"{self.address}/{path}"

    def ranges(self, path: str) -> list[str | None]:
        """The ranges asked for, without the first request, which only looks."""
        return [given for asked, given in self.asked if asked == path][1:]


class _Handler(BaseHTTPRequestHandler):
    server: "_Listening"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Give a file, or misbehave."""
        told, path = self.server.told, self.path.lstrip("/").partition("?")[0]
        # Decided before the client can ask again: whoever only looks goes away at once.
        looking = all(path != before for before, _ in told.asked)
        told.asked.append((path, self.headers.get("Range")))
        told.marks.append(self.headers.get("If-Range"))
        one = told.files.get(path)
        if one is None:
            self.send_error(404)
        elif one.statuses and (status := one.statuses.pop(0)) != 200:
            self.send_error(status)
        elif one.moved:
            self.send_response(302)
            self.send_header("Location", one.moved)
            self.end_headers()
        else:
            self._send(one, looking=looking)
            if one.then is not None and not one.cuts:
                told.files[path] = one.then

    def _send(self, one: Served, *, looking: bool) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        given = self.headers.get("If-Range")
        start = 0
        if match and one.ranges and given in {None, one.etag or None, one.modified or None}:
            start = int(match[1])
            if start >= len(one.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(one.data)}")
                self.end_headers()
                return
            start += one.shifted
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(one.data) - 1}/{len(one.data)}")
        else:
            self.send_response(200)
        body = one.data[start:] + (one.extra if start else b"")
        said = {"ETag": one.etag, "Last-Modified": one.modified, **one.headers}
        if one.tells_length:
            said["Content-Length"] = str(one.length if one.length is not None else len(body))
        for name, value in said.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        cut = one.cuts.pop(0) if one.cuts and not looking else None
        with suppress(ConnectionError):
            self.wfile.write(body[:cut])


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    told: Server

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port, until the end."""
    listening = _Listening(("127.0.0.1", 0), _Handler)
    host, port = listening.server_address[:2]
    listening.told = Server(f"http://{host!s}:{port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listening.told
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
