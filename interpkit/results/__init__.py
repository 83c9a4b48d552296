"""Results: frozen, with provenance, and the same two functions for all: ``save`` and ``load``.

Each file of this folder without a leading underscore is one kind of result. numpy and pandas only.
"""

from interpkit.results._analyses import Ablation, Adversarial, Compression, Localisation
from interpkit.results._chance import Chance, best_of_each
from interpkit.results._gallery import Gallery
from interpkit.results._graph import GraphEvaluation, GraphLayer, GraphPictures
from interpkit.results._measures import Association, Stability, TemplateScores
from interpkit.results._owners import owners
from interpkit.results._parts import Parts
from interpkit.results._provenance import Provenance, fingerprint
from interpkit.results._published import PAPERS_IOU, PublishedTable, read_published, units_by_concept
from interpkit.results._sides import Movers, SideColumn, SideMeasure
from interpkit.results._storage import (
    PICTURES,
    clear_left,
    load,
    load_run,
    picture_file,
    read_about,
    result_folder_name,
    result_folders,
    safe_name,
    save,
)
from interpkit.results._subset import Subset
from interpkit.results.comparison import Comparison, Measure
from interpkit.results.dissection import UNIQUE_RULES, Dissection, TopImages
from interpkit.results.entanglement import Entanglement
from interpkit.results.explanatorygraph import ExplanatoryGraph
from interpkit.results.finetuning import FineTuning, Outputs
from interpkit.results.partscores import PartScores
from interpkit.results.rotation import Rotation
from interpkit.results.shuffles import Shuffles
from interpkit.results.sidebyside import SideBySide
from interpkit.results.untrained import Untrained

__all__ = [
    "PAPERS_IOU",
    "PICTURES",
    "UNIQUE_RULES",
    "Ablation",
    "Adversarial",
    "Association",
    "Chance",
    "Comparison",
    "Compression",
    "Dissection",
    "Entanglement",
    "ExplanatoryGraph",
    "FineTuning",
    "Gallery",
    "GraphEvaluation",
    "GraphLayer",
    "GraphPictures",
    "Localisation",
    "Measure",
    "Movers",
    "Outputs",
    "PartScores",
    "Parts",
    "Provenance",
    "PublishedTable",
    "Rotation",
    "Shuffles",
    "SideBySide",
    "SideColumn",
    "SideMeasure",
    "Stability",
    "Subset",
    "TemplateScores",
    "TopImages",
    "Untrained",
    "best_of_each",
    "clear_left",
    "fingerprint",
    "load",
    "load_run",
    "owners",
    "picture_file",
    "read_about",
    "read_published",
    "result_folder_name",
    "result_folders",
    "safe_name",
    "save",
    "units_by_concept",
]
