"""score_parts(): Probe x LabelSet with landmarks or part masks -> PartScores."""

from interpkit.parts._checks import DECIDING
from interpkit.parts._score import planned_fingerprint, score_parts, score_parts_layers

__all__ = ["DECIDING", "planned_fingerprint", "score_parts", "score_parts_layers"]
