"""What can be wrong with the arguments of ``finetune``."""

import math
from collections.abc import Mapping
from typing import Any

from interpkit.errors import InterpkitError, ModelError, nearest
from interpkit.models import LoadedModel

# The arguments of finetune() that decide its result; the others say where it runs and what it tells.
DECIDING = (
    "loss",
    "weight",
    "options",
    "layer",
    "add_layer",
    "filters",
    "head",
    "train_from",
    "augment",
    "epochs",
    "batch_size",
    "rate",
    "head_rate",
    "decay",
    "rate_schedule",
    "validation",
    "patience",
    "precision",
    "skip_bad",
    "split",
    "limit",
    "device",
    "threads",
    "seed",
)
_CHOICES = {
    "head": ("pooled", "classifier"),
    "augment": ("none", "flip", "standard"),
    "rate_schedule": ("cosine", "steps", "constant"),
    "precision": ("32", "bf16", "16"),
}
# Counts, and the least that makes sense.
_LEAST = {"filters": 1, "epochs": 1, "batch_size": 1, "patience": 1, "seed": 0}


def check_options(options: Mapping[str, Any]) -> None:
    """Stop at a value that cannot be used.

    Raises
    ------
    InterpkitError
        One line with what was asked and what may be.
    """
    for what, have in _CHOICES.items():
        value = options[what]
        if value not in have:
            close = ", ".join(nearest(str(value), have, count=1) or have)
            shown = what.replace("_", " ")
            raise InterpkitError(f"no {shown} {value!r}; there is {', '.join(have)}; nearest: {close}")
    for what in ("layer", "train_from"):
        if options[what] is not None and not options[what].strip():
            flag = what.replace("_", "-")
            raise InterpkitError(
                f"{flag} is the name of a layer, not empty; leave --{flag} out for the default, `interpkit layers` "
                "lists the names"
            )
    for what, least in _LEAST.items():
        value = options[what]
        if value is not None and value < least:
            raise InterpkitError(f"{what.replace('_', ' ')} must be at least {least}, not {value}")
    if not 0 < options["rate"] < math.inf:
        raise InterpkitError(f"the learning rate must be a positive number, not {options['rate']:g}; usual: 0.001")
    if not 0 < options["head_rate"] < math.inf:
        raise InterpkitError(
            f"the head rate must be a positive multiple of the rate, not {options['head_rate']:g}; usual: 10"
        )
    if not 0 <= options["decay"] < math.inf:
        raise InterpkitError(f"the weight decay must be at least 0, not {options['decay']:g}")
    if not 0 < options["validation"] < 1:
        raise InterpkitError(
            f"validation is the share of images kept apart, between 0 and 1, not {options['validation']:g}"
        )
    if options["filters"] is not None and not options["add_layer"]:
        raise InterpkitError("filters are those of the layer that is added; without an added layer there are none")


def check_model(model: LoadedModel) -> None:
    """Stop at a network that cannot be trained.

    Raises
    ------
    ModelError
        If it was exported: its graph takes no new layers.
    """
    if model.form == "export" or model.fixed_batch is not None:
        raise ModelError(
            f"{model.name} is an exported graph, which cannot be operated on or trained; fine-tune the network it was "
            "exported from (a state dict with --arch, or a name)"
        )
