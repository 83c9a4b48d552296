"""A label set as notebooks show it."""

from typing import TYPE_CHECKING

from interpkit.strangers import escape, html_table

if TYPE_CHECKING:
    from interpkit.labels.labelset import LabelSet

# Concepts of a category that stand as its examples.
_EXAMPLES = 5


def shown(labels: "LabelSet", *, listed: int) -> str:
    """HTML of what the set holds: static, without a colour of its own, and no file is read for it.

    Parameters
    ----------
    labels
        The set, or a selection.
    listed
        How many images the folder lists.
    """
    images = f"{len(labels):,} images" if labels.whole else f"{len(labels):,} of {listed:,} images"
    held = [images, *_besides(labels)]
    licence = f" Licence: {escape(labels.licence)}." if labels.licence else ""
    head = f"<p><b>{escape(labels.name)}</b> ({escape(labels.layout)}): {', '.join(held)}.{licence}</p>"
    if labels.concepts.empty:
        return head
    groups = labels.concepts.groupby("category")["name"]
    table = groups.agg(concepts="size", examples=lambda names: ", ".join(names.head(_EXAMPLES)))
    order = [category for category in labels.categories if category in table.index]
    return head + html_table(table.loc[order].reset_index())


def _besides(labels: "LabelSet") -> list[str]:
    """What there is beside images, each with its number."""
    held = []
    if labels.grid:
        held.append(f"{len(labels.concepts):,} concepts labelled on {labels.grid[0]} x {labels.grid[1]} pixels")
    if labels.classes is not None:
        held.append(f"{labels.classes['class'].nunique():,} classes")
    if labels.landmarks is not None:
        held.append(f"{(labels.landmarks.shape[1] - 1) // 2:,} landmarks")
    return held
