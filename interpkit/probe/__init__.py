"""Probe: model + layers -> activations, with no trace left behind."""

from interpkit.probe.editing import edited
from interpkit.probe.gradients import differentiable, input_gradient, map_gradient, unit_gradients
from interpkit.probe.probing import Probe
from interpkit.probe.surveying import LayerInfo, default_layer, survey

__all__ = [
    "LayerInfo",
    "Probe",
    "default_layer",
    "differentiable",
    "edited",
    "input_gradient",
    "map_gradient",
    "survey",
    "unit_gradients",
]
