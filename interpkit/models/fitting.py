"""A state dict, put into the architecture it belongs to."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from interpkit.errors import ModelError, UnknownNameError, nearest
from interpkit.models.architectures import Misfit, closest, shapes_of
from interpkit.models.factories import build_python
from interpkit.models.loaded import Built, short_name
from interpkit.models.zoo import (
    Wish,
    drop_training_heads,
    torchvision_checksums,
    torchvision_names,
    untrained_lite,
    untrained_timm,
    untrained_torchvision,
)

State = Mapping[str, Any]

_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
_TRAINING_HEADS = re.compile(r"(^|\.)(aux[12]|AuxLogits|aux_classifier)\.")
# torchvision's published densenet files carry names from before these two became attributes.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..+)$")
_FIRST_GUESS = ("torchvision:", "timm:", "lite:", "python:")


def fit(state: State, arch: str, *, file: Path) -> Built:
    """Build the network ``arch`` with the weights ``state`` that ``file`` holds.

    The number of classes is the file's. A file that torchvision publishes is known by its checksum and brings its
    record along.

    Raises
    ------
    ModelError
        If they do not fit: the first missing, unexpected and mis-shaped keys, and a torchvision network that does.
    """
    wish = read_arch(arch)
    wish, recognised = _recognised(wish, file)
    heads = any(_TRAINING_HEADS.search(key) for key in state)
    built = untrained(wish, classes=None, heads=heads)
    state = _without_prefix(_today(state), built.module)
    classes = Misfit.between(shapes_of(state), shapes_of(built.module.state_dict())).classes
    notes = recognised
    if classes is not None and wish.family != "python":
        built = untrained(wish, classes=classes, heads=heads)
        notes = (*notes, f"the classifier has {classes} outputs, as in the file")
    _put(state, built.module, what=f"{file} does not fit {arch}")
    if wish.family == "torchvision":
        drop_training_heads(built.module)
    if wish.family == "python":
        notes = (*notes, *built.notes)
    return replace(built, form="state-dict", name=short_name(file.stem), notes=notes)


def without_arch(state: State, *, file: Path) -> Built:
    """Say which architecture the weights in ``file`` want.

    Raises
    ------
    ModelError
        Always.
    """
    guess = closest(shapes_of(_shortest(_today(state))))
    raise ModelError(
        f"{file} holds weights without a network; {guess}; name it: "
        "--arch torchvision:NAME, timm:NAME, lite:NAME or python:package.module:factory"
    )


def read_arch(arch: str) -> Wish:
    """Take ``--arch`` apart.

    Raises
    ------
    UnknownNameError
        If it begins with none of the families.
    """
    if not arch.startswith(_FIRST_GUESS):
        have = [f"torchvision:{name}" for name in torchvision_names()]
        close = ", ".join(nearest(f"torchvision:{arch}", have))
        raise UnknownNameError(
            f"no --arch {arch!r}; it is torchvision:, timm:, lite: or python: and a name; nearest: {close}"
        )
    return Wish("python", arch) if arch.startswith("python:") else Wish.read(arch)


def untrained(wish: Wish, *, classes: int | None, heads: bool) -> Built:
    """Build a network as it is initialised; one of the user's own comes as its factory gives it."""
    if wish.family == "torchvision":
        return untrained_torchvision(wish, classes=classes, heads=heads)
    if wish.family == "timm":
        return untrained_timm(wish, classes=classes)
    return untrained_lite(wish, classes=classes) if wish.family == "lite" else build_python(wish.name)


def _recognised(wish: Wish, file: Path) -> tuple[Wish, tuple[str, ...]]:
    if wish.family != "torchvision" or wish.weights is not None:
        return wish, ()
    with file.open("rb") as opened:
        sha = hashlib.file_digest(opened, "sha256").hexdigest()
    for weights, start in torchvision_checksums(wish.name).items():
        if sha.startswith(start):
            return replace(wish, weights=weights), (f"recognised by its checksum: torchvision's {weights}",)
    if wish.name not in ("googlenet", "inception_v3"):
        return wish, ()
    named = f"--arch torchvision:{wish.name}@DEFAULT"
    note = f"transform_input is off; if training started from torchvision's weights, say {named}"
    return wish, (note,)


def _put(state: State, module: nn.Module, *, what: str) -> None:
    try:
        module.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        shapes = shapes_of(state)
        misfit = Misfit.between(shapes, shapes_of(module.state_dict()))
        if misfit:
            raise ModelError(f"{what}: {misfit}; {closest(shapes)}") from error
        # Only batch counters differ.
        module.load_state_dict(state, strict=False)


def _today(state: State) -> State:
    return _renamed(state, lambda key: _OLD_DENSENET.sub(r"\1\2", key))


def _without_prefix(state: State, module: nn.Module) -> State:
    """Take leading wrappers off the keys for as long as they then agree better with the network's."""
    wanted = module.state_dict().keys()
    variants = [state]
    while (shorter := _stripped(variants[-1])) is not None:
        variants.append(shorter)
    return max(variants, key=lambda variant: len(variant.keys() & wanted))


def _shortest(state: State) -> State:
    while (shorter := _stripped(state)) is not None:
        state = shorter
    return state


def _stripped(state: State) -> State | None:
    for prefix in _PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return _renamed(state, partial(_without, prefix))
    return None


def _without(prefix: str, key: str) -> str:
    return key.removeprefix(prefix)


def _renamed(state: State, rename: Callable[[str], str]) -> State:
    renamed: OrderedDict[str, Any] = OrderedDict((rename(key), value) for key, value in state.items())
    versions = getattr(state, "_metadata", None)
    if isinstance(versions, Mapping):
        # Modules read from here how old the file is. A prefix is taken off names with or without its final dot.
        renamed._metadata = {rename(f"{key}.").rstrip("."): value for key, value in versions.items()}  # type: ignore[attr-defined]
    return renamed


def tensors_only(state: State) -> State:
    """Leave out the entries, a step count say, that are no weights."""
    kept = OrderedDict((key, value) for key, value in state.items() if isinstance(value, Tensor))
    versions = getattr(state, "_metadata", None)
    if versions is not None:
        kept._metadata = versions  # type: ignore[attr-defined]
    return kept
