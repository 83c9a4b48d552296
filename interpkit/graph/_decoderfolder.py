"""A decoder's folder: what it was trained on in ``decoder.json``, its state after the last epoch in ``decoder.pt``."""

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from interpkit.errors import ResultError, one_line
from interpkit.holding import FILE as HELD
from interpkit.writing import undamaged, written

FORMAT = 1
ABOUT, STATE = "decoder.json", "decoder.pt"
_PART = re.compile(rf"\.({re.escape(ABOUT)}|{re.escape(STATE)})\.\d+")
KEYS = frozenset({"recipe", "network", "optimiser", "loss"})
# What says that a folder is another network's or layer's, and what that it is another training's.
NETWORK = ("model_sha", "layer", "units", "map_size", "input_size", "channels", "preprocessing")
TRAINING = ("images", "images_sha", "seed", "batch", "rate")


@dataclass(frozen=True)
class Recipe:
    """What decides a decoder, but for the number of its epochs.

    Attributes
    ----------
    model, model_sha
        The network whose features are decoded.
    layer, units, map_size
        Of its layer: name, U, (h, w).
    input_size, channels
        What comes out: (H, W) and 1 or 3.
    preprocessing
        How images are brought to that, in a few words.
    images, images_sha
        How many it was trained on, and the digest of their names and contents.
    seed, batch, rate
        Of the training.
    """

    model: str
    model_sha: str
    layer: str
    units: int
    map_size: tuple[int, int]
    input_size: tuple[int, int]
    channels: int
    preprocessing: str
    images: int
    images_sha: str
    seed: int
    batch: int
    rate: float

    def plain(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def digest(files: Sequence[tuple[str, Path]]) -> str:
    """Of the names of images and what their files hold, in their order."""
    known = [(name, _held(path)) for name, path in files]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _held(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"


def check_folder(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Stop at a folder that is taken: by something else, or by a decoder that is not the one wanted.

    Parameters
    ----------
    wanted
        A recipe as plain values, or those of them that are known yet.

    Raises
    ------
    ResultError
        Saying what it holds.
    """
    try:
        if not folder.exists() or (folder.is_dir() and all(map(_left_over, folder.iterdir()))):
            return
    except OSError as error:
        raise ResultError(f"{folder} cannot be read: {one_line(error)}") from error
    there = _about(folder)
    if any(name in wanted and there.get(name) != wanted[name] for name in NETWORK):
        raise ResultError(
            f"{folder} holds a decoder of {_words(there)}, not of {_words(wanted)}; choose another folder"
        )
    other = [name for name in TRAINING if name in wanted and there.get(name) != wanted[name]]
    if other:
        listed = "; ".join(f"{name}: {there.get(name)} there, {wanted[name]} asked for" for name in other)
        raise ResultError(f"{folder} holds a decoder that was trained otherwise: {listed}; choose another folder")


def _left_over(path: Path) -> bool:
    """Whether a process that was killed left this while it wrote."""
    return path.name == HELD or bool(_PART.fullmatch(path.name))


def tidy(folder: Path) -> None:
    """Remove what killed processes were about to write when they died; the folder is held."""
    for path in list(folder.iterdir()):
        if _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)


def epochs_said(folder: Path) -> int:
    """How many epochs ``decoder.json`` speaks of; -1 where there is none."""
    return int(_about(folder)["epochs"]) if (folder / ABOUT).exists() else -1


def _words(recipe: Mapping[str, Any]) -> str:
    """Enough of a recipe to tell it from another."""
    made = f"{str(recipe.get('model_sha'))[:8]}, {recipe.get('preprocessing')}"
    return f"layer {recipe.get('layer')} of {recipe.get('model')} ({made})"


def _about(folder: Path) -> dict[str, Any]:
    path = folder / ABOUT
    if not path.is_file():
        raise ResultError(f"{folder} exists and holds no decoder, so it is left alone; choose another folder")
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(about, dict) or about.get("kind") != "decoder" or not isinstance(about.get("format"), int):
        raise ResultError(f"{path} does not describe a decoder; choose another folder")
    if about["format"] > FORMAT:
        raise ResultError(f"{path} has format {about['format']}; this interpkit reads up to {FORMAT}: upgrade it")
    return about


def read_state(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The state after the last epoch; None where there is none yet. Nothing in it can run code.

    Raises
    ------
    ResultError
        If it is damaged, or does not belong to the recipe beside it.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True) if undamaged(path) else None
    except Exception as error:  # a damaged archive can raise about anything
        raise ResultError(f"{path} is damaged; delete the folder to train the decoder anew") from error
    if state is None:
        raise ResultError(f"{path} is damaged; delete the folder to train the decoder anew")
    if not isinstance(state, dict) or not state.keys() >= KEYS or state["recipe"] != recipe.plain():
        raise ResultError(f"{path} is not the decoder that {ABOUT} describes; delete the folder to train it anew")
    return state


def write(folder: Path, recipe: Recipe, *, state: Mapping[str, Any] | None, loss: Sequence[float]) -> None:
    """Keep a state and what it is, each written beside and moved into place, so that it is always whole.

    Raises
    ------
    ResultError
        If that is not possible, as on a full disk.
    """
    about = {"format": FORMAT, "kind": "decoder", **recipe.plain(), "epochs": len(loss), "loss": list(loss)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if state is not None:
            # In memory first: on a full disk torch's own writer fails with an error of its own.
            buffer = io.BytesIO()
            torch.save({"recipe": recipe.plain(), **state, "loss": list(loss)}, buffer)
            _replace(folder / STATE, buffer.getvalue())
        _replace(folder / ABOUT, (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise ResultError(f"cannot write the decoder into {folder}: {one_line(error)}") from error


def _replace(path: Path, content: bytes) -> None:
    with written(path, lasting=True) as part:
        part.write_bytes(content)
