"""What the commands that compute have in common: open, look at the run's folder, compute, keep, show."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interpkit.cli import _options as options
from interpkit.cli import _runs as runs
from interpkit.cli._masks import Closer
from interpkit.cli._screen import as_json, line, progress_shown, remark, say_input
from interpkit.cli._shown import show

if TYPE_CHECKING:
    from interpkit.processes import Group


@dataclass(frozen=True)
class Verb:
    """A command that computes.

    Attributes
    ----------
    name
        As it is typed.
    module
        Where its functions are.
    function
        Computes a result for each layer of a probe.
    options
        Its keyword arguments that the command line has too, with the same names and defaults.
    together
        Whether it computes one result of all layers instead.
    planned
        Says the fingerprint of its results beforehand.
    """

    name: str
    module: str
    function: str
    options: tuple[str, ...]
    together: bool = False
    planned: str = "planned_fingerprint"


_COMMON = ("skip_bad", "split", "limit", "device", "batch_size", "memory_format", "threads", "seed")
DISSECT = Verb(
    "dissect",
    "interpkit.dissection",
    "dissect_layers",
    ("align", "quantile", "iou", "category_rule", "top", "cache", "scratch", *_COMMON),
)
ENTANGLE = Verb(
    "entangle",
    "interpkit.entanglement",
    "entangle_layers",
    ("target", "pool", "rectify", "estimator", "analyses", "class_limit", *_COMMON),
)
PARTS = Verb(
    "parts",
    "interpkit.parts",
    "score_parts_layers",
    ("align", "top", "radius", "cache", "scratch", *_COMMON),
)
GRAPH = Verb(
    "graph",
    "interpkit.graph",
    "fit_graph",
    (
        *("class_name", "train", "nodes", "edges", "noise", "iterations", "rule", "sigma", "candidates", "filters"),
        *("align", "flips", "precision", "cache", "scratch", "controls", "shots", "decoder", "decoder_epochs"),
        *_COMMON,
    ),
    together=True,
)
VERBS = (DISSECT, ENTANGLE, PARTS, GRAPH)
# What judges a dissection is asked for by options of its command, and lies beside it.
_JUDGED = ("align", "quantile", "iou", "category_rule", "cache", "scratch", *_COMMON)
ROTATE = Verb("rotate", DISSECT.module, "rotate_layers", ("alphas", "rotations", *_JUDGED), planned="planned_rotation")
SHUFFLE = Verb("shuffle", DISSECT.module, "shuffle_layers", ("shuffles", *_JUDGED), planned="planned_shuffle")
UNTRAINED = Verb("untrained", DISSECT.module, "untrained_layers", _JUDGED, planned="planned_untrained")


@dataclass(frozen=True)
class Asked:
    """What the user typed.

    Attributes
    ----------
    loading
        Keyword arguments of load_model().
    chosen
        Keyword arguments of the verb's function.
    """

    model: str
    labels: str
    layers: list[str] | None
    loading: Mapping[str, Any]
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class Output:
    """Where results go and how they are shown; ``paper`` where the page is printed too."""

    out: Path | None
    overwrite: bool
    report: bool
    single_file: bool
    as_document: bool
    quiet: bool
    paper: str | None = None


def chosen(verb: Verb, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a verb's function among a command's arguments."""
    values = {name: arguments[name] for name in verb.options}
    return {**values, "batch_size": options.batch(values["batch_size"])}


def carry_out(
    verb: Verb,
    asked: Asked,
    output: Output,
    *,
    beside: Sequence[tuple[Verb, Mapping[str, Any]]] = (),
    closer: Closer | None = None,
) -> list[Any]:
    """Do what was asked and show it: ten lines a result, or the summary as JSON, and where the page is.

    ``beside`` are verbs whose results lie in the same run, each with the keyword arguments of its function; ``closer``
    is what of the results is looked at closer. Gives the results, of a verb without one for each layer a single one.
    """
    from interpkit.processes import process_group

    with process_group(asked.chosen["device"]) as (group, device), group.together():
        quiet = output.quiet or not group.first
        job = Job(verb, asked, quiet=quiet, group=group, device=device)
        with runs.RunFolder(output.out or job.default_folder()) as place:
            if closer is not None:
                closer.check(*job.looked, split=asked.chosen["split"], limit=asked.chosen["limit"])
            also = {more.name: job.of(more, given) for more, given in beside}
            for one in also.values():
                one.planned()  # a mistake in what comes later is said before the first long run
            results = job.results(place, overwrite=output.overwrite)
            further = {name: one.results(place, overwrite=output.overwrite) for name, one in also.items()}
            if group.first:
                _tell(job, {"layers": results, **further}, output, place=place, closer=closer)
            group.meet()
    return results


