"""fit_graph(): Probe x images of one class -> ExplanatoryGraph; infer(): where its nodes are on new images."""

from interpkit.graph._checks import DECIDING
from interpkit.graph._chosen import images_of
from interpkit.graph._decoder import Decoder, train_decoder
from interpkit.graph._fit import fit_graph, planned_fingerprint
from interpkit.graph._found import Found, Patterns
from interpkit.graph._infer import infer

__all__ = [
    "DECIDING",
    "Decoder",
    "Found",
    "Patterns",
    "fit_graph",
    "images_of",
    "infer",
    "planned_fingerprint",
    "train_decoder",
]
