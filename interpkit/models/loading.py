"""Every form that a model comes in, read into one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from interpkit.errors import ModelError, UnknownNameError, nearest
from interpkit.models.asking import Flags, resolve
from interpkit.models.factories import build_python
from interpkit.models.files import read_file
from interpkit.models.finetuned import is_finetuned, read_folder
from interpkit.models.loaded import Built, LoadedModel, fingerprint, short_name, unwrapped
from interpkit.models.zoo import Wish, build_lite, build_timm, build_torchvision, own_record, torchvision_names


def load_model(
    spec: str | Path | nn.Module,
    *,
    arch: str | None = None,
    trust: bool = False,
    size: int | Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    interpolation: str | None = None,
) -> LoadedModel:
    """Load a network from a file, a name or an object, with its preprocessing.

    Files and names come back in evaluation mode; a module given in Python is left as it is. No code that a file brings
    along runs unless ``trust`` says so.

    Parameters
    ----------
    spec : str | Path | torch.nn.Module
        A file (state dict, ``.safetensors``, ``.pt2``, pickled module), a folder that fine-tuning wrote,
        ``torchvision:NAME[@WEIGHTS]``, ``timm:NAME``, ``lite:NAME``, ``python:package.module:factory``, or the network
        itself. A name brings its published weights; ``NAME@random`` is the untrained network, the same one every time.
    arch : str | None
        For a state dict: the network it belongs to, by any of the names above. For a folder of a network that was
        given in Python: what builds that.
    trust : bool
        Whether pickled code may run.
    size : int | Sequence[int] | None
        Input size in pixels: one number for a square, or (height, width). None for what the weights record.
    mean, std : float | Sequence[float] | None
        One value a channel on the 0..1 scale. None for what the weights record, else ImageNet's; for one channel 0
        and 1.
    interpolation : str | None
        ``nearest``, ``bilinear`` or ``bicubic``.

    Raises
    ------
    InterpkitError
        In one line, whatever is wrong with what was asked.
    """
    flags = Flags.read(size, mean, std, interpolation=interpolation)
    built = _read_module(spec, arch) if isinstance(spec, nn.Module) else _read_spec(spec, arch, trust=trust)
    return LoadedModel(
        module=built.module,
        preprocessing=resolve(built, flags),
        name=built.name,
        spec=_class_name(spec) if isinstance(spec, nn.Module) else str(spec),
        form=built.form,
        sha=fingerprint(built.module),
        notes=built.notes,
        fixed_batch=built.fixed_batch,
        flags=(*(["--arch", arch] if arch else []), *(["--trust"] if trust else []), *flags.words()),
        classes=built.classes,
        layer=built.layer,
    )


def _read_module(module: nn.Module, arch: str | None) -> Built:
    if arch is not None:
        raise ModelError(f"arch={arch!r} goes with a file of weights, not with a network")
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError("a TorchScript module takes no hooks; give the network that it was made from")
    module = unwrapped(module)
    return Built(module, "module", short_name(type(module).__name__), own_record(module))


def _read_spec(spec: str | Path, arch: str | None, *, trust: bool) -> Built:
    family = str(spec).partition(":")[0]
    builder = _builders().get(family) if isinstance(spec, str) and ":" in spec else None
    if builder is not None:
        if arch is not None:
            raise ModelError(f"--arch {arch} goes with a file of weights; {spec} already is a network")
        return builder(str(spec))
    path = Path(spec)
    if not path.exists() and path.suffix == "" and path.name == str(spec):
        _check_family(str(spec), family)
    if is_finetuned(path):
        return read_folder(path, arch=arch, trust=trust)
    return read_file(path, arch=arch, trust=trust)


def _builders() -> dict[str, Callable[[str], Built]]:
    return {
        "torchvision": lambda spec: build_torchvision(Wish.read(spec)),
        "timm": lambda spec: build_timm(Wish.read(spec)),
        "lite": lambda spec: build_lite(Wish.read(spec)),
        "python": build_python,
    }


def _check_family(spec: str, family: str) -> None:
    if ":" in spec:
        close = ", ".join(f"{name}:" for name in nearest(family, _builders()) or _builders())
        raise UnknownNameError(f"{spec} is no file, and no models are called {family}:; nearest: {close}")
    names = torchvision_names()
    if spec in names:
        raise UnknownNameError(f"no file {spec}; the network of that name is torchvision:{spec}")


def _class_name(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"
