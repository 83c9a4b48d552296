"""Initialisation that is the same every time and disturbs nobody's random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fixed_seed(seed: int = 0) -> Iterator[None]:
    """Draw from ``seed`` on the CPU; the caller's random state comes back afterwards."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed every accelerator.
        torch.default_generator.manual_seed(seed)
        yield
