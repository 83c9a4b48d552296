"""What torch finds on this machine."""

from dataclasses import dataclass

import torch

from interpkit.errors import one_line


@dataclass(frozen=True)
class Device:
    """Something that networks run on: as ``--device`` names it, in words, and its free and whole memory in bytes.

    ``fault`` says why it cannot be used, where it cannot.
    """

    name: str
    words: str
    free: int = 0
    memory: int = 0
    fault: str = ""


def devices() -> list[Device]:
    """Every accelerator that torch sees, tried by a sum on it; the processor where there is none."""
    if torch.cuda.is_available():
        return [_cuda(number) for number in range(torch.cuda.device_count())]
    return [Device("cpu", "no GPU that torch can use")]


def _cuda(number: int) -> Device:
    name = f"cuda:{number}"
    try:
        words = torch.cuda.get_device_name(number)
        free, memory = torch.cuda.mem_get_info(number)
        torch.ones(2, device=name).sum().item()
    except RuntimeError as error:
        return Device(name, "", fault=one_line(error))
    return Device(name, words, free, memory)


def built_for() -> str:
    """What the installed torch was built for: ``CUDA 12.8``, or ``the processor alone``."""
    return f"CUDA {torch.version.cuda}" if torch.version.cuda else "the processor alone"


def threads() -> int:
    """Threads of a forward pass where no other number is asked for."""
    return torch.get_num_threads()
