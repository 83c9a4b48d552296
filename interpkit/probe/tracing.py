"""One forward pass, looked on from every module: what runs, how often, and what it gives."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, UnknownNameError
from interpkit.probe.addresses import Address, main_member, tensors
from interpkit.probe.watching import Run, undisturbed, watched

Shape = tuple[int, ...]
Reshape = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Firing:
    """One run of one module.

    Parameters
    ----------
    name, call : str, int
        The module, and which of its runs this is, from 1.
    outputs : tuple[torch.Tensor, ...]
        What it returned; batch of one or of the exported size.
    took : tuple[int, ...] | None
        Shape of its first input; None where that is no tensor.
    """

    name: str
    call: int
    outputs: tuple[Tensor, ...]
    took: Shape | None

    @property
    def main(self) -> Tensor | None:
        """The output that goes by the module's own name."""
        return self.outputs[main_member([o.dim() for o in self.outputs])] if self.outputs else None


@dataclass(frozen=True, eq=False)
class Trace:
    """What ran in one forward pass, in the order in which the modules finished.

    Parameters
    ----------
    model : torch.nn.Module
    firings : tuple[Firing, ...]
    calls : collections.Counter[str]
        How often each module ran.
    output : object
        What the network returned.
    size : tuple[int, int]
        (H, W) of the input.
    """

    model: nn.Module
    firings: tuple[Firing, ...]
    calls: Counter[str]
    output: object
    size: tuple[int, int]


def trace(model: nn.Module, images: Tensor) -> Trace:
    """Run ``model`` on ``images`` (N, channels, H, W) once, to the end.

    Raises
    ------
    ModelError
        If the network does not take images of this shape.
    """
    firings: list[Firing] = []

    def note(run: Run) -> None:
        took = tuple(run.inputs[0].shape) if run.inputs and isinstance(run.inputs[0], Tensor) else None
        firings.append(Firing(run.name, run.call, tuple(tensors(run.output)), took))

    with undisturbed(model), torch.no_grad(), watched(model, None, note):
        try:
            output = model(images)
        except InterpkitError:
            raise
        except Exception as error:
            shape = " x ".join(map(str, images.shape))
            cause = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise ModelError(f"{type(model).__name__} does not take images of {shape}: {cause[0]}") from error
    calls = Counter(firing.name for firing in firings)
    return Trace(model, tuple(firings), calls, output, (images.shape[2], images.shape[3]))


def why_not_nchw(shape: Sequence[int], size: tuple[int, int]) -> str | None:
    """Why an output of this shape cannot be read as (N, U, h, w) or (N, U); None if it can.

    Of four axes the last two are the map's, unless the two before them have the image's proportions and they have not:
    (N, h, w, U), as in Swin transformers.
    """
    if len(shape) == 2:
        return None
    if len(shape) != 4:
        return f"it has {len(shape)} axes"
    if shape[1] > 1 and _proportional(shape[1:3], size) and not _proportional(shape[2:4], size):
        return "its channels come last"
    return None


def mending(shape: Sequence[int], size: tuple[int, int]) -> str:
    """A ``reshape=`` argument that would bring an output of this shape to (N, U, h, w), as Python text."""
    if len(shape) == 4:
        return "reshape=lambda t: t.permute(0, 3, 1, 2)"
    if len(shape) == 3:
        for extra in (0, 1, 2):
            side = round((shape[1] - extra) ** 0.5)
            if side > 1 and side * side == shape[1] - extra and size[0] == size[1]:
                tokens = f"t[:, {extra}:]" if extra else "t"
                return f"reshape=lambda t: {tokens}.transpose(1, 2).unflatten(2, ({side}, {side}))"
    return "reshape=, a function from this output to one of shape (N, U, h, w)"


def check(address: Address, calls: Counter[str]) -> Address:
    """``address`` with its call filled in.

    Raises
    ------
    UnknownNameError
        If the module does not run, runs several times and none was named, or runs less often than asked.
    """
    name, times = address.module, calls[address.module]
    if times == 0:
        raise UnknownNameError(f"layer {name!r} exists, but does not run when the network is used in evaluation mode")
    if address.call is None and times > 1:
        raise UnknownNameError(
            f"layer {name!r} runs {times} times in one forward pass: ask for one of '{name}#1' ... '{name}#{times}'"
        )
    if (address.call or 1) > times:
        have = f"'{name}#1' ... '{name}#{times}'" if times > 1 else f"'{name}'"
        raise UnknownNameError(f"no layer '{address}': it runs {times} times; there is {have}")
    return Address(name, address.call or 1, address.member)


def pick(outputs: Sequence[Tensor], address: Address) -> Tensor:
    """The tensor that ``address`` means among those that its module returned.

    Raises
    ------
    UnknownNameError
        If the module returned no tensor, or fewer than asked.
    """
    if not outputs:
        raise UnknownNameError(f"layer '{address}' returns no tensor")
    member = main_member([output.dim() for output in outputs]) if address.member is None else address.member
    if member >= len(outputs):
        raise UnknownNameError(f"no layer '{address}': it returns {len(outputs)} tensors, numbered from 0")
    return outputs[member]


def as_maps(tensor: Tensor, asked: str, *, size: tuple[int, int], reshape: Reshape | None) -> Tensor:
    """``tensor`` as (N, U, h, w): reshaped by the user's function, else (N, U) as (N, U, 1, 1).

    Raises
    ------
    ModelError
        If it is neither; the message gives the shape and a ``reshape=`` that mends it.
    """
    if reshape is not None:
        shape = tuple(tensor.shape)
        tensor = reshape(tensor)
        if tensor.dim() != 4:
            raise ModelError(
                f"reshape= turned layer {asked!r} from {shape} into {tuple(tensor.shape)}, not (N, U, h, w)"
            )
        return tensor
    why = why_not_nchw(tensor.shape, size)
    if why is not None:
        shape = tuple(tensor.shape)
        raise ModelError(f"layer {asked!r} gives {shape}, not (N, U, h, w): {why}; pass {mending(shape, size)}")
    return tensor[:, :, None, None] if tensor.dim() == 2 else tensor


def _proportional(shape: Sequence[int], size: tuple[int, int]) -> bool:
    return abs(shape[0] * size[1] - shape[1] * size[0]) < max(size)
