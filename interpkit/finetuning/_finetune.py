"""finetune(): from a network, a label set and a loss to a trained network in a folder and a FineTuning."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from interpkit.feeding import threads_set
from interpkit.finetuning._checks import DECIDING, check_model, check_options
from interpkit.finetuning._job import Job
from interpkit.finetuning._objective import make_objective
from interpkit.labels import LabelSet
from interpkit.models import LoadedModel
from interpkit.processes import process_group
from interpkit.results import FineTuning
from interpkit.running import Progress, Stopwatch, silent


def finetune(
    model: LoadedModel,
    labels: LabelSet,
    out: str | Path,
    *,
    loss: str = "icnn",
    weight: float | None = None,
    options: Mapping[str, Any] | None = None,
    layer: str | None = None,
    add_layer: bool = True,
    filters: int | None = None,
    head: Literal["pooled", "classifier"] = "pooled",
    train_from: str | None = None,
    augment: Literal["none", "flip", "standard"] = "flip",
    epochs: int = 40,
    batch_size: int = 64,
    rate: float = 1e-3,
    head_rate: float = 10.0,
    decay: float = 0.0,
    rate_schedule: Literal["cosine", "steps", "constant"] = "constant",
    validation: float = 0.25,
    patience: int | None = None,
    precision: Literal["32", "bf16", "16"] = "32",
    skip_bad: bool = False,
    split: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FineTuning:
    """Train a network with a loss that makes units interpretable, or, as its control, without.

    The network given is left as it is. ``out`` becomes a folder that ``load_model`` reads; the result is saved in it.
    Under ``torchrun`` every process takes its share of each batch, and the first writes. Steps, augmentation and
    dropout of an epoch follow from ``seed`` and the epoch, so a training that was cut off and resumed ends the same,
    on a CPU bit for bit.

    Parameters
    ----------
    model
        From ``load_model``.
    labels
        Images with classes.
    out
        New or empty, or of the same training.
    loss
        ``icnn``, ``class-gate``, any other file of `interpkit.losses`, or ``none``: the classification alone.
    weight, options
        Of the loss; its other options by name, the weight in one of the two.
    layer
        Above which, or whose units are made interpretable; default: the last that can be masked and is not too coarse.
    add_layer, filters
        Whether a new 3 x 3 convolution above the layer is trained for it, and with how many filters: default as many as
        the layer has units. Without, the layer itself is; say then with ``train_from`` what may change. A layer whose
        own units are trained is rectified, with the loss ``none`` too: the control shares the rectifier.
    head
        ``pooled``: average pooling and a linear layer right above; ``classifier``: the network goes on as it did and
        gets a new last layer.
    train_from
        All modules that start with this one or later are trained, ``all`` for all; default: what lies above the layer.
        The rest is frozen, batch norms with their statistics.
    augment
        ``flip``: mirrored half of the time; ``standard``: also a random crop of 35 to 100 % of the area, which makes
        the frozen part run in every epoch; ``none``.
    epochs, batch_size
        How long; batches are of equal size, at most this.
    rate, head_rate, decay, rate_schedule
        Of Adam (with a decay AdamW), the new last layer learning ``head_rate`` times as fast as the rest; ``cosine``
        down to 0, ``steps`` x 0.3 after 60 and 80 % of the epochs, or ``constant``.
    validation
        Share of the images kept apart, by class, where the label set has no split of its own: train, and val or test.
    patience
        Stop after so many epochs without a better validation accuracy, and keep the weights of the best epoch, which
        is never a gated one nor one before the first gated; its accuracy, chosen on the images it is measured on,
        flatters. Default: all epochs, and the weights of the last.
    precision
        Of the forward pass: ``bf16`` and ``16`` (with scaled gradients) compute in half precision where that is safe.
    skip_bad
        Leave out images that cannot be read, and count them, instead of stopping at the first.
    split, limit
        Only images of this split; of those only the first so many.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ``auto``; default: a GPU if there is one, for a model that interpkit has loaded.
    threads
        Torch's threads; default: as they are set.
    seed
        Of new weights, split, order and augmentation.
    resume
        Say that a training in ``out`` is to be gone on with, which happens anyway where it is the one asked for: one
        that was cut off goes on, of one that ended the result is given back.
    overwrite
        Clear the training in ``out``, once the first state of the new one is kept.
    progress
        Called as progress(stage, done, total).

    Raises
    ------
    InterpkitError
        For a mistake in the arguments, a layer that cannot be masked, a label set without two classes, an image that
        cannot be read, or numbers that are no longer finite: the weights of the last good epoch are then kept.
    """
    asked = {name: value for name, value in locals().items() if name in DECIDING}
    check_options(asked)
    check_model(model)
    objective = make_objective(loss, weight=weight, options=options)
    with threads_set(threads) as count, process_group(device) as (group, where):
        job = Job(
            model=model,
            labels=labels,
            out=Path(out),
            asked=asked,
            objective=objective,
            group=group,
            device=where,
            threads=count,
            defaults={name: one.default for name, one in signature(finetune).parameters.items()},
            progress=(progress or silent) if group.first else silent,
            watch=Stopwatch(),
        )
        return job.result(resume=resume, overwrite=overwrite)
