"""From a network, a label set and what was asked to a network ready to be trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from interpkit.errors import ImageError, InterpkitError, LabelSetError
from interpkit.feeding import ahead, read_image
from interpkit.finetuning._network import Network, norms_above
from interpkit.finetuning._objective import Objective
from interpkit.finetuning._order import Order, order_of, set_modes, trained_modules, trains_layer
from interpkit.finetuning._places import Place, place
from interpkit.finetuning._split import Split, split_of
from interpkit.finetuning._trunk import find_cut
from interpkit.labels import LabelSet, Targets
from interpkit.models import LoadedModel
from interpkit.probe import Probe
from interpkit.probe.surveying import blank
from interpkit.probe.watching import device_of, dtype_of
from interpkit.surgery import Operated, Surgery, operate

# A class with fewer validation images moves the accuracy by much with every one of them.
FEW = 10


@dataclass(frozen=True, eq=False)
class Data:
    """Readable images with classes, in two parts.

    Attributes
    ----------
    labels, targets, split
        The images, their classes, and the rows of either part.
    skipped, warnings
        Names of images that could not be read, and what limits the training.
    """

    labels: LabelSet
    targets: Targets
    split: Split
    skipped: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def member(self) -> Tensor:
        """(N, K) 1 where an image is of a class."""
        return torch.from_numpy(self.targets.member.astype(np.float32))


def prepare_data(labels: LabelSet, asked: Mapping[str, Any]) -> Data:
    """The images to train on and those kept apart.

    Raises
    ------
    LabelSetError
        If the set has no two classes, or too few images.
    """
    selected = labels.select(split=asked["split"], limit=asked["limit"])
    chosen, skipped = _readable(selected) if asked["skip_bad"] else (selected, ())
    known = chosen if chosen.classes is None else chosen.classified()
    targets = known.targets()
    split = split_of(known, targets, validation=asked["validation"], seed=asked["seed"])
    if min(len(split.train), len(split.validation)) < 2:
        raise LabelSetError(
            f"label set {labels.name} leaves {len(split.train)} images to train on and {len(split.validation)} to "
            "validate on; it takes at least 2 of each"
        )
    found = list(split.warnings)
    if len(known) < len(chosen):
        found.append(f"{len(chosen) - len(known):,} images without a class were left out")
    counts = targets.member[split.validation].sum(0)
    if counts.min() < FEW:
        least = int(counts.argmin())
        found.append(
            f"of class {targets.names[least]} {int(counts[least])} images are kept apart: below {FEW} the accuracy "
            "moves much with each"
        )
    return Data(known, targets, split, skipped, tuple(found))


def _readable(labels: LabelSet) -> tuple[LabelSet, tuple[str, ...]]:
    """The images that can be read, and the names of the others."""
    bad = []
    for row, future in enumerate(ahead(labels.image, range(len(labels)), workers=2, window=16)):
        try:
            future.result()
        except ImageError:
            bad.append(row)
    if len(bad) == len(labels):
        raise LabelSetError(f"label set {labels.name}: none of its {len(labels)} images can be read")
    return labels.without(bad), tuple(str(name) for name in labels.images["image"].iloc[bad])


@dataclass(frozen=True, eq=False)
class Theatre:
    """A network after surgery.

    Attributes
    ----------
    place, surgery, operated
        Where it was done, what, and what came of it.
    """

    place: Place
    surgery: Surgery
    operated: Operated

    @property
    def words(self) -> tuple[str, ...]:
        """What was done and why, a sentence each."""
        if not self.surgery.mask_layer:
            return (self.place.words,)
        layer = self.surgery.layer
        return (
            self.place.words,
            f"what {layer} gives is rectified, with any loss and with none: a control shares the rectifier",
        )


def prepare_surgery(model: LoadedModel, asked: Mapping[str, Any], *, classes: int, objective: Objective) -> Theatre:
    """Operate on a copy of the network.

    Raises
    ------
    InterpkitError
        If the layer cannot be masked, or there is nothing to train from.
    """
    chosen = place(model, asked["layer"])
    images = blank(model)
    example = images.to(device_of(model.module), dtype_of(model.module))
    reaches = trains_layer(order_of(model.module, example), asked["train_from"], chosen.layer)
    options = objective.options
    surgery = Surgery(
        layer=chosen.layer,
        classes=classes,
        add=asked["add_layer"],
        filters=asked["filters"],
        mask=options.get("position", "argmax") if objective.loss.masked else None,
        mask_layer=reaches or not asked["add_layer"],
        head=asked["head"],
        seed=asked["seed"],
    )
    if "beta" in options:
        surgery = replace(surgery, beta=options["beta"])
    return Theatre(chosen, surgery, operate(model.module, surgery, example))


def prepare_network(
    model: LoadedModel, theatre: Theatre, data: Data, *, asked: Mapping[str, Any], device: str | None
) -> Network:
    """The operated network on its device, with what is trained of it and where it is fed.

    Raises
    ------
    InterpkitError
        If nothing of the loss's units is trained, or a batch norm is trained on single images.
    """
    operated, surgery = theatre.operated, theatre.surgery
    module = operated.module.float()
    probe = Probe(replace(model, module=module, layer=None), operated.sites[-1].act, device=device or "auto")
    rows = data.split.train[:2]
    images = np.stack([read_image(data.labels, int(row), model.preprocessing) for row in rows])
    example = torch.from_numpy(images).to(probe.device)
    order = order_of(module, example)
    trained = trained_modules(operated, order, surgery=surgery, train_from=asked["train_from"])
    set_modes(module, trained)
    network = Network(
        module=module,
        sites=operated.sites,
        trained=trained,
        above=norms_above(module, trained, start=order.start, site=operated.sites[0]),
        cut=find_cut(module, example, order=order, trained=trained),
        head=operated.fresh[-1],
        precision=asked["precision"],
        device=probe.device,
    )
    _check_norms(network, asked["batch_size"])
    if asked["loss"] != "none":
        _check_trained(network, example, order=order, asked=asked, layer=surgery.layer)
    return network


def _check_norms(network: Network, batch_size: int) -> None:
    norms = [name for name in network.trained if isinstance(network.module.get_submodule(name), _BatchNorm)]
    if batch_size == 1 and norms:
        raise InterpkitError(f"batches of 1 image cannot train the batch norm {norms[0]}; take batches of 2 or more")


def _check_trained(network: Network, example: Tensor, *, order: Order, asked: Mapping[str, Any], layer: str) -> None:
    """The maps of every site must depend on something that is trained."""
    with network.training_off(), torch.enable_grad():
        maps = network.run(network.cut.inputs(network.module, example)).maps
    fixed = [site.act for site in network.sites if not maps[site.act].requires_grad]
    if fixed:
        start = asked["train_from"]
        above = f"{start} lies above it" if start else "everything below the classifier is frozen"
        raise InterpkitError(
            f"the loss {asked['loss']} would train nothing of {layer}, since {above}: add a layer (--add-layer), or "
            f"--train-from {layer} or below it"
        )
