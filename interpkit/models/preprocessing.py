"""From a photograph to the numbers a network was trained on, and where those numbers come from."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from interpkit.errors import ModelError, UnknownNameError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# Names that torchvision and timm use beside these three; a record has to be followed as closely as the three allow.
_ALIASES = {"nearest-exact": "nearest", "lanczos": "bicubic", "box": "bilinear", "hamming": "bilinear"}
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Preprocessing:
    """What a network's input looks like.

    An image is squashed to ``size`` (its aspect is not kept: label maps are squashed alike), scaled to 0..1, and
    normalised per channel. One channel means ITU-R 601 luminance.

    Parameters
    ----------
    size : tuple[int, int]
        (H, W) of the network's input, in pixels.
    mean, std : tuple[float, ...]
        One value a channel, on the 0..1 scale.
    interpolation : str
        ``nearest``, ``bilinear`` or ``bicubic``, antialiased.
    record : str
        Where the values come from, in one phrase.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    record: str = ""

    def __post_init__(self) -> None:
        """Refuse values that no image could be brought to."""
        if len(self.size) != 2 or min(self.size) < 1:
            raise ModelError(f"the input size is two positive numbers (height, width), not {self.size}")
        if len(self.mean) != len(self.std) or not self.mean:
            raise ModelError(f"mean and std need one value a channel each: {len(self.mean)} and {len(self.std)} given")
        if not all(np.isfinite((*self.mean, *self.std))) or min(self.std) <= 0:
            raise ModelError(f"std must be positive, mean and std finite: mean {self.mean}, std {self.std}")
        if self.interpolation not in _RESAMPLING:
            raise UnknownNameError(f"no interpolation {self.interpolation!r}; there is {', '.join(_RESAMPLING)}")

    @property
    def channels(self) -> int:
        """How many channels the network's input has."""
        return len(self.mean)

    @property
    def described(self) -> str:
        """Size, mean and std in a few words.

        Examples
        --------
        >>> Preprocessing((32, 32), (0.0,), (1.0,)).described
        '32 x 32, luminance, mean 0, std 1'
        """
        numbers = f"mean {_numbers(self.mean)}, std {_numbers(self.std)}"
        if (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD):
            numbers = f"ImageNet {numbers}"
        luminance = "luminance, " if self.channels == 1 else ""
        return f"{self.size[0]} x {self.size[1]}, {luminance}{numbers}"

    @cached_property
    def _scale(self) -> NDArray[np.float32]:
        return np.asarray(1 / (255 * np.asarray(self.std)), np.float32)[:, None, None]

    @cached_property
    def _shift(self) -> NDArray[np.float32]:
        return np.asarray(-np.asarray(self.mean) / np.asarray(self.std), np.float32)[:, None, None]

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Turn an image into (channels, H, W), normalised.

        Raises
        ------
        ModelError
            If the network takes neither 1 nor 3 channels: a photograph has no others.
        """
        if self.channels not in _MODES:
            raise ModelError(f"the network takes {self.channels} channels; an image file gives 1 or 3")
        if image.mode != _MODES[self.channels]:
            image = image.convert(_MODES[self.channels])
        height, width = self.size
        if image.size != (width, height):
            image = image.resize((width, height), _RESAMPLING[self.interpolation])
        pixels = np.asarray(image).reshape(height, width, self.channels).transpose(2, 0, 1)
        values: NDArray[np.float32] = np.empty((self.channels, height, width), np.float32)
        np.multiply(pixels, self._scale, out=values)
        values += self._shift
        return values


def plain_interpolation(name: str) -> str:
    """One of the three interpolations, for any name that torchvision or timm records.

    Examples
    --------
    >>> plain_interpolation("lanczos")
    'bicubic'
    """
    name = _ALIASES.get(name, name)
    return name if name in _RESAMPLING else "bilinear"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
