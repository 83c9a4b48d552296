"""Probe: model + layers -> activations, with no trace left behind."""

from interpkit.probe.editing import edited
from interpkit.probe.gradients import differentiable, input_gradient, map_gradient, unit_gradients
from interpkit.probe.probing import Probe
from interpkit.probe.staging import finishing, stage_layers
from interpkit.probe.surveying import LayerInfo, default_layer, survey

__all__ = [
    "LayerInfo",
    "Probe",
    "default_layer",
    "differentiable",
    "edited",
    "finishing",
    "input_gradient",
    "map_gradient",
    "stage_layers",
    "survey",
    "unit_gradients",
]
