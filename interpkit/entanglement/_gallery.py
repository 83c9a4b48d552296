"""Which units a page shows for each class: the most exclusive ones."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# A page of more crops than this is slow to open; further classes are found in the table.
CLASSES = 40
UNITS = 3


def exclusive_units(information: Floats, owner: npt.NDArray[np.int64], positive: npt.NDArray[np.bool_]) -> list[int]:
    """Up to three units a class, of the 40 classes whose best unit is the most exclusive.

    A unit is exclusive by what it knows of its class beyond what it knows of any other, in nats; units that are lower
    on their class than elsewhere are left out, since their pictures would show what they are silent about.

    Parameters
    ----------
    information
        (U, K) nats.
    owner, positive
        (U,) the class of each unit, and whether the unit is higher on it than elsewhere.
    """
    ordered = np.sort(information, axis=1)
    # What a unit tells of one of two classes it tells of the other: no unit leads there.
    lead = ordered[:, -1] - ordered[:, -2] if information.shape[1] > 2 else ordered[:, -1]
    fits = positive & (lead > 0)
    found: list[tuple[float, list[int]]] = []
    for k in range(information.shape[1]):
        mine = np.flatnonzero(fits & (owner == k))
        if len(mine):
            best = mine[np.argsort(-lead[mine], kind="stable")][:UNITS]
            found.append((float(lead[best[0]]), best.tolist()))
    # The classes with the clearest units, but shown in the order of the classes.
    chosen = sorted(sorted(range(len(found)), key=lambda i: -found[i][0])[:CLASSES])
    return [unit for i in chosen for unit in found[i][1]]
