"""Networks written by ``torch.export``."""

import io
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx import Node

from interpkit.errors import ModelError, one_line
from interpkit.models._archive import copied, runs_code
from interpkit.models._torchvision import prepare_torchvision
from interpkit.models.loaded import Built, short_name


def read_exported(path: Path, *, trust: bool) -> Built:
    """Read the network in a ``.pt2`` file, unflattened: its modules are back, and take hooks.

    Raises
    ------
    ModelError
        If the file brings code along and ``trust`` is not given; if it was exported in training mode; if it takes
        anything but one batch of images.
    """
    try:
        copy = None if trust else copied(path)
        reason = None if copy is None else runs_code(copy)
    except Exception as error:  # a damaged archive can raise about anything
        raise ModelError(f"{path} is damaged: {one_line(error)}") from error
    if reason:
        raise ModelError(f"{path}: opening it can run code of its own ({reason}); --trust if you trust its maker")
    program = _load(path, copy)
    if _in_training(program):
        raise ModelError(f"{path} was exported in training mode: call model.eval() and export it again")
    shape = _image_shape(program, path)
    batch, channels, height, width = (size if isinstance(size, int) else None for size in shape)
    return Built(
        _unflatten(program, path),
        "export",
        short_name(path.stem),
        channels=channels,
        size=None if height is None or width is None else (height, width),
        fixed_batch=batch,
        notes=() if batch is None else (f"exported for a batch of {batch}, which overrides --batch-size",),
    )


def _load(path: Path, copy: io.BytesIO | None) -> ExportedProgram:
    prepare_torchvision()
    try:
        # Opened here because torch wants file names to end in .pt2, and logs where they do not.
        with copy or path.open("rb") as file, warnings.catch_warnings():
            # torch 2.13 warns about its own use of tree specifications and of older archives.
            warnings.simplefilter("ignore")
            file.seek(0)
            return torch.export.load(file)
    except Exception as error:
        raise ModelError(f"{path} cannot be opened by torch {torch.__version__}: {one_line(error)}") from error


def _unflatten(program: ExportedProgram, path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # As above: a deprecation inside torch.export that its user can do nothing about.
            warnings.simplefilter("ignore", FutureWarning)
            return torch.export.unflatten(program).eval()
    except Exception as error:
        raise ModelError(f"{path} cannot be opened by torch {torch.__version__}: {one_line(error)}") from error


def _image_shape(program: ExportedProgram, path: Path) -> tuple[int | torch.SymInt, ...]:
    names = set(program.graph_signature.user_inputs)
    shapes = [
        tuple(node.meta["val"].shape)
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in names and isinstance(node.meta.get("val"), torch.Tensor)
    ]
    if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(f"{path} takes {len(names)} inputs of shape {shapes}; it should take one, (N, channels, H, W)")
    return shapes[0]


def _in_training(program: ExportedProgram) -> bool:
    return any(_trains(node) for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload))


def _trains(node: Node) -> bool:
    arguments: list[torch.Argument] = node.target._schema.arguments  # type: ignore[union-attr]
    for place, argument in enumerate(arguments):
        if argument.name in ("training", "train"):
            value = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            return value is True
    return False
