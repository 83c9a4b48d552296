"""Where the cells of a feature map lie on the network's input."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Placement:
    """Cell (0, 0) and the step between cells, (rows, columns), in input pixels (0-based, centres of pixels)."""

    start: tuple[float, float]
    stride: tuple[float, float]


def half_pixel(input_size: tuple[int, int], map_size: tuple[int, int]) -> Placement:
    """The placement that spreads the map evenly over the input.

    The same as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.

    Examples
    --------
    >>> half_pixel((224, 224), (7, 7))
    Placement(start=(15.5, 15.5), stride=(32.0, 32.0))
    """
    (rows, columns), (h, w) = input_size, map_size
    return Placement(start=((rows / h - 1) / 2, (columns / w - 1) / 2), stride=(rows / h, columns / w))


def grid_positions(
    placement: Placement, *, input_size: tuple[int, int], grid: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where the label grid's pixel centres lie on the map.

    Label pixel j of sh lies at input coordinate p = (j + 1/2) H / sh - 1/2 and is read at (p - c0) / stride.

    Returns
    -------
    (sh,) rows and (sw,) columns in cells of the map, not yet clamped to its border.
    """
    rows, columns = (
        ((np.arange(cells) + 0.5) * size / cells - 0.5 - start) / stride
        for cells, size, start, stride in zip(grid, input_size, placement.start, placement.stride, strict=True)
    )
    return rows, columns
