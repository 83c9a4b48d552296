"""Where the cells of a feature map lie and look, and how maps are read on label grids."""

from interpkit.geometry.effective import effective_placement
from interpkit.geometry.fields import Field, receptive_fields
from interpkit.geometry.placement import Placement, half_pixel
from interpkit.geometry.resampling import Resampler, Squares, outline

__all__ = [
    "Field",
    "Placement",
    "Resampler",
    "Squares",
    "effective_placement",
    "half_pixel",
    "outline",
    "receptive_fields",
]
