"""entangle(): Probe x LabelSet with classes -> Entanglement."""

from interpkit.entanglement._checks import ANALYSES, DECIDING
from interpkit.entanglement._entangle import entangle, entangle_layers, images_of, planned_fingerprint

__all__ = ["ANALYSES", "DECIDING", "entangle", "entangle_layers", "images_of", "planned_fingerprint"]
