"""interpkit opens up any pretrained convolutional network after the fact."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpkit.dissection import dissect, dissect_layers
    from interpkit.entanglement import entangle, entangle_layers
    from interpkit.errors import InterpkitError
    from interpkit.labels import LabelSet
    from interpkit.models import Preprocessing, load_model
    from interpkit.parts import score_parts, score_parts_layers
    from interpkit.probe import Probe
    from interpkit.report import build as build_report
    from interpkit.results import Dissection, Entanglement, PartScores, load, load_run, save

__all__ = [
    "Dissection",
    "Entanglement",
    "InterpkitError",
    "LabelSet",
    "PartScores",
    "Preprocessing",
    "Probe",
    "build_report",
    "dissect",
    "dissect_layers",
    "entangle",
    "entangle_layers",
    "load",
    "load_model",
    "load_run",
    "save",
    "score_parts",
    "score_parts_layers",
]

# Imported at first use, so that `import interpkit` and `interpkit --help` stay instant and reports need no torch.
_WHERE = {
    "Dissection": "results",
    "Entanglement": "results",
    "PartScores": "results",
    "InterpkitError": "errors",
    "LabelSet": "labels",
    "Preprocessing": "models",
    "Probe": "probe",
    "build_report": "report:build",
    "dissect": "dissection",
    "dissect_layers": "dissection",
    "entangle": "entanglement",
    "entangle_layers": "entanglement",
    "load": "results",
    "load_model": "models",
    "load_run": "results",
    "save": "results",
    "score_parts": "parts",
    "score_parts_layers": "parts",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'interpkit' has no attribute {name!r}")
    module, _, renamed = _WHERE[name].partition(":")
    value = getattr(import_module(f"interpkit.{module}"), renamed or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
