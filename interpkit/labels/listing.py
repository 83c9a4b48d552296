"""available(): every label set that can be opened by name, and those that can be downloaded."""

from dataclasses import dataclass
from pathlib import Path

from interpkit.errors import LabelSetError
from interpkit.labels.findings import refuse
from interpkit.labels.labelset import LabelSet
from interpkit.labels.manifest import read_manifest
from interpkit.labels.places import named_folders, resolve


@dataclass(frozen=True)
class Available:
    """One label set on offer.

    Attributes
    ----------
    name, where, layout, licence
        As the set itself or its manifest says.
    images, concepts
        N and C; None where the set is not on this machine.
    present
        Whether it can be opened; where not, ``note`` says why: it has to be downloaded, or something is wrong.
    """

    name: str
    where: Path
    layout: str
    images: int | None
    concepts: int | None
    licence: str
    present: bool
    note: str = ""


def available() -> list[Available]:
    """List the label sets in ./datasets, in $INTERPKIT_DATA (default: the user's cache folder) and in the package."""
    described = (_described(name, folders) for name, folders in sorted(named_folders().items()))
    return [item for item in described if item is not None]


def _described(name: str, folders: list[Path]) -> Available | None:
    """Describe what can be opened or has a manifest; another folder is none of ours."""
    try:
        manifest = next((found for folder in folders if (found := read_manifest(folder))), {})
    except LabelSetError as error:
        return Available(name, folders[0], "", None, None, "", present=False, note=str(error))
    layout, licence = str(manifest.get("layout", "")), str(manifest.get("licence", ""))
    try:
        labels = LabelSet.read(resolve(name, folders), refuse)
    except LabelSetError as error:
        if not manifest:
            return None
        return Available(name, folders[0], layout, None, None, licence, present=False, note=str(error))
    return Available(name, labels.root, labels.layout, len(labels), len(labels.concepts), licence, present=True)
