"""plan() and fetch(): a label set from its authors' server into the data folder."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from interpkit.errors import LabelSetError
from interpkit.fetching.archives import ArchiveError, unpack
from interpkit.fetching.checksums import Known, digests
from interpkit.fetching.offers import Download, Offer, offered
from interpkit.fetching.sizes import RESERVE, room, size_text
from interpkit.fetching.transfer import Patience, Transfer, TransferError
from interpkit.holding import FILE, Held, holder
from interpkit.labels.manifest import FILE as MANIFEST
from interpkit.labels.places import data_folder
from interpkit.writing import NO_PLACE, written

# Where downloads lie until they are unpacked, in the folder that the set will be in: the same disk, so that what is
# unpacked is moved into its place by name alone.
FOLDER = ".fetch"
_UNPACKED = "unpacked"
# What an archive of pictures unpacks to, as a multiple of its size, where its manifest does not say.
_GROWS = 1.25

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Fetch:
    """What a fetch will do.

    Attributes
    ----------
    offer
        The label set, with ``home`` as the folder it goes to.
    missing
        Its downloads that are not there, with their sizes in bytes as far as anybody says them.
    begun
        Bytes of them that an earlier fetch has brought.
    space
        Bytes that may be written there.
    patience
        With servers.
    """

    offer: Offer
    missing: tuple[Download, ...]
    begun: int
    space: int
    patience: Patience = field(default_factory=Patience)

    @property
    def size(self) -> int | None:
        """Bytes to download; None if a server does not say."""
        sizes = [one.size for one in self.missing if one.size is not None]
        return sum(sizes) - self.begun if len(sizes) == len(self.missing) else None

    @property
    def needed(self) -> int:
        """Bytes needed while it works, as far as they are known: downloads, and what they unpack to."""
        # Each archive goes when it has been unpacked, so that of several only the largest counts beside all unpacked.
        packed = max((one.size or 0 for one in self.missing), default=0)
        return max(0, packed + sum(map(_unpacked, self.missing)) - self.begun)

    def lines(self) -> list[str]:
        """What a user should know before: what it is, under which terms, how large, and whither."""
        offer = self.offer
        said = [f"{offer.name}: {offer.title}", f"licence: {offer.licence}", f"citation: {offer.citation}"]
        said += [f"homepage: {offer.homepage}"] if offer.homepage else []
        for one in self.missing:
            size = size_text(one.size) if one.size is not None else "of unknown size"
            said.append(f"{one.urls[0]}: {size}, unpacked about {size_text(_unpacked(one))}")
            said += [f"  {one.note}"] if one.note else []
        if self.begun:
            said.append(f"{size_text(self.begun)} of this are there from an earlier fetch")
        if self.missing:
            said.append(f"into {offer.home}, where {size_text(self.space)} are free")
        return said


def _unpacked(one: Download) -> int:
    return one.unpacked if one.unpacked is not None else int((one.size or 0) * _GROWS)


def plan(
    name: str, *, resolution: int | None = None, out: Path | None = None, patience: Patience | None = None
) -> Fetch:
    """Find out what fetching a label set means; asks servers for sizes and changes nothing.

    Parameters
    ----------
    name
        Of a label set whose manifest lists downloads.
    resolution
        Of a set that comes in several sizes.
    out
        Folder for it; default: its name in the data folder, where it is found by its name.
    patience
        With servers.

    Raises
    ------
    UnknownNameError
        If there is no such set.
    LabelSetError
        If it cannot be fetched, no server has it, or there is not enough room for it.
    """
    patience = patience or Patience()
    offer = offered(name, resolution=resolution)
    if out is not None:
        offer = replace(offer, home=out.expanduser().absolute())
    missing, begun = [], 0
    for one in _missing(offer):
        transfer = _transfer(one, offer, patience)
        remote = transfer.look()
        missing.append(replace(one, size=one.size if one.size is not None else remote.size))
        begun += transfer.have
    planned = Fetch(offer, tuple(missing), begun, room(offer.home), patience)
    if planned.needed > planned.space:
        raise LabelSetError(
            f"no room for {name} in {offer.home}: it needs {size_text(planned.needed)} for what is still to be "
            f"downloaded and for unpacking, and {size_text(planned.space)} are free beside a reserve of "
            f"{size_text(RESERVE)}; --out names another place"
        )
    return planned


def fetch(planned: Fetch, *, progress: Progress | None = None) -> Path:
    """Download a label set, check it, unpack it and put it in its place.

    Stopped at any moment, it leaves nothing half there; the same call goes on where the download was. Where all is in
    its place, it asks no server and only does what a fetch that was stopped after that had still to do.

    Parameters
    ----------
    planned
        As `plan` gives it.
    progress
        Called as (stage, bytes done, bytes in all), 0 where nobody knows how many there are.

    Returns
    -------
    Path
        The folder the set lies in.

    Raises
    ------
    InUseError
        If another process is fetching into that folder.
    LabelSetError
        If no server gives the file, it is not the one that was published or fetched before, it must not be unpacked,
        or the disk is full.
    """
    home = planned.offer.home
    # Whoever is at it finishes it.
    if not planned.missing and (not _unfinished(planned.offer) or holder(home)):
        return home
    with _home(home), Held(home, doing=f"fetching {planned.offer.name}"):
        (home / FOLDER).mkdir(exist_ok=True)
        missing = _missing(planned.offer)
        for one in planned.missing:
            # Another process may have brought it since this was planned.
            if any(one.urls == other.urls for other in missing):
                _get(one, planned, progress or (lambda _stage, _done, _total: None))
        if _lacks_manifest(planned.offer):
            with written(home / MANIFEST) as part:
                shutil.copyfile(planned.offer.manifest, part)
        _tidy(planned)
    return home


def _missing(offer: Offer) -> list[Download]:
    return [one for one in offer.downloads if not (offer.home / one.unpacks_to).exists()]


def _lacks_manifest(offer: Offer) -> bool:
    # Elsewhere than under its name, only its own manifest says what it is.
    return offer.home != data_folder() / offer.name and not (offer.home / MANIFEST).exists()


def _unfinished(offer: Offer) -> bool:
    """Whether a set whose downloads are all in their places was left before the end of its fetch."""
    # What is left over does no harm where it cannot be removed, such as in a folder that others look after.
    return _lacks_manifest(offer) or ((offer.home / FOLDER).exists() and os.access(offer.home, os.W_OK))


def _tidy(planned: Fetch) -> None:
    """Remove what the downloads leave that are in their places; a part of the set in another size may wait there."""
    offer = planned.offer
    missing = _missing(offer)
    for one in offer.downloads:
        if one not in missing:
            _transfer(one, offer, planned.patience).clear()
    shutil.rmtree(offer.home / FOLDER / _UNPACKED, ignore_errors=True)
    with suppress(OSError):
        (offer.home / FOLDER).rmdir()


def _transfer(one: Download, offer: Offer, patience: Patience) -> Transfer:
    # What a plan says of its size may be what one server told.
    published = next((other.size for other in offer.downloads if other.urls == one.urls), None)
    checked = bool(one.hashes)
    return Transfer(one.urls, offer.home / FOLDER, checked=checked, size=published, patience=patience, told=one.size)


@contextmanager
def _home(home: Path) -> Iterator[None]:
    """The folder that a set goes to, made where it is missing; gone again if nothing came to lie in it."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise LabelSetError(f"cannot write into {home}: {error.strerror}; --out names another place") from error
    finally:
        # Not while another process holds it: an empty folder of it may be about to be filled.
        if not (home / FILE).exists():
            for folder in (home / FOLDER, home):
                with suppress(OSError):
                    folder.rmdir()


