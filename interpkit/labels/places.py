"""Where a label set called by its name is looked for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpkit import _plugins
from interpkit.errors import LabelSetError, UnknownNameError, nearest
from interpkit.labels.contents import Layout
from interpkit.labels.inside import check_folder
from interpkit.labels.manifest import read_manifest

_LAYOUTS = "interpkit.labels.layouts"


@dataclass(frozen=True)
class Found:
    """A folder that holds a label set, and how it is to be read."""

    name: str
    root: Path
    layout: Layout
    manifest: dict[str, Any]


def layouts() -> list[Layout]:
    """List every layout, in the order in which they are tried on a folder."""
    found: list[Layout] = [_plugins.load(_LAYOUTS, name) for name in _plugins.names(_LAYOUTS)]
    return sorted(found, key=lambda layout: layout.order)


def data_folder() -> Path:
    """Find where downloaded label sets lie: $INTERPKIT_DATA, by default the user's cache folder."""
    chosen = os.environ.get("INTERPKIT_DATA")
    if chosen:
        return Path(chosen)
    import pooch  # takes 50 ms, and most sets are found without it

    return Path(pooch.os_cache("interpkit"))


def places() -> list[Path]:
    """List the folders in which names are looked for: ./datasets, the data folder, the package's own datasets."""
    package = Path(__file__).parents[1]
    own = [package / "datasets"]
    if (package.parent / "pyproject.toml").is_file():
        own.append(package.parent / "datasets")
    return list(dict.fromkeys(folder.resolve() for folder in (Path("datasets"), data_folder(), *own)))


def named_folders() -> dict[str, list[Path]]:
    """List every name on offer with the folders that carry it, in the order of ``places``."""
    folders: dict[str, list[Path]] = {}
    for place in places():
        if place.is_dir():
            for folder in sorted(place.iterdir()):
                if folder.is_dir() and not folder.name.startswith((".", "_")):
                    folders.setdefault(folder.name, []).append(folder)
    return folders


def locate(path_or_name: str | Path) -> Found:
    """Find the folder behind a path or a name, with its layout.

    Raises
    ------
    UnknownNameError
        If there is neither such a folder nor such a name; the message lists the names.
    LabelSetError
        If the folder holds no label set, or only a manifest that says where to download it.
    """
    folder = Path(path_or_name).expanduser()
    if folder.is_dir():
        return resolve(folder.resolve().name, [folder])
    if folder.exists():
        raise LabelSetError(f"{folder} is a file; a label set is a folder")
    folders = named_folders()
    name = str(path_or_name)
    if name in folders:
        return resolve(name, folders[name])
    have = ", ".join(folders) or "none"
    close = nearest(name, folders, count=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    looked = ", ".join(map(str, places()))
    raise UnknownNameError(
        f"no label set {name!r}: no such folder, and no such name. {hint}There is {have} (in {looked})"
    )


def resolve(name: str, folders: list[Path]) -> Found:
    """Take the first of ``folders`` that holds data; a manifest counts for all folders of its name."""
    manifests = [manifest for folder in folders if (manifest := read_manifest(folder))]
    for folder in folders:
        manifest = read_manifest(folder) or next(iter(manifests), {})
        inner = folder / manifest.get("root", "")
        # Of a set that comes in several sizes another one may be here.
        sizes = [folder / one.get("unpacks_to", "") for one in manifest.get("downloads", []) if "resolution" in one]
        for root in dict.fromkeys((inner, *sizes, folder)):
            check_folder(root, folder)
            layout = _layout(root, manifest)
            if layout is not None:
                return Found(manifest.get("name", name), root, layout, manifest)
    raise LabelSetError(_nothing(name, folders[0], next(iter(manifests), {})))


def _layout(root: Path, manifest: dict[str, Any]) -> Layout | None:
    if not root.is_dir():
        return None
    known = layouts()
    wanted = manifest.get("layout")
    if wanted is not None and wanted not in [layout.name for layout in known]:
        close = nearest(wanted, [layout.name for layout in known]) or [layout.name for layout in known]
        raise LabelSetError(f"{root}: unknown layout {wanted!r} in the manifest; there is {', '.join(close)}")
    fitting = (layout for layout in known if wanted in {None, layout.name})
    return next((layout for layout in fitting if layout.recognises(root, manifest)), None)


def _nothing(name: str, folder: Path, manifest: dict[str, Any]) -> str:
    if manifest.get("downloads"):
        url = manifest["downloads"][0]["url"]
        return (
            f"label set {name!r} is not on this machine; download it with `interpkit data fetch {name}`, or by hand "
            f"from {url}, unpacked in {data_folder() / name}"
        )
    if manifest.get("layout"):
        holds = next(layout.holds for layout in layouts() if layout.name == manifest["layout"])
        return f"{folder} does not hold what its manifest says, layout {manifest['layout']}: {holds}"
    listed = "; ".join(f"{layout.name} ({layout.holds})" for layout in layouts())
    return f"{folder} holds no label set. Layouts: {listed}"
