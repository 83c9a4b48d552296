"""The network that a training wrote, ready to be looked into."""

from pathlib import Path

from safetensors.torch import load_file

from interpkit.models import LoadedModel, load_model
from interpkit.models.finetuned import WEIGHTS, read_recipe
from interpkit.models.loaded import fingerprint
from interpkit.probe.surveying import blank
from interpkit.surgery import Surgery, operate


def reopened(folder: Path, base: LoadedModel) -> LoadedModel:
    """The network in a model folder; ``base`` is the one it was made from.

    Code of the user's own that built the base was run for this very study, and the hub was asked for a base described
    there, so that is done again; a base that exists in Python alone is operated on once more.
    """
    if base.form != "module":
        signs = ("python:", "hf-hub:", "hf_hub:")
        own = base.form == "pickle" or any(sign in word for word in (base.spec, *base.flags) for sign in signs)
        return load_model(folder, trust=own or "--trust" in base.flags)
    recipe = read_recipe(folder)
    module = operate(base.module, Surgery.from_dict(recipe["surgery"]), blank(base)).module
    # Not strict: a tensor that has several names is stored under one.
    module.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    return LoadedModel(
        module=module.eval(),
        preprocessing=base.preprocessing,
        name=folder.name,
        spec=str(folder),
        form="module",
        sha=fingerprint(module),
        classes=tuple(recipe["classes"]),
    )
