"""Network Dissection: a name for every unit, or an honest none (Bau et al., CVPR 2017, arXiv 1704.05796)."""

from interpkit.dissection._dissect import dissect, dissect_layers
from interpkit.dissection._masks import check_form, export_masks
from interpkit.dissection._record import planned_fingerprint
from interpkit.dissection._rotate import planned_rotation, rotate, rotate_layers
from interpkit.dissection._shuffle import planned_shuffle, shuffle, shuffle_layers
from interpkit.dissection._untrained import planned_untrained, untrained, untrained_layers

__all__ = [
    "check_form",
    "dissect",
    "dissect_layers",
    "export_masks",
    "planned_fingerprint",
    "planned_rotation",
    "planned_shuffle",
    "planned_untrained",
    "rotate",
    "rotate_layers",
    "shuffle",
    "shuffle_layers",
    "untrained",
    "untrained_layers",
]
