"""Label sets: folders of images with labels, opened as they lie on disk."""

from interpkit.labels.checking import CheckReport, check
from interpkit.labels.contents import ImageLabels
from interpkit.labels.findings import Finding
from interpkit.labels.labelset import LabelSet
from interpkit.labels.listing import Available, available
from interpkit.labels.parts import part_masks, part_rows
from interpkit.labels.places import locate
from interpkit.labels.sameness import as_text, changed_since, combined, content, content_of, digest
from interpkit.labels.targets import Targets

__all__ = [
    "Available",
    "CheckReport",
    "Finding",
    "ImageLabels",
    "LabelSet",
    "Targets",
    "as_text",
    "available",
    "changed_since",
    "check",
    "combined",
    "content",
    "content_of",
    "digest",
    "locate",
    "part_masks",
    "part_rows",
]
