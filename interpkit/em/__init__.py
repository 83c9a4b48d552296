"""The explanatory graph's expectation maximisation, one layer at a time: pure tensor functions.

Source: Zhang, Cao, Shi, Wu and Zhu, "Interpreting CNN Knowledge via an Explanatory Graph", AAAI 2018, arXiv
1708.01785; the closed form of the edges, the refitted deviations and the noise constant are ours.
"""

from interpkit.em.edges import Candidates, agreement, candidates, displacement, pick_edges, representatives
from interpkit.em.fitting import Above, Fitted, Maps, Settings, fit_layer, likelihoods, located
from interpkit.em.steps import (
    Found,
    Grid,
    Guide,
    Nodes,
    Sums,
    expect,
    explained,
    guide,
    infer,
    likelihood,
    maximise,
    start,
)

__all__ = [
    "Above",
    "Candidates",
    "Fitted",
    "Found",
    "Grid",
    "Guide",
    "Maps",
    "Nodes",
    "Settings",
    "Sums",
    "agreement",
    "candidates",
    "displacement",
    "expect",
    "explained",
    "fit_layer",
    "guide",
    "infer",
    "likelihood",
    "likelihoods",
    "located",
    "maximise",
    "pick_edges",
    "representatives",
    "start",
]
