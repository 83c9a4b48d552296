"""The state of a training after an epoch, on disk: written beside and moved into place, so that one is always whole."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from interpkit.errors import ResultError

FORMAT = 1
FILE = "checkpoint.pt"


def write_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Keep a state of plain values and tensors in the folder, in place of the one before."""
    part = folder / f".{FILE}.{os.getpid()}"
    try:
        # In memory first: on a full disk torch's own writer fails with an error of its own.
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **state}, buffer)
        part.write_bytes(buffer.getbuffer())
        part.rename(folder / FILE)
    finally:
        part.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The state kept in the folder; nothing in it can run code.

    Raises
    ------
    ResultError
        If it is damaged or a newer version wrote it.
    """
    path = folder / FILE
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version = int(state["format"])
    except Exception as error:  # a damaged archive can raise about anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ResultError(f"{path} is damaged: {reason}; start again with --overwrite") from error
    if version > FORMAT:
        raise ResultError(f"{path} has format {version}; this interpkit reads up to {FORMAT}: upgrade it")
    return state


def check_same(asked: Mapping[str, Any], kept: Mapping[str, Any], *, where: Path) -> None:
    """Stop where a training would go on with other options than it began with.

    Raises
    ------
    ResultError
        Listing the options that differ.
    """
    names = list(dict.fromkeys([*asked, *kept]))
    differing = [name for name in names if asked.get(name) != kept.get(name)]
    if differing:
        listed = "; ".join(f"{name}: {kept.get(name)} there, {asked.get(name)} asked for" for name in differing)
        raise ResultError(f"{where} holds a training with other options, so it cannot be resumed: {listed}")
