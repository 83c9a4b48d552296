"""What a fit looks at: images, layers, and where their cells lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interpkit.geometry import Placement, receptive_fields
from interpkit.graph._checks import nodes_of
from interpkit.graph._chosen import check_number, of_class
from interpkit.graph._decoder import check_decoder, decoder_layer
from interpkit.graph._landmarks import landmarks_of
from interpkit.labels import LabelSet
from interpkit.probe import Probe, finishing
from interpkit.running import place


@dataclass(frozen=True, eq=False)
class Asked:
    """What a run looks at, settled before its pass.

    Attributes
    ----------
    chosen, class_name
        The images of the class, and its name.
    order, nodes
        The layers from low to high, and N of each.
    placements
        Where their cells lie.
    notes
        What the reader must be told.
    """

    chosen: LabelSet
    class_name: str
    order: tuple[str, ...]
    nodes: Mapping[str, int]
    placements: Mapping[str, Placement]
    notes: tuple[str, ...]


def settle(probe: Probe, labels: LabelSet, options: Mapping[str, Any]) -> Asked:
    """Settle it; what can be wrong with layers, class and landmarks is found here.

    Raises
    ------
    InterpkitError
        One line with what was asked and what there is.
    """
    order, notes = finishing(probe), []
    if order != probe.layers:
        notes.append(f"layers from low to high, as the network runs: {', '.join(order)}")
    nodes = nodes_of(order, probe.shapes(), options["nodes"])
    mine, class_name = of_class(labels.select(split=options["split"]), options["class_name"])
    chosen = mine.select(limit=options["limit"])
    check_number(chosen, class_name, options["train"])
    if options["decoder"] is not None:
        layer = decoder_layer({one: probe.shapes()[one] for one in order})
        check_decoder(probe, options["decoder"], layer=layer, epochs=options["decoder_epochs"])
    if not options["skip_bad"]:
        # Before the pass: landmarks that are wrong end the run here.
        landmarks_of(chosen, range(len(chosen)), (), input_size=probe.preprocessing.size)
    placements, told = _placed(probe, chosen, options)
    return Asked(chosen, class_name, order, dict(zip(order, nodes, strict=True)), placements, notes=(*notes, *told))


def _placed(probe: Probe, labels: LabelSet, options: Mapping[str, Any]) -> tuple[dict[str, Placement], tuple[str, ...]]:
    """Where the cells of each layer lie; evenly spread where a layer has no receptive field, which is then said."""
    seed, skip_bad = int(options["seed"]), bool(options["skip_bad"])
    if options["align"] != "receptive-field":
        return place(probe, labels, align=options["align"], seed=seed, skip_bad=skip_bad), ()
    fields = receptive_fields(probe.loaded, probe.layers)
    found = place(probe, labels, align="half-pixel", seed=seed, skip_bad=skip_bad)
    found |= {layer: Placement(one.centre, one.stride) for layer, one in fields.items() if not isinstance(one, str)}
    lacking = [f"{layer} ({why})" for layer, why in fields.items() if isinstance(why, str)]
    return found, (f"no receptive field, cells spread evenly: {', '.join(lacking)}",) if lacking else ()
