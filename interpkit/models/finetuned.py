"""Folders that fine-tuning writes: a base, what was done to it, and all of its weights.

Such a folder holds ``weights.safetensors`` and ``recipe.json``. The base is built without its weights, operated on as
the recipe says, and filled from the folder, so no file of the base is needed but a pickled one: that must be where it
was, and hold the same network. A base of the user's own code needs that code, and a trusted folder.
"""

import json
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from interpkit.errors import InterpkitError, ModelError, one_line
from interpkit.models._recipe import KIND, Level, check_needed, held, read_levels
from interpkit.models.architectures import Misfit
from interpkit.models.factories import build_python
from interpkit.models.files import read_file
from interpkit.models.fitting import read_arch, untrained
from interpkit.models.loaded import Built, LoadedModel, fingerprint, short_name
from interpkit.surgery import Operated, Surgery, operate

FORMAT = 1
RECIPE = "recipe.json"
WEIGHTS = "weights.safetensors"


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
        recipe_file.write_text(text, encoding="utf-8")
        save_file(_distinct(module), weights)
        # The weights come out readable by their owner alone; the recipe is as the user wants new files to be.
        with suppress(PermissionError):
            weights.chmod(stat.S_IMODE(recipe_file.stat().st_mode))
        weights.replace(folder / WEIGHTS)
        recipe_file.replace(folder / RECIPE)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write {folder}: {one_line(error)}") from error
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
        # Read again from wherever the reader stands.
        "spec": str(Path(model.spec).absolute()) if model.form == "pickle" else model.spec,
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
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is cut short or damaged: {one_line(error)}") from error
    if not isinstance(recipe, dict) or recipe.get("kind") != KIND:
        raise ModelError(f"{path} is no recipe of a fine-tuned network")
    if recipe.get("format") != FORMAT:
        raise ModelError(f"{path} has format {recipe.get('format')}; this version reads format {FORMAT}")
    try:
        check_needed(recipe)
    except ModelError as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    return recipe


def read_folder(folder: Path, *, arch: str | None, trust: bool) -> Built:
    """Read the fine-tuned network in ``folder``.

    Parameters
    ----------
    folder : Path
    arch : str | None
        The network that the first training started from, where that was given in Python.
    trust : bool
        Whether code of the base's maker may run, and the hub be asked for a base that is described there.

    Raises
    ------
    ModelError
        In one line, whatever is wrong with the folder.
    """
    recipe = read_recipe(folder)
    asked = _Asked(str(folder), arch, trust)
    try:
        levels = read_levels(recipe)
        note = _note(recipe, levels[0])
    except (InterpkitError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / RECIPE} is damaged: {one_line(error)}") from error
    shapes = _header(folder / WEIGHTS)
    try:
        surgeries = list(held(levels, shapes))
    except ModelError as error:
        raise _misfit(folder / WEIGHTS, error) from error
    operated = _operated(_base(levels, asked), levels, surgeries, asked=asked)
    if levels[0].sites != tuple((site.act, site.mask) for site in operated.sites):
        raise ModelError(f"{folder / RECIPE} is damaged: its sites are not those of the network that it describes")
    _fill(operated.module, folder / WEIGHTS)
    return Built(
        operated.module.eval(),
        KIND,
        short_name(folder.resolve().name),
        levels[0].preprocessing,
        notes=(note,),
        classes=levels[0].classes,
        layer=operated.sites[-1].act,
    )


@dataclass(frozen=True)
class _Asked:
    """What was asked for: the folder in words, and what the caller says of its base."""

    folder: str
    arch: str | None
    trust: bool


def _operated(module: nn.Module, levels: Sequence[Level], surgeries: Sequence[Surgery], *, asked: _Asked) -> Operated:
    """The network that all trainings made of ``module``, the last of them first, without its weights."""
    operated: Operated | None = None
    for level, surgery in reversed(list(zip(levels, surgeries, strict=True))):
        preprocessing = level.preprocessing
        example = torch.zeros(1, preprocessing.channels, *preprocessing.size)
        try:
            operated = operate(module, surgery, example)
        except (InterpkitError, RuntimeError) as error:
            raise ModelError(f"{asked.folder}: its base is not what it was: {one_line(error)}") from error
        module = operated.module
    assert operated is not None
    return operated


def _base(levels: Sequence[Level], asked: _Asked) -> nn.Module:
    """The network that the first training started from, without its weights."""
    base = levels[-1].base
    form, spec, arch = base["form"], base["spec"], base["arch"]
    if form == "module":
        # Whoever trained it once more had to name what builds it.
        recorded = [level.base["arch"] for level in levels if level.base["arch"]]
        arch = asked.arch or (recorded[0] if recorded else None)
        if arch is None:
            raise ModelError(
                f"{asked.folder} was trained from {spec}, a network given in Python: name what builds it, "
                "--arch python:package.module:factory --trust"
            )
    elif asked.arch is not None:
        raise ModelError(f"{asked.folder} says itself what it was trained from: leave --arch {asked.arch} out")
    if form == "pickle":
        return _pickled(base, asked)
    name = spec if arch is None else arch
    if name.startswith("python:"):
        _trusted(asked, f"{name}, whose code runs to build it")
        return build_python(name).module
    wish = read_arch(name)
    if wish.on_hub:
        _trusted(asked, f"{name}, whose description is fetched from the Hugging Face hub to build it")
    module = untrained(wish, classes=None, heads=False).module
    if base["transform_input"] is not None:
        module.transform_input = base["transform_input"]
    return module


def _pickled(base: Mapping[str, Any], asked: _Asked) -> nn.Module:
    """The network in the file that training started from."""
    path = Path(base["spec"])
    _trusted(asked, f"the pickled network {path}, whose code runs to build it")
    module = read_file(path, arch=None, trust=True).module
    if fingerprint(module) != base.get("sha"):
        raise ModelError(
            f"{asked.folder} was trained from the network in {path}, and that file or its code has changed since"
        )
    return module


def _trusted(asked: _Asked, what: str) -> None:
    if not asked.trust:
        raise ModelError(f"{asked.folder} was trained from {what}: --trust if you trust it")


def _fill(module: nn.Module, path: Path) -> None:
    """Load the weights, each of them and no others."""
    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is cut short or damaged: {one_line(error)}") from error
    wanted = _distinct(module)
    misfit = Misfit.between(_shapes(state), _shapes(wanted))
    if misfit:
        raise _misfit(path, misfit)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name in state:
                tensor.copy_(state[name])


def _header(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of each tensor in a file, of which no more is read."""
    if not path.exists():
        raise ModelError(f"{path.parent} holds a recipe, but no {WEIGHTS}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path} is cut short or damaged: {one_line(error)}") from error


def _misfit(path: Path, why: object) -> ModelError:
    return ModelError(f"{path} does not fit the network of {RECIPE} beside it: {why}")


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


def _note(recipe: Mapping[str, Any], last: Level) -> str:
    loss = recipe.get("loss", {}).get("name", "none")
    masked = "with part masks" if last.surgery.mask else "without part masks"
    return (
        f"fine-tuned from {last.base['spec']} above {last.surgery.layer} with --loss {loss}, {masked}; "
        f"its interpretable units are those of {' and '.join(act for act, _ in last.sites)}"
    )


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:
        # Where nothing may be written there is nothing to remove.
        return
