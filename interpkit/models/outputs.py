"""What the outputs of published networks are called."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from interpkit.models._torchvision import import_timm, import_torchvision

_IMAGENET = "imagenet-1k"


def torchvision_classes(weights: Any) -> tuple[str, ...]:  # noqa: ANN401 - torchvision's enumerations have no common typed base
    """Names of the outputs that torchvision records with its weights; none where it records none."""
    return tuple(weights.meta.get("categories", ()))


def imagenet_classes() -> tuple[str, ...]:
    """Names of ImageNet's 1,000 classes, each once, in the order in which networks give them."""
    models = import_torchvision().models
    return torchvision_classes(models.get_weight("ResNet18_Weights.IMAGENET1K_V1"))


def timm_classes(module: nn.Module) -> tuple[str, ...]:
    """Names of a pretrained timm network's outputs: its own record's, else those of the ImageNet it was trained on.

    None where neither has as many names as the network has outputs.
    """
    config = getattr(module, "pretrained_cfg", None)
    outputs = getattr(module, "num_classes", 0)
    recorded = _recorded(config) if isinstance(config, Mapping) else ()
    named = recorded or _of_imagenet(module)
    return named if len(named) == outputs else ()


def _recorded(config: Mapping[str, Any]) -> tuple[str, ...]:
    names, texts = config.get("label_names"), config.get("label_descriptions") or {}
    if not isinstance(names, Sequence) or isinstance(names, str):
        return ()
    return tuple(_first(str(texts.get(name, name)) if isinstance(texts, Mapping) else str(name)) for name in names)


def _of_imagenet(module: nn.Module) -> tuple[str, ...]:
    data: Any = import_timm().data
    subset = data.infer_imagenet_subset(module)
    if subset is None:
        return ()
    if subset == _IMAGENET:
        return imagenet_classes()
    info = data.ImageNetInfo(subset)
    return tuple(_first(info.index_to_description(index)) for index in range(info.num_classes()))


def _first(description: str) -> str:
    """The first of several synonyms: ``tench`` of ``tench, Tinca tinca``."""
    return description.partition(",")[0].strip()
