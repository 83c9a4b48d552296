"""compare(): two networks, measure by measure; side_by_side(): any number of results, also published ones."""

from interpkit.comparison._compare import Look, compare
from interpkit.comparison._sidebyside import side_by_side

__all__ = ["Look", "compare", "side_by_side"]
