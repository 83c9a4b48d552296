"""Masks, gradients and gates by their definitions: one map, image, unit and class at a time, in float64."""

import math

import numpy as np
from numpy.typing import NDArray
from reference import templates as plain

Floats = NDArray[np.float64]


def place(x: Floats, position: str) -> tuple[int, int] | None:
    """The place of a map (h, w); None where nothing is above 0."""
    h, w = x.shape
    kept = {(i, j): max(float(x[i, j]), 0.0) for i in range(h) for j in range(w)}
    total = math.fsum(kept.values())
    if total == 0:
        return None
    if position == "argmax":
        return max(kept, key=lambda cell: (kept[cell], -cell[0], -cell[1]))
    row, column = (math.fsum(cell[axis] * value for cell, value in kept.items()) / total for axis in (0, 1))
    return math.floor(row + 0.5), math.floor(column + 0.5)


def mask(x: Floats, *, beta: float, position: str) -> Floats:
    """The mask of a map (h, w)."""
    at = place(x, position)
    if at is None:
        return np.ones(x.shape)
    return np.maximum(np.array(plain.template(*x.shape, at, beta=beta)), 0)


def information_gradient(maps: Floats, *, tau: float, beta: float, targets: list[int] | None = None) -> Floats:
    """The gradient of the filter loss at maps (N, h, w) of one unit; of one template a map where targets are given."""
    n, h, w = maps.shape
    told = plain.judge(maps, tau=tau, beta=beta)
    cells: list[tuple[int, int] | None] = [(r, c) for r in range(h) for c in range(w)]
    shapes = [np.array(plain.template(h, w, cell, beta=beta)) * tau for cell in [*cells, None]]
    gradient = np.zeros(maps.shape)
    for t, shape in enumerate(shapes):
        share = told.image_given_template[:, t]
        ratio = np.log(share / told.image)
        mean = math.fsum(share * ratio)
        for x in range(n):
            if targets is None:
                gradient[x] -= share[x] * (ratio[x] - mean) * shape / len(shapes)
            elif targets[x] == t:
                gradient[x] -= share[x] * ratio[x] * shape / len(shapes)
    return gradient


def project(gate: Floats) -> Floats:
    """Gates (K, U) with the largest of each unit at 1."""
    out = np.zeros(gate.shape)
    for u, column in enumerate(gate.T.tolist()):
        top = max(column)
        for k, value in enumerate(column):
            out[k, u] = max(value, 0) / top if top > 1e-12 else float(k == column.index(top))
    return out


def gates_of(member: Floats, gate: Floats) -> Floats:
    """Each image's gates (n, U)."""
    return np.array(
        [
            [max((gate[k, u] for k in range(len(gate)) if row[k] > 0), default=1.0) for u in range(gate.shape[1])]
            for row in member
        ]
    )
