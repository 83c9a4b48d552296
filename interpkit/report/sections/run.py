"""What was run, in one line a kind of result, and what the reader must be told."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from interpkit.report.kinds import ANY, by_kind
from interpkit.report.page import Page, Section
from interpkit.results import Comparison, ExplanatoryGraph, FineTuning, SideBySide

# Said in the settings; no reader needs it first.
QUIET = ("maps kept", "features below")


def render(results: Sequence[Any], page: Page) -> Markup:
    """A line for each kind, the notes and the images that were left out."""
    skipped = list(dict.fromkeys(name for result in results for name in result.skipped))
    every = dict.fromkeys(note for _, found in by_kind(results) for note in found[0].provenance.notes)
    notes = [note for note in every if not note.startswith(QUIET)]
    # What two trainings say of how they were made is no answer; the settings hold it too.
    folded = any(isinstance(result, Comparison | SideBySide) for result in results)
    values = {
        "groups": by_kind(results),
        "skipped": skipped,
        "notes": [*_unlike(results), *([] if folded else notes)],
        "folded": notes if folded else [],
    }
    return page.render("run.html", values)


def _unlike(results: Sequence[Any]) -> list[str]:
    """What keeps results that share a page from being compared."""
    # A training and a graph have images of their own, a comparison says of each group of measures what it rests on.
    apart = Comparison | ExplanatoryGraph | FineTuning | SideBySide
    looked = [result for result in results if not isinstance(result, apart)]
    inputs = {repr(sorted(result.provenance.preprocessing.items())) for result in looked}
    found = []
    for labels in dict.fromkeys(result.provenance.labels_sha for result in looked):
        counts = sorted({result.images for result in looked if result.provenance.labels_sha == labels})
        if len(counts) < 2:
            continue
        found.append(
            f"The results on this page rest on different images ({', '.join(f'{one:,}' for one in counts)}): numbers "
            "that depend on how many there are do not compare"
        )
    if len(inputs) > 1:
        found.append("The results on this page were made with different preprocessing, so they do not compare")
    return found


OFFER = Section(title="", needs=(ANY,), order=10, render=render, scope="run")
