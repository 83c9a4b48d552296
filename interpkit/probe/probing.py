"""Probe: a network and some of its layers, from images to maps."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from interpkit.errors import ModelError
from interpkit.models import LoadedModel, Preprocessing, load_model
from interpkit.probe.addresses import Address, find, rows_of, tensors
from interpkit.probe.surveying import blank, default_of
from interpkit.probe.tracing import Reshape, Trace, as_maps, check, pick, trace
from interpkit.probe.watching import Reached, Run, device_of, dtype_of, undisturbed, watched
from interpkit.strangers import escape


class Probe:
    """Looks into layers of a network, and leaves nothing behind.

    A layer is asked for by its dotted name (``layer4.1``); a module that runs several times in one forward pass by
    ``name#1`` ... ``name#k``; of a module that returns several tensors, ``name`` is the first of rank 4 and ``name[i]``
    any of them. The prefix ``module.`` of a wrapped network may be there or not.

    Parameters
    ----------
    model : torch.nn.Module | LoadedModel
        The network. A module stays as it is, but moves to ``device`` where one is named.
    layers : str | Sequence[str] | None
        The layers to look at; None for the default layer (see `default_layer`).
    device : str
        ``auto``: a GPU if there is one, for a network that interpkit has loaded; a module of yours stays where it is.
        Else ``cpu``, ``cuda``, ``cuda:1``.
    reshape : Callable[[torch.Tensor], torch.Tensor] | None
        Brings what the layers give to (N, U, h, w), for networks that compute in another order.
    preprocessing : Preprocessing | None
        In place of the model's own.

    Raises
    ------
    UnknownNameError
        If a layer does not exist, does not run, or runs several times and none was named.
    ModelError
        If a layer's output is no map, or the device does not exist.
    """

    def __init__(
        self,
        model: nn.Module | LoadedModel,
        layers: str | Sequence[str] | None = None,
        *,
        device: str = "auto",
        reshape: Reshape | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        loaded = model if isinstance(model, LoadedModel) else load_model(model)
        if preprocessing is not None:
            loaded = replace(loaded, preprocessing=preprocessing)
        self.loaded = loaded
        # What no command line can say: a run with it is repeated from Python.
        self.scripted = loaded.form == "module" or preprocessing is not None or reshape is not None
        self.model = loaded.module
        self.preprocessing = loaded.preprocessing
        self.device = _device(device, loaded)
        self.model.to(self.device)
        self.reshape = reshape
        if layers is None and loaded.layer is not None:
            layers = loaded.layer
        asked = [layers] if isinstance(layers, str) else layers
        self._found = {name: find(name, self.model) for name in asked or ()}
        self._addresses: dict[str, Address] | None = None
        self._shapes: dict[str, tuple[int, int, int]] | None = None
        self._look(blank(loaded), must=asked is None)
        self.layers = tuple(self._found)

    def __repr__(self) -> str:
        """Network and layers."""
        return f"Probe({self.loaded.name!r}, {list(self.layers)})"

    def _repr_html_(self) -> str:
        """The network, its input and the shape of each layer's maps, for notebooks: static, no network."""
        head = (
            f"<p><b>{escape(self.loaded.name)}</b> on {escape(str(self.device))}, "
            f"input {escape(self.preprocessing.described)}</p>"
        )
        try:
            shapes = self.shapes()
        except ModelError:
            # It does not take blank images of this size; the first real ones will tell.
            return head + "".join(f"<p>{escape(layer)}</p>" for layer in self.layers)
        rows = "".join(
            f"<tr><td>{escape(layer)}</td><td>{units:,}</td><td>{high} x {wide}</td></tr>"
            for layer, (units, high, wide) in shapes.items()
        )
        columns = "<tr><th>layer</th><th>units</th><th>map</th></tr>"
        return f'{head}<table class="dataframe"><thead>{columns}</thead><tbody>{rows}</tbody></table>'

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """The maps of each layer.

        Parameters
        ----------
        images : torch.Tensor
            (N, channels, H, W), preprocessed; moved to the probe's device and the network's type. The memory format
            stays as it is.

        Returns
        -------
        dict[str, torch.Tensor]
            (N, U, h, w) for each of ``layers``, without gradient, a copy of its own, at least float32.
        """
        return self._all(images, whole=False)[0]

    def through(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The maps of each layer, and what the network makes of them: one forward pass to its end.

        Parameters
        ----------
        images : torch.Tensor
            (N, channels, H, W), as for the call.

        Returns
        -------
        tuple[dict[str, torch.Tensor], torch.Tensor]
            The maps, and the network's output (N, outputs), at least float32: of several tensors the first of rank 2.

        Raises
        ------
        ModelError
            If the network gives no row of numbers an image.
        """
        maps, outputs = self._all(images, whole=True)
        return maps, torch.cat([_plain(rows_of(output)) for output in outputs])[: len(images)]

    def only(self, layer: str) -> "Probe":
        """One of the layers alone, of the same network."""
        return self._again([layer], str(self.device))

    def outputs(self) -> int:
        """How many numbers the network gives for an image.

        Raises
        ------
        ModelError
            If it gives no row of numbers an image.
        """
        return int(self.through(blank(self.loaded))[1].shape[1])

    def _all(self, images: Tensor, *, whole: bool) -> tuple[dict[str, Tensor], list[object]]:
        """The maps of all images, and what each forward pass gave that went to its end."""
        if images.dim() != 4:
            raise ModelError(f"images are (N, channels, H, W), not {tuple(images.shape)}")
        images = images.to(self.device, dtype_of(self.model))
        batch = self.loaded.fixed_batch
        if self._addresses is None:
            self._look(images[: batch or 1], must=True)
        if batch is None or batch == len(images):
            return self._run(images, whole=whole)
        pieces = torch.split(images, batch)
        parts = [self._run(filled(piece, batch), keep=len(piece), whole=whole) for piece in pieces]
        together = {name: torch.cat([part[name] for part, _ in parts]) for name in self.layers}
        return together, [output for _, outputs in parts for output in outputs]

    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """(U, h, w) of each layer for an image of the preprocessing's size."""
        if self._shapes is None:
            maps = self(blank(self.loaded))
            self._shapes = {name: (m.shape[1], m.shape[2], m.shape[3]) for name, m in maps.items()}
        return dict(self._shapes)

    def address(self, layer: str) -> Address:
        """Which module, which of its runs and which of its outputs one of ``layers`` stands for."""
        if self._addresses is None:
            self._look(blank(self.loaded), must=True)
        addresses = self._addresses or {}
        return addresses[layer]

    def on(self, device: str) -> "Probe":
        """The same layers of the same network, which moves to ``device``."""
        return self._again(self.layers, device)

    def of(self, loaded: LoadedModel) -> "Probe":
        """The same layers of another network of the same structure, on the same device."""
        probe = Probe(loaded, self.layers, device=str(self.device), reshape=self.reshape)
        probe.scripted = self.scripted
        return probe

    def _again(self, layers: Sequence[str], device: str) -> "Probe":
        """Layers of the same network on a device, repeated as this probe is: from Python, if that is what it takes."""
        probe = Probe(self.loaded, layers, device=device, reshape=self.reshape)
        probe.scripted = self.scripted
        return probe

    def _look(self, images: Tensor, *, must: bool) -> None:
        """One whole forward pass: how often each module runs, and whether what was asked for can be had.

        Without ``must``, a network that does not take such images is no error: the first real images will tell.
        """
        try:
            seen = trace(self.model, images)
        except ModelError:
            if must:
                raise
            return
        if not self._found:
            name = default_of(seen)
            self._found = {name: find(name, self.model)}
        addresses = {name: check(address, seen.calls) for name, address in self._found.items()}
        for name, address in addresses.items():
            as_maps(_output(seen, address), name, size=seen.size, reshape=self.reshape)
        self._addresses = addresses

    def _run(
        self, images: Tensor, *, keep: int | None = None, whole: bool = False
    ) -> tuple[dict[str, Tensor], list[object]]:
        """The maps of one forward pass, and, if it went to its end, what it gave."""
        wanted: dict[tuple[str, int], list[tuple[str, Address]]] = defaultdict(list)
        for name, address in (self._addresses or {}).items():
            wanted[address.module, address.call or 1].append((name, address))
        size = (images.shape[2], images.shape[3])
        maps: dict[str, Tensor] = {}

        def take(run: Run) -> None:
            for name, address in wanted.pop(run.key, ()):
                tensor = as_maps(pick(tensors(run.output), address), name, size=size, reshape=self.reshape)[:keep]
                # A copy: an in-place operation further on would otherwise rewrite what is kept.
                maps[name] = _plain(tensor)
            if not wanted and not whole:
                raise Reached

        modules = {module for module, _ in wanted}
        outputs: list[object] = []
        with undisturbed(self.model), torch.no_grad(), watched(self.model, modules, take):
            outputs.append(self.model(images))
        if wanted:
            missing = ", ".join(name for asked in wanted.values() for name, _ in asked)
            raise ModelError(f"layer {missing} did not run on these images")
        return {name: maps[name] for name in self.layers}, outputs


def _output(seen: Trace, address: Address) -> Tensor:
    firing = next(f for f in seen.firings if (f.name, f.call) == (address.module, address.call))
    return pick(firing.outputs, address)


def _plain(tensor: Tensor) -> Tensor:
    """A copy in float32 or wider."""
    return tensor.float() if tensor.dtype in (torch.half, torch.bfloat16) else tensor.clone()


def filled(images: Tensor, batch: int) -> Tensor:
    """``images`` with blank ones added up to the one batch size that an exported network takes."""
    blanks = images.new_zeros((batch - len(images), *images.shape[1:]))
    return torch.cat([images, blanks])


def _device(asked: str, loaded: LoadedModel) -> torch.device:
    if asked == "auto":
        ours = loaded.form != "module"
        return torch.device("cuda") if ours and torch.cuda.is_available() else device_of(loaded.module)
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        have = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise ModelError(f"no device {asked!r} here; there is {have}") from error
    return device
