"""How long a run takes: measured, and said beforehand."""

import logging
from datetime import UTC, datetime
from time import perf_counter

from interpkit.feeding import Feeding

_LOG = logging.getLogger(__name__)


class Stopwatch:
    """How long each stage took."""

    def __init__(self) -> None:
        self.when = datetime.now(UTC)
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """End the stage that has run since the last lap."""
        now = perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def announce(images: int, feeding: Feeding, *, passes: int = 1, kept: str = "") -> None:
    """One line before a long run: how long it will take, how it is fed, and where maps are kept."""
    seconds = passes * images * feeding.milliseconds / 1e3
    _LOG.info(
        "%s, about %s: batch %d %s, %.1f ms an image, threads: %d%s",
        f"{images:,} image{'' if images == 1 else 's'}",
        f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s",
        feeding.batch_size,
        feeding.memory_format,
        feeding.milliseconds,
        feeding.threads,
        f"; maps kept: {kept}" if kept else "",
    )
