"""compare(): the results of two networks, measure by measure, each beside its chance level."""

from interpkit.comparison._compare import Look, compare

__all__ = ["Look", "compare"]
