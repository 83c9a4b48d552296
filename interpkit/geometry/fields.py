"""Receptive fields of a network's layers: measured, and kept on disk."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from interpkit.geometry.frozen import frozen_axes
from interpkit.geometry.measuring import Span, measure_axis
from interpkit.models import LoadedModel
from interpkit.probe.addresses import Address, find
from interpkit.probe.surveying import blank
from interpkit.probe.tracing import Trace, check, pick, trace, why_not_nchw

# Part of the cache's key: to be raised when fields come out differently than before.
_METHOD = 1
_NO_MAP = "its output is no map (N, U, h, w)"


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer, (rows, columns) in pixels of the network's input.

    Parameters
    ----------
    size : tuple[int, int]
        Height and width of what one cell sees.
    stride : tuple[float, float]
        From one cell's field to the next one's.
    centre : tuple[float, float]
        Mid-point of cell (0, 0)'s field, 0-based; negative where padding shifts it out of the image.
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    centre: tuple[float, float]


def receptive_fields(model: LoadedModel, layers: Sequence[str], *, cache: Path | None = None) -> dict[str, Field | str]:
    """The receptive field of each layer, or the reason why it has none.

    They are measured, so that every architecture works; a global reduction (adaptive pooling, ``mean`` over H and W)
    does not count as a path. An exported network takes one image size alone: there they follow from the kernels,
    strides and padding in its graph. See Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
    networks", Distill 2019, for the algebra.

    Parameters
    ----------
    model : LoadedModel
        Left as it was found.
    layers : Sequence[str]
        Names as `Probe` takes them.
    cache : pathlib.Path | None
        Folder in which fields are kept from run to run, by the network's weights and structure; None for the user's
        cache folder.

    Raises
    ------
    UnknownNameError
        If a layer does not exist, does not run, or runs several times and none was named.
    """
    file = (cache or _user_cache()) / "_fields" / f"{_key(model)}.json"
    known = _read(file)
    found = {name: find(name, model.module) for name in layers}
    missing = {name: address for name, address in found.items() if name not in known}
    if missing:
        known |= _measured(model, missing)
        _write(file, known)
    return {name: known[name] for name in layers}


def _measured(model: LoadedModel, wanted: Mapping[str, Address]) -> dict[str, Field | str]:
    seen = trace(model.module, blank(model))
    addresses = {name: check(address, seen.calls) for name, address in wanted.items()}
    maps = {name: address for name, address in addresses.items() if _is_map(seen, address)}
    fields: dict[str, Field | str] = dict.fromkeys(wanted, _NO_MAP)
    if not maps:
        return fields
    if model.form == "export":
        rows, columns = frozen_axes(model, maps)
    else:
        rows, columns = measure_axis(model, maps, axis=0), measure_axis(model, maps, axis=1)
    return fields | {name: _joined(rows[name], columns[name]) for name in maps}


def _is_map(seen: Trace, address: Address) -> bool:
    firing = next(f for f in seen.firings if (f.name, f.call) == (address.module, address.call))
    shape = pick(firing.outputs, address).shape
    return len(shape) == 4 and why_not_nchw(shape, seen.size) is None


def _joined(rows: Span | str, columns: Span | str) -> Field | str:
    if isinstance(rows, str):
        return rows
    if isinstance(columns, str):
        return columns
    spans = (rows, columns)
    height, width = (round(span.last - span.first + 1) for span in spans)
    top, left = ((span.first + span.last) / 2 for span in spans)
    return Field((height, width), (rows.stride, columns.stride), (top, left))


def _key(model: LoadedModel) -> str:
    # The weights do not tell strides and padding: the printed module does.
    parts = (str(_METHOD), model.sha, model.form, str(model.preprocessing.size), repr(model.module))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _user_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("interpkit"))


def _read(file: Path) -> dict[str, Field | str]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {name: entry if isinstance(entry, str) else _field(entry) for name, entry in kept.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # no cache yet, or a damaged one: measured again


def _field(entry: Mapping[str, Sequence[float]]) -> Field:
    (height, width), (down, across), (top, left) = entry["size"], entry["stride"], entry["centre"]
    return Field((int(height), int(width)), (float(down), float(across)), (float(top), float(left)))


def _write(file: Path, fields: Mapping[str, Field | str]) -> None:
    text = json.dumps({name: f if isinstance(f, str) else asdict(f) for name, f in fields.items()}, indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError:
        return  # a cache that cannot be written costs time, no more
