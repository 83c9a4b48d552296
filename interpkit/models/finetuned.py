"""Folders that fine-tuning writes: a base, what was done to it, and all of its weights.

Such a folder holds ``weights.safetensors`` and ``recipe.json``, and needs no file of the base: the base is built
without its weights, operated on as the recipe says, and filled from the folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError
from interpkit.models.architectures import Misfit
from interpkit.models.factories import build_python
from interpkit.models.files import read_file
from interpkit.models.fitting import read_arch, untrained
from interpkit.models.loaded import Built, LoadedModel, short_name
from interpkit.models.preprocessing import Preprocessing
from interpkit.surgery import Surgery, operate

FORMAT = 1
KIND = "finetuned"
RECIPE = "recipe.json"
WEIGHTS = "weights.safetensors"

_NEEDED = ("base", "preprocessing", "surgery", "sites", "classes")
_LISTS = ("size", "mean", "std")


def write_folder(folder: Path, module: nn.Module, recipe: Mapping[str, Any]) -> None:
    """Write a network and the recipe that it comes from, for ``load_model(folder)``.

    Each file is written beside its place and renamed, the recipe last: a folder with a recipe is whole.

    Parameters
    ----------
    folder : Path
        Made where it does not exist; files of these two names are replaced.
    module : torch.nn.Module
        What `interpkit.surgery.operate` gave, trained.
    recipe : Mapping
        Plain values: what `started` gives, ``surgery``, ``sites``, ``classes``, and whatever is to be kept with them.

    Raises
    ------
    ModelError
        If the disk is full or may not be written to.
    """
    text = json.dumps({"format": FORMAT, "kind": KIND, **recipe}, indent=2, allow_nan=False) + "\n"
    weights, recipe_file = folder / f".{WEIGHTS}.part", folder / f".{RECIPE}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE).unlink(missing_ok=True)
        save_file(_distinct(module), weights)
        recipe_file.write_text(text, encoding="utf-8")
        weights.replace(folder / WEIGHTS)
        recipe_file.replace(folder / RECIPE)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write {folder}: {_line(error)}") from error
    finally:
        for part in (weights, recipe_file):
            _remove(part)


def started(model: LoadedModel) -> dict[str, Any]:
    """What a recipe says of the network that training starts from: ``base`` and ``preprocessing``.

    Raises
    ------
    ModelError
        If the network cannot be built again: one that was exported.
    """
    if model.form == "export" or model.fixed_batch is not None:
        raise ModelError(
            f"{model.name} was exported, and an exported network cannot be trained; give the network it was made from"
        )
    flags = list(model.flags)
    base: dict[str, Any] = {
        "spec": model.spec,
        "form": model.form,
        "name": model.name,
        "arch": flags[flags.index("--arch") + 1] if "--arch" in flags else None,
        "flags": flags,
        "sha": model.sha,
        "outputs": len(model.classes) or None,
        # Two of torchvision's networks normalise their input once more if their weights are its own.
        "transform_input": getattr(model.module, "transform_input", None),
    }
    if model.form == KIND:
        base["recipe"] = read_recipe(Path(model.spec))
    return {"base": base, "preprocessing": asdict(model.preprocessing)}


def is_finetuned(path: Path) -> bool:
    """Whether ``path`` is a folder that `write_folder` wrote, or began to write."""
    return path.is_dir() and any((path / name).exists() for name in (RECIPE, WEIGHTS, "checkpoint.pt"))


def read_recipe(folder: Path) -> dict[str, Any]:
    """The recipe of a fine-tuned network.

    Raises
    ------
    ModelError
        If there is none, if it is damaged, or of another format.
    """
    path = folder / RECIPE
    if not path.exists():
        raise ModelError(f"{folder} holds no {RECIPE}: its training did not end; run it again with --resume")
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is cut short or damaged: {_line(error)}") from error
    if not isinstance(recipe, dict) or recipe.get("kind") != KIND:
        raise ModelError(f"{path} is no recipe of a fine-tuned network")
    if recipe.get("format") != FORMAT:
        raise ModelError(f"{path} has format {recipe.get('format')}; this version reads format {FORMAT}")
    missing = [name for name in _NEEDED if name not in recipe]
    if missing:
        raise ModelError(f"{path} is damaged: it says nothing of {', '.join(missing)}")
    return recipe


def read_folder(folder: Path, *, arch: str | None, trust: bool) -> Built:
    """Read the fine-tuned network in ``folder``.

    Parameters
    ----------
    folder : Path
    arch : str | None
        The network that the training started from, where that was given in Python.
    trust : bool
        Whether code of the base's maker may run.

    Raises
    ------
    ModelError
        In one line, whatever is wrong with the folder.
    """
    recipe = read_recipe(folder)
    asked = _Asked(str(folder), arch, trust)
    try:
        module, preprocessing = _built(recipe, asked)
        sites = [str(site["act"]) for site in recipe["sites"]]
        classes = tuple(str(name) for name in recipe["classes"])
        note = _note(recipe, sites)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / RECIPE} is damaged: {_line(error)}") from error
    _fill(module, folder / WEIGHTS)
    return Built(
        module.eval(),
        KIND,
        short_name(folder.resolve().name),
        preprocessing,
        notes=(note,),
        classes=classes,
        layer=sites[-1] if sites else None,
    )


@dataclass(frozen=True)
class _Asked:
    """What was asked for: the folder in words, and what the caller says of its base."""

    folder: str
    arch: str | None
    trust: bool


def _built(recipe: Mapping[str, Any], asked: _Asked) -> tuple[nn.Module, Preprocessing]:
    """The network of a recipe with untrained weights, and its preprocessing."""
    values: dict[str, Any] = {
        name: tuple(value) if name in _LISTS else value for name, value in recipe["preprocessing"].items()
    }
    preprocessing = Preprocessing(**values)
    base, surgery = _base(recipe["base"], asked), Surgery.from_dict(recipe["surgery"])
    example = torch.zeros(1, preprocessing.channels, *preprocessing.size)
    try:
        operated = operate(base, surgery, example)
    except InterpkitError as error:
        raise ModelError(f"{asked.folder}: its base is not what it was: {error}") from error
    return operated.module, preprocessing


def _base(base: Mapping[str, Any], asked: _Asked) -> nn.Module:
    """The network that training started from, without its weights."""
    form, spec, arch = base["form"], base["spec"], base["arch"]
    if form == "module":
        arch = asked.arch
        if arch is None:
            raise ModelError(
                f"{asked.folder} was trained from {spec}, a network given in Python: name what builds it, "
                "--arch python:package.module:factory --trust"
            )
    elif asked.arch is not None:
        raise ModelError(f"{asked.folder} says itself what it was trained from: leave --arch {asked.arch} out")
    if form == KIND:
        return _built(base["recipe"], asked)[0]
    if form == "pickle":
        _trusted(asked, f"the pickled network {spec}")
        return read_file(Path(spec), arch=None, trust=True).module
    name = spec if arch is None else arch
    if name.startswith("python:"):
        _trusted(asked, name)
        return build_python(name).module
    module = untrained(read_arch(name), classes=None, heads=False).module
    if base["transform_input"] is not None:
        module.transform_input = base["transform_input"]
    return module


def _trusted(asked: _Asked, what: str) -> None:
    if not asked.trust:
        raise ModelError(
            f"{asked.folder} was trained from {what}, whose code runs to build it: --trust if you trust it"
        )


def _fill(module: nn.Module, path: Path) -> None:
    """Load the weights, each of them and no others."""
    if not path.exists():
        raise ModelError(f"{path.parent} holds a recipe, but no {WEIGHTS}")
    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is cut short or damaged: {_line(error)}") from error
    wanted = _distinct(module)
    misfit = Misfit.between(_shapes(state), _shapes(wanted))
    if misfit:
        raise ModelError(f"{path} does not fit the network of {RECIPE} beside it: {misfit}")
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name in state:
                tensor.copy_(state[name])


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _distinct(module: nn.Module) -> dict[str, Tensor]:
    """Every tensor of a network once, by its first name: tied weights have several."""
    seen: set[tuple[int, tuple[int, ...], tuple[int, ...]]] = set()
    state: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, Tensor):
            continue
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        if tensor.numel() and key in seen:
            continue
        seen.add(key)
        state[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return state


def _note(recipe: Mapping[str, Any], sites: list[str]) -> str:
    surgery, base = recipe["surgery"], recipe["base"]
    loss = recipe.get("loss", {}).get("name", "none")
    masked = "with part masks" if surgery.get("mask") else "without part masks"
    return (
        f"fine-tuned from {base['spec']} above {surgery['layer']} with --loss {loss}, {masked}; "
        f"its interpretable units are those of {' and '.join(sites)}"
    )


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:
        # Where nothing may be written there is nothing to remove.
        return


def _line(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:200] or type(error).__name__
