"""Turns of a layer's units: random rotations, and any part of the way to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


def random_rotation(units: int, *, seed: int | tuple[int, ...]) -> Matrix:
    """A rotation (U, U), each as likely as any other: orthogonal, determinant 1 (Haar measure).

    Examples
    --------
    >>> turn = random_rotation(3, seed=0)
    >>> np.allclose(turn @ turn.T, np.eye(3)), round(float(np.linalg.det(turn)), 6)
    (True, 1.0)
    """
    draws = np.random.default_rng(seed).standard_normal((units, units))
    q, r = np.linalg.qr(draws)
    # The signs that make the factors unique, without which some matrices would be likelier than others.
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    if np.linalg.slogdet(q)[0] < 0:
        q[:, 0] = -q[:, 0]
    turned: Matrix = q
    return turned


@dataclass(frozen=True, eq=False)
class Turn:
    """A rotation Q taken apart into turns in planes, so that any power of it is at hand.

    Attributes
    ----------
    basis
        (U, U) orthogonal: the planes' axes, one after the other, as columns.
    angle
        (U // 2,) radians in (-pi, pi] by which Q turns each plane; of an odd U the last axis stays.
    """

    basis: Matrix
    angle: Matrix

    @classmethod
    def of(cls, rotation: Matrix) -> "Turn":
        """Take a rotation (U, U) apart: its real Schur form has 2 x 2 turns on its diagonal, and a 1 for each axis."""
        from scipy.linalg import schur  # type: ignore[import-untyped]  # half a second, which other runs do without

        form, basis = schur(rotation, output="real")
        units = len(form)
        below = np.abs(np.append(np.diag(form, -1), 0.0)) > 1e-9
        planes: list[int] = []
        angles: list[float] = []
        flipped: list[int] = []
        kept: list[int] = []
        i = 0
        while i < units:
            if below[i]:
                planes += [i, i + 1]
                angles.append(float(np.arctan2(form[i + 1, i] - form[i, i + 1], form[i, i] + form[i + 1, i + 1])))
                i += 2
                continue
            (flipped if form[i, i] < 0 else kept).append(i)
            i += 1
        # Of determinant 1: axes that are flipped come in pairs, and a pair is half a turn of their plane.
        angles += [np.pi] * (len(flipped) // 2) + [0.0] * (len(kept) // 2)
        return cls(np.ascontiguousarray(basis[:, [*planes, *flipped, *kept]]), np.array(angles))

    def power(self, alpha: float) -> Matrix:
        """Q to the power ``alpha`` (U, U), real: each plane turned by ``alpha`` of its angle."""
        first, second = self.basis[:, : 2 * len(self.angle) : 2], self.basis[:, 1 : 2 * len(self.angle) : 2]
        cosine, sine = np.cos(alpha * self.angle), np.sin(alpha * self.angle)
        rest = self.basis[:, 2 * len(self.angle) :]
        turned: Matrix = (first * cosine + second * sine) @ first.T
        turned += (second * cosine - first * sine) @ second.T
        turned += rest @ rest.T
        return turned


@dataclass(frozen=True, eq=False)
class Turned:
    """A layer whose units stand for other directions: maps a become ``matrix`` a at every position.

    Attributes
    ----------
    layer
        Whose maps.
    matrix
        (U, U) float32; None for the units as they are.
    """

    layer: str
    matrix: torch.Tensor | None

    def __call__(self, maps: Mapping[str, Floats]) -> Floats:
        """The turned maps (n, U, h, w) of a batch; those of an unturned layer are the batch's own."""
        own = maps[self.layer]
        if self.matrix is None:
            return own
        n, units, h, w = own.shape
        columns = torch.from_numpy(own).to(self.matrix.device).transpose(0, 1).reshape(units, -1)
        turned = (self.matrix @ columns).reshape(units, n, h, w).transpose(0, 1)
        found: Floats = turned.contiguous().cpu().numpy()
        return found
