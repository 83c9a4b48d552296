"""Arguments that several commands share, declared once."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from interpkit.results import Subset

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A file (state dict, .safetensors, .pt2, pickled module), a folder that finetune wrote, "
        "torchvision:NAME[@WEIGHTS], timm:NAME, lite:efficientnet-lite0, or python:package.module:factory.",
        show_default=False,
    ),
]
Arch = Annotated[
    str | None, typer.Option(help="For a state dict: the network it belongs to, such as torchvision:resnet18.")
]
Trust = Annotated[bool, typer.Option("--trust", help="Allow a pickled module, whose code runs when it is read.")]
Size = Annotated[str | None, typer.Option(metavar="N|HxW", help="Input size in pixels, instead of the recorded one.")]
Mean = Annotated[str | None, typer.Option(metavar="R,G,B", help="Mean a channel on the 0..1 scale.")]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="Standard deviation a channel on the 0..1 scale.")]
Interpolation = Annotated[str | None, typer.Option(help="nearest, bilinear or bicubic.")]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", metavar="NAME", help="A layer; repeat it or separate names by commas. See `layers`."),
]
Labels = Annotated[str, typer.Option(metavar="PATH|NAME", help="The label set.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1.")]
Threads = Annotated[int | None, typer.Option(help="Threads of the forward pass; default: torch's own choice.")]
Json = Annotated[bool, typer.Option("--json", help="The summary as JSON on standard output, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Nothing on standard error but errors.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable images, and count them.")]
Split = Annotated[str | None, typer.Option(help="Only the images of this split.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many images.")]
BatchSize = Annotated[str, typer.Option(metavar="auto|N", help="Images a forward pass; auto times a few.")]
MemoryFormat = Annotated[str, typer.Option(help="auto, contiguous, channels_last.")]
Seed = Annotated[int, typer.Option(help="For what is drawn at random.")]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the run; default: reports/<model>-<labels>.", show_default=False)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another run in that folder.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Build the page.")]
Align = Annotated[
    str, typer.Option(help="Where cells lie on the input: half-pixel, receptive-field (the paper), effective.")
]
Cache = Annotated[str, typer.Option(help="Where maps are kept between the passes: auto, ram, disk, none.")]
Scratch = Annotated[Path | None, typer.Option(help="Folder for --cache disk.")]
SingleFile = Annotated[bool, typer.Option("--single-file", help="One self-contained page, pictures inside.")]
Pdf = Annotated[bool, typer.Option("--pdf", help="Also print the page into report.pdf.")]
Paper = Annotated[
    str | None, typer.Option(metavar="a4|letter", help="What --pdf is printed on; default: a4.", show_default=False)
]

Units = Annotated[
    str | None, typer.Option(metavar="N,...", help="Show the pictures of these units alone.", show_default=False)
]
Concepts = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Show the pictures of the units that detect these alone; '\"a, b\"' is one name.",
        show_default=False,
    ),
]


def numbers(text: str | None) -> list[float] | None:
    """The numbers of ``0.5,0.5,0.5``.

    Raises
    ------
    typer.BadParameter
        If they are not numbers.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.485,0.456,0.406") from error


def size(text: str | None) -> tuple[int, int] | None:
    """(H, W) of ``224`` or ``224x160``.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size such as 224 or 224x160 (height x width)")
    return int(match[1]), int(match[2] or match[1])


def printed_on(paper: str | None, *, pdf: bool) -> str | None:
    """The paper of the PDF; None where there shall be none. Whether it can be printed is found before a long run.

    Raises
    ------
    typer.BadParameter
        If there is paper and nothing to print on it.
    InterpkitError
        If the paper is unknown, or what printing needs is not installed.
    """
    if not pdf:
        if paper is not None:
            raise typer.BadParameter(f"--paper {paper} is the paper of --pdf; ask for both")
        return None
    from interpkit.report import check_paper

    check_paper(paper or "a4")
    return paper or "a4"


def layer_names(given: list[str] | None) -> list[str] | None:
    """Names from a repeated option whose values may hold several, separated by commas."""
    names = [name.strip() for value in given or () for name in value.split(",") if name.strip()]
    return list(dict.fromkeys(names)) or None


def loading(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of load_model() among a command's arguments."""
    return {
        "arch": arguments["arch"],
        "trust": arguments["trust"],
        "size": size(arguments["size"]),
        "mean": numbers(arguments["mean"]),
        "std": numbers(arguments["std"]),
        "interpolation": arguments["interpolation"],
    }


def whole_numbers(text: str | None) -> list[int] | None:
    """The numbers of ``20,20,40``.

    Raises
    ------
    typer.BadParameter
        If they are not whole numbers.

    Examples
    --------
    >>> whole_numbers("20, 40")
    [20, 40]
    """
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 20,20,40") from error


def names(text: str | None) -> list[str] | None:
    """The names of ``car,traffic light``; one that holds a comma stands in double quotes.

    Raises
    ------
    typer.BadParameter
        If there is none.

    Examples
    --------
    >>> names('car, "light, red"')
    ['car', 'light, red']
    """
    if text is None:
        return None
    found = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), ())]
    if not all(found) or not found:
        raise typer.BadParameter(f"{text!r} is not a list of names such as car,wheel")
    return list(dict.fromkeys(found))


def subset(units: str | None, concepts: str | None) -> "Subset":
    """What ``--units`` and ``--concepts`` choose.

    Raises
    ------
    typer.BadParameter
        If they are not numbers and names.
    """
    from interpkit.results import Subset

    numbered = dict.fromkeys(whole_numbers(units) or ())
    return Subset(units=tuple(numbered), concepts=tuple(names(concepts) or ()))


def batch(text: str) -> int | str:
    """``auto`` or a number.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if text == "auto" or text.isdecimal():
        return text if text == "auto" else int(text)
    raise typer.BadParameter(f"{text!r} is neither auto nor a number of images")
