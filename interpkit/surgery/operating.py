"""A network taken apart and put together again, as a `Surgery` says."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, UnknownNameError, nearest, one_line
from interpkit.surgery.modules import AddedLayer, Cut, Dropped, MaskedLayer, Opened, PartMask, Pooled
from interpkit.surgery.recipe import Operated, Site, Surgery


def operate(module: nn.Module, surgery: Surgery, example: Tensor) -> Operated:
    """Operate on a copy of a network.

    New weights depend on the surgery's seed alone: not on whether there are masks, nor on the global random state.

    Parameters
    ----------
    module : torch.nn.Module
        Any network for images; it is left as it is.
    surgery : Surgery
        What is done.
    example : torch.Tensor
        (n, channels, H, W) preprocessed images, blank ones will do: the first runs through the network once, to see
        what comes before the layer and what after.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    ModelError
        If the network cannot be copied, does not take such images, or does not end as the surgery wants.
    """
    net = _copied(module)
    if not surgery.layer or surgery.layer not in dict(net.named_modules()):
        names = [name for name, _ in net.named_modules() if name]
        close = ", ".join(nearest(surgery.layer, names)) or ", ".join(names[-3:]) or "none"
        raise UnknownNameError(f"no layer {surgery.layer!r} in {type(net).__name__}; nearest: {close}")
    example = example[:1]
    seen = _watched(net, surgery.layer, example)
    operated = _pooled(net, surgery, seen) if surgery.head == "pooled" else _classifier(net, surgery, seen)
    _check(operated.module, surgery, example)
    return operated


@dataclass(eq=False)
class _Seen:
    """What one pass shows: when modules first start, when they last end, and what the layer gives."""

    clock: int = 0
    started: dict[nn.Module, int] = field(default_factory=dict)
    ended: dict[nn.Module, int] = field(default_factory=dict)
    maps: list[object] = field(default_factory=list)

    def start(self, module: nn.Module, inputs: object) -> None:
        self.clock += 1
        self.started.setdefault(module, self.clock)

    def end(self, module: nn.Module, inputs: object, output: object) -> None:
        self.clock += 1
        self.ended[module] = self.clock

    def keep(self, module: nn.Module, inputs: object, output: object) -> None:
        self.maps.append(output.detach().clone() if isinstance(output, Tensor) else output)

    @property
    def only(self) -> Tensor:
        """(1, U, h, w) what the layer gave."""
        assert isinstance(self.maps[0], Tensor)
        return self.maps[0]


def _copied(module: nn.Module) -> nn.Module:
    try:
        return deepcopy(module)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ModelError(f"{type(module).__name__} cannot be copied: {one_line(error)}") from error


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; training flags and the random state are as before afterwards."""
    flags = [(module, module.training) for module in net.modules()]
    device = next((p.device for p in net.parameters()), torch.device("cpu"))
    try:
        for module, _ in flags:
            module.training = False
        with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for module, training in flags:
            module.training = training


def _watched(net: nn.Module, layer: str, example: Tensor) -> _Seen:
    seen = _Seen()
    target = net.get_submodule(layer)
    handles = [target.register_forward_hook(seen.keep)]
    for module in net.modules():
        handles += [module.register_forward_pre_hook(seen.start), module.register_forward_hook(seen.end)]
    try:
        _run(net, example)
    finally:
        for handle in handles:
            handle.remove()
    if len(seen.maps) != 1:
        times = f"runs {len(seen.maps)} times" if seen.maps else "does not run"
        raise ModelError(f"layer {layer!r} {times} in one forward pass; surgery needs one that runs once")
    maps = seen.maps[0]
    if not isinstance(maps, Tensor) or maps.dim() != 4:
        gives = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ModelError(f"layer {layer!r} gives {gives}, no maps (n, U, h, w)")
    return seen


def _run(net: nn.Module, example: Tensor) -> object:
    with _evaluating(net):
        try:
            return net(example)
        except InterpkitError:
            raise
        except Exception as error:
            shape = " x ".join(map(str, example.shape))
            raise ModelError(f"{type(net).__name__} does not take images of {shape}: {one_line(error)}") from error


def _pooled(net: nn.Module, surgery: Surgery, seen: _Seen) -> Operated:
    target = net.get_submodule(surgery.layer)
    _drop_after(net, seen, seen.ended[target])
    draws = torch.Generator().manual_seed(surgery.seed)
    units = seen.only.shape[1]
    masked = MaskedLayer(_mask(surgery, units)) if surgery.mask_layer else None
    added = _added(surgery, units, draws) if surgery.add else None
    head = nn.Linear(units if added is None else added.conv.out_channels, surgery.classes, device="meta")
    _draw_head(head.to_empty(device="cpu"), draws)
    for new in (masked, added, head):
        _move(new, seen.only)
    module = Pooled(Cut(net, surgery.layer), masked, added, head=head)
    names = [name for name, there in (("masked", masked), ("added", added)) if there is not None]
    fresh = ("added.conv", "head") if surgery.add else ("head",)
    return Operated(module, tuple(Site(f"{name}.act", f"{name}.mask") for name in names), fresh)


