"""A network as it was before its training: the same modules, weights drawn at random."""

from copy import deepcopy
from dataclasses import replace

from torch import nn

from interpkit.errors import ModelError
from interpkit.models.loaded import LoadedModel, fingerprint
from interpkit.models.seeds import fixed_seed


def untrained(loaded: LoadedModel, *, seed: int = 0) -> LoadedModel:
    """The same network with weights drawn from ``seed``, each module's by its own ``reset_parameters``.

    Statistics of batch normalisation start anew as well; the preprocessing stays, and so does the network given.

    Raises
    ------
    ModelError
        If some of its parameters belong to a module that does not say how they begin, as in exported graphs.
    """
    module = deepcopy(loaded.module)
    with fixed_seed(seed):
        for name, part in module.named_modules():
            _start_anew(part, name or type(part).__name__, loaded)
    return replace(loaded, module=module, name=f"{loaded.name}-untrained", sha=fingerprint(module))


def _start_anew(part: nn.Module, name: str, loaded: LoadedModel) -> None:
    """Draw the parameters that belong to ``part`` itself."""
    begin = getattr(part, "reset_parameters", None)
    if callable(begin):
        begin()
        return
    own = [key for key, _ in part.named_parameters(recurse=False)]
    if own:
        raise ModelError(
            f"{loaded.name} cannot be made untrained: {own[0]} of {name} ({type(part).__name__}) comes without a rule "
            "for how it begins; a network by name is untrained as NAME@random"
        )
