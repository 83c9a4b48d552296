"""Intersection over union of a unit's mask and a concept's label mask (Bau et al. 2017, section 2.3)."""

import numpy as np
import numpy.typing as npt

from interpkit.counts import Counts
from interpkit.metrics import Metric


def iou(counts: Counts) -> npt.NDArray[np.float64]:
    """IoU (U, C) of the state *on* (1) with each concept; NaN where the union is empty."""
    both = counts.joint[1].astype(np.float64)
    either = counts.state[1][:, counts.category] + counts.truth - both
    scores: npt.NDArray[np.float64] = np.full_like(both, np.nan)
    np.divide(both, either, out=scores, where=either > 0)
    return scores


OFFER = Metric(
    score=iou,
    title="Intersection over union",
    low=0.0,
    high=1.0,
    reference="Bau, Zhou, Khosla, Oliva, Torralba: Network Dissection, CVPR 2017, arXiv 1704.05796",
)
