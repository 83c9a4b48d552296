"""Part templates of interpretable CNNs: a unit's mutual information with them, and what its entropies say.

Notation of the formulas: x the map of a unit on one image, T a template, T+ any positive and T- the negative one.
Logarithms are natural. A unit is judged over N images, and its numbers compare with others of the same N only.
Source: Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018, arXiv 1710.00935; rectangular
maps, the calibrated scale and the normalised entropies are additions.
"""

from interpkit.templates.formulas import (
    BETA,
    MAX_CELLS,
    MIN_CELLS,
    Posterior,
    check_cells,
    kappa,
    posterior,
    prior,
    templates,
)
from interpkit.templates.information import mutual_information, pulled, single_template_gradient
from interpkit.templates.masks import Position, fitted, mask, place, spread
from interpkit.templates.statistics import (
    CALIBRATION,
    TemplateStatistics,
    auc,
    calibrated_tau,
    dead,
    paper_tau,
    peak_level,
    template_statistics,
)

__all__ = [
    "BETA",
    "CALIBRATION",
    "MAX_CELLS",
    "MIN_CELLS",
    "Position",
    "Posterior",
    "TemplateStatistics",
    "auc",
    "calibrated_tau",
    "check_cells",
    "dead",
    "fitted",
    "kappa",
    "mask",
    "mutual_information",
    "paper_tau",
    "peak_level",
    "place",
    "posterior",
    "prior",
    "pulled",
    "single_template_gradient",
    "spread",
    "template_statistics",
    "templates",
]
