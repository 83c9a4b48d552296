"""interpkit opens up any pretrained convolutional network after the fact."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpkit.comparison import compare, side_by_side
    from interpkit.dissection import (
        dissect,
        dissect_layers,
        export_masks,
        rotate,
        rotate_layers,
        shuffle,
        shuffle_layers,
        untrained,
        untrained_layers,
    )
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
    from interpkit.report import build_pdf as build_report_pdf
    from interpkit.results import (
        Comparison,
        Dissection,
        Entanglement,
        ExplanatoryGraph,
        FineTuning,
        PartScores,
        Rotation,
        Shuffles,
        SideBySide,
        Untrained,
        load,
        load_run,
        save,
    )
    from interpkit.running import progress
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
    "Rotation",
    "Shuffles",
    "SideBySide",
    "Untrained",
    "before_after",
    "build_report",
    "build_report_pdf",
    "compare",
    "dissect",
    "dissect_layers",
    "entangle",
    "entangle_layers",
    "export_masks",
    "finetune",
    "fit_graph",
    "infer_graph",
    "load",
    "load_model",
    "load_run",
    "progress",
    "rotate",
    "rotate_layers",
    "save",
    "score_parts",
    "score_parts_layers",
    "shuffle",
    "shuffle_layers",
    "side_by_side",
    "untrained",
    "untrained_layers",
]

# Imported at first use, so that `import interpkit` and `interpkit --help` stay instant and reports need no torch.
_WHERE = {
    "Comparison": "results",
    "Dissection": "results",
    "Entanglement": "results",
    "ExplanatoryGraph": "results",
    "FineTuning": "results",
    "PartScores": "results",
    "Rotation": "results",
    "Shuffles": "results",
    "SideBySide": "results",
    "Untrained": "results",
    "InterpkitError": "errors",
    "LabelSet": "labels",
    "Preprocessing": "models",
    "Probe": "probe",
    "before_after": "studies",
    "build_report": "report:build",
    "build_report_pdf": "report:build_pdf",
    "compare": "comparison",
    "dissect": "dissection",
    "dissect_layers": "dissection",
    "entangle": "entanglement",
    "entangle_layers": "entanglement",
    "export_masks": "dissection",
    "finetune": "finetuning",
    "fit_graph": "graph",
    "infer_graph": "graph:infer",
    "load": "results",
    "load_model": "models",
    "load_run": "results",
    "progress": "running",
    "rotate": "dissection",
    "rotate_layers": "dissection",
    "save": "results",
    "score_parts": "parts",
    "score_parts_layers": "parts",
    "shuffle": "dissection",
    "shuffle_layers": "dissection",
    "side_by_side": "comparison",
    "untrained": "dissection",
    "untrained_layers": "dissection",
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
