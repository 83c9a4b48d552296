"""What makes the edits: hypothesis, and atheris, which follows the branches that an input takes."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__" and sys.argv[2] == "atheris":
    import atheris

    # Before anything else brings these in: what is not instrumented leads atheris nowhere.
    with atheris.instrument_imports(include=["interpkit"]):
        import interpkit.labels
        import interpkit.models
        import interpkit.report
        import interpkit.results  # noqa: F401

from edits import Edit, damaged
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from readers import SECONDS, Bench, bench

# More than this, of an input that has some kilobytes, was taken because the file said so.
MEGABYTES = 2500
# Bytes of an edit, and of four with which file they are made to.
_EDIT = 8
_LENGTH = 3 + 4 * _EDIT


def edits_drawn() -> st.SearchStrategy[tuple[int, list[Edit]]]:
    """Which of the sound files, and one to four edits.

    One string of bytes, since every number that is drawn by itself takes as long as reading a small file.
    """
    return st.binary(min_size=_LENGTH, max_size=_LENGTH).map(_drawn)


def _drawn(data: bytes) -> tuple[int, list[Edit]]:
    edits = [data[start : start + _EDIT] for start in range(3, 3 + _EDIT * (1, 1, 2, 4)[data[2] % 4], _EDIT)]
    return int.from_bytes(data[:2]), [
        (int.from_bytes(one[:2]) % 2**10, int.from_bytes(one[2:5]) % 2**20, int.from_bytes(one[5:7]), one[7])
        for one in edits
    ]


def by_hypothesis(name: str, inputs: int, *, start: int = 0) -> Bench:
    """Try so many inputs on a reader.

    Raises
    ------
    FaultError, Exception
        The first fault, shrunk.
    """
    with bench(name) as tried:

        @seed(start)
        @settings(
            max_examples=inputs,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(edits_drawn())
        def every(drawn: tuple[int, list[Edit]]) -> None:
            which, edits = drawn
            tried.try_one(which, lambda data: damaged(data, edits))

        every()
    return tried


def by_atheris(name: str, inputs: int, *, start: int = 0) -> None:
    """Try so many inputs on a reader, and end the process: what atheris does when it is done."""
    import atheris

    began = time.monotonic()
    with bench(name) as tried:

        def one(data: bytes) -> None:
            given_bytes = atheris.FuzzedDataProvider(data)
            which = given_bytes.ConsumeIntInRange(0, 2**16 - 1)
            edits = [_edit(given_bytes) for _ in range(given_bytes.ConsumeIntInRange(1, 4))]
            tried.try_one(which, lambda sound: damaged(sound, edits))
            if tried.done >= inputs:
                say(tried, began)
                os._exit(0)

        options = [
            f"-seed={start + 1}",
            f"-artifact_prefix={tried.folder}/",
            "-max_len=96",
            f"-timeout={int(SECONDS * 12)}",
            f"-rss_limit_mb={MEGABYTES}",
        ]
        # One more than are counted, so that the count ends it and not this.
        atheris.Setup([sys.argv[0], f"-runs={inputs + 10_000_000}", *options], one)
        atheris.Fuzz()


def _edit(given_bytes: Any) -> Edit:
    return tuple(given_bytes.ConsumeIntInRange(0, 2**bits - 1) for bits in (10, 20, 16, 8))  # type: ignore[return-value]


def say(tried: Bench, began: float) -> None:
    """What one driver did with one reader, as the last line that its process writes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"inputs": tried.done, "refused": tried.refused, "slowest": round(tried.slowest, 3), "peak": round(peak)}
    sys.stdout.write(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}) + "\n")
    sys.stdout.flush()


def again(name: str, which: int, edits: list[Edit]) -> bytes:
    """The bytes that an input of `edits_drawn` stands for, to look at a fault."""
    with bench(name) as tried:
        return damaged(tried.seeds[which % len(tried.seeds)][1], edits)


DRIVERS: dict[str, Callable[..., object]] = {"hypothesis": by_hypothesis, "atheris": by_atheris}


def main(arguments: list[str]) -> None:
    """``READER DRIVER INPUTS SEED``: what `run.py` starts in a process of its own."""
    name, driver, inputs, start = arguments
    began = time.monotonic()
    done = DRIVERS[driver](name, int(inputs), start=int(start))
    assert isinstance(done, Bench)
    say(done, began)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(sys.argv[1:])
