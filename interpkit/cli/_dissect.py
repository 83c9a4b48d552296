"""``interpkit dissect`` and ``interpkit demo``: the main job, from a model file to a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from interpkit.cli import _options as options
from interpkit.cli import _runs as runs
from interpkit.cli._report import show
from interpkit.cli._screen import as_json, line, progress_shown, remark, say_input

DEMO_MODEL = "lite:efficientnet-lite0"


def dissect(
    model: options.ModelArgument,
    *,
    labels: options.Labels = "broden-mini",
    layer: options.Layers = None,
    arch: options.Arch = None,
    trust: options.Trust = False,
    size: options.Size = None,
    mean: options.Mean = None,
    std: options.Std = None,
    interpolation: options.Interpolation = None,
    align: Annotated[
        str, typer.Option(help="Where cells lie on the input: half-pixel, receptive-field (the paper), effective.")
    ] = "half-pixel",
    quantile: Annotated[float, typer.Option(help="Share of positions above a unit's threshold.")] = 0.005,
    iou: Annotated[float, typer.Option(help="A unit detects a concept where its IoU is above this.")] = 0.04,
    category_rule: Annotated[
        str, typer.Option(help="Count a unit in images annotated for the category (annotated) or in all images (all).")
    ] = "annotated",
    top: Annotated[int, typer.Option(help="Top images a unit.")] = 10,
    cache: Annotated[str, typer.Option(help="Where maps are kept between the passes: auto, ram, disk, none.")] = "auto",
    scratch: Annotated[Path | None, typer.Option(help="Folder for --cache disk.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable images, and count them.")] = False,
    split: Annotated[str | None, typer.Option(help="Only the images of this split.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    device: options.Device = None,
    batch_size: Annotated[
        str, typer.Option(metavar="auto|N", help="Images a forward pass; auto times a few.")
    ] = "auto",
    memory_format: Annotated[str, typer.Option(help="auto, contiguous, channels_last.")] = "auto",
    threads: options.Threads = None,
    seed: Annotated[int, typer.Option(help="For what is drawn at random.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: reports/<model>-<labels>.", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run in that folder.")] = False,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Build the page.")] = True,
    single_file: options.SingleFile = False,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Name the units of a layer by the concepts they overlap (Network Dissection)."""
    arguments = locals()
    chosen = {name: arguments[name] for name in runs.DISSECT_OPTIONS}
    chosen["batch_size"] = options.batch(batch_size)
    loading = {
        "arch": arch,
        "trust": trust,
        "size": options.size(size),
        "mean": options.numbers(mean),
        "std": options.numbers(std),
        "interpolation": interpolation,
    }
    run = _Job(model, labels, options.layer_names(layer), loading=loading, chosen=chosen, quiet=quiet)
    folder = out or run.default_folder()
    results = run.results(folder, overwrite=overwrite)
    page = runs.build_page(folder, single_file=single_file) if report else None
    if as_document:
        as_json({"run": str(folder), "report": str(page) if page else None, "layers": [r.summary() for r in results]})
        return
    for result in results:
        show(result)
    line(str(page or folder))


def demo(
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many images.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another run in that folder.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Dissect a real pretrained network on the embedded label set: EfficientNet-lite0 on broden-mini."""
    dissect(DEMO_MODEL, out=out, limit=limit, overwrite=overwrite, quiet=quiet)


class _Job:
    """One dissection: the model and the labels opened, the run's folder looked at, the passes run, the results kept."""

    def __init__(
        self,
        model: str,
        labels: str,
        layers: list[str] | None,
        *,
        loading: Mapping[str, Any],
        chosen: Mapping[str, Any],
        quiet: bool,
    ) -> None:
        from interpkit.labels import LabelSet
        from interpkit.models import load_model
        from interpkit.probe import Probe

        loaded = load_model(model, **loading)
        say_input(loaded, quiet=quiet)
        self._quiet = quiet
        self._chosen = chosen
        self._labels = LabelSet.open(labels)
        self._probe = Probe(loaded, layers, device=chosen["device"] or "auto")
        runs.check_folders(self._probe.layers)
        if layers is None:
            remark(f"no layer named: the default is {self._probe.layers[0]}; see `interpkit layers`", quiet=quiet)

    def default_folder(self) -> Path:
        """``reports/<model>-<labels>[-<layer> if one]``."""
        names = [self._probe.loaded.name, self._labels.name]
        names += self._probe.layers if len(self._probe.layers) == 1 else []
        return runs.REPORTS / runs.safe("-".join(names))

    def results(self, folder: Path, *, overwrite: bool) -> list[Any]:
        """The results in ``folder``: those of the same run if they are there, else computed and saved."""
        from interpkit.dissection import dissect_layers, planned_fingerprint

        fingerprint = planned_fingerprint(self._probe, self._labels, self._chosen)
        done = runs.already_done(folder, self._probe.layers, fingerprint=fingerprint, overwrite=overwrite)
        if done:
            remark(f"already done: {folder} holds this run", quiet=self._quiet)
            return done
        with runs.folder_made(folder), progress_shown(quiet=self._quiet) as progress:
            results = dissect_layers(self._probe, self._labels, progress=progress, **self._chosen)
            runs.store(results, folder)
        return list(results.values())
