"""A run's folder -> its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from interpkit import _plugins
from interpkit.errors import InterpkitError, ResultError, one_line
from interpkit.report import sections
from interpkit.report.formats import FILTERS
from interpkit.report.kinds import by_kind, question
from interpkit.report.matrices import STOPS
from interpkit.report.page import PAPERS, Page, Section
from interpkit.results import Dissection, Subset, load_run, result_folders
from interpkit.strangers import readable
from interpkit.writing import writing, written

PAGE = "index.html"
EVERY = Subset()


def build(
    run: str | Path, *, single_file: bool = False, units: Sequence[int] = (), concepts: Sequence[str] = ()
) -> Path:
    """Write ``<run>/index.html`` from the results in ``run``; without torch.

    The page is written beside its place and renamed, so that a page that exists is whole.

    Parameters
    ----------
    run
        A folder with one folder per layer and kind of result, and ``images/``.
    single_file
        Embed the pictures: the page is one file that can be sent around.
    units, concepts
        Show only these units of dissections as cards: by number, and by what they detect. No number on the page
        depends on it, and the table holds all units.

    Raises
    ------
    ResultError
        If there is no result, or a damaged one.
    UnknownNameError
        If no layer has such a unit, or the label set no such concept.
    InterpkitError
        If there is something to choose, and no dissection to choose it from.
    """
    folder = Path(run)
    results = load_run(folder)
    subset = Subset(units=tuple(units), concepts=tuple(concepts))
    page = blank(folder, results, single_file=single_file, subset=subset)
    with writing(folder), written(folder / PAGE) as part:
        part.write_text(document(results, page), encoding="utf-8")
    return folder / PAGE


def blank(
    folder: Path, results: Sequence[Any], *, single_file: bool = False, paper: str = "", subset: Subset = EVERY
) -> Page:
    """The page of a run's results before anything stands on it."""
    return Page(
        folder=folder,
        results=folder.parent if result_folders(folder) == [folder] else folder,
        layers=tuple(dict.fromkeys(result.layer for result in results)),
        verbs=frozenset((result.layer, result.provenance.verb) for result in results),
        single_file=single_file,
        environment=_environment(),
        paper=paper,
        subset=subset,
        chosen=_chosen(folder, results, subset),
    )


def _chosen(folder: Path, results: Sequence[Any], subset: Subset) -> dict[str, frozenset[int]]:
    """The units of each dissected layer that are in the subset; nothing where it is all of them."""
    if not subset.wanted:
        return {}
    dissected = [result for result in results if isinstance(result, Dissection)]
    if not dissected:
        raise InterpkitError(f"{folder} holds no dissection, so there is no telling which units are {subset.words()}")
    names = list(dict.fromkeys(name for result in dissected for name in result.concepts["name"]))
    subset.check({one.layer: one.units for one in dissected}, names, labels=dissected[0].provenance.labels)
    return {result.layer: frozenset(subset.of(result)) for result in dissected}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("interpkit.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["stops"] = STOPS
    environment.globals["papers"] = PAPERS
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever stands between braces
    """A value before it is escaped: text as a page may hold it; HTML and numbers as they are."""
    return readable(value) if type(value) is str else value


def document(results: Sequence[Any], page: Page) -> str:
    """The page of results, as HTML.

    Raises
    ------
    ResultError
        If they hold values that cannot stand together, as where a file was edited.
    """
    try:
        return _document(results, page)
    except (InterpkitError, OSError, MemoryError):
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise ResultError(
            f"{page.folder} cannot be drawn: what its files hold does not fit together ({why}); if one was edited, "
            "make the result anew"
        ) from error


def _document(results: Sequence[Any], page: Page) -> str:
    offers: list[Section] = [_plugins.load(sections.__name__, name) for name in _plugins.names(sections.__name__)]
    offers.sort(key=lambda offer: offer.order)
    first = min(offer.order for offer in offers if offer.scope == "layer")
    for_run = [offer for offer in offers if offer.scope == "run"]
    for_layers = [offer for offer in offers if offer.scope == "layer"]
    parts = []
    for layer in page.layers:
        kinds = by_kind([result for result in results if result.layer == layer])
        parts.append((layer, [(kind, _rendered(for_layers, mine, page)) for kind, mine in kinds]))
    values = {
        "results": results,
        "several": len(by_kind(results)) > 1,
        "question": question,
        "before": _rendered([offer for offer in for_run if offer.order < first], results, page),
        "layers": parts,
        "after": _rendered([offer for offer in for_run if offer.order > first], results, page),
        "categories": list(dict.fromkeys(name for result in results for name in getattr(result, "categories", ()))),
    }
    return page.render("page.html", values)


def _rendered(offers: Sequence[Section], results: Sequence[Any], page: Page) -> list[tuple[str, Markup]]:
    """(title, HTML) of the sections that have something to say."""
    parts = [(offer.title, offer(results, page)) for offer in offers]
    return [(title, part) for title, part in parts if part.strip()]
