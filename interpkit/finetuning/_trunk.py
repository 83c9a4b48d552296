"""Where a training network is fed: above all that is frozen, so that this runs once and not in every epoch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec

import torch
from torch import Tensor, nn

from interpkit.finetuning._order import Order
from interpkit.probe.addresses import rows_of
from interpkit.probe.watching import Reached, undisturbed

P = ParamSpec("P")

# How far sums taken in another order may lie apart, relative to the largest output.
CLOSE = 1e-4


@dataclass(eq=False)
class Cut:
    """A module whose input is all that the rest of the network depends on.

    Attributes
    ----------
    name
        The module; '' for the network itself, which takes images.
    shape
        Of its input for one image.
    image
        Shape of an image.
    given
        What the frozen modules before it gave for two images, by name.
    dense
        Whether zeros are to be written out, since something writes into them; else one stands for all.
    """

    name: str
    shape: tuple[int, ...]
    image: tuple[int, ...]
    given: Mapping[str, object] = field(default_factory=dict)
    dense: bool = False
    _images: int = 0

    @property
    def whole(self) -> "Cut":
        """The cut before everything: the network takes images."""
        return Cut("", self.image, self.image)

    def run(self, module: nn.Module, inputs: Tensor) -> object:
        """The network's output; ``inputs`` (n, ...) are images, or what the cut's module takes."""
        if not self.name:
            return module(inputs)
        self._images = len(inputs)

        def feed(_module: nn.Module, args: tuple[object, ...]) -> tuple[object, ...]:
            return (inputs, *args[1:])

        handle = module.get_submodule(self.name).register_forward_pre_hook(feed)
        try:
            return module(inputs.new_zeros(1).expand(len(inputs), *self.image))
        finally:
            handle.remove()

    @contextmanager
    def idle(self, module: nn.Module) -> Iterator[None]:
        """The frozen modules before the cut give zeros instead of computing what nobody looks at."""
        patched = []
        try:
            for name, output in self.given.items():
                child = module.get_submodule(name)
                attributes = vars(child)
                patched.append((attributes, attributes.get("forward")))
                attributes["forward"] = self._zeros(output, child.forward)
            yield
        finally:
            for attributes, before in patched:
                del attributes["forward"]
                if before is not None:
                    attributes["forward"] = before

    def _zeros(self, output: object, _in_place_of: Callable[P, object]) -> Callable[P, object]:
        def forward(*_args: P.args, **_named: P.kwargs) -> object:
            return _emptied(output, self._images, dense=self.dense)

        return forward

    def inputs(self, module: nn.Module, images: Tensor) -> Tensor:
        """What the cut's module takes when the network sees ``images``; evaluation mode, no gradients."""
        if not self.name:
            return images
        caught: list[Tensor] = []

        def catch(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            caught.append(args[0])
            raise Reached

        handle = module.get_submodule(self.name).register_forward_pre_hook(catch)
        try:
            with undisturbed(module), torch.no_grad():
                module(images)
        except Reached:
            pass
        finally:
            handle.remove()
        return caught[0]


def _emptied(output: object, images: int, *, dense: bool) -> object:
    """Zeros like an output for two images, in a batch of another size."""
    if isinstance(output, Tensor):
        shape = (images, *output.shape[1:]) if output.dim() and len(output) == 2 else output.shape
        return output.new_zeros(shape) if dense else output.new_zeros(1).expand(shape)
    if isinstance(output, dict):
        return {key: _emptied(value, images, dense=dense) for key, value in output.items()}
    if isinstance(output, list | tuple):
        items = [_emptied(value, images, dense=dense) for value in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)  # type: ignore[arg-type]
    return output


def find_cut(module: nn.Module, images: Tensor, *, order: Order, trained: Sequence[str]) -> Cut:
    """The innermost place that takes the first trained module in, and that nothing goes around.

    Parameters
    ----------
    images
        Two of them (2, channels, H, W).
    trained
        Names of the trained modules in the order in which they run.
    """
    image = tuple(images.shape[1:])
    name = trained[0]
    while name:
        cut = _cut_at(name, module, images, order=order)
        if cut is not None:
            return cut
        name = name.rpartition(".")[0]
    return Cut("", image, image)


def _cut_at(name: str, module: nn.Module, images: Tensor, *, order: Order) -> Cut | None:
    """The cut at a module, if the network does the same from there on."""
    if order.runs.get(name) != 1:
        return None
    moment = order.start[name]
    done = [one for one, end in order.end.items() if one and end < moment and order.runs[one] == 1]
    outermost = [one for one in done if not any(one.startswith(f"{other}.") for other in done)]
    seen: dict[str, object] = {}
    taken: list[object] = []
    handles = [module.get_submodule(one).register_forward_hook(_noted(seen, one)) for one in outermost]
    handles.append(module.get_submodule(name).register_forward_pre_hook(lambda _m, args: taken.extend(args[:1])))
    try:
        with undisturbed(module), torch.no_grad():
            whole = rows_of(module(images))
    finally:
        for handle in handles:
            handle.remove()
    if not taken or not isinstance(taken[0], Tensor) or len(taken[0]) != len(images):
        return None
    if _bypassed(name, module, images):
        return None
    inputs = taken[0].clone()
    cuts = [Cut(name, tuple(inputs.shape[1:]), tuple(images.shape[1:]), seen, dense) for dense in (False, True)]
    return next((cut for cut in cuts if _same(cut, module, inputs, whole=whole)), None)


def _noted(seen: dict[str, object], name: str) -> Callable[[nn.Module, object, object], None]:
    def hook(_module: nn.Module, _inputs: object, output: object) -> None:
        seen[name] = output

    return hook


def _bypassed(name: str, module: nn.Module, images: Tensor) -> bool:
    """Whether the output depends on the images by another way than through the first input of a module."""
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]

    def detached(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[object, ...]:
        return (args[0].detach(), *args[1:])

    handle = module.get_submodule(name).register_forward_pre_hook(detached)
    try:
        for parameter, _ in flags:
            parameter.requires_grad = False
        with undisturbed(module), torch.enable_grad():
            # A copy: an in-place operation may not touch what asks for gradients.
            return rows_of(module(images.clone().requires_grad_().clone())).requires_grad
    finally:
        handle.remove()
        for parameter, wanted in flags:
            parameter.requires_grad = wanted


def _same(cut: Cut, module: nn.Module, inputs: Tensor, *, whole: Tensor) -> bool:
    """Whether the network gives the same when it is fed at the cut: what looks at the images otherwise shows here."""
    try:
        with undisturbed(module), torch.no_grad(), cut.idle(module):
            fed = rows_of(cut.run(module, inputs))
    except (RuntimeError, TypeError, ValueError, IndexError):
        return False
    return fed.shape == whole.shape and bool((fed - whole).abs().max() <= CLOSE * whole.abs().max().clamp(min=1))
