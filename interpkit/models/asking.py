"""Which preprocessing a network gets: what the user says, what its weights record, or an assumption that is said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from interpkit.errors import ModelError
from interpkit.models.loaded import Built
from interpkit.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

USUAL_SIZE = (224, 224)


@dataclass(frozen=True)
class Flags:
    """What the user says about the input; None where nothing was said."""

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None

    @classmethod
    def read(
        cls,
        size: int | Sequence[int] | None,
        mean: float | Sequence[float] | None,
        std: float | Sequence[float] | None,
        *,
        interpolation: str | None,
    ) -> "Flags":
        """Read what a caller may write: one size for a square, one number for one channel."""
        return cls(
            size=None if size is None else (size, size) if isinstance(size, int) else _pair(size),
            mean=None if mean is None else _floats(mean),
            std=None if std is None else _floats(std),
            interpolation=interpolation,
        )

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what was said."""
        return tuple(name for name in ("size", "mean", "std", "interpolation") if getattr(self, name) is not None)

    def words(self) -> tuple[str, ...]:
        """Write the same as options of the command line.

        Examples
        --------
        >>> Flags(size=(32, 48), mean=(0.5,)).words()
        ('--size', '32x48', '--mean', '0.5')
        """
        said: list[str] = []
        if self.size is not None:
            said += ["--size", f"{self.size[0]}x{self.size[1]}"]
        for name, values in (("--mean", self.mean), ("--std", self.std)):
            if values is not None:
                said += [name, ",".join(f"{value!r}" for value in values)]
        return (*said, *([] if self.interpolation is None else ["--interpolation", self.interpolation]))


def resolve(built: Built, flags: Flags) -> Preprocessing:
    """Decide on the preprocessing: flags first, then the record that came with the weights, then an assumption.

    Raises
    ------
    ModelError
        If the first convolution takes neither 1 nor 3 channels and mean and std were not given.
    """
    _check_fixed(built, flags)
    channels = built.channels or input_channels(built.module)
    base = built.recorded or _assumed(channels, flags, size=built.size or USUAL_SIZE)
    given = {name: getattr(flags, name) for name in flags.given}
    for name in ("mean", "std"):
        values = given.get(name)
        if values is not None and len(values) != base.channels:
            raise ModelError(f"{name} has {len(values)} values; the network's input has {base.channels} channels")
    if not given:
        return base
    rest = "" if len(given) == 4 else f"; the rest: {base.record}"
    return replace(base, **given, record=f"as given: {_and(flags.given)}{rest}")


def _assumed(channels: int, flags: Flags, *, size: tuple[int, int] = USUAL_SIZE) -> Preprocessing:
    """Assume what a network without any record wants; ``record`` says so."""
    if channels == 3:
        guess = Preprocessing(size, IMAGENET_MEAN, IMAGENET_STD)
    elif channels == 1:
        guess = Preprocessing(size, (0.0,), (1.0,))
    elif flags.mean is not None and flags.std is not None:
        return Preprocessing(size, flags.mean, flags.std, record=f"assumed: {size[0]} x {size[1]}")
    else:
        raise ModelError(
            f"the first convolution takes {channels} channels: give mean and std, one value a channel "
            "(only 1 and 3 channels have usual values)"
        )
    return replace(guess, record=f"assumed: {guess.described}")


def input_channels(module: nn.Module) -> int:
    """Count the channels that the first convolution takes, in the order of definition; 3 without any."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            return child.in_channels
    return 3


def _check_fixed(built: Built, flags: Flags) -> None:
    if None not in (built.size, flags.size) and built.size != flags.size:
        raise ModelError(f"{built.name} was exported for images of {built.size}; it takes no {flags.size}")


def _pair(values: Sequence[int]) -> tuple[int, int]:
    if len(values) != 2:
        raise ModelError(f"the input size is one number or two (height, width), not {tuple(values)}")
    return int(values[0]), int(values[1])


def _floats(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) if isinstance(values, int | float) else tuple(float(value) for value in values)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
