"""Network Dissection: a name for every unit, or an honest none (Bau et al., CVPR 2017, arXiv 1704.05796)."""

from interpkit.dissection._dissect import dissect, dissect_layers
from interpkit.dissection._record import planned_fingerprint

__all__ = ["dissect", "dissect_layers", "planned_fingerprint"]
