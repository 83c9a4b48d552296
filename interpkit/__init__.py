"""interpkit opens up any pretrained convolutional network after the fact."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpkit.comparison import compare
    from interpkit.dissection import dissect, dissect_layers
    from interpkit.entanglement import entangle, entangle_layers
    from interpkit.errors import InterpkitError
    from interpkit.finetuning import finetune
    from interpkit.graph import fit_graph
    from interpkit.graph import infer as infer_graph
    from interpkit.labels import LabelSet
    from interpkit.models import Preprocessing, load_model
    from interpkit.parts import score_parts, score_parts_layers
    from interpkit.probe import Probe
    from interpkit.report import build as build_report
    from interpkit.results import (
        Comparison,
        Dissection,
        Entanglement,
        ExplanatoryGraph,
        FineTuning,
        PartScores,
        load,
        load_run,
        save,
    )
    from interpkit.studies import before_after

__all__ = [
    "Comparison",
    "Dissection",
    "Entanglement",
    "ExplanatoryGraph",
    "FineTuning",
    "InterpkitError",
    "LabelSet",
    "PartScores",
    "Preprocessing",
    "Probe",
    "before_after",
    "build_report",
    "compare",
    "dissect",
    "dissect_layers",
    "entangle",
    "entangle_layers",
    "finetune",
    "fit_graph",
    "infer_graph",
    "load",
    "load_model",
    "load_run",
    "save",
    "score_parts",
    "score_parts_layers",
]

# Imported at first use, so that `import interpkit` and `interpkit --help` stay instant and reports need no torch.
_WHERE = {
    "Comparison": "results",
    "Dissection": "results",
    "Entanglement": "results",
    "ExplanatoryGraph": "results",
    "FineTuning": "results",
    "PartScores": "results",
    "InterpkitError": "errors",
    "LabelSet": "labels",
    "Preprocessing": "models",
    "Probe": "probe",
    "before_after": "studies",
    "build_report": "report:build",
    "compare": "comparison",
    "dissect": "dissection",
    "dissect_layers": "dissection",
    "entangle": "entanglement",
    "entangle_layers": "entanglement",
    "finetune": "finetuning",
    "fit_graph": "graph",
    "infer_graph": "graph:infer",
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
