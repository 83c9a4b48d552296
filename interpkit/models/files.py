"""Model files: what they hold is read as data; code in them runs only with trust."""

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from interpkit.errors import ModelError, nearest, one_line
from interpkit.models._archive import file_kind
from interpkit.models.exported import read_exported
from interpkit.models.factories import users_code
from interpkit.models.fitting import State, fit, tensors_only, without_arch
from interpkit.models.loaded import Built, short_name, unwrapped

# Where training scripts keep the network inside a checkpoint.
_PLACES = ("state_dict", "model", "model_state_dict", "module", "net", "network")
_FORBIDDEN = re.compile(r"(?:Unsupported global: GLOBAL|Unsupported class) (\S+)")
_READ_ERRORS = (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, OSError)


def read_file(path: Path, *, arch: str | None, trust: bool) -> Built:
    """Read the network in, or for, the file ``path``.

    Raises
    ------
    ModelError
        In one line, whatever is wrong with the file.
    """
    _check_place(path)
    kind = file_kind(path)
    if kind == "script":
        raise ModelError(
            f"{path} is a TorchScript archive, whose modules take no hooks; export the network it was made from: "
            "torch.export.save(torch.export.export(model.eval(), (images,)), 'model.pt2')"
        )
    if kind == "export":
        built = read_exported(path, trust=trust)
    else:
        content, notes = _read_content(path, kind, trust=trust)
        found = _inside(content)
        if isinstance(found, Mapping):
            built = fit(found, arch, file=path) if arch else without_arch(found, file=path)
            return replace(built, notes=(*notes, *built.notes))
        if found is None:
            raise ModelError(f"{path} holds {_describe(content)}: neither a state dict nor a network")
        built = Built(_whole(found), "pickle", short_name(path.stem), notes=notes)
    if arch:
        raise ModelError(f"{path} holds the network itself, not only weights: leave --arch {arch} out")
    return built


class _NeedsTrustError(ModelError):
    """A file that cannot be read without running code of its own."""


def _read_content(path: Path, kind: str, *, trust: bool) -> tuple[Any, tuple[str, ...]]:
    if kind == "safetensors":
        return _read_safetensors(path), ()
    try:
        return _read_pickled(path, kind), ()
    except _NeedsTrustError:
        if not trust:
            raise
    return _unpickle(path, kind), (f"{path.name} was unpickled, which runs its code; it was trusted",)


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file")
    if not path.exists():
        folder = path.parent
        have = [item.name for item in folder.iterdir()] if folder.is_dir() else []
        close = ", ".join(nearest(path.name, have))
        there = f"; nearest: {close}" if close else "" if folder.is_dir() else f"; there is no folder {folder}"
        raise ModelError(f"no file {path}{there}")
    if not path.is_file():
        raise ModelError(f"{path} is not a file")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, *_READ_ERRORS) as error:
        raise ModelError(f"{path} is cut short or damaged: {one_line(error)}") from error


def _read_pickled(path: Path, kind: str) -> Any:  # noqa: ANN401 - whatever the file holds
    if kind == "pickle":
        raise _NeedsTrustError(_untrusted(path, "is a plain pickle, not written by torch.save"))
    try:
        with warnings.catch_warnings():
            # torch warns about storage types of older files, which reading them here does not change.
            warnings.simplefilter("ignore", UserWarning)
            # Opened here because torch takes a file of another kind for what its name says.
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        forbidden = _FORBIDDEN.search(str(error))
        if forbidden is None and "nsupported" not in str(error) and "instantiate" not in str(error):
            raise _damaged(path, error) from error
        what = f"holds pickled {forbidden[1] if forbidden else 'objects'}"
        raise _NeedsTrustError(_untrusted(path, what)) from error
    except Exception as error:  # a damaged archive can raise about anything
        raise _damaged(path, error) from error


def _unpickle(path: Path, kind: str) -> Any:  # noqa: ANN401 - as above
    try:
        with users_code(), path.open("rb") as file:
            return pickle.load(file) if kind == "pickle" else torch.load(file, map_location="cpu", weights_only=False)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ModelError(
            f"{path}: {one_line(error)}; the code of a pickled network has to be importable from the current directory"
        ) from error
    except (pickle.UnpicklingError, *_READ_ERRORS) as error:
        raise _damaged(path, error) from error


def _untrusted(path: Path, what: str) -> str:
    return (
        f"{path} {what}: unpickling runs code that the file brings along; --trust if you trust its maker, "
        "or save weights alone: torch.save(model.state_dict(), 'weights.pt') and give --arch"
    )


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path} is cut short or damaged: {one_line(error)}")


def _inside(content: object) -> nn.Module | State | None:
    """Find the network or state dict in what a file held, also below the usual names of a checkpoint."""
    if isinstance(content, nn.Module):
        return content
    if not isinstance(content, Mapping):
        return None
    below = (_inside(content[place]) for place in _PLACES if place in content)
    found = next((item for item in below if item is not None), None)
    if found is not None:
        return found
    is_state = any(isinstance(value, Tensor) for value in content.values())
    return tensors_only(content) if is_state and all(isinstance(key, str) for key in content) else None


def _whole(found: nn.Module) -> nn.Module:
    if isinstance(found, torch.jit.ScriptModule):
        raise ModelError("a TorchScript module takes no hooks; give the network that it was made from")
    module = unwrapped(found).eval()
    half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in module.parameters())
    return module.float() if half else module


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dictionary with {', '.join(str(key) for key in list(content)[:6])}" if content else "nothing"
    return f"a {type(content).__name__}"
