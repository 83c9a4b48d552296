"""Columns for comparisons put together by hand: dissections whose counts lie in all blocks, and published tables."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from made_pages import shown
from made_results import NAMES, dissection, provenance, random_cells
from numpy.typing import NDArray

from interpkit.counts import BLOCKS, BlockCounts
from interpkit.metrics import load as metric
from interpkit.results import Dissection

CATEGORIES = ("object", "part", "texture")


def blocked(seed: int = 0, *, units: int = 12, layer: str = "layer", **changes: Any) -> Dissection:
    """A dissection whose counts are spread at random over all 16 blocks but one, which holds no image."""
    rng = np.random.default_rng(seed + 100)
    cells = random_cells(seed, units=units)
    weights = rng.dirichlet(np.full(BLOCKS - 1, 2.0))
    weights = np.insert(weights, 5, 0.0)

    def spread(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return rng.multinomial(values.ravel(), weights).T.reshape(BLOCKS, *values.shape)

    on, off = spread(cells.joint), spread(cells.truth - cells.joint.max(0))
    truth = on.max(1) + off
    active = np.maximum(spread(cells.active), np.stack([on.max(2)] * cells.active.shape[1], 2))
    flat = on.ravel()
    index = np.flatnonzero(flat)
    pixels = np.outer(np.round(weights * 1e5), np.ones(cells.active.shape[1])).astype(np.int64)
    blocks = BlockCounts(index, flat[index], truth, active, pixels, NAMES.category)
    made = provenance(**{"model_sha": f"{seed:064d}", "model": f"net {seed}", **changes})
    rule = made.options["category_rule"]
    result = dissection(cells, NAMES, layer=layer, shown=shown(units), made=made)
    return replace(result, blocks=blocks, scores={"iou": metric("iou").score(blocks.total().under(rule))})


def optioned(**options: Any) -> dict[str, Any]:
    """Options of a dissection with some changed."""
    return {**provenance().options, **options}


def published(path: Path, *, seed: int = 0, units: int = 40, order: Sequence[str] = CATEGORIES) -> Path:
    """A table in the published form, rows by falling score, some labels empty."""
    rng = np.random.default_rng(seed)
    rows = []
    for unit in range(1, units + 1):
        best = {}
        for category in CATEGORIES:
            name = f"{category}-{rng.integers(0, 9)}"
            iou = float(rng.random() ** 4 * 0.3)
            best[category] = ("", iou) if unit % 7 == 0 and category == "texture" else (name, iou)
        category = max((one for one in CATEGORIES if best[one][0]), key=lambda one: best[one][1])
        cells = [f"{best[one][0]},1000,500.0,20,{best[one][1]!r}" for one in order]
        rows.append(
            (best[category][1], f"{unit},{category},{best[category][0]},{best[category][1]!r}," + ",".join(cells))
        )
    fields = ("label", "truth", "activation", "intersect", "iou")
    head = ",".join(["unit,category,label,score", *(f"{one}-{field}" for one in order for field in fields)])
    path.write_text("\n".join([head, *(row for _, row in sorted(rows, reverse=True))]) + "\n", encoding="utf-8")
    return path
