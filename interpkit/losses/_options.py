"""Options of losses, checked in one line each."""

import math
from collections.abc import Sequence

from interpkit.errors import InterpkitError, UnknownNameError, nearest


def check_choice(name: str, value: object, have: Sequence[str]) -> None:
    """Refuse a value that is none of those on offer.

    Raises
    ------
    UnknownNameError
        Then; the message lists the nearest.
    """
    if value not in have:
        close = ", ".join(nearest(str(value), have) or have)
        raise UnknownNameError(f"{name} has no choice {value!r}; there is {close}")


def check_number(name: str, value: object, *, above: float = -math.inf, least: float = -math.inf) -> None:
    """Refuse what is no finite number, not above ``above`` or less than ``least``.

    Raises
    ------
    InterpkitError
        Then.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InterpkitError(f"{name} is a number, this is {value!r}")
    if value <= above:
        raise InterpkitError(f"{name} is more than {above:g}, this is {value:g}")
    if value < least:
        raise InterpkitError(f"{name} is at least {least:g}, this is {value:g}")


def check_whole(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number, or less than ``least``.

    Raises
    ------
    InterpkitError
        Then.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InterpkitError(f"{name} is a whole number, this is {value!r}")
    check_number(name, value, least=least)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither true nor false.

    Raises
    ------
    InterpkitError
        Then.
    """
    if not isinstance(value, bool):
        raise InterpkitError(f"{name} is true or false, this is {value!r}")
