"""Which head stands for a network's knowledge of a label set's classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from interpkit.entanglement._head import Head, LinearHead, NetworkHead
from interpkit.entanglement._logistic import fit_logistic
from interpkit.entanglement._sample import Sample
from interpkit.errors import LabelSetError, ModelError

Ints = npt.NDArray[np.int64]

# What may stand between a layer and the pooling. All of them leave a unit that is 0 at 0.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda maps: maps,
    "ReLU": functional.relu,
    "ReLU6": functional.relu6,
    "SiLU": functional.silu,
    "Hardswish": functional.hardswish,
    "GELU": functional.gelu,
    "leaky ReLU": functional.leaky_relu,
}
# Of the largest output: float32 sums in another order differ by less, another activation by more.
_TOLERANCE = 1e-4


def find_head(sample: Sample, *, index: Mapping[str, int] | None = None, seed: int = 0) -> Head:
    """The head by which interventions on a layer are judged; its ``words`` say which.

    The network's own outputs where it knows the classes: by ``index``, else where every class is called like exactly
    one of the network's outputs. Only the outputs of these classes compete. Where they are found to be linear in the
    layer's activations pooled over its map (an activation may stand between), the rest of the network need not run
    again. A network that does not know the classes gets a logistic head, fitted on pooled activations, of max(a, 0) so
    that a unit set to 0 is a silent one, and asked only about images it was not fitted on.

    Parameters
    ----------
    sample : Sample
    index : Mapping[str, int] | None
        Class name -> number of the network's output; a manifest's ``model_index``.
    seed : int
        For the folds of the logistic head.

    Raises
    ------
    LabelSetError
        If ``index`` leaves out a class, or gives two the same output.
    """
    outputs, why = _outputs(sample, index or {})
    if outputs is not None:
        linear = _pooled_linear(sample, outputs, why)
        if linear is not None:
            return linear
        if sample.probe.reshape is None:
            words = f"{why}; the network runs anew for every change, with the units of {sample.layer} scaled on its map"
            return NetworkHead(words, sample.member, sample, outputs)
        why = "the layer is read through reshape=, so its units cannot be changed inside the network"
    return _logistic(sample.rectified(), why, seed=seed)


def _logistic(sample: Sample, why: str, *, seed: int) -> LinearHead:
    fitted = fit_logistic(sample.pooled, sample.member, seed=seed)
    count = len(fitted.weight)
    return LinearHead(
        f"a logistic regression on the pooled activations of {sample.layer}, {count} folds, out of fold ({why})",
        sample.member,
        sample,
        sample.pooled,
        fitted.weight,
        fitted.bias,
        fitted.fold,
        sample.surface,
        sample.pooling,
    )


def _outputs(sample: Sample, index: Mapping[str, int]) -> tuple[Ints | None, str]:
    """(K,) the network's outputs of the classes; None where it has none; and how that was found, in words."""
    try:
        width = _width(sample)
    except ModelError as error:
        return None, str(error)
    compete = f", of which only those of the {len(sample.names)} classes compete"
    if index:
        found = check_index(index, sample.names, width=width)
        return found, f"the network's own outputs by their numbers{compete}"
    known = sample.probe.loaded.classes
    if len(known) != width:
        return None, "the network's outputs have no names"
    strange = [name for name in sample.names if known.count(name) != 1]
    if strange:
        return None, f"no output of the network is called {strange[0]!r}"
    return np.array([known.index(name) for name in sample.names]), f"the network's own outputs by their names{compete}"


def check_index(index: Mapping[str, int], names: Sequence[str], *, width: int) -> Ints:
    """(K,) the outputs that ``index`` gives to the classes ``names``, of a network with ``width`` outputs.

    Raises
    ------
    LabelSetError
        If a class is missing, two share an output, or the network has no such output.
    """
    missing = [name for name in names if name not in index]
    if missing:
        raise LabelSetError(
            f"model_index names no output for class {missing[0]!r}; it names {', '.join(list(index)[:5])}"
        )
    outputs = [index[name] for name in names]
    twice = next((name for place, name in enumerate(names) if outputs.index(outputs[place]) != place), None)
    if twice is not None:
        other = names[outputs.index(index[twice])]
        raise LabelSetError(f"model_index gives {other!r} and {twice!r} the same output, {index[twice]}")
    beyond = next((name for name in names if not 0 <= index[name] < width), None)
    if beyond is not None:
        raise LabelSetError(
            f"model_index gives class {beyond!r} output {index[beyond]}; the network has outputs 0 to {width - 1:,}"
        )
    return np.array(outputs, np.int64)


def _width(sample: Sample) -> int:
    """How many outputs the network has."""
    with sample.batches(np.arange(1)) as batches:
        return max(sample.looked.through(batch.images)[1].shape[1] for batch in batches)


def _pooled_linear(sample: Sample, outputs: Ints, why: str) -> LinearHead | None:
    """The head as a linear layer on activations pooled over the map; None if it is none.

    Held against the network's outputs on every image.
    """
    layer = _last_layer(sample.looked.model, units=sample.pooled.shape[1], outputs=outputs)
    if layer is None:
        return None
    weight, bias = layer
    features: dict[str, list[Tensor]] = {name: [] for name in ACTIVATIONS}
    with sample.batches() as batches:
        for batch in batches:
            maps, output = sample.looked.through(batch.images)
            target = output[:, outputs].cpu()
            limit = _TOLERANCE * float(output.abs().max())
            for name in list(features):
                pooled = ACTIVATIONS[name](maps[sample.layer]).mean((2, 3)).float().cpu()
                if float((functional.linear(pooled, weight, bias) - target).abs().max()) > limit:
                    del features[name]
                else:
                    features[name].append(pooled)
            if not features:
                return None
            sample.progress("head", int(batch.rows[-1]) + 1, len(sample.rows))
    return _as_head(sample, features, why=why, weight=weight, bias=bias)


def _as_head(
    sample: Sample, features: Mapping[str, Sequence[Tensor]], *, why: str, weight: Tensor, bias: Tensor
) -> LinearHead:
    """The head with the first of the activations that were not ruled out."""
    name = next(iter(features))
    raised = ACTIVATIONS[name]
    between = f", {name} between" if name else ""
    return LinearHead(
        f"{why}; they are linear in the pooled activations of {sample.layer}{between}",
        sample.member,
        sample,
        torch.cat(list(features[name])).numpy(),
        weight.numpy()[None],
        bias.numpy()[None],
        np.zeros(len(sample.rows), np.int64),
        raised,
        lambda maps: raised(maps).mean((2, 3)),
    )


def _last_layer(model: nn.Module, *, units: int, outputs: Ints) -> tuple[Tensor, Tensor] | None:
    """Weights (K, U) and biases (K,) of the last layer that takes U numbers and gives enough of them."""
    found: tuple[Tensor, Tensor] | None = None
    for module in model.modules():
        own: dict[str, Any] = dict(module.named_parameters(recurse=False))
        weight, bias = own.get("weight"), own.get("bias")
        if weight is None or weight.dim() < 2 or weight[0].numel() != units or len(weight) <= outputs.max():
            continue
        rows = weight.detach().float().cpu().flatten(1)[outputs]
        none = torch.zeros(len(outputs))
        found = rows, none if bias is None else bias.detach().float().cpu()[outputs]
    return found