def _get(one: Download, planned: Fetch, progress: Progress) -> None:
    """Bring one archive and put what it holds in its place."""
    known, transfer = Known(data_folder()), _transfer(one, planned.offer, planned.patience)
    url, place = one.urls[0], planned.offer.home / one.unpacks_to
    sha256 = _bring(one, transfer, known, progress=progress)
    try:
        with _unpacking(one, planned, transfer.part, progress=progress) as ready:
            # Once it is in its place nobody reads the archive again: after a kill there, nothing would be recorded.
            known.record(url, sha256=sha256, size=transfer.have)
            place.parent.mkdir(parents=True, exist_ok=True)
            ready.rename(place)
    except ArchiveError:
        # Kept, it would be found there and refused for ever.
        transfer.clear()
        raise
    transfer.clear()


def _bring(one: Download, transfer: Transfer, known: Known, *, progress: Progress) -> str:
    """Download one archive; its SHA-256.

    Raises
    ------
    TransferError
        If no address gives the file that was published, or fetched before.
    """
    found: dict[str, str] = {}
    strange = False

    def accept() -> str | None:
        nonlocal strange
        size = transfer.have
        kinds = {"sha256", *(one.hashes or {})}
        found.update(digests(transfer.part, kinds, lambda done: progress("check", done, size)))
        for kind, published in (one.hashes or {}).items():
            if found[kind] != published:
                return f"what came is not the published file: its {kind} is {found[kind]}, published is {published}"
        other = known.differs(one.urls[0], found["sha256"])
        strange = strange or other is not None
        return other

    try:
        transfer.run(accept, lambda done, size: progress("download", done, size or 0))
    except TransferError as error:
        if strange:
            raise TransferError(f"{error}; {known.advice(one.urls[0])}") from error
        raise
    return found["sha256"]


@contextmanager
def _unpacking(one: Download, planned: Fetch, archive: Path, *, progress: Progress) -> Iterator[Path]:
    """The folder that is wanted of an archive, whole, beside its place; gone at the end if it is still there."""
    home, wanted = planned.offer.home, PurePosixPath(one.unpacks_to)
    inside = home / FOLDER / _UNPACKED
    # What a process was at when it was killed.
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    try:
        unpacked = unpack(
            archive,
            inside,
            called=one.urls[0].rpartition("/")[2] or one.urls[0],
            wanted=lambda path: path.is_relative_to(wanted),
            space=room(home),
            progress=lambda done, total: progress("unpack", done, total),
        )
        if not unpacked or not (inside / wanted).is_dir():
            raise ArchiveError(f"{one.urls[0]} holds no folder {one.unpacks_to}; it is not the archive it should be")
        beside = list(planned.offer.tables) if PurePosixPath(planned.offer.root) == wanted else []
        # One of several sizes may be asked for by its path.
        beside += [planned.offer.manifest] if one.resolution is not None else []
        for file in beside:
            shutil.copyfile(file, inside / wanted / file.name)
        yield inside / wanted
    finally:
        shutil.rmtree(inside, ignore_errors=True)
