"""The command line: parse, call, save, report. Whatever is heavy is imported inside the command that needs it."""

import os
import sys

import typer

from interpkit.cli import _compare, _data, _dissect, _doctor, _entangle, _finetune, _graph, _layers, _parts, _report
from interpkit.cli._screen import remark
from interpkit.errors import InterpkitError

__all__ = ["app", "main"]

app = typer.Typer(
    name="interpkit",
    help="Opens up any pretrained convolutional network after the fact.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("layers")(_layers.layers)
app.command("dissect")(_dissect.dissect)
app.command("entangle")(_entangle.entangle)
app.command("parts")(_parts.parts)
app.command("graph")(_graph.graph)
app.command("finetune")(_finetune.finetune)
app.command("compare")(_compare.compare)
app.command("report")(_report.report)
app.command("open")(_report.open_run)
app.add_typer(_data.app, name="data")
app.command("demo")(_dissect.demo)
app.command("doctor")(_doctor.doctor)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 for a mistake in what was asked (one line), 130 for Ctrl-C."""
    # Before torch is imported: threads that wait for each other by spinning slow a forward pass several times over as
    # soon as anything else wants the processor, be it only the decoding of the next images.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status = app(args=arguments, standalone_mode=False)
    except InterpkitError as error:
        # Of several processes the one that made the mistake says so, and the first one which that was.
        remark(f"interpkit: {' '.join(str(error).split())}", quiet=_heard_from_another(error))
        sys.exit(error.exit_status)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        remark(f"interpkit: {error.format_message()}")
        sys.exit(2)
    if status == 130:  # what typer makes of Ctrl-C
        remark("interpkit: stopped")
    sys.exit(status if isinstance(status, int) else 0)


def _heard_from_another(error: InterpkitError) -> bool:
    return os.environ.get("RANK", "0") != "0" and type(error).__name__ == "OthersError"
