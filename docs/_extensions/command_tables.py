"""The directive ``command``: every option of a command of interpkit, from the command itself."""

from collections.abc import Iterator, Sequence
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from typer.main import get_command

from interpkit.cli import app

# Relative widths of the columns: option, meaning, default.
WIDTHS = (30, 54, 16)


def found(path: Sequence[str]) -> Any:  # noqa: ANN401 - typer's own class, which it keeps to itself
    """The command that ``interpkit`` knows by these words.

    Raises
    ------
    KeyError
        If there is none.
    """
    command: Any = get_command(app)
    for word in path:
        command = command.commands[word]
    return command


def rows(command: Any) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - as above
    """(how it is written, what it means, what it is where it is not given) of each argument and option."""
    for one in command.params:
        if one.opts[0].startswith("-"):
            names = " / ".join([*one.opts, *one.secondary_opts])
            takes = "" if one.is_flag else f" {one.metavar or one.name.upper()}"
            yield names + takes, one.help or "", _default(one)
        else:
            yield one.metavar or one.name.upper(), one.help or "", ""


def _default(option: Any) -> str:  # noqa: ANN401 - as above
    """What an option is by itself; nothing for one that is off, or that its meaning explains."""
    value = option.default
    if value is None or value is False or callable(value) or not option.show_default:
        return ""
    if value is True:
        return str(option.opts[0]) if option.secondary_opts else ""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class Command(Directive):
    """``{command} data check``: what the command does, and a table of its options."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """A paragraph and a table."""
        try:
            command = found(self.arguments[0].split())
        except KeyError:
            raise self.error(f"interpkit has no command {self.arguments[0]!r}") from None
        table, group = nodes.table(), nodes.tgroup(cols=len(WIDTHS))
        table += group
        group += [nodes.colspec(colwidth=width) for width in WIDTHS]
        head, body = nodes.thead(), nodes.tbody()
        head += _row([nodes.Text(words) for words in ("option", "meaning", "default")])
        for name, meaning, default in rows(command):
            kept = nodes.literal(default, default) if default else nodes.Text("")
            body += _row([nodes.literal(name, name), _said(meaning), kept])
        group += [head, body]
        said = " ".join((command.help or "").split())
        paragraph = nodes.paragraph()
        paragraph += _said(said)
        return [paragraph, table]


def _said(text: str) -> nodes.inline:
    """Words in which what stands between backticks is code."""
    line = nodes.inline()
    for place, piece in enumerate(text.split("`")):
        line += nodes.literal(piece, piece) if place % 2 else nodes.Text(piece)
    return line


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry, paragraph = nodes.entry(), nodes.paragraph()
        paragraph += cell
        entry += paragraph
        row += entry
    return row


def setup(sphinx: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    sphinx.add_directive("command", Command)
    return {"parallel_read_safe": True}
