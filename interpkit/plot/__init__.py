"""Results drawn with matplotlib. Nothing is computed here; every number comes from the result."""

from interpkit.plot._axes import BASELINES, COLOURS, MOST_NAMES, NONE, category_colours
from interpkit.plot._dissection import concepts, iou_distribution
from interpkit.plot._entanglement import (
    OwnerBlocks,
    entanglement_matrix,
    information_distribution,
    owner_blocks,
    units_per_class,
)
from interpkit.plot._graph import part_patterns, pattern_instability
from interpkit.plot._judgements import rotation, shuffles, untrained
from interpkit.plot._parts import instability, template_scatter
from interpkit.plot._training import before_after, confusion, confusion_order, training

__all__ = [
    "BASELINES",
    "COLOURS",
    "MOST_NAMES",
    "NONE",
    "OwnerBlocks",
    "before_after",
    "category_colours",
    "concepts",
    "confusion",
    "confusion_order",
    "entanglement_matrix",
    "information_distribution",
    "instability",
    "iou_distribution",
    "owner_blocks",
    "part_patterns",
    "pattern_instability",
    "rotation",
    "shuffles",
    "template_scatter",
    "training",
    "units_per_class",
    "untrained",
]
