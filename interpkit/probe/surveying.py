"""Which layers a network has, and which of them to look at where none was named."""

from dataclasses import dataclass

import torch
from torch import nn

from interpkit.errors import ModelError
from interpkit.models import LoadedModel
from interpkit.probe.addresses import Address, main_member
from interpkit.probe.tracing import Firing, Shape, Trace, trace, why_not_nchw
from interpkit.probe.watching import device_of, dtype_of


@dataclass(frozen=True)
class LayerInfo:
    """One layer that runs in a forward pass.

    Parameters
    ----------
    name : str
        How to ask for it: ``layer4``, ``relu#3`` (third run of a reused module), ``block[1]`` (member of a tuple).
    type : str
        Class of the module; its operators for an exported network, whose classes are lost.
    shape : tuple[int, ...] | None
        Shape of its output without the batch; None where it returns no tensor.
    calls : int
        How often its module runs in one forward pass.
    hookable : bool
        Whether its output is (N, U, h, w) or (N, U).
    default : bool
        Whether it is the layer to look at where none was named.
    """

    name: str
    type: str
    shape: Shape | None
    calls: int
    hookable: bool
    default: bool


def survey(model: LoadedModel) -> list[LayerInfo]:
    """Every layer of ``model`` that runs, in the order in which they finish; one forward pass of a blank image.

    Raises
    ------
    ModelError
        If the network does not take images of its preprocessing's size.
    """
    seen = trace(model.module, blank(model))
    own = [firing for firing in seen.firings if firing.name == model.layer]
    chosen = own[0] if own else _choose(seen)
    return [info for firing in seen.firings for info in _describe(firing, seen, chosen)]


def default_layer(model: LoadedModel) -> str:
    """The outermost module that gives the last map with h * w > 1; the layer that the model names, where it names one.

    Pooling, dropout, activations that are used more than once and the classifier do not count: their maps are those of
    the layer before, or are read by nobody.

    Raises
    ------
    ModelError
        If no layer gives maps.
    """
    return model.layer or default_of(trace(model.module, blank(model)))


def default_of(seen: Trace) -> str:
    """The default layer in a trace; see `default_layer`."""
    chosen = _choose(seen)
    if chosen is None:
        raise ModelError(
            f"no layer of {type(seen.model).__name__} gives maps (N, U, h, w); there is nothing to look at"
        )
    return chosen.name


def blank(model: LoadedModel) -> torch.Tensor:
    """A zero image (1, channels, H, W), or as many as an exported network insists on, where the model lies."""
    shape = (model.fixed_batch or 1, model.preprocessing.channels, *model.preprocessing.size)
    return torch.zeros(shape, dtype=dtype_of(model.module), device=device_of(model.module))


def module_type(module: nn.Module) -> str:
    """Class name of a module; for a module of an exported network, what its graph calls.

    Examples
    --------
    >>> module_type(nn.ReLU())
    'ReLU'
    """
    graph = getattr(module, "graph", None)
    if not isinstance(graph, torch.fx.Graph):
        return type(module).__name__
    nodes = list(graph.nodes)
    if any(node.op == "call_module" for node in nodes):
        return "block"
    calls = [str(node.target).rsplit(".", 1)[0] for node in nodes if node.op == "call_function"]
    return " + ".join(dict.fromkeys(calls)) or "block"


def _describe(firing: Firing, seen: Trace, chosen: Firing | None) -> list[LayerInfo]:
    times = seen.calls[firing.name]
    call = firing.call if times > 1 else None
    kind = module_type(seen.model.get_submodule(firing.name))
    if not firing.outputs:
        return [LayerInfo(str(Address(firing.name, call)), kind, None, times, hookable=False, default=False)]
    main = main_member([output.dim() for output in firing.outputs])
    infos = []
    for position, output in enumerate(firing.outputs):
        name = str(Address(firing.name, call, None if position == main else position))
        usable = why_not_nchw(output.shape, seen.size) is None
        is_default = firing is chosen and position == main
        infos.append(LayerInfo(name, kind, tuple(output.shape[1:]), times, usable, is_default))
    return infos


def _choose(seen: Trace) -> Firing | None:
    """The last map that is worth looking at: first by all rules, then with the classifier, then also single cells."""
    maps = [
        (index, firing)
        for index, firing in enumerate(seen.firings)
        if seen.calls[firing.name] == 1 and gives_maps(firing, seen) and not adds_nothing(firing, seen)
    ]
    end = classifier_from(seen)
    wide = [(index, firing) for index, firing in maps if _cells(firing) > 1]
    for candidates in ([pair for pair in wide if pair[0] < end], wide, maps):
        # The last to finish among modules that give the same map is the outermost.
        if candidates:
            return candidates[-1][1]
    return None


def classifier_from(seen: Trace) -> int:
    """Index of the firing that turns features into the network's outputs; the number of firings where none does.

    It is the last convolution or linear layer, if no normalisation follows it and the network's output is no map.
    """
    outputs = seen.output if isinstance(seen.output, torch.Tensor) else None
    weighted = [
        (index, firing)
        for index, firing in enumerate(seen.firings)
        if any(True for _ in seen.model.get_submodule(firing.name).parameters(recurse=False))
    ]
    if not weighted or outputs is None or (outputs.dim() == 4 and outputs.shape[2] * outputs.shape[3] > 1):
        return len(seen.firings)
    index, last = weighted[-1]
    own = seen.model.get_submodule(last.name).parameters(recurse=False)
    return index if any(parameter.dim() >= 2 for parameter in own) else len(seen.firings)


def gives_maps(firing: Firing, seen: Trace) -> bool:
    """Whether what goes by the module's name is (N, U, h, w)."""
    main = firing.main
    return main is not None and main.dim() == 4 and why_not_nchw(main.shape, seen.size) is None


def _cells(firing: Firing) -> int:
    main = firing.main
    return 0 if main is None else main.shape[-2] * main.shape[-1]


def adds_nothing(firing: Firing, seen: Trace) -> bool:
    """Whether a map is another one's: of a pooling, a dropout, or of a module that ends in a pooling."""
    kind = module_type(seen.model.get_submodule(firing.name)).lower()
    if "drop" in kind or "identity" in kind or _pools(firing, seen):
        return True
    inside = [other for other in seen.firings if other.name.startswith(firing.name + ".")]
    return any(_pools(other, seen) and _same(other, firing) for other in inside)


def _pools(firing: Firing, seen: Trace) -> bool:
    """Whether a module without weights gathers cells: it says so, or its map has another size than its input."""
    module = seen.model.get_submodule(firing.name)
    if any(True for _ in module.parameters()) or firing.main is None:
        return False
    took, gave = firing.took, firing.main.shape
    of_maps = took is not None and len(took) == 4 and why_not_nchw(took, seen.size) is None
    return "pool" in module_type(module).lower() or (of_maps and took is not None and took[2:] != gave[2:])


def _same(one: Firing, other: Firing) -> bool:
    a, b = one.main, other.main
    return a is not None and b is not None and a.data_ptr() == b.data_ptr() and a.shape == b.shape
