"""Which classes the information is about: the label set's, or the network's own answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from interpkit.entanglement._pool import Passed
from interpkit.errors import LabelSetError
from interpkit.labels import Targets
from interpkit.probe import Probe

Target = Literal["label", "prediction"]

# Of a class with one image nothing can be told: leaving that image out leaves out the class.
FEWEST = 2


@dataclass(frozen=True, eq=False)
class Wanted:
    """K classes of the N images of a pass.

    Attributes
    ----------
    names
        K class names.
    member
        (N, K) bool, whether an image is of a class.
    multi
        Whether an image may be of several.
    notes
        What the reader must be told of these classes.
    outputs
        Name -> number of the network's output, where the classes are the network's own answers.
    """

    names: tuple[str, ...]
    member: npt.NDArray[np.bool_]
    multi: bool
    notes: tuple[str, ...] = ()
    outputs: Mapping[str, int] | None = None


def wanted(known: Targets | None, passed: Passed, probe: Probe) -> Wanted:
    """The label set's classes of the images that were read; without ``known``, the network's strongest outputs.

    Raises
    ------
    LabelSetError
        If fewer than two classes are left.
    """
    if known is not None:
        member = known.member[passed.rows]
        _check_left(known.names, member)
        return Wanted(known.names, member, known.multi)
    if passed.predicted is None:
        raise ValueError("a pass without predictions")
    outputs, counts = np.unique(passed.predicted, return_counts=True)
    kept = outputs[counts >= FEWEST]
    if len(kept) < 2:
        raise LabelSetError(
            f"the network predicts {len(outputs)} class{'' if len(outputs) == 1 else 'es'} on these images, "
            f"{len(kept)} of them more than once: --target prediction needs at least two"
        )
    names = tuple(_output_name(one, probe.loaded.classes) for one in kept.tolist())
    rare = len(outputs) - len(kept)
    note = f"{rare:,} outputs predicted on a single image count as no class" if rare else ""
    return Wanted(
        names,
        passed.predicted[:, None] == kept,
        multi=False,
        notes=(note,) if note else (),
        outputs=dict(zip(names, kept.tolist(), strict=True)),
    )


def _output_name(output: int, known: Sequence[str]) -> str:
    """What an output is called; of several outputs that share a name, with its number."""
    if output >= len(known):
        return f"output {output}"
    name = known[output]
    return name if known.count(name) == 1 else f"{name} (output {output})"


def _check_left(names: tuple[str, ...], member: npt.NDArray[np.bool_]) -> None:
    counts = member.sum(0)
    if counts.min() < FEWEST:
        least = int(counts.argmin())
        left = "1 readable image" if counts[least] == 1 else f"{int(counts[least])} readable images"
        raise LabelSetError(f"class {names[least]!r} is left with {left}; it takes at least {FEWEST}")
    if counts.min() == len(member):
        raise LabelSetError(f"every image is of all {len(names)} classes, so there is nothing to tell apart")
