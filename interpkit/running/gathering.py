"""What several processes saw, brought to the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from interpkit.processes import Group

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

# Bytes that a process hands over together.
PIECE = 1 << 26


@dataclass(frozen=True, eq=False)
class Gathering:
    """Which images the processes saw.

    Attributes
    ----------
    mine
        (n,) rows of the images of this process, rising.
    rows
        (N,) rows of all of them on the first process, where its own come first; elsewhere ``mine``.
    largest
        How many the process with the most of them has.
    """

    group: Group
    mine: Ints
    rows: Ints
    largest: int

    @classmethod
    def of(cls, group: Group, mine: Ints) -> "Gathering":
        """Tell the first process which rows each has seen."""
        if group.world == 1:
            return cls(group, mine, mine, len(mine))
        every: list[Ints] = []
        group.merge(mine, every.append)
        largest = group.agreed(lambda: max(map(len, every)))
        return cls(group, mine, np.concatenate(every) if group.first else mine, largest)

    def bring(self, arrays: Sequence[Array]) -> None:
        """Fill the first process' arrays with the rows of the others, in pieces of bounded size.

        Parameters
        ----------
        arrays
            One row an image: (N, ...) on the first process, its own rows in front; (n, ...) elsewhere.
        """
        if self.group.world == 1 or not arrays:
            return

        def take(brought: tuple[Ints, list[Array]] | None) -> None:
            if brought is not None:
                rows, values = brought
                places = np.searchsorted(self.rows, rows)
                for array, some in zip(arrays, values, strict=True):
                    array[places] = some

        row = sum(int(np.prod(array.shape[1:])) * array.itemsize for array in arrays)
        size = max(1, PIECE // max(row, 1))
        for first in range(0, self.largest, size):
            piece = slice(min(first, len(self.mine)), min(first + size, len(self.mine)))
            own = (self.mine[piece], [np.array(array[piece]) for array in arrays])
            self.group.merge(None if self.group.first else own, take)