def _tell(
    job: "Job", found: Mapping[str, Sequence[Any]], output: Output, *, place: runs.RunFolder, closer: Closer | None
) -> None:
    """Show the results, in the order in which they are named; the first are those of the command itself."""
    folder, results = place.folder, found["layers"]
    if output.report or output.paper or closer is not None:
        place.take()
    some: dict[str, Any] = {} if closer is None else {"units": closer.subset.units, "concepts": closer.subset.concepts}
    page = runs.build_page(folder, single_file=output.single_file, **some) if output.report else None
    pdf = runs.print_page(folder, paper=output.paper, **some) if output.paper else None
    masks = [] if closer is None else closer.masks(results, folder, looked=job.looked, quiet=output.quiet)
    if output.as_document:
        said = {name: [result.summary() for result in several] for name, several in found.items()}
        pages = {"report": str(page) if page else None, **({"pdf": str(pdf)} if pdf else {})}
        as_json({"run": str(folder), **pages, **said, **({} if closer is None else closer.told(results, masks))})
        return
    for result in (one for several in found.values() for one in several):
        show(result)
    if closer is not None:
        closer.show(results)
    for written in filter(None, (*masks, page or (None if pdf else folder), pdf)):
        line(str(written))


class Job:
    """One run: the model and the labels opened, the run's folder looked at, the work done, the results kept."""

    def __init__(self, verb: Verb, asked: Asked, *, quiet: bool, group: "Group", device: str | None) -> None:
        from interpkit.labels import LabelSet
        from interpkit.models import load_model
        from interpkit.probe import Probe

        self._verb, self._chosen, self._quiet, self._group = verb, asked.chosen, quiet, group
        loaded = load_model(asked.model, **asked.loading)
        say_input(loaded, quiet=quiet)
        self._labels = LabelSet.open(asked.labels)
        layers = _of_stages(loaded) if verb.together and asked.layers is None else asked.layers
        self._probe = Probe(loaded, layers, device=device or "auto")
        if not verb.together:
            runs.check_folders(self._probe.layers)
        if asked.layers is None:
            names = ", ".join(self._probe.layers)
            remark(f"no layer named: the default is {names}; see `interpkit layers`", quiet=quiet)

    @property
    def looked(self) -> tuple[Any, Any]:
        """The probe and the label set."""
        return self._probe, self._labels

    def of(self, verb: Verb, chosen: Mapping[str, Any]) -> "Job":
        """The same model and labels under another verb."""
        job = copy(self)
        job._verb, job._chosen = verb, chosen
        return job

    def default_folder(self) -> Path:
        """``reports/<model>-<labels>[-<layer> if one][-<class> of a verb that looks at one]``."""
        names = [self._probe.loaded.name, self._labels.name]
        names += self._probe.layers if len(self._probe.layers) == 1 else []
        names += filter(None, [self._chosen.get("class_name")])
        return runs.REPORTS / runs.safe("-".join(names))

    def planned(self) -> str:
        """The fingerprint that the results will carry."""
        module = import_module(self._verb.module)
        planned: str = getattr(module, self._verb.planned)(self._probe, self._labels, self._chosen)
        return planned

    def results(self, place: runs.RunFolder, *, overwrite: bool) -> list[Any]:
        """The results in a run's folder: those of the same run if they are there, else computed and saved.

        Of several processes the first one has them, and alone looks at the folder.
        """
        group, planned = self._group, self.planned()
        done: list[Any] = []

        def there() -> bool:
            asked = self._asked_for(planned)
            done.extend(runs.already_done(place.folder, asked, overwrite=overwrite))
            # Whoever held the folder until now may have put another result there.
            if not done and place.take():
                done.extend(runs.already_done(place.folder, asked, overwrite=overwrite))
            runs.drop_stale(place, done)
            return bool(done)

        if group.agreed(there):
            remark(f"already done: {place.folder} holds this run", quiet=self._quiet)
            runs.drop_work(planned, scratch=self._chosen.get("scratch"), share=(group.rank, group.world))
            return done
        return self._computed(place.folder, planned)

    def _asked_for(self, planned: str) -> runs.Planned:
        probe, labels = self._probe, self._labels
        # A result of all layers is known by its fingerprint alone.
        layers = () if self._verb.together else probe.layers
        return runs.Planned(self._verb.name, layers, probe.loaded.sha, labels.sha, planned, self._same_files)

    def _same_files(self, made: Any) -> bool:  # noqa: ANN401 - a Provenance, whose type needs pandas
        """Whether the label set's files hold what they held when a result was made."""
        from interpkit.labels import changed_since, content

        options = made.options
        chosen = getattr(import_module(self._verb.module), "images_of", None)
        looked = (
            self._labels.select(split=options["split"], limit=options["limit"])
            if chosen is None
            else chosen(self._labels, options)
        )
        if not changed_since(looked, datetime.fromisoformat(made.when)):
            return True
        return bool(made.labels_content == content(looked))

    def _computed(self, folder: Path, planned: str) -> list[Any]:
        compute = getattr(import_module(self._verb.module), self._verb.function)
        group, scratch = self._group, self._chosen.get("scratch")
        title = f"{self._verb.name} {self._probe.loaded.name} {','.join(self._probe.layers)} on {self._labels.name}"
        with (
            runs.work_of(planned, title=title, scratch=scratch, share=(group.rank, group.world)) as work,
            progress_shown(quiet=self._quiet) as progress,
        ):
            found = compute(self._probe, self._labels, progress=progress, work=work, **self._chosen)
            results = [found] if self._verb.together else list(found.values())
            if group.first:
                runs.store(results, folder)
            # Nobody needs the work once the results are saved.
            group.meet()
            if work is not None:
                work.drop()
        return results


def _of_stages(loaded: Any) -> list[str]:  # noqa: ANN401 - a LoadedModel, whose type needs torch
    from interpkit.probe import stage_layers

    return list(stage_layers(loaded))
