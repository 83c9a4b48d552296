"""A network in training: run with or without a loss's edit, its sites' maps caught."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from interpkit.finetuning._trunk import Cut
from interpkit.losses import Edit, Layer, Pass
from interpkit.probe.addresses import rows_of
from interpkit.surgery import PartMask, Site

# Half the bytes, most of the speed: what a forward pass is computed in.
TYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


@dataclass(frozen=True, eq=False)
class Network:
    """A network after surgery, and where its units are made interpretable.

    Attributes
    ----------
    module, sites
        The network; its sites from the lowest to the topmost.
    trained
        Names of the modules in training mode.
    above
        Batch norms in training that run after a site: an edit must not reach their statistics.
    cut
        Where it is fed.
    head
        Name of the new last layer.
    precision
        ``32``, ``bf16`` or ``16``.
    device
        Where it computes.
    """

    module: nn.Module
    sites: tuple[Site, ...]
    trained: tuple[str, ...]
    above: tuple[str, ...]
    cut: Cut
    head: str
    precision: str
    device: torch.device

    def run(self, inputs: Tensor, edit: Edit | None = None) -> Pass:
        """One forward pass on what the cut takes; ``edit`` changes what the sites hand on."""
        maps: dict[str, Tensor] = {}
        with self._watched(maps, edit), self._frozen_statistics(edit), self._autocast():
            output = self.cut.run(self.module, inputs)
        return Pass(rows_of(output).float(), maps)

    @contextmanager
    def _watched(self, maps: dict[str, Tensor], edit: Edit | None) -> Iterator[None]:
        """Hooks on the sites, gone afterwards."""
        handles = []
        try:
            for site in self.sites:
                handles.append(self.module.get_submodule(site.act).register_forward_hook(_caught(maps, site.act)))
                if edit is not None:
                    mask = self.module.get_submodule(site.mask)
                    handles.append(mask.register_forward_hook(_edited(edit, site.act)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _frozen_statistics(self, edit: Edit | None) -> Iterator[None]:
        """With an edit, batch norms above it use the statistics of the ordinary path, and leave them alone."""
        norms = [] if edit is None else [self.module.get_submodule(name) for name in self.above]
        before = [norm.training for norm in norms]
        try:
            for norm in norms:
                norm.training = False
            yield
        finally:
            for norm, training in zip(norms, before, strict=True):
                norm.training = training

    def _autocast(self) -> torch.autocast:
        kind = TYPES[self.precision]
        return torch.autocast(self.device.type, dtype=kind, enabled=self.precision != "32")

    def layers(self) -> dict[str, Layer]:
        """What a loss must know of the sites, from a forward pass."""
        with self.evaluating():
            maps = self.run(torch.zeros(1, *self.cut.shape, device=self.device)).maps
        found = {}
        for site in self.sites:
            mask = self.module.get_submodule(site.mask)
            _, units, h, w = maps[site.act].shape
            found[site.act] = Layer(units, (h, w), mask if isinstance(mask, PartMask) else None)
        return found

    @contextmanager
    def training_off(self) -> Iterator[None]:
        """Evaluation mode; the trained modules are in training mode again afterwards."""
        modules = [child for child in self.module.modules() if child.training]
        try:
            for child in modules:
                child.training = False
            yield
        finally:
            for child in modules:
                child.training = True

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients."""
        with self.training_off(), torch.no_grad():
            yield


def _caught(maps: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
        maps[name] = output

    return hook


def _edited(edit: Edit, name: str) -> Callable[[nn.Module, object, Tensor], Tensor]:
    def hook(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        return edit(name, output)

    return hook


def norms_above(module: nn.Module, trained: Sequence[str], *, start: Mapping[str, int], site: Site) -> tuple[str, ...]:
    """The batch norms among the trained modules that start after a site's mask."""
    moment = start[site.mask]
    return tuple(
        name for name in trained if start[name] > moment and isinstance(module.get_submodule(name), _BatchNorm)
    )
