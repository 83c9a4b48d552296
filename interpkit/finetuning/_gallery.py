"""Units of the trained network on validation images: where their maps are on, and what their masks let through."""

import numpy as np
import numpy.typing as npt
import torch

from interpkit.feeding import Feeding
from interpkit.finetuning._evaluate import Judged
from interpkit.gallery import Outlining, make_gallery
from interpkit.geometry import half_pixel
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel
from interpkit.probe import Probe
from interpkit.results import Gallery
from interpkit.running import label_grid
from interpkit.surgery import Site

Ints = npt.NDArray[np.int64]

UNITS = 24
A_CLASS = 2
IMAGES = 3
# A unit is on where it reaches this share of its highest peak: part of the map, whatever the unit's scale.
SHARE = 0.5


def telling(judged: Judged) -> list[tuple[int, int]]:
    """Pairs (unit, position of the image): of each class the two units that tell it best, where they peak highest.

    A unit tells a class by how far its mean peak on the class lies above that on other images, in units of its highest
    peak. Of many classes those with the most images are shown.
    """
    peaks, member = judged.peaks.double(), judged.member.double()
    scaled = peaks / peaks.amax(0).clamp(min=torch.finfo(torch.float32).tiny)
    inside, outside = member.sum(0), (1 - member).sum(0)
    contrast = (member.T @ scaled) / inside.clamp(min=1)[:, None] - ((1 - member).T @ scaled) / outside.clamp(min=1)[
        :, None
    ]
    shown: list[tuple[int, int]] = []
    used: set[int] = set()
    classes = torch.argsort(inside, descending=True, stable=True)[: UNITS // A_CLASS]
    for k in sorted(classes.tolist()):
        best = [unit for unit in torch.argsort(-contrast[k], stable=True).tolist() if unit not in used]
        for unit in best[:A_CLASS]:
            used.add(unit)
            rows = torch.argsort(-(peaks[:, unit] * member[:, k]), stable=True)[:IMAGES].tolist()
            shown += [(unit, row) for row in rows if peaks[row, unit] > 0 and member[row, k] > 0]
    return shown


def galleries(
    model: LoadedModel, labels: LabelSet, judged: Judged, *, rows: Ints, site: Site, feeding: Feeding, device: str
) -> tuple[Gallery, Gallery]:
    """The same units on the same images before the mask and after it; ``rows`` are those judged."""
    entries = [(unit, int(rows[row])) for unit, row in telling(judged)]
    made = []
    for layer in (site.act, site.mask):
        probe = Probe(model, layer, device=device)
        _, h, w = probe.shapes()[layer]
        outlining = Outlining(
            layer=layer,
            placement=half_pixel(probe.preprocessing.size, (h, w)),
            grid=label_grid(labels, probe),
            thresholds=(SHARE * judged.peaks.amax(0)).numpy(),
            silent=(judged.peaks.amax(0) <= 0).numpy(),
        )
        made.append(make_gallery(probe, labels, entries, outlining=outlining, feeding=feeding))
    return made[0], made[1]
