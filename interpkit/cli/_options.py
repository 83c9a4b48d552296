"""Arguments that several commands share, declared once."""

import re
from typing import Annotated

import typer

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A file (state dict, .safetensors, .pt2, pickled module), torchvision:NAME[@WEIGHTS], timm:NAME, "
        "lite:efficientnet-lite0, or python:package.module:factory.",
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
SingleFile = Annotated[bool, typer.Option("--single-file", help="One self-contained page, pictures inside.")]


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


def layer_names(given: list[str] | None) -> list[str] | None:
    """Names from a repeated option whose values may hold several, separated by commas."""
    names = [name.strip() for value in given or () for name in value.split(",") if name.strip()]
    return list(dict.fromkeys(names)) or None


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
