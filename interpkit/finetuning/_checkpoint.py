"""The state of a training after an epoch, on disk: written beside and moved into place, so that one is always whole."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from interpkit.errors import ResultError
from interpkit.writing import undamaged, written

FORMAT = 1
FILE = "checkpoint.pt"
# What every state holds: a file of that name without these is somebody else's.
KEYS = frozenset({"format", "asked", "fed", "weights", "optimizer", "own", "scaler", "loss", "history", "best"})


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Keep a state of plain values and tensors in the folder, in place of the one before."""
    # In memory first: on a full disk torch's own writer fails with an error of its own.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    with written(folder / FILE, lasting=True) as part:
        part.write_bytes(buffer.getbuffer())


def is_checkpoint(path: Path) -> bool:
    """Whether a file is the state of a training; its tensors are not read."""
    return _state(path, mapped=True) is not None


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The state kept in the folder; nothing in it can run code.

    Raises
    ------
    ResultError
        If it is none, damaged, or a newer version wrote it.
    """
    path = folder / FILE
    state = _state(path, mapped=False) if undamaged(path) else None
    if state is None:
        raise ResultError(f"{path} is not the state of a training, or is damaged")
    if state["format"] > FORMAT:
        raise ResultError(f"{path} has format {state['format']}; this interpkit reads up to {FORMAT}: upgrade it")
    return state


def _state(path: Path, *, mapped: bool) -> dict[str, Any] | None:
    """What a file holds, if it is such a state."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception:  # a damaged archive can raise about anything
        return None
    whole = isinstance(state, dict) and state.keys() >= KEYS and isinstance(state["format"], int)
    return state if whole else None


def check_same(asked: Mapping[str, Any], kept: Mapping[str, Any], *, where: Path, resume: bool = True) -> None:
    """Stop where a training would go on with other options than it began with; ``resume`` where that was asked for.

    Raises
    ------
    ResultError
        Listing the options that differ.
    """
    listed = differing(asked, kept)
    if listed and not resume:
        raise ResultError(
            f"{where} already holds a training that was cut off; choose another folder, or clear it (--overwrite); it "
            f"differs: {listed}"
        )
    if listed:
        raise ResultError(f"{where} holds a training with other options, so it cannot be resumed: {listed}")


def differing(asked: Mapping[str, Any], kept: Mapping[str, Any]) -> str:
    """What differs, by name; the options of a loss one by one, unless the loss is another.

    Examples
    --------
    >>> differing({"loss": "icnn", "options": {"c": 2}, "rate": 1}, {"loss": "icnn", "options": {"c": 1}, "rate": 1})
    'option c: 1 there, 2 asked for'
    """
    listed = []
    for name in dict.fromkeys([*asked, *kept]):
        there, wanted = kept.get(name), asked.get(name)
        if there == wanted or (name == "options" and kept.get("loss") != asked.get("loss")):
            continue
        if isinstance(there, Mapping) and isinstance(wanted, Mapping):
            listed += [f"option {words}" for words in differing(wanted, there).split("; ")]
        else:
            listed.append(f"{name}: {there} there, {wanted} asked for")
    return "; ".join(listed)
