"""``interpkit compare``: any number of results, and published tables, side by side; without torch."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from interpkit.cli import _options as options
from interpkit.cli import _runs
from interpkit.cli._screen import as_json, line
from interpkit.cli._shown import show

Results = Annotated[
    list[Path],
    typer.Argument(
        metavar="RESULT...",
        help="Two or more: folders that a command wrote, result folders in them, or per-unit tables (.csv) with the "
        "published columns. A run of several layers gives a column for each.",
        show_default=False,
    ),
]
Names = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="What the columns are called; names that differ in one number give curves."),
]
Rule = Annotated[str, typer.Option(help="How unique detectors are counted first: top-label or every-category.")]
MatchUnits = Annotated[str, typer.Option(help="Whether units of two match by number: auto (if they seem to), yes, no.")]
Force = Annotated[bool, typer.Option("--force", help="Set side by side what does not compare; the page says so.")]
MATCHES = ("auto", "yes", "no")
USUAL = {"--rule": "top-label", "--match": "auto"}


def compare(
    results: Results,
    *,
    out: options.Out = None,
    names: Names = None,
    rule: Rule = "top-label",
    force: Force = False,
    match: MatchUnits = "auto",
    overwrite: options.Overwrite = False,
    report: options.Report = True,
    single_file: options.SingleFile = False,
    pdf: options.Pdf = False,
    paper: options.Paper = None,
    as_document: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set networks, layers, checkpoints or published tables side by side."""
    from interpkit.comparison import side_by_side

    printed_on = options.printed_on(paper, pdf=pdf)
    if match not in MATCHES:
        raise typer.BadParameter(f"{match!r} is not a way to match units; there is {', '.join(MATCHES)}")
    called = [name.strip() for name in names.split(",")] if names is not None else []
    side, pair = side_by_side(
        [_read(path) for path in results],
        names=called,
        sources=[path.stem if _is_table(path) else path.resolve().name for path in results],
        rule=rule,
        match=cast("Literal['auto', 'yes', 'no']", match),
        force=force,
        command=_command(
            results,
            {"--names": names, "--rule": rule, "--match": match, "--out": str(out) if out else None},
            force=force,
        ),
    )
    folder = out or _runs.REPORTS / _runs.safe("-".join(["compare", *side.names]))
    _keep([side] if pair is None else [side, pair], folder, overwrite=overwrite)
    page = _runs.build_page(folder, single_file=single_file) if report else None
    printed = _runs.print_page(folder, paper=printed_on) if printed_on else None
    if as_document:
        pages = {"report": str(page) if page else None, **({"pdf": str(printed)} if printed else {})}
        as_json({"run": str(folder), **pages, "compared": side.summary()})
        return
    show(side)
    for written in filter(None, (page or (None if printed else folder), printed)):
        line(str(written))


def _command(results: Sequence[Path], asked: Mapping[str, str | None], *, force: bool) -> str:
    """The command line that repeats it."""
    words = ["interpkit", "compare", *map(str, results)]
    words += [word for name, value in asked.items() if value and value != USUAL.get(name) for word in (name, value)]
    return shlex.join([*words, *(["--force"] if force else [])])


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv"


def _read(path: Path) -> Any:  # noqa: ANN401 - a published table, or the results of a run
    from interpkit.results import load_run, read_published

    return read_published(path) if _is_table(path) else load_run(path)


def _keep(results: Sequence[Any], folder: Path, *, overwrite: bool) -> None:
    """Save the comparison; the same one again replaces itself.

    Raises
    ------
    ResultError
        If the folder holds another run and ``overwrite`` is not set.
    """
    from interpkit.results import result_folder_name, result_folders
    from interpkit.writing import remove_folder

    made = results[0].provenance
    planned = _runs.Planned(made.verb, [results[0].layer], made.model_sha, made.labels_sha, made.fingerprint)
    _runs.already_done(folder, planned, overwrite=overwrite)
    with _runs.folder_made(folder):
        _runs.store(results, folder)
        written = {folder / result_folder_name(one) for one in results}
        for old in result_folders(folder):
            if old not in written:
                remove_folder(old)
