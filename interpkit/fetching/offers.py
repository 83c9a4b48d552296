"""What can be fetched: the downloads that a manifest lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpkit.errors import LabelSetError, UnknownNameError, nearest
from interpkit.labels.manifest import FILE, read_manifest
from interpkit.labels.places import data_folder, named_folders

_HASHES = ("sha256", "sha1", "md5")


@dataclass(frozen=True)
class Download:
    """One archive of a label set.

    Attributes
    ----------
    urls
        Where it lies: the first is its own address, the others are mirrors with the same bytes.
    unpacks_to
        The folder in the archive that is wanted, and where it will stand below the set's folder.
    size, unpacked
        Bytes; None where the manifest does not say.
    hashes
        Published checksums by algorithm: sha256, sha1, md5.
    resolution
        Side of the images where a set comes in several sizes.
    note
        What the manifest says about the file.
    """

    urls: tuple[str, ...]
    unpacks_to: str
    size: int | None = None
    unpacked: int | None = None
    hashes: Mapping[str, str] | None = None
    resolution: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Offer:
    """A label set that can be fetched.

    Attributes
    ----------
    name, title, licence, citation, homepage
        As its manifest says.
    home
        Where it will lie: its folder in the data folder.
    downloads
        The archives to get, all of them needed.
    manifest
        The file that says all this.
    tables
        Files beside it that the set's layout reads and the archives lack.
    root
        Folder below ``home`` in which these belong.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    home: Path
    downloads: tuple[Download, ...]
    manifest: Path
    tables: tuple[Path, ...]
    root: str


def offered(name: str, *, resolution: int | None = None) -> Offer:
    """Find what there is to fetch under a name.

    Parameters
    ----------
    name
        As ``interpkit data list`` has it.
    resolution
        Of a set that comes in several sizes; default: the first that its manifest lists.

    Raises
    ------
    UnknownNameError
        If no manifest of that name is there; the message lists the names.
    LabelSetError
        If its manifest lists no download, or none of that resolution.
    """
    manifests = _manifests()
    if name not in manifests:
        have = sorted(other for other, (_, manifest) in manifests.items() if manifest.get("downloads"))
        close = nearest(name, have, count=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UnknownNameError(f"no label set {name!r} to fetch; {hint}there is {', '.join(have) or 'none'}")
    folder, manifest = manifests[name]
    listed = manifest.get("downloads", [])
    if not listed:
        where = f"; get it by hand from {manifest['homepage']}" if manifest.get("homepage") else ""
        raise LabelSetError(f"label set {name!r} has no file that can be fetched{where}")
    home = data_folder() / name
    return Offer(
        name=name,
        title=manifest.get("title", name),
        licence=" ".join(manifest.get("licence", "").split()),
        citation=" ".join(manifest.get("citation", "").split()),
        homepage=manifest.get("homepage", ""),
        home=home,
        downloads=tuple(_download(one, name) for one in _chosen(listed, name, resolution)),
        manifest=folder / FILE,
        tables=tuple(sorted(folder.glob("*.csv"))) if folder.resolve() != home.resolve() else (),
        root=manifest.get("root", ""),
    )


def _manifests() -> dict[str, tuple[Path, dict[str, Any]]]:
    """Every name with the first folder of it whose manifest lists downloads, else the first that has a manifest."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, folders in named_folders().items():
        manifests = [(folder, manifest) for folder in folders if (manifest := read_manifest(folder))]
        listing = (pair for pair in manifests if pair[1].get("downloads"))
        one = next(listing, next(iter(manifests), None))
        if one is not None:
            found[name] = one
    return found


def _chosen(listed: Sequence[dict[str, Any]], name: str, resolution: int | None) -> list[dict[str, Any]]:
    """Downloads that belong to a resolution, and those that belong to every one."""
    there = list(dict.fromkeys(one["resolution"] for one in listed if "resolution" in one))
    if resolution is not None and resolution not in there:
        have = f"there is {', '.join(map(str, there))}" if there else "it comes in one size, so leave --resolution out"
        raise LabelSetError(f"label set {name!r} is not to be had at resolution {resolution}; {have}")
    wanted = resolution if resolution is not None else next(iter(there), None)
    return [one for one in listed if one.get("resolution", wanted) == wanted]


def _download(listed: Mapping[str, Any], name: str) -> Download:
    if not listed.get("unpacks_to"):
        raise LabelSetError(f"the manifest of {name!r} does not say what {listed['url']} unpacks to (unpacks_to)")
    return Download(
        urls=(listed["url"], *listed.get("mirrors", [])),
        unpacks_to=listed["unpacks_to"],
        size=listed.get("bytes"),
        unpacked=listed.get("unpacked"),
        hashes={kind: listed[kind].lower() for kind in _HASHES if kind in listed},
        resolution=listed.get("resolution"),
        note=" ".join(listed.get("note", "").split()),
    )
