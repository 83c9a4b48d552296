"""Part masks, added layers and new heads put into a network, as a recipe tells; the network given is left alone."""

from interpkit.surgery.modules import AddedLayer, Cut, Dropped, MaskedLayer, Opened, PartMask, Pooled
from interpkit.surgery.operating import operate
from interpkit.surgery.recipe import Head, Operated, Site, Surgery
from interpkit.templates import Position

__all__ = [
    "AddedLayer",
    "Cut",
    "Dropped",
    "Head",
    "MaskedLayer",
    "Opened",
    "Operated",
    "PartMask",
    "Pooled",
    "Position",
    "Site",
    "Surgery",
    "operate",
]
