"""Whether anything goes around a module, by the definition: its output held back, does the images still matter?"""

import torch
from torch import Tensor, nn


def goes_around(net: nn.Module, name: str, images: Tensor) -> bool:
    """Whether the output of ``net`` depends on ``images`` by another way than through what ``name`` gives."""
    for parameter in net.parameters():
        parameter.requires_grad_(requires_grad=False)
    handle = net.get_submodule(name).register_forward_hook(lambda module, inputs, output: output.detach())
    try:
        with torch.enable_grad():
            return bool(net(images.clone().requires_grad_().clone()).requires_grad)
    finally:
        handle.remove()
