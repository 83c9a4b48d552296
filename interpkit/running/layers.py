"""Functions for several layers, as functions for one."""

from collections.abc import Callable
from functools import wraps
from inspect import cleandoc
from typing import Concatenate, ParamSpec, TypeVar

from interpkit.errors import InterpkitError
from interpkit.probe import Probe

P = ParamSpec("P")
R = TypeVar("R")


def one_layer(
    function: Callable[Concatenate[Probe, P], dict[str, R]], *, name: str
) -> Callable[Concatenate[Probe, P], R]:
    """``function`` for a probe of one layer, giving that layer's result, under the name ``name``."""
    several = function.__name__

    @wraps(function)
    def single(probe: Probe, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if len(probe.layers) != 1:
            raise InterpkitError(
                f"{name}() takes one layer, the probe has {len(probe.layers)}: {', '.join(probe.layers)}; "
                f"{several}() gives one result a layer"
            )
        return function(probe, *args, **kwargs)[probe.layers[0]]

    single.__name__ = single.__qualname__ = name
    single.__doc__ = (
        f"`{several}` for a probe of one layer, giving that layer's result.\n\n{cleandoc(function.__doc__ or '')}"
    )
    return single