def _drop_after(net: nn.Module, seen: _Seen, end: int) -> None:
    """Put `Dropped` wherever a module stands that starts only after the moment ``end``."""
    for module in list(net.modules()):
        for name, child in list(module._modules.items()):
            if child is not None and seen.started.get(child, 0) > end:
                setattr(module, name, Dropped())


def _classifier(net: nn.Module, surgery: Surgery, seen: _Seen) -> Operated:
    layer, units = surgery.layer, seen.only.shape[1]
    if surgery.filters not in (None, units):
        raise InterpkitError(
            f"{surgery.filters} filters above {layer} do not fit what comes after it, which takes {units} maps; "
            "leave them out, or take the head pooled"
        )
    draws = torch.Generator().manual_seed(surgery.seed)
    target = net.get_submodule(layer)
    added = _added(surgery, units, draws) if surgery.add else None
    last = _last(net, seen, seen.ended[target])
    output = _new_output(net.get_submodule(last), surgery, draws)
    then = _mask(surgery, units) if surgery.mask_layer else None
    for new in (added, output, then):
        _move(new, seen.only)
    _replace(net, last, output)
    _replace(net, layer, Opened(target, then, added))
    for module in net.modules():
        # What the sites hand on is kept for their gradients, and must not be written over.
        if getattr(module, "inplace", False) is True:
            setattr(module, "inplace", False)  # noqa: B010 - a plain attribute, which mypy takes for a submodule
    sites = ([layer] if surgery.mask_layer else []) + ([f"{layer}.added"] if surgery.add else [])
    fresh = ((f"{layer}.added.conv",) if surgery.add else ()) + (last,)
    return Operated(net, tuple(Site(f"{name}.act", f"{name}.mask") for name in sites), fresh)


def _last(net: nn.Module, seen: _Seen, end: int) -> str:
    """Name of the last linear layer or 1 x 1 convolution that starts after the moment ``end``."""
    found: list[tuple[int, str]] = [
        (seen.ended[module], name)
        for name, module in net.named_modules()
        if seen.started.get(module, 0) > end and _gives_outputs(module)
    ]
    if not found:
        raise ModelError(
            f"{type(net).__name__} has no linear layer or 1 x 1 convolution behind it to replace; take the head pooled"
        )
    return max(found)[1]


def _gives_outputs(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.Conv2d) and (module.kernel_size, module.stride, module.groups) == ((1, 1), (1, 1), 1)
    )


def _new_output(old: nn.Module, surgery: Surgery, draws: torch.Generator) -> nn.Module:
    new: nn.Linear | nn.Conv2d
    if isinstance(old, nn.Conv2d):
        new = nn.Conv2d(old.in_channels, surgery.classes, 1, bias=old.bias is not None, device="meta")
    else:
        assert isinstance(old, nn.Linear)
        new = nn.Linear(old.in_features, surgery.classes, bias=old.bias is not None, device="meta")
    _draw_head(new.to_empty(device="cpu"), draws)
    return new


def _replace(net: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new`` wherever the module called ``name`` stands."""
    old = net.get_submodule(name)
    for module in list(net.modules()):
        for at, child in list(module._modules.items()):
            if child is old:
                setattr(module, at, new)


def _mask(surgery: Surgery, units: int) -> nn.Module:
    return nn.Identity() if surgery.mask is None else PartMask(units, surgery.mask, surgery.beta)


def _added(surgery: Surgery, units: int, draws: torch.Generator) -> AddedLayer:
    filters = surgery.filters or units
    added = AddedLayer(units, filters, _mask(surgery, filters))
    nn.init.kaiming_uniform_(added.conv.weight, a=5**0.5, generator=draws)
    assert added.conv.bias is not None
    nn.init.zeros_(added.conv.bias)
    return added


def _draw_head(head: nn.Linear | nn.Conv2d, draws: torch.Generator) -> None:
    """Weights as torch draws a linear layer's, from +-1 / sqrt(inputs); no bias to begin with."""
    nn.init.kaiming_uniform_(head.weight, a=5**0.5, generator=draws)
    if head.bias is not None:
        nn.init.zeros_(head.bias)


def _move(new: nn.Module | None, like: Tensor) -> None:
    """A new module goes to where the maps are, its parameters to their type; a mask's beta stays precise."""
    if new is not None:
        new.to(like.device)
        for parameter in new.parameters():
            parameter.data = parameter.data.to(like.dtype)


def _check(net: nn.Module, surgery: Surgery, example: Tensor) -> None:
    output = _run(net, example)
    if not isinstance(output, Tensor) or output.shape != (len(example), surgery.classes):
        gives = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"with a new classifier {type(net).__name__} gives {gives}, not {surgery.classes} numbers an image; "
            "take the head pooled"
        )
