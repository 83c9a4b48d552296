"""Probe: model + layers -> activations, with no trace left behind."""

from interpkit.probe.probing import Probe
from interpkit.probe.surveying import LayerInfo, default_layer, survey

__all__ = ["LayerInfo", "Probe", "default_layer", "survey"]
